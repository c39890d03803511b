"""The models that a server has, by name: a client's word is looked up here, and is never a path."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.catalog import CATALOG
from sfumato.errors import RequestError, WeightsError
from sfumato.request import Defaults, Request
from sfumato.server.painter import Painter, Run
from sfumato.spec import ModelSpec
from sfumato.weights.detect import inspect
from sfumato.weights.hashes import remembered, sha256

if TYPE_CHECKING:
    from PIL.Image import Image

    from sfumato.server.settings import Settings

__all__ = ["OnShelf", "Row", "Shelf", "own_model"]

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".gguf")
SMALL = 256 * 2**20  # bytes that are hashed while somebody waits; more only if remembered
_HASH = re.compile(r" *\[[0-9a-fA-F]{6,64}\]$")  # "name.safetensors [0123456789]", as A1111 has it


@dataclass(frozen=True)
class Row:
    """One model that can be asked for.

    ``path`` is None for what comes with sfumato; it is for the engine, and no client sees it.
    ``defaults`` are None for a file that this version does not open, ``sha256`` for one that is
    big and was never read.
    """

    name: str
    title: str
    family: str
    defaults: Defaults | None
    sha256: str | None
    path: Path | None
    bundled: bool


class Shelf:
    """The bundled models, the server's own one, and the files in the folders of its settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._rows: tuple[Row, ...] | None = None

    @property
    def default(self) -> Row:
        """The row of the model that a request gets that names none."""
        asked = self._settings.model
        return self._named(asked if asked in CATALOG else Path(asked).name)

    def rows(self) -> tuple[Row, ...]:
        """All models, the server's own one first; the folders are read once, and on `refresh`."""
        with self._lock:
            if self._rows is None:
                self._rows = tuple(self._look())
            return self._rows

    def refresh(self) -> None:
        """Look into the folders again."""
        with self._lock:
            self._rows = None

    def find(self, words: str) -> str:
        """The name of the model that a client means: its name, with or without folder and suffix.

        A short hash in brackets behind the name, as A1111 shows it, is passed over. Raises
        RequestError with the nearest names.
        """
        return self._named(words).name

    def place(self, name: str | None) -> str:
        """What an engine calls the model of this name: a path, or a name of the catalog."""
        if name is None:
            return own_model(self._settings)
        row = self._named(name)
        return row.name if row.path is None else str(row.path)

    def _named(self, words: str) -> Row:
        rows = self.rows()
        asked = _HASH.sub("", words.strip()).replace("\\", "/").lower()
        for spelling in (str.lower, _short, _stem):
            found = [row for row in rows if spelling(row.name) == asked]
            if found:
                return found[0]
        names = {row.name.lower(): row.name for row in rows}
        near = [names[key] for key in get_close_matches(asked, names, n=3, cutoff=0.4)]
        raise RequestError(
            f"there is no model {words[:80]!r} on this server. "
            f"Did you mean {' or '.join(near or list(names.values())[:3])}?"
        )

    def _look(self) -> Iterator[Row]:
        settings, taken = self._settings, set[str]()
        own = () if settings.model in CATALOG else ((Path(settings.model), ""),)
        bundled = [spec for spec in CATALOG.values() if spec.asset is not None]
        bundled.sort(key=lambda spec: spec.name != settings.model)
        files = [(path, _below(path, root)) for root in settings.models for path in _models(root)]
        rows = [self._file(path, name or path.name) for path, name in own]
        rows += [self._bundled(spec) for spec in bundled]
        rows += [self._file(path, name) for path, name in files]
        places = set[Path]()
        for row in rows:
            name = row.name
            if row.path is not None:
                if row.path in places:
                    continue
                places.add(row.path)
                if name in taken:  # the same name in two folders
                    name = f"{row.path.parent.name}/{name}"
            if name not in taken:
                taken.add(name)
                yield replace(row, name=name)

    def _bundled(self, spec: ModelSpec) -> Row:
        asset = resources.files("sfumato").joinpath("assets", str(spec.asset))
        known = sha256(Path(str(asset)), self._settings.hashes)
        return Row(spec.name, spec.title, spec.family, spec.defaults, known, None, True)

    def _file(self, path: Path, name: str) -> Row:
        path = path.absolute()
        try:
            found = inspect(path)
            known = remembered(path, self._settings.hashes)
            if known is None and path.is_file() and path.stat().st_size <= SMALL:
                known = sha256(path, self._settings.hashes)
        except (WeightsError, OSError):
            # It is in the list all the same: the engine tells whoever asks for it what is wrong.
            return Row(
                name, "not a model that this version opens", "unknown", None, None, path, False
            )
        spec = None if found.spec_name is None else CATALOG.get(found.spec_name)
        family, defaults = ("unknown", None) if spec is None else (spec.family, spec.defaults)
        return Row(name, found.kind, family, defaults, known, path, False)


@dataclass(frozen=True)
class OnShelf:
    """A painter whose requests name models as the shelf does."""

    painter: Painter
    shelf: Shelf

    @property
    def device(self) -> object:
        """The painter's."""
        return self.painter.device

    @property
    def precision(self) -> str:
        """The painter's."""
        return self.painter.precision

    @property
    def model(self) -> str:
        """The server's own model, by its name."""
        return self.shelf.default.name

    def submit(self, request: Request, *, state: bytes | None = None) -> Run:
        """As `Painter.submit`; RequestError for a model that is not on the shelf any more."""
        placed = replace(request, model=self.shelf.place(request.model))
        return self.painter.submit(placed, state=state)

    def develop(self, request: Request, estimate: bytes) -> Image:
        """As `Painter.develop`."""
        placed = replace(request, model=self.shelf.place(request.model))
        return self.painter.develop(placed, estimate)


def own_model(settings: Settings) -> str:
    """What an engine calls the server's own model: a name of the catalog, or a path."""
    return settings.model if settings.model in CATALOG else str(Path(settings.model).absolute())


def _models(root: Path) -> Iterator[Path]:
    """The checkpoints and diffusers folders below `root`, in the order of their names."""
    for folder, inner, names in os.walk(root, followlinks=False):
        here = Path(folder)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if "model_index.json" in names:
            inner.clear()  # its parts are no models of their own
            yield here
            continue
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield here / name


def _below(path: Path, root: Path) -> str:
    below = path.relative_to(root).as_posix()
    return path.absolute().name if below == "." else below


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


def _stem(name: str) -> str:
    short = _short(name)
    return next((short.removesuffix(end) for end in SUFFIXES if short.endswith(end)), short)
