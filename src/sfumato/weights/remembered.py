"""What was once learned about big files, in a small JSON file: to lose it costs time, no more."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

__all__ = ["keep", "known", "state"]


def known(cache: Path) -> dict[str, object]:
    """All rows of the file; none where it is missing or damaged."""
    try:
        found: object = json.loads(cache.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, object], found) if isinstance(found, dict) else {}


def keep(cache: Path, rows: Mapping[str, object]) -> None:
    """Write the file beside, then rename it: a reader never sees half of it.

    What cannot be written is not remembered.
    """
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=cache.parent, suffix=".tmp", delete=False
        ) as file:
            try:
                json.dump(rows, file, indent=1)
                file.close()
                Path(file.name).replace(cache)
            except OSError:  # a full disk
                Path(file.name).unlink(missing_ok=True)
    except OSError:
        return


def state(path: Path) -> list[int]:
    """What changes when a file does: its size in bytes and its time of change.

    Of a folder, the sum of all its files and the latest of them. Raises OSError.
    """
    if not path.is_dir():
        return _of_file(path)
    files = [_of_file(Path(place, name)) for place, _, names in os.walk(path) for name in names]
    return [sum(size for size, _ in files), max((changed for _, changed in files), default=0)]


def _of_file(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
