"""What a model's tokenizers make of a request's prompts."""

from typing import Literal

from pydantic import Field

from sfumato.server.schemas.base import Given, Told
from sfumato.server.schemas.requests import RequestWanted

__all__ = ["ChunkTold", "HeardTold", "TokenTold", "TokensTold", "TokensWanted"]


class TokensWanted(Given):
    """A request whose prompts are to be read."""

    request: RequestWanted


class TokenTold(Told):
    """One number that an encoder reads."""

    text: str
    id: int
    weight: float = Field(description="How much it is heard; 1 is as it stands.")
    ends: bool = Field(description="Whether a word ends here.")
    learnt: bool = Field(description="Whether it is one of an embedding's vectors.")


class ChunkTold(Told):
    """What an encoder reads at once."""

    tokens: list[TokenTold]
    room: int = Field(description="How many tokens that may be.")


class HeardTold(Told):
    """A text that is heard from a step on, as these encoders read it."""

    what: Literal["prompt", "negative"]
    step: int = Field(description="From 1.")
    text: str
    weight: float = Field(description="Among several texts joined by AND.")
    encoders: list[str]
    chunks: list[ChunkTold]
    beyond: str = Field(description="What falls off; unless it is empty, painting refuses it.")
    unknown: list[str] = Field(description="Words that cannot be read; painting refuses them.")
    count: int = Field(description="All tokens that are read.")


class TokensTold(Told):
    """Both prompts of a request, as a model reads them."""

    model: str
    embeddings: dict[str, int] = Field(
        description="Those that are heard, and how many vectors each has."
    )
    heard: list[HeardTold]
    networks: list[str] = Field(
        description="What the prompts want attached; painting refuses it.",
        examples=[["<lora:soft:1>"]],
    )
    unread: list[str] = Field(
        description="Encoders whose tokenizer comes with the model, and is not read here."
    )
    strange: list[str] = Field(
        description="Words of the prompt that the model was never shown, where its file says which "
        "it was: it may paint something else.",
        examples=[["sextant"]],
    )
    absent: list[str] = Field(
        description="Encoders that the model paints without, for its file does not hold them: it "
        "hears less of the prompt.",
        examples=[["T5 (text encoder 3)"]],
    )
