"""A sheet as one picture file with its labels, as `sfumato sheet` draws it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from sfumato.choose import Axis, Cell, draw_sheet
from sfumato.choose import Sheet as Plan
from sfumato.errors import OutputError, RequestError
from sfumato.images import Texts, encode
from sfumato.images.grid import LARGEST
from sfumato.images.paper import fitted
from sfumato.recipe import FORMAT
from sfumato.server.errors import NoSuchPicture
from sfumato.server.native.errors import FieldError

if TYPE_CHECKING:
    from PIL.Image import Image

    from sfumato.server.library import Library
    from sfumato.server.sheets import Sheet

__all__ = ["drawn"]

MOST_PIXELS = 64_000_000  # of one drawing


def drawn(library: Library, sheet: Sheet, z: int, kind: str) -> bytes:
    """The file ("PNG", "JPEG") of grid ``z``; what is not painted, or is gone, is an empty frame.

    Raises FieldError for a grid that there is not and for a file that cannot hold it, RequestError
    for a sheet that is too large for one picture.
    """
    columns, rows, grids = sheet.shape
    if z >= grids:
        raise FieldError(f"z is {z}, but the last grid of this sheet is {grids - 1}.", "z")
    # Of the axes a drawing shows what was typed; what it stands for is in the jobs by now.
    axes = tuple(Axis(axis.field, axis.values, axis.values, axis.needle) for axis in sheet.axes)
    pictures: dict[Cell, Image] = {}
    for cell in sheet.cells:
        if cell.place[2] == z and cell.job.pictures:
            with suppress(NoSuchPicture):  # deleted for good
                image = library.image(cell.job.pictures[0])
                pictures[Cell(cell.place, cell.job.request, "")] = _small(image)
    side = max((max(image.size) for image in pictures.values()), default=0)
    if columns * rows * side**2 > MOST_PIXELS:
        raise RequestError(
            f"this sheet has {columns} x {rows} pictures, too many for one; look at its cells."
        )
    plan = Plan(sheet.request, axes, tuple(pictures))
    texts = Texts(sfumato=json.dumps({"format": FORMAT, "sheet": plan.to_dict()}))
    try:
        return encode(draw_sheet(plan, pictures, z), kind, texts)
    except OutputError as error:
        raise FieldError(str(error), "format") from error


def _small(image: Image) -> Image:
    """Not larger than a grid shows it, so that many large ones find room together."""
    return image if max(image.size) <= LARGEST else fitted(image, LARGEST)
