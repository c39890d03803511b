"""The routes of the A1111 dialect: paint, watch, stop, choose, read and enlarge pictures."""

from __future__ import annotations

import asyncio
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header
from starlette.requests import Request as HttpRequest

from sfumato.images import Texts
from sfumato.parameters import split_parameters
from sfumato.server.a1111.errors import RESPONSES, RefusedError, Route
from sfumato.server.a1111.extras import enlarged, html_info, png
from sfumato.server.a1111.lists import lists
from sfumato.server.a1111.models import Checkpoints
from sfumato.server.a1111.options import Options
from sfumato.server.a1111.payloads import BatchExtras, Extras, Image2Image, PngInfo, Text2Image
from sfumato.server.a1111.replies import base64_of, made, progress
from sfumato.server.a1111.translate import Chosen, request_of
from sfumato.server.remarks import remarks
from sfumato.server.uploads import opened, unwrapped
from sfumato.server.waiting import GRACE, Counter, Wish, faulty

if TYPE_CHECKING:
    from sfumato.server.job import Job
    from sfumato.server.services import Services

__all__ = ["router"]

CLIENT = "a1111"
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]


class Desk:
    """Where this dialect's requests become jobs, and where its running job is found."""

    def __init__(self, services: Services, grace: float) -> None:
        self.jobs, self.library, self.hub = services.jobs, services.library, services.hub
        self.shelf, self.limits = services.shelf, services.settings.limits
        self.checkpoints = Checkpoints(services.shelf, services.home.checkpoint)
        self.options = Options(self.checkpoints)
        self.counter = Counter(services, CLIENT, grace)
        self.enlarge, self.decoding = services.worker.enlarge, services.decoding
        self.version = version("sfumato")  # asked for once: it is read from a file
        self._lock = threading.Lock()
        self._tasks: dict[str, str] = {}  # job -> the name that its client gave it

    async def paint(self, sent: Text2Image, http: HttpRequest, key: str | None) -> dict[str, Any]:
        """The pictures of a request, when they are finished."""
        chosen = Chosen(self.checkpoints, self.limits)
        turn = self.decoding if isinstance(sent, Image2Image) else None
        request = await run_sync(request_of, sent, chosen, limiter=turn)
        if sent.override_settings and sent.override_settings_restore_afterwards is False:
            self.options.keep(sent.override_settings)
        async with self.counter.visit(Wish(request, key=key)) as visit:
            with self._lock:
                self._tasks[visit.job.id] = sent.force_task_id or ""
            try:
                job = await self.counter.ended(visit, http)
            finally:
                with self._lock:
                    self._tasks.pop(visit.job.id, None)
            reply = await asyncio.to_thread(self._answer, sent, job)
            await self.counter.serve(visit, http)
        if job.state == "failed":
            raise RefusedError(job.error, 500 if faulty(job) else 422)
        if sent.do_not_save_samples and not visit.joined and job.parties <= 1:
            for id in job.pictures:
                await asyncio.to_thread(self.library.trash, id)
        return reply

    def _answer(self, sent: Text2Image, job: Job) -> dict[str, Any]:
        said = remarks(self.shelf, job.request)
        return made(sent, job, self.counter.entries(job), self.version, said)

    def current(self) -> Job | None:
        """The job of this dialect that is painted now, else the one that is painted next."""
        for state in ("running", "queued"):
            listed = self.jobs.list(states=(state,), limit=self.limits.queue)
            mine = [job for job in listed if job.client == CLIENT]
            if mine:
                return min(mine, key=lambda job: (-job.priority, job.id))
        return None

    def progress(self, *, image: bool) -> dict[str, Any]:
        """How far the current job is."""
        job = self.current()
        step = None if job is None else self.hub.last(job.id, look=image)
        with self._lock:
            task = "" if job is None else self._tasks.get(job.id, "")
        return progress(job, step, task, image=image)

    def stop(self) -> None:
        """Cancel the current job; whoever waits for it gets what is finished."""
        job = self.current()
        if job is not None:
            self.jobs.cancel(job.id)

    def skip(self) -> None:
        """Give up the picture that is being painted; its job goes on to the next one."""
        job = self.current()
        if job is not None:
            self.jobs.skip(job.id)


