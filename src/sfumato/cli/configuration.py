"""The configuration file: which folders hold models, and which of them are other programs'.

It is TOML, and all of it is optional::

    [models]
    folder = "~/models"                    # where `models add` puts what it is given
    folders = ["/data/checkpoints"]        # more folders, of any layout
    a1111 = "~/stable-diffusion-webui"     # used in place; or a list
    comfyui = "~/ComfyUI"                  # with its extra_model_paths.yaml; or a list
    huggingface = "~/.cache/huggingface/hub"   # or false, to leave it alone
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sfumato.cli.folders import config_file, data_folder, hashes_file, hub_folder, index_file
from sfumato.errors import ConfigError, OutputError
from sfumato.shelves import Folder, Shelves, a1111, comfyui, extra_paths, hugging_face, own

__all__ = ["Models", "models", "shelves"]

KEYS = ("folder", "folders", "a1111", "comfyui", "huggingface")


@dataclass(frozen=True)
class Models:
    """Where models lie.

    `own` is the folder for `models add`, None for a user without a home; `hub` the cache of
    huggingface_hub, None where it is left alone. `folders` are all of them, in their order, and
    `troubles` what is wrong with them, a line each.
    """

    own: Path | None
    hub: Path | None
    folders: tuple[Folder, ...]
    troubles: tuple[str, ...] = ()


def shelves(more: Iterable[Path] = ()) -> Shelves:
    """The shelves of this user, the folders `more` before all others.

    Raises ConfigError for a configuration file that cannot be followed.
    """
    places = models()
    folders = (*(Folder(folder) for folder in more), *places.folders)
    return Shelves(folders, hashes=hashes_file(), index=index_file(), troubles=places.troubles)


def models() -> Models:
    """Where models lie, by the configuration file and the environment.

    Raises ConfigError for a file that cannot be followed. A folder that is gone is a trouble only,
    for a disk may be elsewhere today.
    """
    file = config_file()
    table = _Table({}, Path()) if file is None or not file.exists() else _read(file)
    troubles: list[str] = []
    mine = table.folder("folder")
    if mine is None:
        try:
            mine = data_folder() / "models"
        except OutputError:  # a user without a home
            mine = None
    hub = None if table.off("huggingface") else table.folder("huggingface") or hub_folder()
    folders = [] if mine is None else list(own(mine))
    folders += [Folder(path) for path in table.folders("folders")]
    for path in table.folders("a1111"):
        folders += _layout(path, a1111(path), "a1111", troubles)
    for path in table.folders("comfyui"):
        found = comfyui(path)
        yaml = path / "extra_model_paths.yaml"
        if yaml.exists():
            found += extra_paths(yaml, os.path.expandvars, troubles)
        folders += _layout(path, found, "comfyui", troubles)
    folders += [] if hub is None else [hugging_face(hub)]
    return Models(mine, hub, tuple(folders), tuple(troubles))


def _layout(
    root: Path, folders: tuple[Folder, ...], key: str, troubles: list[str]
) -> tuple[Folder, ...]:
    """The folders of another program's installation, if it is one."""
    if not root.is_dir():
        troubles.append(f"{root}, the {key} folder of the configuration, is not there")
    elif not any(folder.path.is_dir() for folder in folders):
        looked = ", ".join(folder.path.relative_to(root).as_posix() for folder in folders[:3])
        troubles.append(f"{root}, the {key} folder of the configuration, has no {looked} ...")
    else:
        return folders
    return ()


@dataclass(frozen=True)
class _Table:
    """What stands under [models] in the file, of which the values are checked when asked for."""

    values: dict[str, object]
    file: Path

    def off(self, key: str) -> bool:
        return self.values.get(key) is False

    def folder(self, key: str) -> Path | None:
        value = self.values.get(key)
        if value is None or value is False:
            return None
        return self._path(key, value)

    def folders(self, key: str) -> list[Path]:
        value = self.values.get(key, [])
        rows = cast(list[object], value) if isinstance(value, list) else [value]
        return [self._path(key, row) for row in rows]

    def _path(self, key: str, value: object) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            more = ", a list of them" if key in ("folders", "a1111", "comfyui") else ""
            more = " or false" if key == "huggingface" else more
            raise ConfigError(
                f"{self.file}: models.{key} is {value!r:.60}, but must be the path of a folder in "
                f"quotes{more}."
            )
        try:
            path = Path(value).expanduser()
        except RuntimeError as error:
            raise ConfigError(
                f"{self.file}: models.{key} is {value!r:.60}, and there is no such home."
            ) from error
        return self.file.parent / path  # which is the path itself where that is absolute


def _read(file: Path) -> _Table:
    try:
        with file.open("rb") as opened:
            content: dict[str, object] = tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not TOML: {error}. Mend it or remove it.") from error
    _require_known(file, content, ("models",), "a table [models]")
    table = content.get("models", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: models is {table!r:.60}, but must be a table, [models].")
    table = cast(dict[str, object], table)
    _require_known(file, table, KEYS, ", ".join(KEYS), "models.")
    return _Table(table, file)


def _require_known(
    file: Path, table: dict[str, object], known: tuple[str, ...], expected: str, lead: str = ""
) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{file}: there is no setting {lead}{key!r:.60}; expected {expected}."
            )
