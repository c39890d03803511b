"""The routes of the library: search it, look at its pictures, mark, compare and delete them."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from sfumato.errors import PictureError
from sfumato.limits import MAX_SEED, SEEDS
from sfumato.server import schemas
from sfumato.server.errors import NoSuchPicture
from sfumato.server.library import Search
from sfumato.server.native.errors import FieldError, NotAPicture, problems, room
from sfumato.server.native.files import (
    MEDIA,
    PICTURE_BODY,
    Kept,
    body_of,
    content_disposition,
    file_told,
)
from sfumato.server.native.told import picture_detail, picture_told
from sfumato.server.services import Services, tidy
from sfumato.server.uploads import measure
from sfumato.source import Source

__all__ = ["routes"]

# Threads that wait for a picture to be decoded or a frame to be developed, of the forty there are.
DEVELOPERS = 4

Id = Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$", examples=["0194f0c2a7e35b1d9c6e-0"])]
Other = Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$", examples=["0194f0c2a7e35b1d9c6e-1"])]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("pictures")
    _searching(router, services)
    _changing(router, services)
    _showing(router, services)
    return router


def _searching(router: APIRouter, services: Services) -> None:
    library = services.library

    @router.get("/api/pictures", responses=problems(422))
    def list_pictures(query: Annotated[schemas.PictureQuery, Query()]) -> schemas.PicturePage:
        """Search the library; the newest pictures come first."""
        seed = None if query.seed is None else int(query.seed)
        if seed is not None and seed > MAX_SEED:
            raise FieldError(f"seed is {seed}, but must be between 0 and {MAX_SEED}.", "seed")
        search = Search(
            text=query.q,
            seed=seed,
            model=query.model,
            sampler=query.sampler,
            source=query.source,
            after=query.after,
            before=query.before,
            favourite=query.favourite,
            tag=query.tag,
            trash=query.trash,
        )
        page = library.search(search, limit=query.limit, cursor=query.cursor)
        told = [picture_told(services, entry) for entry in page.entries]
        return schemas.PicturePage(pictures=told, cursor=page.cursor, total=page.total)

    @router.post(
        "/api/pictures",
        status_code=201,
        openapi_extra=dict(PICTURE_BODY),
        responses=problems(413, 415, 422),
    )
    async def import_picture(http: Request, response: Response) -> schemas.Picture:
        """Keep a picture file of any program, byte for byte; one that is here already stays one."""
        limits = services.settings.limits
        data = await body_of(http, limits)

        def keep() -> schemas.Picture:
            measure(data, limits)
            try:
                return picture_told(services, library.import_file(data, name=""))
            except PictureError as error:
                raise NotAPicture(str(error)) from error

        picture = await run_sync(keep, limiter=services.decoding)
        response.headers["Location"] = f"/api/pictures/{picture.id}"
        return picture

    @router.get("/api/pictures/{id}", responses=problems(404, 422))
    def get_picture(id: Id) -> schemas.PictureDetail:
        """One picture, also one in the trash, with its recipe."""
        return picture_detail(services, library.get(id))

    @router.get("/api/pictures/{id}/diff/{other}", responses=problems(404, 422))
    def compare_pictures(id: Id, other: Other) -> schemas.Differences:
        """What differs in the making of two pictures."""
        fields = library.diff(id, other)
        return schemas.Differences(
            fields={name: (_plain(name, a), _plain(name, b)) for name, (a, b) in fields.items()}
        )


def _changing(router: APIRouter, services: Services) -> None:
    library = services.library

    @router.patch("/api/pictures/{id}", responses=problems(404, 413, 422))
    def change_picture(id: Id, change: schemas.PictureChange) -> schemas.Picture:
        """Mark a picture as a favourite, or give it other tags."""
        entry = library.get(id)
        if change.tags is not None:
            entry = library.tag(id, change.tags)
        if change.favourite is not None:
            entry = library.favourite(id, change.favourite)
        return picture_told(services, entry)

    @router.delete("/api/pictures/{id}", responses=problems(404, 422))
    def trash_picture(id: Id) -> schemas.Picture:
        """Put a picture into the trash."""
        return picture_told(services, library.trash(id))

    @router.post("/api/pictures/{id}/restore", responses=problems(404, 422))
    def restore_picture(id: Id) -> schemas.Picture:
        """Take a picture out of the trash."""
        return picture_told(services, library.restore(id))

    @router.delete("/api/trash")
    def empty_trash() -> schemas.Deleted:
        """Remove for good what lies in the trash."""
        deleted = library.empty_trash()
        tidy(services)
        return schemas.Deleted(deleted=deleted)


def _showing(router: APIRouter, services: Services) -> None:
    library = services.library
    developing = CapacityLimiter(DEVELOPERS)

    @router.get(
        "/api/pictures/{id}/file",
        response_class=Response,
        responses={**file_told("PNG", "JPEG", "WebP"), **problems(404, 422)},
    )
    def get_file(id: Id, http: Request) -> Response:
        """The picture's file, as it was made or imported. It never changes."""
        entry = library.get(id)
        if not entry.file.is_file():
            raise NoSuchPicture(f"the file of picture {id} is gone.")
        suffix = entry.file.suffix
        named = {"Content-Disposition": content_disposition(entry, suffix)}
        return Kept(entry.sha256).answer(
            http,
            lambda headers: FileResponse(
                entry.file, media_type=MEDIA[suffix], headers={**headers, **named}
            ),
        )

    @router.get(
        "/api/pictures/{id}/thumb",
        response_class=Response,
        responses={**file_told("WebP"), **problems(404, 422)},
    )
    def get_thumb(id: Id, http: Request) -> Response:
        """The picture small, as a WebP of at most 320 pixels a side."""
        kept = Kept(f"{library.get(id).sha256}-thumb")
        return kept.answer(http, lambda headers: _webp(library.thumbnail(id), headers))

    @router.get(
        "/api/pictures/{id}/frames/{step}",
        response_class=Response,
        responses={**file_told("WebP"), **problems(404, 422, 429)},
    )
    async def get_frame(
        id: Id,
        step: Annotated[int, Path(description="From 1 to the picture's `frames`.")],
        http: Request,
    ) -> Response:
        """The picture as it was at one of its steps, as a WebP of full size."""
        entry = await run_sync(library.get, id)
        frames = services.worker.frames(id)
        if not 1 <= step <= frames:
            raise NoSuchPicture(f"picture {id} has {frames} frames, so none is {step:.0f}.")
        kept = Kept(f"{entry.sha256}-{step}")
        image = b""
        if not kept.had_by(http):
            image = await run_sync(services.worker.frame, id, step, limiter=developing)
        return kept.answer(http, lambda headers: _webp(image, headers))


def _webp(data: bytes, headers: dict[str, str]) -> Response:
    return Response(data, media_type="image/webp", headers=headers)


def _plain(name: str, value: object) -> Any:
    """A value of a recipe as JSON has it; a seed is text."""
    if name in SEEDS and value is not None:
        return str(value)
    return value.to_dict() if isinstance(value, Source) else value