def router(services: Services, *, grace: float = GRACE) -> APIRouter:
    """All of `/sdapi/v1`. ``grace``: seconds for which a job goes on when its client hangs up."""
    desk = Desk(services, grace)
    whole = APIRouter()
    whole.include_router(_painting(desk))
    whole.include_router(_choosing(desk))
    whole.include_router(_pictures(desk))
    whole.include_router(lists(desk.checkpoints))
    return whole


def _painting(desk: Desk) -> APIRouter:
    router = APIRouter(
        prefix="/sdapi/v1", tags=["A1111"], route_class=Route, responses=dict(RESPONSES)
    )

    @router.post("/txt2img")
    async def txt2img(sent: Text2Image, http: HttpRequest, key: Key = None) -> dict[str, Any]:
        return await desk.paint(sent, http, key)

    @router.post("/img2img")
    async def img2img(sent: Image2Image, http: HttpRequest, key: Key = None) -> dict[str, Any]:
        return await desk.paint(sent, http, key)

    @router.get("/progress")
    def how_far(skip_current_image: bool = False) -> dict[str, Any]:
        return desk.progress(image=not skip_current_image)

    @router.post("/interrupt")
    def interrupt() -> dict[str, Any]:
        desk.stop()
        return {}

    @router.post("/skip")
    def skip() -> dict[str, Any]:
        desk.skip()
        return {}

    return router


def _choosing(desk: Desk) -> APIRouter:
    router = APIRouter(
        prefix="/sdapi/v1", tags=["A1111"], route_class=Route, responses=dict(RESPONSES)
    )

    @router.get("/options")
    def options() -> dict[str, Any]:
        return desk.options.all()

    @router.post("/options")
    def set_options(settings: dict[str, Any]) -> None:
        desk.options.change(settings)

    def refresh() -> None:
        """Look for models anew; of everything else there is nothing to be found."""
        desk.checkpoints.refresh()

    for name in ("refresh-checkpoints", "refresh-loras", "refresh-vae", "refresh-embeddings"):
        router.add_api_route(f"/{name}", refresh, methods=["POST"], name=name)
    return router


def _pictures(desk: Desk) -> APIRouter:
    router = APIRouter(
        prefix="/sdapi/v1", tags=["A1111"], route_class=Route, responses=dict(RESPONSES)
    )

    @router.post("/png-info")
    async def png_info(sent: PngInfo) -> dict[str, Any]:
        return _told(await run_sync(texts_of, sent.image, limiter=desk.decoding))

    enlarging = CapacityLimiter(2)  # threads that may wait for the painter

    @router.post("/extra-single-image")
    async def extra_single_image(sent: Extras) -> dict[str, Any]:
        if not sent.image:
            raise RefusedError("image is missing; send the picture to enlarge.", 404)
        image = await run_sync(one, sent.image, sent, limiter=enlarging)
        return {"image": image, "html_info": html_info(sent)}

    @router.post("/extra-batch-images")
    async def extra_batch_images(sent: BatchExtras) -> dict[str, Any]:
        if len(sent.imageList) > desk.limits.count:
            raise RefusedError(
                f"imageList has {len(sent.imageList)} pictures, but at most "
                f"{desk.limits.count} are done at once."
            )
        images = [
            await run_sync(one, named.data, sent, limiter=enlarging) for named in sent.imageList
        ]
        return {"images": images, "html_info": html_info(sent)}

    def texts_of(image: str) -> Texts:
        return opened(unwrapped(image, desk.limits), desk.limits)[1]

    def one(image: str, sent: Extras) -> str:
        picture, _ = opened(unwrapped(image, desk.limits), desk.limits)
        return base64_of(png(enlarged(picture, sent, desk.limits, desk.enlarge)))

    return router


def _told(texts: Texts) -> dict[str, Any]:
    """What a picture says: A1111's text whole and in its parts, and our own recipe beside it."""
    items = {"sfumato": texts.sfumato} if texts.sfumato else {}
    if not texts.parameters:
        return {"info": "", "items": items, "parameters": {}}
    prompt, negative, settings = split_parameters(texts.parameters)
    parts: dict[str, str] = {"Prompt": prompt, "Negative prompt": negative, **settings}
    width, by, height = settings.get("Size", "").partition("x")
    if by:
        parts |= {"Size-1": width, "Size-2": height}
    return {
        "info": texts.parameters,
        "items": {"parameters": texts.parameters, **items},
        "parameters": parts,
    }
