"""The way that a picture came: the estimates of its steps, kept to be developed and looked at.

While a picture is painted its frames are appended to a file of records, whenever its state is kept
(`steps.py`); a kill may cut the last one. Once it is finished they go into one file of their own:
"SFTRAIL1", count and length of a JSON header (u32, little-endian), the header, and the frames one
after another.
"""

from __future__ import annotations

import json
import logging
import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sfumato import request_json
from sfumato.request import Request

__all__ = ["MAX_FRAMES", "Frame", "Trail", "chosen", "count_frames", "read_frame", "replaced"]

MAX_FRAMES = 64
_MAGIC = b"SFTRAIL1"
_START = struct.Struct("<8sII")  # magic, how many frames, length of the header
_RECORD = struct.Struct("<III")  # step, length, CRC-32
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One kept step: what it takes to develop it. ``request`` is resolved, of one picture."""

    request: Request
    step: int
    estimate: bytes


class Trail:
    """The trail of a picture that is being painted; ``after`` is the step that it goes on from."""

    def __init__(self, folder: Path, picture: int, after: int = 0) -> None:
        self._file = folder / f"trail-{picture}"
        self._records = [each for each in _records(self._file) if each[0] <= after]
        self._kept = 0  # how many of them are in the file
        self._full = False

    def add(self, step: int, estimate: bytes) -> None:
        """Appends a step, in memory until `keep`."""
        self._records.append((step, estimate))

    def keep(self) -> None:
        """Writes down what was added: before the state of the same step, which trusts in it."""
        new = b"".join(_record(*each) for each in self._records[self._kept :])
        self._put(new, mode="ab" if self._kept else "wb")
        self._kept = len(self._records)

    def finish(self, path: Path, request: Request) -> None:
        """Puts the trail of the finished picture into ``path``, and the records away.

        A disk that is full costs the trail, not the picture.
        """
        records = self._records
        steps = [step for step, _ in records]
        sizes = [len(estimate) for _, estimate in records]
        sums = [zlib.crc32(estimate) for _, estimate in records]
        told = {
            "request": request_json.to_dict(request),
            "steps": steps,
            "sizes": sizes,
            "crc": sums,
        }
        header = json.dumps(told).encode()
        data = _START.pack(_MAGIC, len(records), len(header)) + header
        try:
            replaced(path, data + b"".join(each for _, each in records), self._file.parent)
            self._file.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("cannot keep the trail %s: %s", path, error.strerror)

    def _put(self, data: bytes, *, mode: str) -> None:
        if self._full:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open(mode) as file:
                file.write(data)
        except OSError as error:
            self._full = True
            _LOG.warning("cannot keep the trail %s: %s", self._file, error.strerror)


def chosen(steps: int) -> frozenset[int]:
    """Which of a picture's steps are kept: all, or evenly chosen ones with the last."""
    if steps <= MAX_FRAMES:
        return frozenset(range(1, steps + 1))
    return frozenset(round(k * steps / MAX_FRAMES) for k in range(1, MAX_FRAMES + 1))


def count_frames(path: Path) -> int:
    """How many frames a finished trail has; 0 if there is none."""
    try:
        with path.open("rb") as file:
            magic, count, _ = _START.unpack(file.read(_START.size))
    except (OSError, struct.error):
        return 0
    return count if magic == _MAGIC else 0


def read_frame(path: Path, number: int) -> Frame | None:
    """Frame ``number`` of a finished trail, from 1; None if it is not there or was damaged."""
    try:
        with path.open("rb") as file:
            magic, count, length = _START.unpack(file.read(_START.size))
            if magic != _MAGIC or not 1 <= number <= count:
                return None
            header = cast("dict[str, Any]", json.loads(file.read(length)))
            sizes: list[int] = header["sizes"]
            file.seek(_START.size + length + sum(sizes[: number - 1]))
            estimate = file.read(sizes[number - 1])
    except (OSError, ValueError, struct.error):
        return None
    if zlib.crc32(estimate) != header["crc"][number - 1]:
        return None
    return Frame(request_json.from_dict(header["request"]), header["steps"][number - 1], estimate)


def replaced(path: Path, data: bytes, scratch: Path) -> None:
    """Puts ``data`` into ``path``, whole or not at all should the process be killed; OSError.

    It is written in ``scratch`` first, a folder that is swept when the server starts. Unlike
    `images.write` it does not wait for the disk: this is for what can be made again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    part = scratch / f"{secrets.token_hex(8)}.part"
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _record(step: int, estimate: bytes) -> bytes:
    return _RECORD.pack(step, len(estimate), zlib.crc32(estimate)) + estimate


def _records(file: Path) -> list[tuple[int, bytes]]:
    """The whole records of a file; what follows a cut or damaged one is not trusted."""
    try:
        data = file.read_bytes()
    except OSError:
        return []
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + _RECORD.size <= len(data):
        step, length, crc = _RECORD.unpack_from(data, at)
        estimate = data[at + _RECORD.size : at + _RECORD.size + length]
        if len(estimate) < length or zlib.crc32(estimate) != crc:
            break
        found.append((step, estimate))
        at += _RECORD.size + length
    return found
