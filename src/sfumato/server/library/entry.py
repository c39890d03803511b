"""One picture of the library: what is known of it, and the row of the database that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, select

from sfumato.errors import PictureError
from sfumato.parameters import split_parameters
from sfumato.recipe import Recipe, diff
from sfumato.server.database import picture_tags, pictures
from sfumato.server.home import Home
from sfumato.server.library.reading import Found
from sfumato.server.library.words import indexed

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["COLUMNS", "Entry", "Place", "differences", "entries", "insert"]

# All but the index of the search, which nobody reads.
COLUMNS = tuple(column for column in pictures.c if column.name != "words")


@dataclass(frozen=True)
class Entry:
    """A picture of the library; what an import does not tell is None or empty.

    ``created`` and ``trashed`` are seconds since 1970, ``number`` counts from 0 within ``job``,
    ``sha256`` is that of the file. ``source`` is the program that made it (`reading.SOURCES`).
    """

    id: str
    job: str | None
    number: int
    created: float
    file: Path
    width: int
    height: int
    prompt: str
    negative: str
    seed: int | None
    model: str
    sampler: str
    schedule: str
    steps: int | None
    guidance: float | None
    source: str
    sha256: str
    parameters: str
    favourite: bool
    tags: tuple[str, ...]
    trashed: float | None
    recipe_text: str = field(repr=False)

    @cached_property
    def recipe(self) -> Recipe | None:
        """The exact recipe; None for pictures of other programs, and of other versions' formats."""
        if not self.recipe_text:
            return None
        try:
            return Recipe.from_json(self.recipe_text)
        except PictureError:
            return None


@dataclass(frozen=True)
class Place:
    """Where and whence a picture is: its id and its file's name below the home, its job, if any."""

    id: str
    file: str
    sha256: str
    created: float
    job: str | None = None
    number: int = 0


def insert(connection: Connection, place: Place, found: Found, tags: tuple[str, ...] = ()) -> bool:
    """Write the row of a picture; False if there was one with its id, which stays as it is."""
    outline = found.outline
    row: Mapping[str, object] = {
        "id": place.id,
        "job": place.job,
        "number": place.number,
        "created": place.created,
        "file": place.file,
        "width": found.width,
        "height": found.height,
        "prompt": outline.prompt,
        "negative": outline.negative,
        "seed": None if outline.seed is None else str(outline.seed),
        "model": outline.model,
        "sampler": outline.sampler,
        "schedule": outline.schedule,
        "steps": outline.steps,
        "guidance": outline.guidance,
        "source": found.source,
        "sha256": place.sha256,
        "recipe": found.recipe,
        "parameters": found.parameters,
        "words": indexed(outline.prompt, outline.negative, found.parameters, tags),
        "favourite": False,
    }
    statement = _insert(connection).values(row).on_conflict_do_nothing(index_elements=["id"])
    new = connection.scalar(statement.returning(pictures.c.serial)) is not None
    if new and tags:
        rows = [{"picture": place.id, "tag": tag} for tag in tags]
        connection.execute(picture_tags.insert(), rows)
    return new


def _insert(connection: Connection) -> sqlite.Insert | postgresql.Insert:
    """An insertion that knows of conflicts; the dialect that is not used is not loaded either."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(pictures)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(pictures)


def entries(connection: Connection, home: Home, rows: list[RowMapping]) -> tuple[Entry, ...]:
    """The entries of rows with `COLUMNS`, in their order, with their tags."""
    ids = [row["id"] for row in rows]
    wanted = select(picture_tags).where(picture_tags.c.picture.in_(ids)).order_by("tag")
    tags: dict[str, list[str]] = {}
    for picture, tag in connection.execute(wanted) if ids else ():
        tags.setdefault(picture, []).append(tag)
    return tuple(_entry(row, home, tuple(tags.get(row["id"], ()))) for row in rows)


def _entry(row: RowMapping, home: Home, tags: tuple[str, ...]) -> Entry:
    values: dict[str, Any] = dict(row)
    for name in ("serial", "emptied"):
        del values[name]
    values["file"] = home.folder / values["file"]
    values["seed"] = None if values["seed"] is None else int(values["seed"])
    values["recipe_text"] = values.pop("recipe")
    return Entry(**values, tags=tags)


def differences(a: Entry, b: Entry) -> dict[str, tuple[object, object]]:
    """What differs in the making of two pictures: of their recipes, else of what is known."""
    if a.recipe is not None and b.recipe is not None:
        return diff(a.recipe, b.recipe)
    left, right = _known(a), _known(b)
    names = dict.fromkeys([*left, *right])
    pairs = {name: (left.get(name), right.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _known(entry: Entry) -> dict[str, object]:
    fields = "prompt negative seed steps guidance sampler schedule width height model source"
    known: dict[str, object] = {name: getattr(entry, name) for name in fields.split()}
    told = {"Steps", "Seed", "CFG scale", "Sampler", "Schedule type", "Model", "Size"}
    settings = split_parameters(entry.parameters)[2] if entry.parameters else {}
    return known | {key: value for key, value in settings.items() if key not in told}
