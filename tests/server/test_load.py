"""Many clients at once: two hundred that poll while a picture is painted, and none is forgotten."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from tests.server.conftest import LiveServer
from tests.server.fake import PATIENCE, FakePainter

CLIENTS = 200
POLLS = 3


class Line:
    """One connection of one client, kept open from poll to poll."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, server: LiveServer) -> "Line":
        return cls(*await asyncio.open_connection("127.0.0.1", server.port))

    async def ask(self, path: str, body: object = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n"
        kind = "Content-Type: application/json\r\n\r\n"
        self.writer.write((head + kind).encode() + data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        return status, await self.reader.readexactly(length)

    async def get(self, path: str) -> tuple[int, bytes]:
        await self.ask(path)
        return await self.answer()

    def close(self) -> None:
        self.writer.close()


async def submitted(server: LiveServer, prompt: str) -> str:
    """The id of a new job."""
    line = await Line.to(server)
    await line.ask("/api/jobs", {"request": {"prompt": prompt}})
    status, body = await line.answer()
    line.close()
    assert status == 202, body
    return json.loads(body)["job"]["id"]


async def polling(server: LiveServer, path: str) -> list[int]:
    """The statuses that one client gets for asking some times over one connection."""
    line = await Line.to(server)
    statuses = [(await line.get(path))[0] for _ in range(POLLS)]
    line.close()
    return statuses


def run(test: Callable[[], object], limit: float = 3 * PATIENCE) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), limit)  # type: ignore[arg-type]

    asyncio.run(bounded())


def test_two_hundred_clients_poll_while_a_job_runs(
    live_server: LiveServer, fake_painter: FakePainter
) -> None:
    async def test() -> None:
        fake_painter.hold(2)
        job = await submitted(live_server, "a fox that many wait for")
        await asyncio.to_thread(fake_painter.held)
        paths = ("/sdapi/v1/progress", f"/api/jobs/{job}", "/api/jobs", "/api/about")
        clients = [polling(live_server, paths[i % len(paths)]) for i in range(CLIENTS)]
        statuses = await asyncio.gather(*clients)
        assert statuses == [[200] * POLLS] * CLIENTS
        assert live_server.services.jobs.get(job).state == "running"
        fake_painter.release()

    run(test)
    assert len(fake_painter.submitted) == 1


def test_two_hundred_clients_follow_one_job_to_its_end(
    live_server: LiveServer, fake_painter: FakePainter
) -> None:
    async def followed(job: str, begun: asyncio.Semaphore) -> bytes:
        line = await Line.to(live_server)
        await line.ask(f"/api/jobs/{job}/events")
        said = await line.reader.readuntil(b"event: job")
        begun.release()
        said += await line.reader.read(-1) if b"close" in said else await whole(line)
        line.close()
        return said

    async def whole(line: Line) -> bytes:
        """An answer without a length ends with an empty chunk."""
        return await line.reader.readuntil(b"\r\n0\r\n\r\n")

    async def test() -> None:
        fake_painter.hold(2)
        job = await submitted(live_server, "a fox that many watch")
        await asyncio.to_thread(fake_painter.held)
        begun = asyncio.Semaphore(0)
        clients = [asyncio.create_task(followed(job, begun)) for _ in range(CLIENTS)]
        for _ in clients:
            await begun.acquire()
        assert (await polling(live_server, "/api/about")) == [200] * POLLS
        fake_painter.release()
        for said in await asyncio.gather(*clients):
            assert b'"state":"done"' in said.replace(b'": "', b'":"')
            assert b"event: picture" in said

    run(test)
    assert len(fake_painter.submitted) == 1


def test_clients_that_vanish_in_the_middle_leave_nothing_behind(
    live_server: LiveServer, fake_painter: FakePainter
) -> None:
    async def test() -> None:
        fake_painter.hold(2)
        job = await submitted(live_server, "a fox that nobody waits for")
        await asyncio.to_thread(fake_painter.held)
        for _ in range(50):
            line = await Line.to(live_server)
            await line.ask(f"/api/jobs/{job}/events")
            await line.reader.readuntil(b"event: job")
            line.writer.transport.abort()
        state = live_server.server.server_state
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)
        assert live_server.services.jobs.get(job).state == "running"
        fake_painter.release()
        while live_server.services.jobs.get(job).state != "done":
            await asyncio.sleep(0.01)

    run(test)


def test_the_server_stops_although_clients_still_follow(
    live_server: LiveServer, fake_painter: FakePainter
) -> None:
    async def test() -> None:
        fake_painter.hold(2)
        job = await submitted(live_server, "a fox that goes on at the next start")
        await asyncio.to_thread(fake_painter.held)
        lines = [await Line.to(live_server) for _ in range(10)]
        for line in lines:
            await line.ask(f"/api/jobs/{job}/events")
            await line.reader.readuntil(b"event: job")
        live_server.server.should_exit = True
        for line in lines:
            with suppress(ConnectionError):
                await line.reader.read(-1)  # until the server hangs up
            line.close()
        fake_painter.release()

    run(test)
