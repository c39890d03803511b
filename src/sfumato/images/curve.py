"""Pictures in columns, and below each its place on a curve: what changes, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from sfumato.images.paper import (
    FINE,
    GAP,
    HAIRLINE,
    INK,
    LABEL,
    LABEL_SIZE,
    MARGIN,
    PAPER,
    broken,
    cut,
    fitted,
    length,
    letters,
    mount,
    wrapped,
    write,
)

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Chart", "draw_chart"]

_TITLE_SIZE, _HEAD_SIZE, _TEXT_SIZE = 19, 16, 13
_HEIGHT = 150  # of the curve, in pixels
_LARGEST, _WIDEST = 256, 2400
_LOWEST = 1e-4  # at the curve's foot; what is less lies there too
_MOST_LINES = 5


@dataclass(frozen=True)
class Chart:
    """What to draw: rows of pictures, and a curve for each row with a point under each column.

    columns: the labels above the pictures. below: those under the points. rows: beside the
    pictures; none for a single row. limits: (value, words) of lines across. marked: the column
    that is recommended. headline and text: what it all means. Values are drawn by their logarithm.
    """

    pictures: Sequence[Sequence[Image.Image]]
    columns: Sequence[str]
    below: Sequence[str]
    curves: Sequence[Sequence[float]]
    limits: Sequence[tuple[float, str]]
    title: str
    headline: str
    text: str
    caption: str
    rows: Sequence[str] = ()
    marked: int | None = None


def draw_chart(chart: Chart) -> Image.Image:
    """The chart as one RGB picture; pictures longer than 256 pixels are scaled down."""
    largest = max(64, min(_LARGEST, _WIDEST // len(chart.columns) - GAP))
    cells = [[fitted(one, largest) for one in row] for row in chart.pictures]
    width = max(one.width for row in cells for one in row)
    height = max(one.height for row in cells for one in row)
    small, text, head = letters(LABEL_SIZE), letters(_TEXT_SIZE), letters(_HEAD_SIZE)
    title = letters(_TITLE_SIZE)
    labels = [*chart.rows, *(_limit(*one) for one in chart.limits), "change"]
    gutter = round(max(length(one, small) for one in labels)) + 20
    inner = gutter + len(chart.columns) * (width + GAP) - GAP
    titles = wrapped([chart.title], title, inner)
    lines = broken(chart.text, text, min(inner, 760), _MOST_LINES)

    top = MARGIN + len(titles) * 26 + 4
    first = top + 22  # below the columns' labels
    curve = first + len(cells) * (height + GAP) + 8
    foot = curve + _HEIGHT + 34
    size = (2 * MARGIN + inner, foot + 26 + len(lines) * 19 + 30 + MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    for i, line in enumerate(titles):
        write(sheet, (MARGIN, MARGIN - 4 + i * 26), line, title, INK)
    left = MARGIN + gutter
    centres = [left + i * (width + GAP) + width // 2 for i in range(len(chart.columns))]
    for i, label in enumerate(chart.columns):
        colour = INK if i == chart.marked else LABEL
        write(sheet, (left + i * (width + GAP), top), cut(label, small, width), small, colour)
    for j, row in enumerate(cells):
        y = first + j * (height + GAP)
        if chart.rows:
            write(sheet, (MARGIN, y), cut(chart.rows[j], small, gutter), small, LABEL)
        for i, one in enumerate(row):
            mount(sheet, one, left + i * (width + GAP), y)
    _plot(sheet, chart, centres, (left, curve, MARGIN + inner), small)
    for i, (centre, label) in enumerate(zip(centres, chart.below, strict=True)):
        place = (round(centre - length(label, small) / 2), curve + _HEIGHT + 10)
        write(sheet, place, label, small, INK if i == chart.marked else LABEL)
    write(sheet, (MARGIN, curve + _HEIGHT + 10), "a picture", small, LABEL)
    write(sheet, (MARGIN, foot), cut(chart.headline, head, inner), head, INK)
    for i, line in enumerate(lines):
        write(sheet, (MARGIN, foot + 26 + i * 19), line, text, INK)
    caption = (MARGIN, foot + 26 + len(lines) * 19 + 10)
    write(sheet, caption, cut(chart.caption, small, inner), small, LABEL)
    return sheet


def _plot(
    sheet: Image.Image,
    chart: Chart,
    centres: Sequence[int],
    frame: tuple[int, int, int],
    font: FreeTypeFont,
) -> None:
    """The curves, their points, and the lines across; frame: left, top, right."""
    left, top, right = frame
    highest = max(0.02, *(value for curve in chart.curves for value in curve))
    span = math.log(highest * 1.3 / _LOWEST)

    def at(value: float) -> float:
        """The height of a value, in pixels of the sheet."""
        return top + _HEIGHT * (1 - math.log(max(value, _LOWEST) / _LOWEST) / span)

    fine = sheet.crop((left, top - 8, right, top + _HEIGHT + 8))
    fine = fine.resize((fine.width * FINE, fine.height * FINE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(fine)

    def spot(x: float, y: float) -> tuple[float, float]:
        return (x - left) * FINE, (y - top + 8) * FINE

    pen.line([spot(left, top + _HEIGHT), spot(right, top + _HEIGHT)], fill=HAIRLINE, width=FINE)
    for value, _ in chart.limits:
        pen.line([spot(left, at(value)), spot(right, at(value))], fill=HAIRLINE, width=FINE)
    # The last point is compared with itself, and so has no height of its own.
    farthest = max(chart.curves, key=lambda curve: curve[chart.marked or 0])
    for curve in chart.curves:
        points = [spot(x, at(y)) for x, y in zip(centres, curve[:-1], strict=False)]
        pen.line(points, fill=INK, width=2 * FINE, joint="curve")
        for i, (x, y) in enumerate(points):
            hollow = i == chart.marked and curve is farthest
            radius = (5 if hollow else 3) * FINE
            box = (x - radius, y - radius, x + radius, y + radius)
            pen.ellipse(box, fill=PAPER if hollow else INK, outline=INK, width=2 * FINE)
    size = (right - left, _HEIGHT + 16)
    sheet.paste(fine.resize(size, Image.Resampling.BOX), (left, top - 8))
    write(sheet, (MARGIN, top - 8), "change", font, LABEL)
    for value, words in chart.limits:
        write(sheet, (MARGIN, round(at(value)) - 9), _limit(value, words), font, LABEL)


def _limit(value: float, words: str) -> str:
    return f"{value:g}  {words}"
