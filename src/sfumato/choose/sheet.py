"""A sheet: the same request with one, two or three of its fields changed from cell to cell.

A plan is made whole before anything is painted. Each cell is a request for one picture, and knows
the picture that it made by that picture's recipe, so that a sheet goes on where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count, product
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

from sfumato.choose.axes import Axis
from sfumato.diffusion.table import check_wander, sampler_row, schedule_row
from sfumato.errors import RequestError
from sfumato.limits import FILES, NONE
from sfumato.recipe import without_folders
from sfumato.request import Request
from sfumato.request_json import from_dict, to_dict

if TYPE_CHECKING:
    from PIL.Image import Image

    from sfumato.recipe import Recipe

__all__ = ["Cell", "Sheet", "draw_sheet", "plan_sheet", "same_sheet"]

MOST_CELLS = 2000
_LETTERS = 40  # of a value in a file's name


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet: its place (x, y, z from 0), its request, and its file's name."""

    place: tuple[int, int, int]
    request: Request
    stem: str

    def made(self, recipe: Recipe) -> bool:
        """Whether a picture with this recipe is this cell's: what was asked for it has, no more.

        Files may be called otherwise there: which they are, their sha256 in the recipe decide.
        """
        asked, got = self.request.references, recipe.request
        if asked.embeddings and got.embeddings is not None:
            from sfumato.vocabulary import agree, asked_for  # numpy comes with it

            if not agree(asked_for(asked), got.embeddings):
                return False
            asked = replace(asked, embeddings=None)
        return all(
            _same(f.name, getattr(asked, f.name), getattr(got, f.name)) for f in fields(Request)
        )


