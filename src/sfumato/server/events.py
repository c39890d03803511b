"""What happens while jobs run, told to everybody who follows: from any thread to any event loop."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cached_property

from PIL.Image import Image

from sfumato.server.database import Database
from sfumato.server.job import Job, read_job

__all__ = ["Changed", "Event", "Hub", "LibraryChanged", "Painted", "Stepped"]

MAILBOX = 1000  # events that may wait for one reader, before he is given up
POLLED_SECONDS = 10.0  # so long after the last look a poller counts as somebody who watches


@dataclass(frozen=True)
class Changed:
    """A job came into another state, or got another party."""

    job: Job


@dataclass(frozen=True)
class Stepped:
    """A step was made. ``picture`` counts from 0, ``step`` from 1; ``seconds_left`` is the job's.

    ``sketch`` has one pixel for each element of the latent; ``preview`` is of full size, where one
    was made. The files of both are encoded when the first reader asks, once for all readers.
    """

    job: str
    picture: int
    step: int
    steps: int
    sigma: float
    seconds_left: float | None
    sketch: Image
    preview: Image | None = None

    @cached_property
    def sketch_png(self) -> bytes:
        """The sketch as a PNG file."""
        return _png(self.sketch)

    @cached_property
    def preview_png(self) -> bytes | None:
        """The preview as a PNG file, where there is one."""
        return None if self.preview is None else _png(self.preview)


@dataclass(frozen=True)
class Painted:
    """A job's picture is finished, and in the library as ``id``."""

    job: str
    picture: int
    id: str


@dataclass(frozen=True)
class LibraryChanged:
    """A picture of the library came, went, or was marked."""

    id: str


Event = Changed | Stepped | Painted | LibraryChanged


@dataclass(frozen=True)
class _Interest:
    """What a reader is told of: one job or, without one, everything; with its steps or without."""

    job: str | None
    steps: bool = True

    def covers(self, event: Event) -> bool:
        if self.job is not None and self.job != _job_of(event):
            return False
        return self.steps or not isinstance(event, Stepped)

    def sees(self, job_id: str) -> bool:
        return self.steps and self.job in (None, job_id)


