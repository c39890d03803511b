"""The routes of sheets: many pictures of one request, a field changed from cell to cell."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Response

from sfumato.choose import Axis, parse_axis, plan_sheet
from sfumato.errors import RequestError
from sfumato.request import Request
from sfumato.server import schemas
from sfumato.server.admission import SEED_BITS
from sfumato.server.native.drawn import drawn
from sfumato.server.native.errors import FieldError, problems, room
from sfumato.server.native.files import file_told
from sfumato.server.native.told import picture_told, request_told, requested
from sfumato.server.services import Services
from sfumato.server.sheets import Cell, Sheet

__all__ = ["routes"]

CLIENT = "native"
Id = Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$", examples=["0194f0c2a7e35b1d9c6e"])]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("sheets")
    sheets = services.sheets
    drawing = CapacityLimiter(1)  # each holds all of its pictures

    @router.post("/api/sheets", status_code=202, responses=problems(413, 422, 429))
    def submit_sheet(wanted: schemas.SheetWanted, response: Response) -> schemas.SheetTold:
        """Send a sheet. When this is answered, all of its jobs are on disk and will be done.

        Its cells share the seed, which is drawn if it is not said; their pictures get the tag
        `sheet` with its id.
        """
        if wanted.z is not None and wanted.y is None:
            raise FieldError("z needs y; with two axes give x and y.", "z")
        axes = [
            _axis(name, text)
            for name in ("x", "y", "z")
            if (text := getattr(wanted, name)) is not None
        ]
        plan = plan_sheet(
            requested(services, wanted.request), axes, lambda: secrets.randbits(SEED_BITS)
        )
        cells = [_named(services, cell.request) for cell in plan.cells]
        sheet = sheets.submit(plan, cells, client=CLIENT, priority=wanted.priority)
        response.headers["Location"] = f"/api/sheets/{sheet.id}"
        return schemas.SheetTold(sheet=_told(services, sheet))

    @router.get("/api/sheets", responses=problems(422))
    def list_sheets(query: Annotated[schemas.SheetsQuery, Query()]) -> schemas.SheetsTold:
        """Sheets without their cells, the newest first."""
        return schemas.SheetsTold(sheets=[_head(each) for each in sheets.list(limit=query.limit)])

    @router.get("/api/sheets/{id}", responses=problems(404, 422))
    def get_sheet(id: Id) -> schemas.SheetTold:
        """One sheet as it is now, with each of its cells."""
        return schemas.SheetTold(sheet=_told(services, sheets.get(id)))

    @router.post("/api/sheets/{id}/cancel", responses=problems(404, 422))
    def cancel_sheet(id: Id) -> schemas.SheetTold:
        """Give up the cells that are not finished. What is finished stays."""
        return schemas.SheetTold(sheet=_told(services, sheets.cancel(id)))

    @router.delete("/api/sheets/{id}", responses=problems(404, 422))
    def delete_sheet(id: Id) -> schemas.SheetTold:
        """Give a sheet up and forget it; what is answered is its last. Its pictures stay."""
        return schemas.SheetTold(sheet=_told(services, sheets.delete(id)))

    @router.get(
        "/api/sheets/{id}/picture",
        response_class=Response,
        responses={**file_told("PNG", "JPEG"), **problems(404, 422)},
    )
    async def draw_sheet(id: Id, query: Annotated[schemas.SheetPictureQuery, Query()]) -> Response:
        """The sheet as one picture with its labels; what is not painted yet is an empty frame."""

        def draw() -> bytes:
            return drawn(services.library, sheets.get(id), query.z, query.format.upper())

        data = await run_sync(draw, limiter=drawing)
        name = f"sheet-{id}-{query.z + 1}.{'jpg' if query.format == 'jpeg' else 'png'}"
        named = {"Content-Disposition": f'inline; filename="{name}"'}
        return Response(data, media_type=f"image/{query.format}", headers=named)

    return router


def _axis(name: str, text: str) -> Axis:
    try:
        return parse_axis(text)
    except RequestError as error:
        raise FieldError(str(error), name) from error


def _named(services: Services, request: Request) -> Request:
    """The request of a cell with the shelf's names of its models, which may be what changes."""
    find = services.shelf.find
    model, refiner = (None if n is None else find(n) for n in (request.model, request.refiner))
    return replace(request, model=model, refiner=refiner)


def _head(sheet: Sheet) -> schemas.SheetHead:
    return schemas.SheetHead(
        id=sheet.id,
        created=sheet.created,
        request=request_told(sheet.request),
        axes=[
            schemas.AxisTold(field=axis.field, needle=axis.needle, values=list(axis.values))
            for axis in sheet.axes
        ],
        count=len(sheet.cells),
        ended=sum(cell.job.ended for cell in sheet.cells),
    )


def _told(services: Services, sheet: Sheet) -> schemas.Sheet:
    made = [id for cell in sheet.cells for id in cell.job.pictures]
    pictures = {
        entry.id: picture_told(services, entry) for entry in services.library.get_many(made)
    }

    def told(cell: Cell) -> schemas.CellTold:
        first = next((pictures[id] for id in cell.job.pictures if id in pictures), None)
        job = cell.job
        return schemas.CellTold(
            place=cell.place, job=job.id, state=job.state, error=job.error, picture=first
        )

    head = {name: getattr(_head(sheet), name) for name in schemas.SheetHead.model_fields}
    return schemas.Sheet(**head, cells=[told(cell) for cell in sheet.cells])
