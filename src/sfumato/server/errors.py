"""What can go wrong in the server beside what can go wrong in painting; the user's to mend."""

from __future__ import annotations

import logging

from sfumato.errors import OutputError, SfumatoError

__all__ = [
    "DatabaseError",
    "HomeError",
    "NoSuchInput",
    "NoSuchJob",
    "NoSuchPicture",
    "NotFound",
    "QueueFull",
    "unavailable",
]

_UNAVAILABLE = (
    "the server cannot write to its disk, or not use its database; its log says why. "
    "Try again later."
)
_LOG = logging.getLogger("sfumato.server")


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


def unavailable(problem: SfumatoError) -> str | None:
    """What a client is told where the server's own disk or database fails it; else None.

    Which file or database that is stands in the log only.
    """
    disk = isinstance(problem, OutputError) and isinstance(problem.__cause__, OSError)
    if not disk and not isinstance(problem, DatabaseError):
        return None
    _LOG.error("%s", problem)
    return _UNAVAILABLE
