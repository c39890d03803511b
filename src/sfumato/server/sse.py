"""Server-sent events: what happens in the server, told to a client over one answer that stays open.

The format is that of the HTML standard, chapter 9.2. An event is turned into text once, in a thread
of its own pool, however many clients listen; and not at all when nobody does.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

__all__ = ["BEAT", "END", "EventStream", "Texts", "comment", "message", "stream"]

Event = TypeVar("Event")

# Proxies close a line on which nothing comes for half a minute or so.
BEAT = 15.0
# The id of a stream's last event. A browser comes back with it, and is told that it was the last.
END = "end"
_RETRY_MS = 1000
_RECENT = 32


def message(name: str, data: str, *, id: str | None = None) -> bytes:
    """One event. ``data`` is one line of JSON; ``id`` is what a client that comes back will say."""
    head = "" if id is None else f"id: {id}\n"
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


def comment(text: str) -> bytes:
    """A line that clients skip; it keeps the connection open and finds the ones that are gone."""
    return f": {text}\n\n".encode()


class Texts(Generic[Event]):
    """What each event reads like, made once by ``write`` and kept while it is new.

    ``write`` gives the bytes of an event, empty for one that nobody is to hear of; it is called
    from other threads.
    """

    def __init__(self, write: Callable[[Event], bytes]) -> None:
        self._write = write
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="events")
        # By identity: an event holds pictures, which cannot be hashed. It is kept beside its
        # text, so that no other event can get its identity meanwhile.
        self._recent: OrderedDict[int, tuple[Event, Future[bytes]]] = OrderedDict()
        self._lock = threading.Lock()

    async def of(self, event: Event) -> bytes:
        """The text of an event. One client that goes away does not take it from the others."""
        return await asyncio.shield(asyncio.wrap_future(self._begun(event)))

    def _begun(self, event: Event) -> Future[bytes]:
        with self._lock:
            known = self._recent.get(id(event))
            if known is not None:
                return known[1]
            text = self._pool.submit(self._write, event)
            self._recent[id(event)] = (event, text)
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            return text


async def stream(
    events: AsyncIterator[Event], texts: Texts[Event], *, beat: float = BEAT
) -> AsyncGenerator[bytes]:
    """The bytes of an answer: each event's text in order, and a comment each ``beat`` seconds.

    Ends with ``events``, which it closes, also when the client goes first.
    """
    yield f"retry: {_RETRY_MS}\n\n".encode()
    waiting: asyncio.Future[Event] | None = None
    try:
        while True:
            waiting = asyncio.ensure_future(anext(events)) if waiting is None else waiting
            # `wait` leaves the iterator alone when the time is up; `wait_for` would break it.
            done, _ = await asyncio.wait({waiting}, timeout=beat)
            if not done:
                yield comment("still here")
                continue
            try:
                event = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            if text := await texts.of(event):
                yield text
    finally:
        with CancelScope(shield=True):  # the client may be gone, and this answer called off
            if waiting is not None and waiting.cancel():
                await asyncio.wait({waiting})
            if isinstance(events, AsyncGenerator):
                await events.aclose()


class EventStream(StreamingResponse):
    """An answer of server-sent events, which no proxy may hold back or keep."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[bytes]) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A client that goes while bytes are sent leaves the generator waiting at its yield.
            with CancelScope(shield=True):
                await self._content.aclose()
