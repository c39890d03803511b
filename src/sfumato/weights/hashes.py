"""The sha256 of model files, remembered so that gigabytes are read once and not at every start."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import cast

from sfumato.errors import WeightsError
from sfumato.weights.entries import Weights


def sha256(path: Path, cache: Path | None = None) -> str:
    """The sha256 of a file in hexadecimal.

    `cache` is a JSON file of what is known; an entry holds as long as the file's size and time of
    change stay the same. None reads the file each time. Raises WeightsError where the file cannot
    be read; a cache that cannot be read or written only costs time.
    """
    try:
        key, stamp = _state(path)
        known = _recalled(key, stamp, cache)
        if known is not None:
            return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    if cache is not None:
        _remember(cache, key, [*stamp, digest])
    return digest


def remembered(path: Path, cache: Path | None) -> str | None:
    """The sha256 of a file if `cache` has it; None if it would have to be read for it.

    Raises OSError where there is no such file.
    """
    return _recalled(*_state(path), cache)


def digest(weights: Weights, cache: Path | None = None) -> str:
    """The sha256 that names a model: of its file, or over the files of a folder in their order."""
    if weights.form != "folder":
        return sha256(weights.path, cache)
    files = sorted({entry.path for entry in weights.entries.values()})
    lines = [f"{file.relative_to(weights.path).as_posix()} {sha256(file, cache)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _state(path: Path) -> tuple[str, list[int]]:
    """What a file is remembered by, and what must not have changed since."""
    state = path.stat()
    return str(path.resolve()), [state.st_size, state.st_mtime_ns]


def _recalled(key: str, stamp: list[int], cache: Path | None) -> str | None:
    row = None if cache is None else _known(cache).get(key)
    if isinstance(row, list) and len(cast(list[object], row)) == 3 and row[:2] == stamp:
        return str(cast(list[object], row)[2])
    return None


def _known(cache: Path) -> dict[str, object]:
    try:
        found: object = json.loads(cache.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, object], found) if isinstance(found, dict) else {}


def _remember(cache: Path, key: str, row: list[object]) -> None:
    """Write beside, then rename: a reader never sees half a file."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        known = _known(cache)  # read again: another process may have written since
        known[key] = row
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=cache.parent, suffix=".tmp", delete=False
        ) as file:
            json.dump(known, file, indent=1)
        Path(file.name).replace(cache)
    except OSError:
        return
