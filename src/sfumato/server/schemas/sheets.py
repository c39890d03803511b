"""Sheets: the same request with some of its fields changed from cell to cell."""

from typing import Annotated, Literal

from pydantic import Field

from sfumato.server.admission import MAX_PRIORITY
from sfumato.server.schemas.base import MAX_PAGE, PAGE, Asked, Given, Seconds, Told
from sfumato.server.schemas.jobs import State
from sfumato.server.schemas.pictures import Picture
from sfumato.server.schemas.requests import RequestTold, RequestWanted

__all__ = [
    "AxisTold",
    "CellTold",
    "Sheet",
    "SheetHead",
    "SheetPictureQuery",
    "SheetTold",
    "SheetWanted",
    "SheetsQuery",
    "SheetsTold",
]

_Axis = Annotated[str, Field(min_length=3, max_length=2000)]
_HOW = "FIELD=VALUE,VALUE or FIELD=FIRST..LAST, or prompt:WORD=WORD,OTHER."


class SheetWanted(Given):
    """A request, and along which of its fields the sheet goes."""

    request: RequestWanted
    x: _Axis = Field(description=f"From left to right: {_HOW}", examples=["steps=4,8,16"])
    y: _Axis | None = Field(None, description=f"Downwards: {_HOW}", examples=["guidance=3,6"])
    z: _Axis | None = Field(None, description=f"From one grid to the next: {_HOW}")
    priority: int = Field(
        0,
        description="That of its jobs.",
        json_schema_extra={"minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY},
    )


class AxisTold(Told):
    """One side of a sheet."""

    field: str
    needle: str | None = Field(description="The word that is replaced; null: the whole value is.")
    values: list[str] = Field(description="As they were typed.")


class CellTold(Told):
    """One picture of a sheet."""

    place: tuple[int, int, int] = Field(description="Along x, y and z, from 0.")
    job: str
    state: State
    error: str = Field(description="Why its job failed; else empty.")
    picture: Picture | None = Field(description="Null until it is finished, and once it is gone.")


class SheetHead(Told):
    """A sheet without its cells."""

    id: str = Field(examples=["0194f0c2a7e35b1d"])
    created: Seconds
    request: RequestTold = Field(description="What all cells have in common, but for the axes.")
    axes: list[AxisTold] = Field(description="x, then y, then z; at least x.")
    count: int = Field(description="How many cells it has.")
    ended: int = Field(description="How many of their jobs are over.")


class Sheet(SheetHead):
    """A sheet as it is now."""

    cells: list[CellTold] = Field(description="Row by row, grid by grid.")


class SheetTold(Told):
    """One sheet."""

    sheet: Sheet


class SheetsTold(Told):
    """Sheets, the newest first."""

    sheets: list[SheetHead]


class SheetsQuery(Asked):
    """Which sheets."""

    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)


class SheetPictureQuery(Asked):
    """Which grid of a sheet, and as what."""

    z: int = Field(0, ge=0, description="From 0; only a sheet with a third axis has more than one.")
    format: Literal["png", "jpeg"] = "png"
