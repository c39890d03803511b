"""The routes that help to choose: the ladder of steps, verifying a picture, why two differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Response

from sfumato.choose import Axis, plan_sheet
from sfumato.choose import Sheet as Plan
from sfumato.choose.compare import Distance, distance
from sfumato.choose.ladder import climb
from sfumato.choose.verify import judge, read_claim
from sfumato.choose.why import differences, summary
from sfumato.errors import PictureError, RequestError
from sfumato.limits import SEEDS
from sfumato.recipe import Picture
from sfumato.request import Request
from sfumato.server import schemas
from sfumato.server.admission import referred
from sfumato.server.errors import NotFound
from sfumato.server.library import Entry
from sfumato.server.library.reading import skim
from sfumato.server.native.errors import problems, room
from sfumato.server.native.jobs import CLIENT
from sfumato.server.native.told import job_told
from sfumato.server.services import Services
from sfumato.server.sheets import Sheet

__all__ = ["routes"]

MOST_PIXELS = 64_000_000  # of all pictures that one answer compares
Id = Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$", examples=["0194f0c2a7e35b1d9c6e-0"])]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("choosing")
    looking = CapacityLimiter(1)  # each compares pictures pixel by pixel

    @router.get("/api/sheets/{id}/ladder", responses=problems(404, 422))
    async def climb_sheet(id: Id) -> schemas.LadderTold:
        """How many steps are worth their time, by a sheet that goes along rising `steps`.

        Its second axis, if it has one, must be `seed`.
        """
        return await run_sync(_climbed, services, id, limiter=looking)

    @router.post("/api/pictures/{id}/verify", status_code=202, responses=problems(404, 422, 429))
    def verify_picture(id: Id, response: Response) -> schemas.JobAccepted:
        """Make a picture of ours again by its own recipe, to compare the two.

        The job is one like any other; its picture has the tag `verify`.
        """
        request = _again(services, services.library.get(id))
        job, joined = services.jobs.submit(request, client=CLIENT, tags=("verify",))
        response.headers["Location"] = f"/api/pictures/{id}/verify/{job.id}"
        return schemas.JobAccepted(job=job_told(services, job), joined=joined)

    @router.get("/api/pictures/{id}/verify/{job}", responses=problems(404, 422))
    async def get_verdict(
        id: Id, job: Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$")]
    ) -> schemas.VerdictTold:
        """Whether a picture is what its recipe makes here: to the bit, or how far apart and why."""
        return await run_sync(_verdict, services, id, job, limiter=looking)

    @router.get("/api/pictures/{id}/why/{other}", responses=problems(404, 422))
    async def why_they_differ(
        id: Id, other: Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$")]
    ) -> schemas.Why:
        """In what two recipes differ, what that does, and how far the pictures are apart."""
        return await run_sync(_why, services, id, other, limiter=looking)

    return router


# ---- the ladder


def _climbed(services: Services, id: str) -> schemas.LadderTold:
    sheet = services.sheets.get(id)
    made = [cell.job.pictures[0] for cell in sheet.cells if cell.job.pictures]
    kept = {entry.id: entry for entry in services.library.get_many(made)}
    plan = _plan(sheet)
    if len(made) < len(sheet.cells) or len(kept) < len(set(made)):
        return schemas.LadderTold(ladder=None)
    _require_few(list(kept.values()))
    pictures = {
        cell: _picture(services, kept[id]) for cell, id in zip(plan.cells, made, strict=True)
    }
    ladder = climb(plan, pictures)
    told = {**ladder.to_dict(), "headline": ladder.headline}
    return schemas.LadderTold(ladder=schemas.LadderView.model_validate(told))


def _plan(sheet: Sheet) -> Plan:
    """The sheet as the core plans a ladder. Raises RequestError for a sheet that is none."""
    steps, *seeds = sheet.axes
    numbers = [int(value) for value in steps.values] if steps.field == "steps" else []
    rising = numbers == sorted(set(numbers)) and len(numbers) > 2
    if not rising or [axis.field for axis in seeds] not in ([], ["seed"]):
        raise RequestError(
            "this sheet is no ladder, which goes along three or more rising numbers of steps, "
            "and down along seeds or nothing."
        )
    axes = [
        Axis(axis.field, tuple(int(value) for value in axis.values), axis.values)
        for axis in sheet.axes
    ]
    return plan_sheet(sheet.request, axes, lambda: 0)


# ---- verifying


def _again(services: Services, entry: Entry) -> Request:
    """What makes a picture again. Raises PictureError for one that carries no recipe of ours."""
    recipe = read_claim(entry.file, f"picture {entry.id}").recipe
    wish = recipe.request
    find = services.shelf.find
    model, refiner = (None if n is None else find(n) for n in (wish.model, wish.refiner))
    return referred(replace(wish, model=model, refiner=refiner, count=1))


def _verdict(services: Services, id: str, job: str) -> schemas.VerdictTold:
    entry, twin = services.library.get(id), services.jobs.get(job)
    if referred(twin.request) != _again(services, entry):
        raise NotFound(f"job {job:.80} does not make picture {id:.80} again.")
    if not twin.pictures:
        return schemas.VerdictTold(verdict=None)
    made = services.library.get(twin.pictures[0])
    _require_few([entry, made])
    verdict = judge(read_claim(entry.file, f"picture {id}"), _picture(services, made))
    return schemas.VerdictTold(
        verdict=schemas.VerdictView(
            equal=verdict.equal,
            words=verdict.words(),
            distance=_told(verdict.distance),
            reasons=list(verdict.reasons),
            picture=made.id,
        )
    )


# ---- why


def _why(services: Services, id: str, other: str) -> schemas.Why:
    library = services.library
    entries = [library.get(each) for each in (id, other)]
    _require_few(entries)
    one, two = (library.image(each) for each in (id, other))
    apart = distance(one, two)
    found = differences(*(skim(entry.file).origin() for entry in entries))
    return schemas.Why(
        summary=summary(found, apart, sizes_differ=one.size != two.size),
        reasons=[
            schemas.Reason(
                field=each.field,
                a=_plain(each.field, each.a),
                b=_plain(each.field, each.b),
                does=each.does,
            )
            for each in found
        ],
        distance=_told(apart),
    )


# ---- within


def _picture(services: Services, entry: Entry) -> Picture:
    if entry.recipe is None:
        raise PictureError(f"picture {entry.id} carries no recipe of sfumato.")
    return Picture(services.library.image(entry.id), entry.recipe)


def _require_few(entries: list[Entry]) -> None:
    pixels = sum(entry.width * entry.height for entry in entries)
    if pixels > MOST_PIXELS:
        raise RequestError(
            f"these pictures have {pixels} pixels in all, and at most {MOST_PIXELS} are compared "
            "at once; take fewer or smaller ones."
        )


def _told(apart: Distance | None) -> schemas.Distance | None:
    return None if apart is None else schemas.Distance.model_validate(apart.to_dict())


def _plain(field: str, value: object) -> Any:
    """A value of a recipe as JSON has it; a seed is text."""
    return str(value) if field in SEEDS and value is not None else value
