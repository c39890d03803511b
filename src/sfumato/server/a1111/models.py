"""Checkpoints by the names that A1111 gives them: titles with a hash, which clients send back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sfumato.errors import RequestError
from sfumato.images import write
from sfumato.server.a1111.errors import RefusedError
from sfumato.shelves import without_suffix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sfumato.server.shelf import Shelf
    from sfumato.shelves import Item, Role

__all__ = ["Checkpoints", "short", "stem", "title"]


def stem(name: str) -> str:
    """A model's name without its folder and without the suffix of its file."""
    return without_suffix(name.rpartition("/")[2])


def short(sha256: str | None) -> str | None:
    """The first ten digits, by which A1111 and Civitai know a model."""
    return None if sha256 is None else sha256[:10]


def title(row: Item) -> str:
    """As A1111 writes it: `name.safetensors [0123456789]`; without the hash while it is unknown."""
    return row.name if row.sha256 is None else f"{row.name} [{short(row.sha256)}]"


class Checkpoints:
    """The models of the shelf, and which of them this dialect's requests get that name none.

    The choice is kept in ``file``, and outlives the server.
    """

    def __init__(self, shelf: Shelf, file: Path) -> None:
        self._shelf, self._file = shelf, file
        self._lock = threading.Lock()
        try:
            self._chosen = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            self._chosen = ""

    @property
    def rows(self) -> Sequence[Item]:
        """All models that there are."""
        return self._shelf.rows()

    @property
    def chosen(self) -> Item:
        """The model that is chosen; the server's own until then."""
        with self._lock:
            name = self._chosen
        found = [row for row in self.rows if row.name == name]
        return found[0] if found else self._shelf.default

    def find(self, asked: str) -> str:
        """The shelf's name for a title, a name, a file's stem or a hash. Raises RefusedError."""
        wanted = asked.strip()
        for row in self.rows:
            if row.sha256 is not None and wanted in (row.sha256, short(row.sha256)):
                return row.name
        try:
            return self._shelf.find(wanted)
        except RequestError as problem:
            raise RefusedError(f"sd_model_checkpoint: {problem}") from problem

    def choose(self, asked: str) -> None:
        """From now on requests that name no model get this one.

        Raises RefusedError, and OutputError where the choice cannot be kept.
        """
        name = self.find(asked)
        with self._lock:
            if name != self._chosen:
                write(name.encode(), self._file)
                self._chosen = name

    def others(self, role: Role) -> Sequence[Item]:
        """What there is beside models."""
        return self._shelf.others(role)

    def refresh(self) -> None:
        """Look for models anew."""
        self._shelf.refresh()
