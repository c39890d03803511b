"""What went wrong."""

from pydantic import Field

from sfumato.server.schemas.base import Told

__all__ = ["NativeError", "Trouble"]


class Trouble(Told):
    """What went wrong, and where."""

    message: str = Field(examples=["steps is 0, but must be between 1 and 1000."])
    field: str | None = Field(description="The field at fault, if it was one.")


class NativeError(Told):
    """Every answer from 400 on."""

    error: Trouble
