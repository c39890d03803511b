"""Where programs keep things for a user on this system: what they made, and what they remember."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sfumato.errors import OutputError

__all__ = ["config_file", "data_folder", "hashes_file", "hub_folder", "index_file"]


def data_folder() -> Path:
    """The server's folder where none is given; OutputError for a user without a home."""
    if sys.platform == "win32":
        named, usual = os.environ.get("LOCALAPPDATA"), ("AppData", "Local")
    elif sys.platform == "darwin":
        named, usual = None, ("Library", "Application Support")
    else:
        named, usual = os.environ.get("XDG_DATA_HOME"), (".local", "share")
    folder = _place(named, usual)
    if folder is None:
        raise OutputError("there is no home folder here; give a folder with --home.")
    return folder / "sfumato"


def config_file() -> Path | None:
    """The configuration file, there or not; None for a user without a home.

    SFUMATO_CONFIG names another.
    """
    if named := os.environ.get("SFUMATO_CONFIG"):
        return Path(named)
    if sys.platform == "win32":
        folder = _place(os.environ.get("APPDATA"), ("AppData", "Roaming"))
    elif sys.platform == "darwin":
        folder = _place(None, ("Library", "Application Support"))
    else:
        folder = _place(os.environ.get("XDG_CONFIG_HOME"), (".config",))
    return None if folder is None else folder / "sfumato" / "config.toml"


def hub_folder() -> Path | None:
    """The cache that huggingface_hub and all who use it share, by that program's own rules."""
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(named).expanduser()
    if named := os.environ.get("HF_HOME"):
        return Path(named).expanduser() / "hub"
    folder = _place(os.environ.get("XDG_CACHE_HOME"), (".cache",))
    return None if folder is None else folder / "huggingface" / "hub"


def hashes_file() -> Path | None:
    """Where the sha256 of big model files is remembered, so that they are read for it only once."""
    return _remembered("hashes.json")


def index_file() -> Path | None:
    """Where it is remembered what model files are, so that each is opened for it only once."""
    return _remembered("models.json")


def _remembered(name: str) -> Path | None:
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    folder = _place(named, (".cache",))
    return None if folder is None else folder / "sfumato" / name


def _place(named: str | None, usual: tuple[str, ...]) -> Path | None:
    """The folder that the environment names, else the usual one below the home, if there is one."""
    try:
        return Path(named) if named else Path.home().joinpath(*usual)
    except RuntimeError:  # a user without a home
        return None
