"""Waiting for a job in the name of a client that may hang up, and may come back for it.

A client of the A1111 and OpenAI dialects asks once and waits for its pictures on the same
connection. When it hangs up, its job goes on for a while: the same wish, sent again, finds it, also
when it is done by then; and so it does after the server was started anew, for a client that says
that it asks again. Only if nobody comes back is the client's part in the job given up, and a
job in which nobody has a part is cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato import request_json
from sfumato.errors import SfumatoError
from sfumato.server.errors import DatabaseError
from sfumato.server.events import Changed, Event
from sfumato.server.worker import FAULT

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

    from sfumato.request import Request
    from sfumato.server.job import Job
    from sfumato.server.library import Entry
    from sfumato.server.services import Services

__all__ = ["GRACE", "Counter", "HungUpError", "StoppingError", "Visit", "Wish", "faulty"]

# The openai package waits at most 8 seconds before it asks again.
GRACE = 15.0
# How long a finished job is kept for the client that never had its answer.
KEPT = 600.0
# After which the database is asked again where it could not answer.
AGAIN = 1.0
_MOST = 256
_LOG = logging.getLogger(__name__)


class HungUpError(SfumatoError):
    """The client went away while it waited."""


class StoppingError(SfumatoError):
    """The server stops, and the client has to ask again later."""


@dataclass(frozen=True)
class Wish:
    """What a client asks for: ``previews`` full previews a picture, ``key`` its Idempotency-Key.

    ``again``: the client says that it sent this before and has given up on that.
    """

    request: Request
    previews: int = 0
    key: str | None = None
    again: bool = False

    @property
    def digest(self) -> str:
        """The same for the same wish; what is left to chance counts as the same."""
        words = json.dumps([request_json.to_dict(self.request), self.key], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()


class Visit:
    """One client that waits for one job; ``joined``: the job was there before it came.

    ``served`` once the client has its answer; without that it counts as one that hung up.
    """

    def __init__(self, job: Job, joined: bool) -> None:
        self.job, self.joined, self.served = job, joined, False


class Counter:
    """Where the clients of one dialect wait; one for each router.

    ``client`` is the dialect's name in the queue, ``grace`` for how many seconds a job goes on
    without the client that asked for it.
    """

    def __init__(self, services: Services, client: str, grace: float = GRACE) -> None:
        self._jobs, self._library, self._hub = services.jobs, services.library, services.hub
        self._client, self._grace = client, grace
        self._here: dict[Visit, str] = {}  # each with the digest of its wish
        # Those who hung up: each with the digest of its wish and its job, in the order of leaving.
        self._left: OrderedDict[object, tuple[str, str]] = OrderedDict()
        self._tasks: set[asyncio.Future[object]] = set()
        self._begun = time.time()
        self._found: set[str] = set()  # jobs of before, whose clients have come back

    @asynccontextmanager
    async def visit(self, wish: Wish) -> AsyncGenerator[Visit]:
        """Bring a wish to the queue, or come back to the job that it has there.

        Raises RequestError for a wish that the limits forbid, and QueueFull.
        """
        job = await self._back(wish)
        if job is not None:
            visit = Visit(job, joined=True)
        else:
            visit = Visit(*await asyncio.to_thread(self._submit, wish))
        self._here[visit] = wish.digest
        try:
            yield visit
        finally:
            del self._here[visit]
            if not visit.served:
                self._leave(wish.digest, visit.job.id)

    async def ended(self, visit: Visit, http: HttpRequest) -> Job:
        """The job of a visit when it has ended. Raises HungUpError when the client goes first."""
        end = asyncio.ensure_future(self._end(visit.job.id))
        gone = asyncio.ensure_future(_gone(http))
        try:
            await asyncio.wait({end, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise HungUpError("the client went away")
            return end.result()
        finally:
            for task in (end, gone):
                task.cancel()
            await asyncio.gather(end, gone, return_exceptions=True)

    async def serve(self, visit: Visit, http: HttpRequest) -> None:
        """The answer goes out now. Raises HungUpError when nobody is there to have it."""
        if await http.is_disconnected():
            raise HungUpError("the client went away")
        visit.served = True

    async def events(self, id: str, *, steps: bool = True) -> AsyncGenerator[Event]:
        """What happens to a job until it has ended, with its ``steps`` or without.

        Raises StoppingError when the server stops first.
        """
        async with aclosing(self._hub.follow(id, steps=steps)) as events:
            async for event in events:
                yield event
                if isinstance(event, Changed) and event.job.ended:
                    return
        raise StoppingError("the server stops; the job goes on when it is started again")

    def entries(self, job: Job) -> list[Entry]:
        """What the library holds of a job, in the order of its pictures; not for the loop's thread.

        Raises NoSuchPicture for one that was deleted for good meanwhile.
        """
        found = {entry.id: entry for entry in self._library.get_many(job.pictures)}
        return [found.get(id) or self._library.get(id) for id in job.pictures]

    def _submit(self, wish: Wish) -> tuple[Job, bool]:
        key = None if wish.key is None else f"{self._client}:{wish.key}"
        return self._jobs.submit(
            wish.request, client=self._client, previews=wish.previews, idempotency=key
        )

    async def _back(self, wish: Wish) -> Job | None:
        """The job of a client that hung up and asks again; its part in the job is its own again."""
        digest, id = wish.digest, None
        for token, (asked, left) in reversed(self._left.items()):
            if asked == digest:
                del self._left[token]
                id = left
                break
        for visit, asked in self._here.items():
            if id is None and wish.again and asked == digest and not visit.served:
                visit.served = True  # a line that broke, and nobody has noticed here yet
                id = visit.job.id
        if id is None:
            return await self._of_before(wish) if wish.again else None
        job = await asyncio.to_thread(self._jobs.get, id)
        return None if job.state in ("failed", "cancelled") else job

    async def _of_before(self, wish: Wish) -> Job | None:
        """The job of a client whose line was cut because the server was started anew."""
        cut_off = self._jobs.cut_off
        job = await asyncio.to_thread(cut_off, wish.request, self._client, self._begun)
        if job is None or job.id in self._found:
            return None
        self._found.add(job.id)
        return job

    async def _end(self, id: str) -> Job:
        async for event in self.events(id, steps=False):
            if isinstance(event, Changed) and event.job.ended:
                return event.job
        raise AssertionError("unreachable: the events end with the job")

    def _leave(self, digest: str, id: str) -> None:
        token = object()
        self._left[token] = (digest, id)
        loop = asyncio.get_running_loop()
        loop.call_later(self._grace, self._give_up, token)
        loop.call_later(KEPT, self._left.pop, token, None)
        while len(self._left) > _MOST:  # nobody could come back for it: the oldest is over now
            _, (_, oldest) = self._left.popitem(last=False)
            self._begin(_surely(self._jobs.leave, oldest))

    def _give_up(self, token: object) -> None:
        self._begin(self._part(token))

    def _begin(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _part(self, token: object) -> None:
        """Nobody came back in time: no part in the job any more, unless it waits, finished."""
        if token in self._left:
            id = self._left[token][1]
            job = await _surely(self._jobs.get, id)
            if not job.ended and self._left.pop(token, None) is not None:
                await _surely(self._jobs.leave, id)


def faulty(job: Job) -> bool:
    """Whether a job failed by a fault of ours, which its client cannot mend."""
    return job.error == FAULT


async def _surely(ask: Callable[[str], Job], id: str) -> Job:
    """The answer about a job, once the database gives one."""
    while True:
        try:
            return await asyncio.to_thread(ask, id)
        except DatabaseError as error:
            _LOG.warning("cannot give up a part in job %s yet: %s", id, error)
            await asyncio.sleep(AGAIN)


async def _gone(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
