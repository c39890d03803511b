"""The routes of the OpenAI dialect: generations, edits, variations and models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from sfumato.errors import SfumatoError
from sfumato.request import Request
from sfumato.server.events import Changed, Painted, Stepped
from sfumato.server.openai.answers import Partials, answer, completed, partial
from sfumato.server.openai.edits import Files, edit_request, fields_and_files
from sfumato.server.openai.errors import RESPONSES, RefusedError, Route, described
from sfumato.server.openai.payloads import Edit, Generation, Picturing, found_model
from sfumato.server.remarks import remarks
from sfumato.server.sse import BEAT, EventStream, comment, message
from sfumato.server.waiting import GRACE, Counter, Visit, Wish, faulty

if TYPE_CHECKING:
    from sfumato.server.job import Job
    from sfumato.server.services import Services
    from sfumato.shelves import Item

__all__ = ["router", "with_pings"]

CLIENT = "openai"
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
# The openai package counts its own retries here.
Retry = Annotated[str | None, Header(alias="X-Stainless-Retry-Count", include_in_schema=False)]
_VARIATION = 0.6  # as much of a variation is painted anew
_MOST_FIELDS, _MOST_FILES = 64, 8
_FORM: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "mask": {"type": "string", "format": "binary"},
                        "prompt": {"type": "string"},
                    },
                }
            }
        },
    }
}


@dataclass(frozen=True)
class Call:
    """One call of a client: what it wants, where it waits, and what its events are called."""

    wish: Picturing
    http: HttpRequest
    key: str | None
    again: bool
    kind: str


class Desk:
    """Where this dialect's calls become jobs."""

    def __init__(self, services: Services, grace: float) -> None:
        self.services = services
        self.counter = Counter(services, CLIENT, grace)

    async def paint(self, call: Call, request: Request) -> Response:
        """The answer to a call: at once as a stream, or when all pictures are finished."""
        previews = call.wish.partial_images or 0
        wish = Wish(request, previews=previews, key=call.key, again=call.again)
        async with AsyncExitStack() as stack:
            visit = await stack.enter_async_context(self.counter.visit(wish))
            if call.wish.stream:
                # The visit ends with the stream, not with this function.
                later = stack.pop_all()
                return EventStream(self._stream(call, visit, later))
            job = _checked(await self.counter.ended(visit, call.http))
            url = str(call.http.base_url)
            reply = await asyncio.to_thread(self._answer, call.wish, job, url)
            await self.counter.serve(visit, call.http)
        return JSONResponse(reply)

    def _answer(self, wish: Picturing, job: Job, url: str) -> dict[str, Any]:
        said = remarks(self.services.shelf, job.request)
        return answer(wish, self.counter.entries(job), url, said)

    async def _stream(
        self, call: Call, visit: Visit, stack: AsyncExitStack
    ) -> AsyncGenerator[bytes]:
        async with stack:
            try:
                async with aclosing(self._pictures(call, visit)) as parts:
                    async for part in with_pings(parts):
                        yield part
            except SfumatoError as problem:
                body = described(problem).body
                yield message("error", bytes(body).decode())
            visit.served = True

    async def _pictures(self, call: Call, visit: Visit) -> AsyncGenerator[bytes]:
        partials, sent = Partials(call.wish.partial_images or 0), set[str]()
        library = self.services.library
        said = await asyncio.to_thread(remarks, self.services.shelf, visit.job.request)
        async with aclosing(self.counter.events(visit.job.id)) as events:
            async for happened in events:
                finished: tuple[str, ...] = ()
                match happened:
                    case Stepped():
                        for index in partials.due(happened):
                            yield await asyncio.to_thread(
                                partial, call.kind, happened, index, call.wish
                            )
                    case Painted():
                        finished = (happened.id,)
                    case Changed(job):
                        finished = _checked(job).pictures
                    case _:
                        pass
                for id in finished:
                    if id not in sent:
                        sent.add(id)
                        entry = await asyncio.to_thread(library.get, id)
                        yield await asyncio.to_thread(completed, call.kind, entry, call.wish, said)


