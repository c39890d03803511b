"""`sfumato serve`: the page and the HTTP service, from the first line to the last word."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from sfumato.cli.folders import data_folder
from sfumato.cli.loading import unswept
from sfumato.cli.screen import duration, note, say
from sfumato.errors import SfumatoError
from sfumato.server.painter import Painter
from sfumato.server.settings import Settings, SettingsError, is_address
from sfumato.shelves import Shelves

__all__ = ["MakePainter", "Order", "address", "serve", "settings_of"]

# (device, precision, the server's own model as an engine calls it, already loaded)
MakePainter = Callable[[str, str, str], Painter]

PORT = 7860
PORTS = 10  # that are tried, from PORT on, when none was asked for


@dataclass(frozen=True)
class Order:
    """What the user typed, before it is a server; None where nothing was."""

    host: str = "127.0.0.1"
    port: int | None = None
    home: Path | None = None
    model: str = "mini"
    device: str = "auto"
    precision: str = "auto"
    user: str | None = None
    token_file: Path | None = None
    password_file: Path | None = None
    database: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    browse: bool = False


def serve(order: Order, make_painter: MakePainter, places: Shelves) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises SfumatoError for what keeps it from starting."""
    begun = time.perf_counter()
    settings = settings_of(order, places)
    with _terminable(), _listening(order) as line:
        settings = replace(settings, port=line.getsockname()[1])
        _serve(order, settings, line, make_painter, begun)


def settings_of(order: Order, places: Shelves | None = None) -> Settings:
    """The server that was asked for. What is secret comes from the environment or from files.

    An argument would stand in every list of processes and in the shell's history.
    """
    database = order.database
    if database is not None and urlsplit(database).password is not None:
        raise SettingsError(
            "the database's password would stand in every list of processes.\n"
            "Give the URL in SFUMATO_DATABASE, or the password in PGPASSWORD or ~/.pgpass."
        )
    return Settings(
        home=data_folder() if order.home is None else order.home,
        host=order.host.strip("[]"),
        port=PORT if order.port is None else order.port,
        database=database or os.environ.get("SFUMATO_DATABASE") or None,
        model=order.model,
        shelves=Shelves() if places is None else places,
        token=_secret("SFUMATO_TOKEN", order.token_file),
        user=order.user or os.environ.get("SFUMATO_USER") or None,
        password=_secret("SFUMATO_PASSWORD", order.password_file),
        hosts=tuple(name.lower() for name in order.hosts),
        origins=tuple(origin.lower().rstrip("/") for origin in order.origins),
    )


def _serve(
    order: Order,
    settings: Settings,
    line: socket.socket,
    make_painter: MakePainter,
    begun: float,
) -> None:
    with unswept():
        from sfumato.server.app import compose
        from sfumato.server.listen import Server
        from sfumato.server.services import build, running, stop

    trouble: list[SfumatoError] = []
    ready = threading.Event()

    def make() -> Painter:
        """Called in the thread that paints; what cannot be made ends the server."""
        try:
            painter = make_painter(order.device, order.precision, services.shelf.place(None))
        except SfumatoError as error:
            trouble.append(error)
            server.should_exit = True
            raise
        ready.wait()  # the first line is the address
        note(f"{settings.model} is ready, {duration(time.perf_counter() - begun)} after the start")
        return painter

    def on_ready() -> None:
        place = address(settings)
        say(f"sfumato is at {place}   (Ctrl-C ends it)")
        sys.stdout.flush()  # somebody may be waiting for this line at the other end of a pipe
        ready.set()
        if order.browse:
            # In a thread of its own: a browser in the terminal would hold the server up.
            threading.Thread(target=webbrowser.open, args=(place,), daemon=True).start()

    _log_to_stderr()
    services = build(settings, make)
    server = Server(compose(services), settings, on_ready=on_ready, on_stop=lambda: stop(services))
    with running(services):
        try:
            server.run(sockets=[line])
        except KeyboardInterrupt:  # uvicorn hands the signal on once it has stopped
            pass
        finally:
            ready.set()
        left = 0 if trouble else len(services.jobs.list(states=("queued", "running"), limit=1000))
    if trouble:
        raise trouble[0]
    waiting = f"; {left} unfinished {'job goes' if left == 1 else 'jobs go'} on at the next start"
    note(f"stopped{waiting if left else ''}")


@contextmanager
def _listening(order: Order) -> Generator[socket.socket]:
    """The socket that was asked for; or, if no port was, the first free one from 7860 on."""
    ports = range(PORT, PORT + PORTS) if order.port is None else [order.port]
    host = order.host.strip("[]")
    for port in ports:
        try:
            line = _bound("127.0.0.1" if host == "localhost" else host, port)
        except OSError as error:
            if order.port is None and port != ports[-1] and _taken(error):
                continue
            raise SettingsError(_why(error, host, port, order)) from error
        if port != ports[0]:
            note(f"port {ports[0]} is taken (by another sfumato?), so this one has {port}")
        with line:
            yield line
        return


def _bound(host: str, port: int) -> socket.socket:
    from sfumato.server.listen import BACKLOG

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=dual)


def _taken(error: OSError) -> bool:
    return error.errno == errno.EADDRINUSE


def _why(error: OSError, host: str, port: int, order: Order) -> str:
    if _taken(error):
        asked = f"port {port} is" if order.port is not None else f"ports {PORT} to {port} are"
        return f"{asked} taken on {host}; end what uses it, or choose another with --port."
    reason = (error.strerror or str(error)).lower()
    return f"cannot listen on {host}, port {port}: {reason}. Try --host 127.0.0.1."


def address(settings: Settings) -> str:
    """Where a browser on this machine finds it."""
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = settings.hosts[0] if settings.hosts else "127.0.0.1"
    if is_address(host) and ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{settings.port}"


def _secret(variable: str, file: Path | None) -> str | None:
    """The first line of the file, else the variable; None for neither."""
    if file is None:
        return os.environ.get(variable) or None
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(f"{file} cannot be read: {reason}.") from error
    if not lines or not lines[0].strip():
        raise SettingsError(f"{file} is empty; its first line should be the secret.")
    return lines[0].strip()


def _log_to_stderr() -> None:
    """What went wrong, in plain lines; nothing about who asked for what."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
    # What a stranger sends that is not HTTP, and what is cut off at the end, is not worth a line;
    # a fault in a route is logged by the app itself.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: it ends the server as Ctrl-C does."""


@contextmanager
def _terminable() -> Generator[None]:
    """Let SIGTERM end the server as Ctrl-C does; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
