"""How often a JPEG goes over its picture: a small file that does it endlessly costs hours.

A progressive JPEG comes in scans, each of which is decoded over the whole picture, even where it
says nothing in a few bytes (ITU-T T.81, annex G). Pictures have some ten of them.
"""

import re
from pathlib import Path
from typing import IO

from sfumato.errors import PictureError

__all__ = ["require_few_scans"]

MOST_SCANS = 100
_SCAN, _END = 0xDA, 0xD9
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length behind them
# A marker: within a scan's data, 0xff stands before 0 or before one that only marks the place. Any
# number of 0xff may fill up before it; the last counts, and a pattern that took them all would try
# a long run from each of its bytes.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")


def require_few_scans(source: Path | IO[bytes], name: str) -> None:
    """Refuses a JPEG of more than `MOST_SCANS` scans. Raises PictureError."""
    if isinstance(source, Path):
        data = source.read_bytes()
    else:
        place = source.tell()
        source.seek(0)
        data = source.read()
        source.seek(place)
    if _more_scans(data, MOST_SCANS):
        raise PictureError(
            f"{name} goes over its picture more than {MOST_SCANS} times, as no camera and no "
            "program writes a JPEG; it is not decoded."
        )


def _more_scans(data: bytes, most: int) -> bool:
    """Whether the first picture of a JPEG has more scans; what lies in its segments is none."""
    scans, place = 0, 0
    while (found := _MARKER.search(data, place)) is not None:
        marker, place = found[1][0], found.end()
        if marker == _END:
            return False
        if marker == _SCAN:
            scans += 1
            if scans > most:
                return True
        if marker not in _ALONE:
            place += int.from_bytes(data[place : place + 2])
    return False