def router(services: Services, *, grace: float = GRACE) -> APIRouter:
    """All of `/v1`. ``grace``: seconds for which a job goes on when its client hangs up."""
    whole = APIRouter()
    whole.include_router(_images(Desk(services, grace)))
    whole.include_router(_models(services))
    return whole


def _images(desk: Desk) -> APIRouter:
    router = APIRouter(
        prefix="/v1/images", tags=["OpenAI"], route_class=Route, responses=dict(RESPONSES)
    )
    services = desk.services

    @router.post("/generations")
    async def generations(
        wish: Generation, http: HttpRequest, key: Key = None, retry: Retry = None
    ) -> Response:
        wish.check()
        request = await asyncio.to_thread(wish.request, services.shelf)
        return await desk.paint(_call(wish, http, key, retry, "image_generation"), request)

    @router.post("/edits", openapi_extra=dict(_FORM))
    async def edits(http: HttpRequest, key: Key = None, retry: Retry = None) -> Response:
        fields, files = await _form(http)
        wish = Edit.model_validate(fields)
        wish.check()
        request = await run_sync(edit, wish, files, limiter=services.decoding)
        return await desk.paint(_call(wish, http, key, retry, "image_edit"), request)

    @router.post("/variations", openapi_extra=dict(_FORM))
    async def variations(http: HttpRequest, key: Key = None, retry: Retry = None) -> Response:
        fields, files = await _form(http)
        wish = Edit.model_validate({"prompt": "", **fields})
        wish.check()
        if "mask" in files:
            raise RefusedError("a variation has no mask; make an edit.", param="mask")
        request = await run_sync(edit, wish, files, limiter=services.decoding)
        if wish.strength is None:
            request = replace(request, strength=_VARIATION)
        return await desk.paint(_call(wish, http, key, retry, "image_edit"), request)

    def edit(wish: Edit, files: Files) -> Request:
        return edit_request(wish, files, services.shelf, services.settings.limits)

    return router


def _models(services: Services) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=Route, responses=dict(RESPONSES))

    @router.get("/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(row) for row in services.shelf.rows()]}

    @router.get("/models/{name:path}")
    def model(name: str) -> dict[str, Any]:
        found = found_model(name, services.shelf)
        return next(_model(row) for row in services.shelf.rows() if row.name == found)

    return router


def _model(row: Item) -> dict[str, Any]:
    try:
        created = 0 if row.bundled else int(row.path.stat().st_mtime)
    except OSError:  # a file that went away since the shelf was read
        created = 0
    return {"id": row.name, "object": "model", "created": created, "owned_by": "sfumato"}


def _call(
    wish: Picturing, http: HttpRequest, key: str | None, retry: str | None, kind: str
) -> Call:
    return Call(wish, http, key, again=retry not in (None, "", "0"), kind=kind)


async def _form(http: HttpRequest) -> tuple[dict[str, str], Files]:
    async with http.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS) as form:
        return await fields_and_files(form)


def _checked(job: Job) -> Job:
    """The job, unless it came to nothing."""
    if job.state == "failed":
        raise RefusedError(job.error, code="failed", status=500 if faulty(job) else 400)
    if job.state == "cancelled":
        raise RefusedError("the job was cancelled.", code="cancelled", status=409)
    return job


async def with_pings(parts: AsyncIterator[bytes], beat: float = BEAT) -> AsyncGenerator[bytes]:
    """The same parts, with a comment now and then: a silent line is cut by what lies between."""
    coming = asyncio.ensure_future(anext(parts))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=beat)
            if not done:
                yield comment("still here")
                continue
            try:
                part = coming.result()
            except StopAsyncIteration:
                return
            yield part
            coming = asyncio.ensure_future(anext(parts))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
