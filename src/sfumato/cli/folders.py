"""Where programs keep things for a user on this system: what they made, and what they remember."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sfumato.errors import OutputError

__all__ = ["data_folder", "hashes_file"]


def data_folder() -> Path:
    """The server's folder where none is given; OutputError for a user without a home."""
    if sys.platform == "win32":
        named, usual = os.environ.get("LOCALAPPDATA"), ("AppData", "Local")
    elif sys.platform == "darwin":
        named, usual = None, ("Library", "Application Support")
    else:
        named, usual = os.environ.get("XDG_DATA_HOME"), (".local", "share")
    try:
        folder = Path(named) if named else Path.home().joinpath(*usual)
    except RuntimeError as error:
        raise OutputError("there is no home folder here; give a folder with --home.") from error
    return folder / "sfumato"


def hashes_file() -> Path | None:
    """Where the sha256 of big model files is remembered, so that they are read for it only once."""
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        folder = Path(named) if named else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return folder / "sfumato" / "hashes.json"
