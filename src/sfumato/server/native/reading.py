"""The routes for pictures that are sent: to start from, to be read, and to be had back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.responses import FileResponse

from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import PictureError, RequestError
from sfumato.recipe import NUMERICS, Origin
from sfumato.request import Request
from sfumato.server import schemas
from sfumato.server.library import look
from sfumato.server.native.errors import NotAPicture, problems, room
from sfumato.server.native.files import PICTURE_BODY, Kept, body_of, file_told
from sfumato.server.native.told import recipe_told, request_told
from sfumato.server.services import Services
from sfumato.server.settings import Limits
from sfumato.server.uploads import measure
from sfumato.source import Source

__all__ = ["routes"]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("inputs")
    limits = services.settings.limits

    @router.post(
        "/api/inputs",
        status_code=201,
        openapi_extra=dict(PICTURE_BODY),
        responses=problems(413, 415, 422),
    )
    async def send_input(
        http: HttpRequest,
        response: Response,
        part: Annotated[
            schemas.Part, Query(alias="as", description="A picture, or a mask: white is repainted.")
        ] = "picture",
    ) -> schemas.Input:
        """Send a picture that requests can start from. The same one may be sent again."""
        data = await body_of(http, limits)
        source = await run_sync(_source, data, part, limits, limiter=services.decoding)
        await run_sync(services.inputs.put, source)
        response.headers["Location"] = f"/api/inputs/{source.sha256}"
        told = {"sha256": source.sha256, "width": source.width, "height": source.height}
        return schemas.Input.model_validate({**told, "as": part})

    @router.get(
        "/api/inputs/{sha256}",
        response_class=Response,
        responses={**file_told("PNG"), **problems(404, 422)},
    )
    def get_input(
        sha256: Annotated[str, Path(pattern=schemas.SHA256)], http: HttpRequest
    ) -> Response:
        """A picture that was sent."""
        services.inputs.get(sha256)
        file = services.home.input(sha256)
        return Kept(sha256).answer(
            http, lambda headers: FileResponse(file, media_type="image/png", headers=headers)
        )

    @router.post("/api/read", openapi_extra=dict(PICTURE_BODY), responses=problems(413, 415, 422))
    async def read_picture(http: HttpRequest) -> schemas.Reading:
        """What a picture says about its making, whichever program wrote it. It is not kept."""
        data = await body_of(http, limits)
        return await run_sync(_read, services, data, limiter=services.decoding)

    return router


def _source(data: bytes, part: schemas.Part, limits: Limits) -> Source:
    measure(data, limits)
    try:
        return Source.read(data, part, most_pixels=limits.upload_pixels)
    except PictureError as error:
        raise NotAPicture(str(error)) from error


def _read(services: Services, data: bytes) -> schemas.Reading:
    limits = services.settings.limits
    measure(data, limits)
    try:
        found, _ = look(data, pixels=limits.upload_pixels)
    except PictureError as error:
        raise NotAPicture(str(error)) from error
    origin = found.origin()
    request, left = _usable(services, origin)
    recipe = origin.recipe
    return schemas.Reading(
        request=request_told(request),
        recipe=None if recipe is None else recipe_told(recipe),
        parameters=origin.parameters,
        unread={**origin.unread, **left},
        exact=recipe is not None and recipe.numerics == NUMERICS and not left,
    )


def _usable(services: Services, origin: Origin) -> tuple[Request, dict[str, str]]:
    """What can be asked of this server, in its own names; and the names that it does not know."""
    sha256 = None if origin.recipe is None else origin.recipe.sha256
    later = None if origin.recipe is None else origin.recipe.parts.get("refiner")
    finders: Mapping[str, tuple[str, Callable[[str], str]]] = {
        "model": ("Model", lambda name: services.shelf.same(name, sha256)),
        "refiner": ("Refiner", lambda name: services.shelf.same(name, later)),
        "sampler": ("Sampler", lambda name: sampler_row(name).name),
        "schedule": ("Schedule type", lambda name: schedule_row(name).name),
    }
    values: dict[str, str | None] = {}
    left: dict[str, str] = {}
    for field, (title, find) in finders.items():
        name: str | None = getattr(origin.request, field)
        if name is not None:
            try:
                values[field] = find(name)
            except RequestError:
                values[field], left[title] = None, name
    if values.get("refiner") is None:
        values["refiner_at"] = None  # nobody takes over
    return replace(origin.request, **values), left
