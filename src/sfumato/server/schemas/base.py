"""What all words of the native API are made of: bodies, answers and queries, and their atoms."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sfumato.server.library.search import MOST

__all__ = [
    "DIGITS",
    "MAX_PAGE",
    "MAX_TAG",
    "MAX_TAGS",
    "PAGE",
    "SHA256",
    "Asked",
    "Digest",
    "Given",
    "Seconds",
    "Tag",
    "Told",
]

MAX_TAGS, MAX_TAG = 32, 60
PAGE, MAX_PAGE = 50, MOST
SHA256 = r"^[0-9a-f]{64}$"
DIGITS = r"^[0-9]{1,20}$"


class Given(BaseModel):
    """What a client sends: these fields and no others, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Told(BaseModel):
    """What the server answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(BaseModel):
    """The query of an address; there a number is the text of its digits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Digest = Annotated[str, Field(pattern=SHA256, examples=["0a1b" * 16])]
Tag = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TAG, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["keep"]),
]
Seconds = Annotated[float, Field(description="Seconds since 1970, UTC.", examples=[1764032400.25])]
