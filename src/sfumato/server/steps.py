"""The last step of each job that is being painted, on disk: where it goes on after a kill.

Written after each step and never synchronised: a kill of the process loses nothing, and a power
cut at most some steps, which are then made again with the same result.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import struct
from collections.abc import Callable, Collection

from sfumato.server.home import Home
from sfumato.server.trail import replaced

__all__ = ["Steps", "sweep"]

_MAGIC = b"sfumato step 1\n"
_NUMBERS = struct.Struct("<II")  # the picture, the step
_LOG = logging.getLogger(__name__)


class Steps:
    """The step of one job: the state of a picture, by the picture's number and the step's."""

    def __init__(self, home: Home, job: str) -> None:
        self.folder = home.step(job)
        self._file = self.folder / "state"

    def save(self, picture: int, step: int, state: bytes) -> None:
        """Replaces the step before. Where there is no room the older one stays, which also does."""
        body = _NUMBERS.pack(picture, step) + state
        try:
            replaced(self._file, _MAGIC + hashlib.sha256(body).digest() + body, self.folder)
        except OSError as error:
            _LOG.warning("cannot keep a step in %s: %s", self.folder, error.strerror)

    def load(self, picture: int) -> tuple[int, bytes] | None:
        """The last step of this picture and its state; None for none, also if it was damaged."""
        try:
            data = self._file.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC)
        digest, body = data[start : start + 32], data[start + 32 :]
        whole = data[:start] == _MAGIC and hashlib.sha256(body).digest() == digest
        if not whole or len(body) < _NUMBERS.size:
            _LOG.warning("the step in %s is damaged: the picture is painted anew", self.folder)
            return None
        number, step = _NUMBERS.unpack_from(body)
        return (step, body[_NUMBERS.size :]) if number == picture else None

    def clear(self) -> None:
        """Nothing is left of the job's steps."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(home: Home, in_flight: Callable[[], Collection[str]]) -> None:
    """Removes what a kill left behind of jobs that had ended."""
    left = list(home.steps.iterdir()) if home.steps.is_dir() else []
    kept = in_flight()  # asked after the look: a job that begins meanwhile is not yet among them
    for path in left:
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".part":
            path.unlink(missing_ok=True)