class Hub:
    """Passes events on. A reader who is slow misses steps, and never anything else.

    Who is `MAILBOX` events behind is given up: his iteration ends, and he may come again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._readers: dict[_Mailbox, _Interest] = {}
        self._last: dict[str, Stepped] = {}
        self._polled: dict[str, float] = {}
        self._closed = False

    def publish(self, event: Event) -> None:
        """Tells all who follow; from any thread, and without waiting for any of them."""
        with self._lock:
            if isinstance(event, Stepped):
                self._last[event.job] = event
            elif isinstance(event, Changed) and event.job.ended:
                self._last.pop(event.job.id, None)
                self._polled.pop(event.job.id, None)
            told = [who for who, interest in self._readers.items() if interest.covers(event)]
            for reader in told:
                if not reader.put(event):
                    del self._readers[reader]

    async def follow(self, job_id: str, *, steps: bool = True) -> AsyncGenerator[Event]:
        """The events of one job: first a Changed of now, at the end the Changed of its end.

        Who waits for the end alone leaves the ``steps`` out, and does not count as watching: for
        him nothing is sketched and nothing previewed. Raises NoSuchJob. Whoever stops before the
        end closes the iterator (`aclosing`).
        """
        reader = self._enter(_Interest(job_id, steps))
        try:
            # Whatever happens from here on is in the mailbox; some of it is in `job` already.
            job = await asyncio.to_thread(read_job, self._database, job_id)
            with self._lock:  # who publishes puts it there and into the mailbox together
                last = self._last.get(job_id)
            known, revision = frozenset(job.pictures), job.revision
            yield Changed(job if last is None else job.at(last.step, last.steps))
            if job.ended:
                return
            if last is not None and steps:
                yield last
            async for event in reader.events():
                if isinstance(event, Changed):
                    if event.job.revision <= revision:
                        continue
                    revision = event.job.revision
                if event is last or (isinstance(event, Painted) and event.id in known):
                    continue
                yield event
                if isinstance(event, Changed) and event.job.ended:
                    return
        finally:
            self._leave(reader)

    def everything(self) -> AsyncGenerator[Event]:
        """All events from this call on, of all jobs and of the library."""
        return self._read(self._enter(_Interest(None)))

    def last(self, job_id: str, *, look: bool = True) -> Stepped | None:
        """The latest step of a job that runs, for those who poll.

        Counts as watching it, unless only its numbers are wanted and not a ``look`` at it.
        """
        with self._lock:
            if look:
                self._polled[job_id] = time.monotonic()
            return self._last.get(job_id)

    def followers(self, job_id: str) -> int:
        """How many follow this job at the moment."""
        with self._lock:
            return sum(interest.job == job_id for interest in self._readers.values())

    def watched(self, job_id: str) -> bool:
        """Whether anybody would see a preview of this job."""
        with self._lock:
            polled = self._polled.get(job_id)
            if polled is not None and time.monotonic() - polled < POLLED_SECONDS:
                return True
            return any(interest.sees(job_id) for interest in self._readers.values())

    def close(self) -> None:
        """Ends every iteration, now and from now on: the server stops."""
        with self._lock:
            self._closed = True
            for reader in self._readers:
                reader.end()

    async def _read(self, reader: _Mailbox) -> AsyncGenerator[Event]:
        try:
            async for event in reader.events():
                yield event
        finally:
            self._leave(reader)

    def _enter(self, interest: _Interest) -> _Mailbox:
        reader = _Mailbox(asyncio.get_running_loop())
        with self._lock:
            self._readers[reader] = interest
            if self._closed:
                reader.end()
        return reader

    def _leave(self, reader: _Mailbox) -> None:
        with self._lock:
            self._readers.pop(reader, None)


class _Mailbox:
    """What waits for one reader. Of each job only the latest step waits; the rest is all kept.

    A step with a full picture waits until it is read: it may have been asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: dict[int, Event] = {}  # in the order of their coming
        self._steps: dict[str, int] = {}  # which of them is the step of a job
        self._next = 0
        self._ended = False
        self._woken = False
        self._wake = asyncio.Event()

    def put(self, event: Event) -> bool:
        """Keeps the event until it is read; False once the reader is given up."""
        with self._lock:
            if self._ended:
                return False
            if isinstance(event, Stepped):
                before = self._waiting.get(self._steps.get(event.job, -1))
                if isinstance(before, Stepped) and before.preview is None:
                    del self._waiting[self._steps[event.job]]
                self._steps[event.job] = self._next
            self._waiting[self._next] = event
            self._next += 1
            self._ended = len(self._waiting) > MAILBOX or self._loop.is_closed()
            self._call()
            return True

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._call()

    async def events(self) -> AsyncGenerator[Event]:
        while True:
            await self._wake.wait()
            self._wake.clear()
            with self._lock:
                self._woken = False
            while (event := self._take()) is not None:
                yield event
            if self._ended:
                return

    def _take(self) -> Event | None:
        """The oldest; for a reader who is given up, none."""
        with self._lock:
            if self._ended or not self._waiting:
                return None
            number = next(iter(self._waiting))
            event = self._waiting.pop(number)
            if isinstance(event, Stepped) and self._steps[event.job] == number:
                del self._steps[event.job]
            return event

    def _call(self) -> None:
        """Wakes the reader, unless he was called and has not come yet."""
        if not self._woken and not self._loop.is_closed():
            self._woken = True
            self._loop.call_soon_threadsafe(self._wake.set)


def _job_of(event: Event) -> str | None:
    match event:
        case Changed(job):
            return job.id
        case Stepped() | Painted():
            return event.job
        case LibraryChanged():
            return None


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # for the wire, not for keeping
    return buffer.getvalue()
