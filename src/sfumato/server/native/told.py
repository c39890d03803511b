"""Jobs, pictures and requests in the native API's words, and a client's request in ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sfumato import request_json
from sfumato.diffusion.table import check_wander, sampler_row, schedule_row
from sfumato.embedding import embeddings_from_json
from sfumato.errors import RequestError
from sfumato.limits import SEEDS
from sfumato.recipe import Recipe
from sfumato.request import Request
from sfumato.server import schemas
from sfumato.server.errors import NoSuchInput
from sfumato.server.jobs import Job
from sfumato.server.library import Entry
from sfumato.server.native.errors import FieldError
from sfumato.server.remarks import remarks
from sfumato.server.services import Services
from sfumato.server.shelf import own_parts
from sfumato.source import Source

__all__ = [
    "job_told",
    "picture_detail",
    "picture_told",
    "recipe_told",
    "request_told",
    "requested",
]

_SOURCES = ("image", "mask")


def requested(services: Services, wanted: schemas.RequestWanted) -> Request:
    """The request that a client means, with the pixels that it starts from.

    All names in it are canonical, and its model is said, so that it stays the same request when
    the server comes to have another one. Raises RequestError, which names the field where it can.
    """
    values: dict[str, Any] = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    for name in SEEDS:
        if values.get(name) is not None:
            values[name] = int(values[name])
    for name in _SOURCES:
        if values.get(name) is not None:
            values[name] = _source(services, name, values[name])
    if wanted.embeddings is not None:
        rows = [each.model_dump() for each in wanted.embeddings]
        values["embeddings"] = embeddings_from_json(rows)
    finders: Mapping[str, Callable[[str], str]] = {
        "model": services.shelf.find,
        "refiner": services.shelf.find,
        "sampler": lambda name: sampler_row(name).name,
        "schedule": lambda name: schedule_row(name).name,
    }
    for name, find in finders.items():
        if values.get(name) is not None:
            values[name] = _found(name, values[name], find)
    if values.get("model") is None:
        values["model"] = services.shelf.default.name
    request = own_parts(Request(**values))
    if request.wander:
        _check_wander(services, request)
    return request


def _check_wander(services: Services, request: Request) -> None:
    """Refuse a wander along a path without noise now; the painter would, when its turn comes."""
    rows = {row.name: row.defaults for row in services.shelf.rows()}
    defaults = rows.get(request.model or "")
    sampler = defaults.sampler if request.sampler is None and defaults else request.sampler
    if sampler is not None:
        try:
            check_wander(sampler)
        except RequestError as error:
            raise FieldError(str(error), "sampler") from error


def _found(field: str, name: str, find: Callable[[str], str]) -> str:
    try:
        return find(name)
    except RequestError as error:
        raise FieldError(str(error), field) from error


def _source(services: Services, field: str, given: str | schemas.InputReference) -> Source:
    sha256 = given if isinstance(given, str) else given.sha256
    try:
        source = services.inputs.get(sha256)
    except NoSuchInput as error:
        raise FieldError(str(error), field) from error
    # What was sent as the one may be used as the other.
    if field == "mask":
        return source if source.mode == "L" else Source.mask(source.image())
    return source if source.mode == "RGB" else Source.picture(source.image())


def request_told(request: Request) -> schemas.RequestTold:
    """A request as answers have it."""
    return schemas.RequestTold.model_validate(_seeds_as_text(request_json.to_dict(request)))


def recipe_told(recipe: Recipe) -> schemas.RecipeTold:
    """A recipe as answers have it."""
    values = json.loads(recipe.to_json())
    del values["format"], values["request"]
    return schemas.RecipeTold(request=request_told(recipe.request), **values)


def picture_told(services: Services, entry: Entry) -> schemas.Picture:
    """A picture of the library as lists have it."""
    return schemas.Picture(**_picture(services, entry))


def picture_detail(services: Services, entry: Entry) -> schemas.PictureDetail:
    """A picture of the library with all that is known of it."""
    recipe = entry.recipe
    return schemas.PictureDetail(
        **_picture(services, entry),
        recipe=None if recipe is None else recipe_told(recipe),
        parameters=entry.parameters,
    )


def job_told(services: Services, job: Job) -> schemas.Job:
    """A job as it is now: how far it is, how long it will take, and what it has made."""
    made = services.library.get_many(job.pictures)
    last = services.hub.last(job.id, look=False) if job.state == "running" else None
    return schemas.Job(
        id=job.id,
        state=job.state,
        priority=job.priority,
        created=job.created,
        started=job.started,
        finished=job.finished,
        client=job.client,
        position=services.jobs.position(job.id) if job.state == "queued" else 0,
        request=request_told(job.request),
        picture=job.picture,
        count=job.count,
        step=job.step,
        steps=job.steps,
        seconds_left=None if last is None else last.seconds_left,
        error=job.error,
        remarks=list(remarks(services.shelf, job.request)),
        tags=list(job.tags),
        pictures=[picture_told(services, entry) for entry in made],
    )


def _picture(services: Services, entry: Entry) -> dict[str, Any]:
    place = f"/api/pictures/{entry.id}"
    return {
        "id": entry.id,
        "job": entry.job,
        "number": entry.number,
        "created": entry.created,
        "width": entry.width,
        "height": entry.height,
        "prompt": entry.prompt,
        "negative": entry.negative,
        "seed": None if entry.seed is None else str(entry.seed),
        "model": entry.model,
        "sampler": entry.sampler,
        "schedule": entry.schedule,
        "steps": entry.steps,
        "guidance": entry.guidance,
        "source": entry.source,
        "favourite": entry.favourite,
        "tags": list(entry.tags),
        "trashed": entry.trashed,
        "urls": schemas.PictureUrls(file=f"{place}/file", thumb=f"{place}/thumb"),
        "frames": services.worker.frames(entry.id),
    }


def _seeds_as_text(values: Mapping[str, object]) -> dict[str, object]:
    texts = {name: str(values[name]) for name in SEEDS if values[name] is not None}
    return {**values, **texts}
