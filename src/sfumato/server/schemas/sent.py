"""Pictures that are sent to start from or to be read, and requests written down as calls."""

from typing import Literal

from pydantic import ConfigDict, Field

from sfumato.server.schemas.base import Digest, Given, Told
from sfumato.server.schemas.pictures import RecipeTold
from sfumato.server.schemas.requests import RequestTold, RequestWanted

__all__ = ["Calls", "CallsWanted", "Input", "Part", "Reading"]

Part = Literal["picture", "mask"]


class Input(Told):
    """A picture or a mask that requests may now refer to by its hash."""

    model_config = ConfigDict(populate_by_name=True)

    sha256: Digest
    width: int
    height: int
    part: Part = Field(alias="as")


class Reading(Told):
    """What a picture says about its making."""

    request: RequestTold = Field(description="What can be followed; ready to be sent as a job.")
    recipe: RecipeTold | None = Field(description="Complete, if sfumato made it.")
    parameters: str
    unread: dict[str, str] = Field(description="Its settings that sfumato does not follow.")
    exact: bool = Field(description="Whether the same machine would make the same pixels again.")


class CallsWanted(Given):
    """A request to be written down."""

    request: RequestWanted


class Calls(Told):
    """Three ways to make the same pictures."""

    command: str = Field(description="For a POSIX shell.")
    python: str = Field(description="A program.")
    http: str = Field(description="For a POSIX shell with curl.")
