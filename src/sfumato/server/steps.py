"""The last step of each job that is being painted, on disk: where it goes on after a kill.

Two files take turns, each with a hash of itself: a kill in the middle of writing one leaves the
other, which is an earlier step. Nothing is renamed and nothing synchronised, for either may cost
more than a step; a power cut may lose some steps, which are then made again with the same result.
For the same reason the worker keeps a step ten times a second at most: where steps are slower than
that, each of them; where they are quicker, a kill costs a tenth of a second.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import struct
from collections.abc import Callable, Collection
from pathlib import Path

from sfumato.server.home import Home

__all__ = ["Steps", "sweep"]

_MAGIC = b"sfumato step 1\n"
_NUMBERS = struct.Struct("<II")  # the picture, the step
_LOG = logging.getLogger(__name__)


class Steps:
    """The step of one job: the state of a picture, by the picture's number and the step's."""

    def __init__(self, home: Home, job: str) -> None:
        self.folder = home.step(job)
        self._turn = 1

    def save(self, picture: int, step: int, state: bytes) -> None:
        """Replaces the step before the last. Where there is no room the older one stays."""
        body = _NUMBERS.pack(picture, step) + state
        data = _MAGIC + hashlib.sha256(body).digest() + body
        file = self.folder / f"state-{self._turn}"
        self._turn = 1 - self._turn
        try:
            if not file.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                file.touch()
            with file.open("r+b") as slot:
                slot.write(data)
                slot.truncate()
        except OSError as error:
            _LOG.warning("cannot keep a step in %s: %s", self.folder, error.strerror)

    def load(self, picture: int) -> tuple[int, bytes] | None:
        """The last step of this picture and its state; None for none, also if both are damaged."""
        slots = [_slot(self.folder / f"state-{turn}") for turn in (0, 1)]
        kept = [
            (slot[1], slot[2], turn)
            for turn, slot in enumerate(slots)
            if slot is not None and slot[0] == picture
        ]
        if not kept:
            return None
        step, state, turn = max(kept)
        self._turn = 1 - turn  # the next step replaces the other one
        return step, state

    def clear(self) -> None:
        """Nothing is left of the job's steps."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _slot(file: Path) -> tuple[int, int, bytes] | None:
    """The picture, step and state in a file, if it is whole."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC)
    digest, body = data[start : start + 32], data[start + 32 :]
    whole = data[:start] == _MAGIC and hashlib.sha256(body).digest() == digest
    if not whole or len(body) < _NUMBERS.size:
        _LOG.warning("the step in %s is damaged, and is made again", file)
        return None
    picture, step = _NUMBERS.unpack_from(body)
    return picture, step, body[_NUMBERS.size :]


def sweep(home: Home, in_flight: Callable[[], Collection[str]]) -> None:
    """Removes what a kill left behind of jobs that had ended."""
    left = list(home.steps.iterdir()) if home.steps.is_dir() else []
    kept = in_flight()  # asked after the look: a job that begins meanwhile is not yet among them
    for path in left:
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".part":
            path.unlink(missing_ok=True)
