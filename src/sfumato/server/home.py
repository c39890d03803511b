"""The server's folder: where each thing lies in it, and the lock that keeps a second server out."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL

from sfumato.server.errors import HomeError, NoSuchInput, NotFound

__all__ = ["Home", "job_of", "new_id", "picture_id"]

ROOM = 16 * 2**20  # bytes that a picture may take, with all that belongs to it
# Every name that becomes part of a path: ids that we drew and hashes, never a client's words.
_NAME = re.compile(r"[0-9a-z]{1,64}(?:-[0-9]{1,4})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PICTURE = re.compile(r"([0-9a-f]{20})-([0-9]{1,4})")


def new_id(now: float, after: str = "") -> str:
    """An id that sorts by time: 12 hex digits of milliseconds, then 8 drawn ones.

    ``now`` is seconds since 1970; ``after`` is the latest id there is. The new one sorts behind it
    even if the clock was set back meanwhile.
    """
    milliseconds = max(int(now * 1000), 0)
    if after:
        milliseconds = max(milliseconds, int(after[:12], 16) + 1)
    return f"{milliseconds:012x}{secrets.token_hex(4)}"


def picture_id(job: str, number: int) -> str:
    """The id of a job's picture ``number`` (from 0): always the same, so it is kept only once."""
    return f"{job}-{number}"


def job_of(picture: str) -> tuple[str, int] | None:
    """The job and the number that `picture_id` was made of; None for any other id."""
    parts = _PICTURE.fullmatch(picture)
    return None if parts is None else (parts[1], int(parts[2]))


class Home:
    """Where each thing of one server lies. What is no id is `NotFound`, and never part of a path.

    ``pictures/YYYY/MM/DD``  the finished pictures, by the day (UTC) of their making
    ``thumbs``, ``frames``   what can be made again from them
    ``trails``               the estimates of each step, one file for a picture
    ``inputs``               pictures that clients sent, by their sha256
    ``steps``                the last step of each job that is being painted
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.pictures = self.folder / "pictures"
        self.inputs = self.folder / "inputs"
        self.steps = self.folder / "steps"

    @property
    def database_url(self) -> str:
        """The URL of the SQLite file in this folder, as SQLAlchemy reads it."""
        file = str(self.folder / "sfumato.db")
        return URL.create("sqlite", database=file).render_as_string(hide_password=False)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Makes the folder and keeps it for this process; HomeError if that cannot be."""
        held = FileLock(self.folder / "lock")
        try:
            for folder in (self.pictures, self.inputs, self.steps):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe-{secrets.token_hex(4)}"
            probe.write_bytes(b"")
            probe.unlink()
            held.acquire(blocking=False)
        except Timeout as error:
            raise HomeError(
                f"Another sfumato server uses {self.folder}. End it, or give this one its own "
                "folder with --home."
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise HomeError(
                f"Cannot write in {self.folder}: {reason}. Give another folder with --home."
            ) from error
        try:
            yield
        finally:
            held.release()

    def probe(self) -> None:
        """Raises OSError unless a picture of usual size could be written now."""
        if shutil.disk_usage(self.folder).free < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file = self.folder / f".probe-{secrets.token_hex(4)}"
        try:
            with file.open("xb") as probe:
                probe.write(bytes(4096))
                probe.flush()
                os.fsync(probe.fileno())
        finally:
            file.unlink(missing_ok=True)

    @property
    def checkpoint(self) -> Path:
        """The file with the name of the model that A1111's clients have chosen."""
        return self.folder / "a1111-checkpoint"

    def picture(self, identity: str, created: float, suffix: str = ".png") -> Path:
        """The file of a finished picture; ``created`` is seconds since 1970."""
        day = datetime.fromtimestamp(created, UTC).strftime("%Y/%m/%d")
        return self.pictures / day / f"{_named(identity)}{suffix}"

    def relative(self, path: Path) -> str:
        """The name of a file below this folder as the database keeps it."""
        return path.relative_to(self.folder).as_posix()

    def thumb(self, identity: str) -> Path:
        """The small WebP of a picture."""
        return self._spread("thumbs", identity) / f"{identity}.webp"

    def trail(self, identity: str) -> Path:
        """The file with the estimates of a picture's steps."""
        return self._spread("trails", identity) / f"{identity}.trail"

    def frames(self, identity: str) -> Path:
        """The folder of a picture's developed steps."""
        return self._spread("frames", identity) / identity

    def input(self, sha256: str) -> Path:
        """The file of a picture that a client sent."""
        if not _SHA256.fullmatch(sha256):
            raise NoSuchInput(f"{sha256!r:.80} is no sha256: 64 digits of 0-9a-f are.")
        return self.inputs / f"{sha256}.png"

    def step(self, job: str) -> Path:
        """The folder of what a job that is being painted goes on from."""
        return self.steps / _named(job)

    def _spread(self, room: str, identity: str) -> Path:
        # 4,096 folders: the end of an id is drawn, and no folder gets long.
        return self.folder / room / _named(identity).split("-")[0][-3:]


def _named(identity: str) -> str:
    if not _NAME.fullmatch(identity):
        raise NotFound(f"{identity!r:.80} is no id.")
    return identity
