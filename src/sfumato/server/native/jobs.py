"""The routes of jobs: send one, see how far it is, follow it, cancel it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Query, Request, Response

from sfumato.server import schemas
from sfumato.server.admission import MAX_IDEMPOTENCY
from sfumato.server.calls import Server, calls
from sfumato.server.events import Changed, Event
from sfumato.server.jobs import IN_FLIGHT
from sfumato.server.library.store import checked
from sfumato.server.native.errors import problems, room
from sfumato.server.native.events import stream_told, writer
from sfumato.server.native.told import job_told, requested
from sfumato.server.services import Services
from sfumato.server.sse import END, EventStream, Texts, stream

__all__ = ["routes"]

CLIENT = "native"
Id = Annotated[str, Path(pattern=r"^[0-9a-z-]{1,64}$", examples=["0194f0c2a7e35b1d9c6e"])]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("jobs")
    texts: Texts[Event] = Texts(writer(services))

    @router.post("/api/jobs", status_code=202, responses=problems(413, 422, 429))
    def submit_job(
        wanted: schemas.JobWanted,
        response: Response,
        idempotency_key: Annotated[
            str | None,
            Header(
                max_length=MAX_IDEMPOTENCY,
                description="A name for this wish: sent twice with it, it is done once.",
            ),
        ] = None,
    ) -> schemas.JobAccepted:
        """Send a request. When this is answered, the job is on disk and will be done.

        An equal request that is in flight is joined rather than painted twice, if it says a seed.
        """
        job, joined = services.jobs.submit(
            requested(services, wanted.request),
            client=CLIENT,
            priority=wanted.priority,
            previews=wanted.previews,
            tags=checked(wanted.tags),
            idempotency=idempotency_key,
        )
        response.headers["Location"] = f"/api/jobs/{job.id}"
        return schemas.JobAccepted(job=job_told(services, job), joined=joined)

    @router.get("/api/jobs", responses=problems(422))
    def list_jobs(query: Annotated[schemas.JobsQuery, Query()]) -> schemas.JobsTold:
        """Jobs, the newest first."""
        found = services.jobs.list(states=query.state, limit=query.limit, before=query.before)
        return schemas.JobsTold(jobs=[job_told(services, job) for job in found])

    @router.get("/api/jobs/{id}", responses=problems(404, 422))
    def get_job(id: Id) -> schemas.JobTold:
        """One job as it is now."""
        return schemas.JobTold(job=job_told(services, services.jobs.get(id)))

    @router.post("/api/jobs/{id}/cancel", responses=problems(404, 422))
    def cancel_job(id: Id) -> schemas.JobTold:
        """Cancel a job: at once while it waits, within a step while it runs.

        Finished pictures are kept. A job that is over stays as it is.
        """
        return schemas.JobTold(job=job_told(services, services.jobs.cancel(id)))

    @router.get(
        "/api/jobs/{id}/events",
        response_class=Response,
        responses={
            **stream_told("job", "step", "picture"),
            204: {"description": "To a client that has had the last event."},
            **problems(404, 422),
        },
    )
    async def follow_job(id: Id, last_event_id: Annotated[str | None, Header()] = None) -> Response:
        """Follow one job: first a `job` as it is now, at the end the `job` of its end."""
        job = await run_sync(services.jobs.get, id)
        if job.ended and last_event_id == END:
            return Response(status_code=204)  # so that a browser stops coming back
        return EventStream(stream(services.hub.follow(id), texts))

    @router.get(
        "/api/events",
        response_class=Response,
        responses=stream_told("job", "step", "picture", "library"),
    )
    async def follow_everything() -> Response:
        """Follow all jobs and the library: first a `job` for each that is in flight."""
        return EventStream(stream(_everything(services), texts))

    @router.post("/api/calls", responses=problems(413, 422))
    def write_calls(wanted: schemas.CallsWanted, http: Request) -> schemas.Calls:
        """A request as the command line, the Python and the HTTP call that make its pictures."""
        settings, shelf = services.settings, services.shelf
        request = requested(services, wanted.request)
        server = Server(
            url=str(http.base_url).rstrip("/"),
            model=shelf.default.name,
            login="token" if settings.token else "user" if settings.guarded else "",
            defaults=next(
                (row.defaults for row in shelf.rows() if row.name == request.model), None
            ),
        )
        written = calls(request, server)
        return schemas.Calls(command=written.command, python=written.python, http=written.http)

    return router


async def _everything(services: Services) -> AsyncGenerator[Event]:
    """All events from now on; before them, where each job in flight stands."""
    async with aclosing(services.hub.everything()) as events:
        # The hub listens from the first look on, so that nothing falls between.
        first = asyncio.ensure_future(anext(events))
        try:
            await asyncio.sleep(0)
            jobs = await run_sync(lambda: services.jobs.list(states=IN_FLIGHT, limit=10**6))
            for job in jobs:
                yield Changed(job)
            yield await first
        except StopAsyncIteration:  # the server stops
            return
        finally:
            first.cancel()
            await asyncio.wait({first})
        async for event in events:
            yield event
