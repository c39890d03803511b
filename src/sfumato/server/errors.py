"""What can go wrong in the server beside what can go wrong in painting; the user's to mend."""

from __future__ import annotations

from sfumato.errors import SfumatoError

__all__ = [
    "DatabaseError",
    "HomeError",
    "NoSuchInput",
    "NoSuchJob",
    "NoSuchPicture",
    "NotFound",
    "QueueFull",
]


class HomeError(SfumatoError):
    """The server's folder cannot be used: not writable, or another server has it."""


class DatabaseError(SfumatoError):
    """The database cannot be used: not reached, not one of ours, or of a later version."""


class NotFound(SfumatoError):  # noqa: N818 - as HTTP says it
    """Something was asked for by a name that nothing has."""


class NoSuchJob(NotFound):
    """No job has this id."""


class NoSuchPicture(NotFound):
    """No picture of the library has this id, or it has no such frame."""


class NoSuchInput(NotFound):
    """No picture with this sha256 was sent to the server."""


class QueueFull(SfumatoError):  # noqa: N818 - a state, not a fault
    """As many jobs wait as may wait; try again after ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
