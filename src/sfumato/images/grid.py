"""A grid of pictures on one sheet of paper, each column and each row with its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from sfumato.images.paper import (
    CAPTION_SIZE,
    GAP,
    HAIRLINE,
    INK,
    LABEL,
    LABEL_SIZE,
    MARGIN,
    PAPER,
    RADIUS,
    broken,
    cut,
    drawable,
    fitted,
    length,
    letters,
    rounded,
    wrapped,
    write,
)
from sfumato.images.paper import mount as lay

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["LARGEST", "Grid", "draw_grid"]

_TITLE_SIZE, _VALUE_SIZE = 19, 14
_LEADING = 1.35  # from line to line, in heights of a letter
_WIDEST = 6000  # of all columns, in pixels; pictures are scaled down to it
LARGEST = 512  # a side of a picture at most
_MOST_LINES = 3
_GUTTER = 170  # the widest labels of rows


@dataclass(frozen=True)
class Grid:
    """What to draw: rows of pictures (None: not there yet), and the words around them.

    across, down: what changes from column to column, and from row to row ("" for a single row).
    title: its parts, joined by dots and cut to two lines, as the caption's.
    """

    pictures: Sequence[Sequence[Image.Image | None]]
    across: str
    columns: Sequence[str]
    down: str
    rows: Sequence[str]
    title: Sequence[str] = ()
    caption: Sequence[str] = ()


def draw_grid(grid: Grid) -> Image.Image:
    """The grid as one RGB picture.

    Pictures longer than 512 pixels are scaled down, and more where the columns are many; those
    shorter than 96 are enlarged without blur. A label that the built-in font cannot write is told
    by its number.
    """
    largest = max(48, min(LARGEST, _WIDEST // len(grid.columns) - GAP))
    cells = [
        [None if one is None else fitted(one, largest) for one in row] for row in grid.pictures
    ]
    there = [one for row in cells for one in row if one is not None]
    width = max((one.width for one in there), default=128)
    height = max((one.height for one in there), default=width)
    small, value, title = letters(LABEL_SIZE), letters(_VALUE_SIZE), letters(_TITLE_SIZE)
    heads = [_label(text, grid.across, i, value, width) for i, text in enumerate(grid.columns)]
    beside = [_label(text, grid.down, i, value, _GUTTER) for i, text in enumerate(grid.rows)]
    widest = max((length(line, value) for lines in beside for line in lines), default=0)
    gutter = round(max(widest, length(grid.down, small))) + 18 if grid.down else 0

    line = round(_VALUE_SIZE * _LEADING)
    sheet_width = 2 * MARGIN + gutter + len(grid.columns) * (width + GAP) - GAP
    inner = sheet_width - 2 * MARGIN
    titles = wrapped(grid.title, title, inner)
    captions = wrapped(grid.caption, letters(CAPTION_SIZE), inner)
    top = MARGIN + len(titles) * round(_TITLE_SIZE * _LEADING) + (10 if titles else 0)
    names = top + 20  # below the name of what changes across
    first = names + max(len(lines) for lines in heads) * line + 6
    bottom = first + len(cells) * (height + GAP) - GAP
    foot = 14 + len(captions) * (CAPTION_SIZE + 6) if captions else 0

    sheet = Image.new("RGB", (sheet_width, bottom + foot + MARGIN), PAPER)
    for i, text in enumerate(titles):
        place = (MARGIN, MARGIN - 4 + i * round(_TITLE_SIZE * _LEADING))
        write(sheet, place, text, title, INK)
    left = MARGIN + gutter
    write(sheet, (left, top), cut(grid.across, small, inner - gutter), small, LABEL)
    if grid.down:
        write(sheet, (MARGIN, names), cut(grid.down, small, gutter), small, LABEL)
    for i, lines in enumerate(heads):
        _lines(sheet, (left + i * (width + GAP), names), lines, value, line)
    for j, row in enumerate(cells):
        y = first + j * (height + GAP)
        _lines(sheet, (MARGIN, y), beside[j] if grid.down else [], value, line)
        for i, one in enumerate(row):
            x = left + i * (width + GAP)
            if one is None:
                _frame(sheet, x, y, (width, height))
            else:
                lay(sheet, one, x, y)
    for i, text in enumerate(captions):
        place = (MARGIN, bottom + 14 + i * (CAPTION_SIZE + 6))
        write(sheet, place, text, letters(CAPTION_SIZE), LABEL)
    return sheet


def _label(text: str, name: str, number: int, font: FreeTypeFont, width: int) -> list[str]:
    """A label in at most three lines no wider than ``width``, broken between words."""
    text = " ".join(text.split()) or "(none)"
    if not drawable(text[:200], font):
        text = f"{name.split(':')[0]} {number + 1}"
    return broken(text[:200], font, width, _MOST_LINES)


def _lines(
    sheet: Image.Image, place: tuple[int, int], lines: Sequence[str], font: FreeTypeFont, step: int
) -> None:
    for i, text in enumerate(lines):
        write(sheet, (place[0], place[1] + i * step), text, font, INK)


def _frame(sheet: Image.Image, x: int, y: int, size: tuple[int, int]) -> None:
    """Where a picture will be."""
    sheet.paste(HAIRLINE, (x - 1, y - 1), rounded((size[0] + 2, size[1] + 2), RADIUS + 1))
    sheet.paste(PAPER, (x, y), rounded(size, RADIUS))
