"""The sha256 of model files, remembered so that gigabytes are read once and not at every start."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sfumato.errors import WeightsError
from sfumato.weights.entries import Weights
from sfumato.weights.remembered import keep, known, state

__all__ = ["digest", "learn", "recalled", "remembered", "sha256"]


def sha256(path: Path, cache: Path | None = None) -> str:
    """The sha256 of a file in hexadecimal.

    `cache` is a JSON file of what is known; an entry holds as long as the file's size and time of
    change stay the same. None reads the file each time. Raises WeightsError where the file cannot
    be read, or is written to meanwhile; a cache that cannot be read or written only costs time.
    """
    try:
        stamp = state(path)
        found = remembered(path, cache)
        if found is not None:
            return found
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if state(path) != stamp:
            raise WeightsError(
                f"{path} changed while it was read, so it has no sha256 yet. "
                "Wait until it is written whole, then try again."
            )
        learn(path, digest, cache)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    return digest


def remembered(path: Path, cache: Path | None) -> str | None:
    """The sha256 of a file or a model folder if `cache` has it; None if it would have to be read.

    Raises OSError where there is none.
    """
    return None if cache is None else recalled(path, known(cache))


def recalled(path: Path, rows: Mapping[str, object]) -> str | None:
    """As `remembered`, of the rows of a cache that was read before."""
    stamp = state(path)
    row = rows.get(os.path.realpath(path))
    if isinstance(row, list) and len(cast(list[object], row)) == 3 and row[:2] == stamp:
        return str(cast(list[object], row)[2])
    return None


def learn(path: Path, digest: str, cache: Path | None) -> None:
    """Remember the sha256 of a file or a model folder. Raises OSError where there is none."""
    if cache is not None:
        rows = known(cache)  # read again: another process may have written since
        keep(cache, rows | {os.path.realpath(path): [*state(path), digest]})


def digest(weights: Weights, cache: Path | None = None) -> str:
    """The sha256 that names a model: of its file, or over the files of a folder in their order."""
    if weights.form != "folder":
        return sha256(weights.path, cache)
    files = sorted({entry.path for entry in weights.entries.values()})
    lines = [f"{file.relative_to(weights.path).as_posix()} {sha256(file, cache)}" for file in files]
    found = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    learn(weights.path, found, cache)
    return found