@dataclass(frozen=True)
class Sheet:
    """A plan of pictures: `base` with every seed drawn, and its cells row by row, sheet by sheet.

    axes: x, then y, then z; at least x.
    """

    base: Request
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, and how many sheets."""
        x, y, z = (*(len(axis.values) for axis in self.axes), 1, 1)[:3]
        return x, y, z

    @property
    def order(self) -> list[Cell]:
        """The cells as they are best painted: those of one model together, else as they stand."""
        models = list(dict.fromkeys(cell.request.model for cell in self.cells))
        return sorted(self.cells, key=lambda cell: models.index(cell.request.model))

    def to_dict(self) -> dict[str, object]:
        """What the sheet is made of, as plain JSON; of files it has the names alone."""
        request = to_dict(without_folders(self.base))
        return {"request": request, "axes": [axis.to_dict() for axis in self.axes]}


def plan_sheet(
    request: Request,
    axes: Sequence[Axis],
    draw_seed: Callable[[], int],
    typed: Collection[str] = (),
) -> Sheet:
    """The sheet of a request along one, two or three axes.

    `typed` are the fields that were asked for, which no axis silently opens again. All cells share
    what is drawn for an open seed. Raises RequestError, which names the axis and its value, for a
    cell that cannot be; what only the model knows is not looked at.
    """
    if not 1 <= len(axes) <= 3:
        raise RequestError(f"a sheet has one, two or three axes, and {len(axes)} were given.")
    if request.count != 1:
        raise RequestError(f"count is {request.count}, and a cell is one picture; take seed=1..3.")
    named = [(axis.field, axis.needle) for axis in axes]
    if len(set(named)) < len(named):
        raise RequestError(f"two axes change {axes[-1].field}; let each change another field.")
    numbers = count(draw_seed())
    base = request.seeded(lambda: next(numbers))
    ranges = [range(len(axis.values)) for axis in reversed(axes)]
    total = 1
    for values in ranges:
        total *= len(values)
    if total > MOST_CELLS:
        raise RequestError(f"the sheet would have {total} pictures; at most {MOST_CELLS} are made.")
    cells: list[Cell] = []
    for places in product(*ranges):  # x goes fastest
        place = tuple(reversed(places))
        x, y, z = (*place, 0, 0)[:3]
        chosen = [(axis, i) for axis, i in zip(axes, place, strict=True)]
        drawn = count((base.seed or 0) + 1)  # of a wander that only some cells ask for
        cell = _changed(base, chosen, typed).seeded(lambda drawn=drawn: next(drawn))
        stem = "_".join(_named(axis, i) for axis, i in chosen)
        cells.append(Cell((x, y, z), cell, stem))
    stems = [cell.stem for cell in cells]
    if len({stem.casefold() for stem in stems}) < len(stems):  # labels that only differ in signs
        cells = [replace(cell, stem=f"{cell.stem}-{i + 1}") for i, cell in enumerate(cells)]
    return Sheet(base, tuple(axes), tuple(cells))


def same_sheet(old: Mapping[str, object], sheet: Sheet) -> list[str]:
    """In what the request of a sheet that `Sheet.to_dict` told differs from this one's; [] if not.

    The axes may differ: cells that still belong are known by their recipes.
    """
    told = old.get("request")
    if not isinstance(told, dict):
        return ["everything"]
    try:
        before = to_dict(without_folders(from_dict(cast("dict[str, object]", told))))
    except RequestError:  # of a later version, or written by hand
        return ["everything"]
    now = to_dict(without_folders(sheet.base))
    return [name for name, value in now.items() if before[name] != value]


def draw_sheet(sheet: Sheet, pictures: Mapping[Cell, Image], z: int = 0) -> Image:
    """One of the sheets as a picture; cells that are not there yet are empty frames."""
    from sfumato.images.grid import Grid, draw_grid

    columns, rows, sheets = sheet.shape
    by_place = {cell.place: picture for cell, picture in pictures.items()}
    x, *others = sheet.axes
    below = others[0] if others else None
    title = [sheet.base.prompt.strip()]
    if sheets > 1:
        title.append(f"{_heading(sheet.axes[2])} {sheet.axes[2].labels[z]}")
    return draw_grid(
        Grid(
            pictures=[[by_place.get((i, j, z)) for i in range(columns)] for j in range(rows)],
            across=_heading(x),
            columns=x.labels,
            down="" if below is None else _heading(below),
            rows=[""] if below is None else below.labels,
            title=title,
            caption=_caption(sheet),
        )
    )


def _heading(axis: Axis) -> str:
    return axis.name if axis.needle is not None else axis.name.replace("_", " ")


def _caption(sheet: Sheet) -> list[str]:
    """What all cells share, as far as it was said."""
    base, varied = sheet.base, {axis.field for axis in sheet.axes}
    parts = [
        (name, getattr(base, name))
        for name in ("seed", "steps", "sampler", "schedule", "guidance", "model")
        if name not in varied
    ]
    return [
        f"{name} {repr(value).removesuffix('.0') if isinstance(value, float) else value}"
        for name, value in parts
        if value is not None
    ]


def _changed(base: Request, chosen: Sequence[tuple[Axis, int]], typed: Collection[str]) -> Request:
    """The request of a cell. Raises RequestError that names the axes' values."""
    values = {f.name: getattr(base, f.name) for f in fields(base)}
    try:
        for axis, i in chosen:
            values = axis.onto(values, i)
        names = [name for axis, _ in chosen for name in axis.fields]
        cell = base.changed({name: values[name] for name in names}, typed)
        # Names are told now, before a model is loaded.
        if cell.sampler is not None:
            cell = replace(cell, sampler=sampler_row(cell.sampler).name)
            if cell.wander:
                check_wander(cell.sampler or "")
        if cell.schedule is not None:
            cell = replace(cell, schedule=schedule_row(cell.schedule).name)
    except RequestError as error:
        where = ", ".join(f"{axis.name}={axis.labels[i]}" for axis, i in chosen)
        raise RequestError(f"the cell of {where:.120} cannot be: {error}") from error
    return cell


def _named(axis: Axis, i: int) -> str:
    label = PurePath(axis.labels[i]).stem if axis.field in ("image", "mask") else axis.labels[i]
    word = re.sub(r"[^\w.+-]+", "-", label).strip("-.")[:_LETTERS] or "none"
    return f"{axis.field}-{word}"


def _same(field: str, asked: object, got: object) -> bool:
    if asked is None:
        return got is None or field not in NONE
    if field in FILES:
        return bool(asked) == bool(got)
    return asked == got
