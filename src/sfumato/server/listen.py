"""The listening side: uvicorn, with bounds on how long a connection may keep it waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sfumato.server.settings import Limits, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn.server import ServerState

__all__ = ["BACKLOG", "Patient", "Server"]

BACKLOG = 256  # connections that the system holds until they are taken
KEEP_ALIVE = 5  # seconds that a connection may rest between two requests
LAST_WORDS = 1  # seconds that answers under way have when the server stops


@final
class Server(uvicorn.Server):
    """A server of one app.

    ``on_ready`` is called once it listens. ``on_stop`` is called when it was told to stop, in a
    thread of its own, while answers under way still have their last moment.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(_config(app, settings))
        self.on_ready, self.on_stop = on_ready, on_stop

    @property
    def port(self) -> int:
        """The port it listens on, which the system chose if the settings say 0."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """As uvicorn does it; then say so."""
        await super().startup(sockets)
        if not self.should_exit:
            self.on_ready()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """As uvicorn does it, and what else has to stop meanwhile."""
        stopping = asyncio.create_task(asyncio.to_thread(self.on_stop))
        await asyncio.sleep(0)  # so that it begins first
        await super().shutdown(sockets)
        await stopping


@final
class _Config(uvicorn.Config):
    limits: Limits = Limits()


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    config = _Config(
        cast("Any", app),  # uvicorn and starlette each have their own word for an app
        host=settings.host,
        port=settings.port,
        http=Patient,
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,  # an address and a prompt's search words are nobody's business
        log_config=None,
        server_header=False,
        proxy_headers=False,  # what a client says about itself is not believed
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=LAST_WORDS,
        h11_max_incomplete_event_size=settings.limits.header_bytes,
    )
    config.limits = settings.limits
    return config


@final
class Patient(H11Protocol):
    """One connection of uvicorn's, whose patience ends.

    uvicorn waits for ever for a request that has not come whole, and for a client that does not
    read; with a few hundred such connections a server is deaf ("slowloris").
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits if isinstance(config, _Config) else Limits()
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn's own
        """Refuse one connection too many at once; else wait for its first request."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
        else:
            self._mind()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether it was a whole request."""
        super().data_received(data)
        self._mind()

    def on_response_complete(self) -> None:
        """After an answer the next request has its time, whether or not all was read of this."""
        super().on_response_complete()
        self._mind()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        super().connection_lost(exc)
        for timer in (self._waiting, self._stalled):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """The client does not read, or is not there any more."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _mind(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None before the first request
        if answering and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        elif not answering and self._waiting is None and not self.transport.is_closing():
            self._waiting = self.loop.call_later(self._limits.header_seconds, self.transport.abort)
