"""Connections that keep a server waiting: each is cut off, and the others are still answered."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sfumato.server.listen import Patient, Server
from sfumato.server.settings import Limits, Settings
from tests.server.fake import PATIENCE

SOON = 0.2  # seconds; short enough to wait for, long enough for a whole request on loopback
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Says hello, or at /flood never ends, or at /slow takes its time."""
    if scope["type"] == "lifespan":
        for part in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{part}.complete"})
        return
    if scope["path"] == "/flood":
        await StreamingResponse(_flood())(scope, receive, send)
    else:
        await PlainTextResponse("hello")(scope, receive, send)


def _flood() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


@contextmanager
def listening(app: ASGIApp, home: Path, **limits: float) -> Generator[Server]:
    settings = Settings(home=home, port=0, limits=replace(Limits(), **limits))
    server = Server(app, settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


def until(true: Callable[[], bool]) -> None:
    """Wait for what must come true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)


def answered(line: socket.socket) -> bool:
    line.sendall(REQUEST)
    said = b""
    while not said.endswith(b"hello") and (more := line.recv(4096)):
        said += more
    return said.endswith(b"hello")


def drip(line: socket.socket, each: bytes) -> None:
    """Send a little, again and again, until the other end has had enough."""
    for _ in range(10_000):
        line.sendall(each)
        time.sleep(0.01)


def hung_up(line: socket.socket) -> bool:
    """Whether the other end closes, after whatever it still says."""
    try:
        while line.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_who_connects_and_says_nothing_is_cut_off(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path, header_seconds=SOON) as server, connected(server) as line:
        assert hung_up(line)
        until(lambda: not server.server_state.connections)


def test_headers_that_drip_are_cut_off_and_do_not_win_time(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path, header_seconds=SOON) as server, connected(server) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with pytest.raises(ConnectionError):
            drip(line, b"X-Drip: 1\r\n")


def test_headers_that_drip_after_an_answer_are_cut_off_too(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path, header_seconds=SOON) as server, connected(server) as line:
        assert answered(line)
        with pytest.raises(ConnectionError):
            drip(line, b"G")


def test_who_asks_again_in_time_keeps_the_connection(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path) as server, connected(server) as line:
        assert all(answered(line) for _ in range(5))
        assert len(server.server_state.connections) == 1


def test_who_does_not_read_is_cut_off(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path, write_seconds=SOON) as server, connected(server) as line:
        line.sendall(REQUEST.replace(b"/ ", b"/flood ", 1))
        until(lambda: len(server.server_state.connections) == 1)
        until(lambda: not server.server_state.connections)
        assert hung_up(line)


class Line(asyncio.Transport):
    """A connection that only tells whether it was aborted."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def test_who_reads_slowly_but_reads_is_not_cut_off(tmp_path: Path) -> None:
    async def run() -> tuple[bool, bool]:
        settings = Settings(home=tmp_path, limits=replace(Limits(), write_seconds=0.02))
        server, line = Server(hello, settings), Line()
        protocol = Patient(server.config, server.server_state, {}, asyncio.get_running_loop())
        protocol.connection_made(line)
        for _ in range(10):
            protocol.pause_writing()
            protocol.resume_writing()
            await asyncio.sleep(0.01)
        reads = line.aborted
        protocol.pause_writing()
        await asyncio.sleep(0.1)
        return reads, line.aborted

    assert asyncio.run(run()) == (False, True)


def test_one_connection_too_many_is_refused_and_the_others_stay(
    tmp_path: Path, loopback: None
) -> None:
    with listening(hello, tmp_path, connections=2) as server:
        with connected(server) as one, connected(server) as two:
            assert answered(one)
            assert answered(two)
            with connected(server) as three:
                assert hung_up(three)
            assert answered(one)
        until(lambda: not server.server_state.connections)
        with connected(server) as four:
            assert answered(four)


def test_headers_that_are_too_long_are_refused(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path, header_bytes=4096) as server, connected(server) as line:
        line.sendall(REQUEST[:-2] + b"X-Long: " + b"x" * 10_000)
        assert b"400" in line.recv(4096)
        assert hung_up(line)


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00",  # TLS
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(tmp_path: Path, loopback: None, words: bytes) -> None:
    with listening(hello, tmp_path, header_seconds=SOON) as server, connected(server) as line:
        line.sendall(words)
        assert line.recv(4096)[:12] in (b"HTTP/1.1 400", b"")
        with connected(server) as other:
            assert answered(other)


def test_a_client_that_vanishes_with_half_a_request_leaves_nothing(
    tmp_path: Path, loopback: None
) -> None:
    with listening(hello, tmp_path) as server:
        for _ in range(20):
            with connected(server) as line:
                line.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        until(lambda: not server.server_state.connections and not server.server_state.tasks)


def test_no_server_says_what_it_is_made_of(tmp_path: Path, loopback: None) -> None:
    with listening(hello, tmp_path) as server, connected(server) as line:
        line.sendall(REQUEST)
        assert b"server:" not in line.recv(4096).lower()


def test_it_says_when_it_listens_and_stops_what_else_runs(tmp_path: Path, loopback: None) -> None:
    told: list[str] = []
    server = Server(
        hello,
        Settings(home=tmp_path, port=0),
        on_ready=lambda: told.append("ready"),
        on_stop=lambda: told.append(f"stop {threading.current_thread() is thread}"),
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    server.should_exit = True
    thread.join(PATIENCE)
    assert told == ["ready", "stop False"]
