"""Server-sent events: their format, their beat, their end, and that each is written once."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import httpx2
import pytest

from sfumato.server.events import Painted
from sfumato.server.native.events import writer
from sfumato.server.services import Services
from sfumato.server.sse import EventStream, Texts, comment, message, stream
from tests.server.conftest import LiveServer
from tests.server.fake import PATIENCE, FakePainter


async def told(*events: object) -> AsyncGenerator[object]:
    for event in events:
        yield event


def plain(event: object) -> bytes:
    return message("say", json.dumps(event))


async def collected(chunks: AsyncGenerator[bytes]) -> list[bytes]:
    return [chunk async for chunk in chunks]


def test_an_event_has_the_lines_of_the_standard() -> None:
    assert message("job", '{"a": 1}') == b'event: job\ndata: {"a": 1}\n\n'
    assert message("job", "{}", id="end") == b"id: end\nevent: job\ndata: {}\n\n"
    assert comment("still here") == b": still here\n\n"


def test_a_stream_tells_all_events_in_order_and_ends() -> None:
    chunks = asyncio.run(collected(stream(told(1, 2, 3), Texts(plain))))
    assert chunks[0].startswith(b"retry: ")
    assert chunks[1:] == [plain(1), plain(2), plain(3)]


def test_an_event_that_nobody_is_to_hear_of_is_left_out() -> None:
    texts = Texts[object](lambda event: b"" if event == 2 else plain(event))
    chunks = asyncio.run(collected(stream(told(1, 2, 3), texts)))
    assert chunks[1:] == [plain(1), plain(3)]


def test_a_silent_stream_beats_and_misses_nothing() -> None:
    async def run() -> list[bytes]:
        speak = asyncio.Event()

        async def slow() -> AsyncGenerator[object]:
            await speak.wait()
            yield "at last"

        chunks: list[bytes] = []
        async for chunk in stream(slow(), Texts(plain), beat=0.001):
            chunks.append(chunk)
            if chunks.count(comment("still here")) == 3:
                speak.set()
        return chunks

    chunks = asyncio.run(run())
    assert chunks.count(comment("still here")) >= 3
    assert chunks[-1] == plain("at last")


def test_an_event_is_written_once_for_all_who_listen() -> None:
    writings: list[object] = []
    lock = threading.Lock()

    def write(event: object) -> bytes:
        with lock:
            writings.append(event)
        return plain(event)

    async def run() -> list[list[bytes]]:
        texts = Texts[object](write)
        # Equal, and yet two events: only the same one is the same.
        events = [["a"], ["a"], ["b"]]
        many = (collected(stream(told(*events), texts)) for _ in range(200))
        return await asyncio.gather(*many)

    heard = asyncio.run(run())
    assert len(heard) == 200
    assert all(chunks == heard[0] for chunks in heard)
    assert sorted(map(str, writings)) == ["['a']", "['a']", "['b']"]


def test_nothing_is_written_when_nobody_listens() -> None:
    writings: list[object] = []
    chunks = stream(told(1), Texts[object](lambda event: writings.append(event) or b""))
    asyncio.run(chunks.aclose())
    assert writings == []


def test_one_who_goes_does_not_take_the_text_from_the_others() -> None:
    begun, go = threading.Event(), threading.Event()

    def write(event: object) -> bytes:
        begun.set()
        assert go.wait(PATIENCE)
        return plain(event)

    async def run() -> bytes:
        texts, event = Texts[object](write), ["x"]
        first = asyncio.ensure_future(texts.of(event))
        second = asyncio.ensure_future(texts.of(event))
        await asyncio.to_thread(begun.wait, PATIENCE)
        first.cancel()
        await asyncio.wait({first})
        go.set()
        return await second

    assert asyncio.run(run()) == plain(["x"])


def test_old_texts_are_forgotten() -> None:
    writings: list[object] = []

    async def run() -> None:
        texts = Texts[object](lambda event: writings.append(event) or b"")
        events = [[number] for number in range(100)]
        for event in [*events, events[0]]:
            await texts.of(event)

    asyncio.run(run())
    assert len(writings) == 101


class Watched:
    """Events that never come, and whether they were closed."""

    closed = False

    async def events(self) -> AsyncGenerator[object]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # closing may have to wait itself
            self.closed = True


def test_closing_a_stream_closes_its_events() -> None:
    async def run(watched: Watched) -> None:
        async with aclosing(stream(watched.events(), Texts(plain), beat=0.001)) as chunks:
            async for chunk in chunks:
                if chunk == comment("still here"):
                    break

    watched = Watched()
    asyncio.run(run(watched))
    assert watched.closed


@pytest.mark.parametrize("stuck", [True, False], ids=["while it sends", "while it waits"])
def test_a_client_that_goes_closes_the_events(stuck: bool) -> None:
    """It goes when the first event is sent, which may never be taken."""

    async def run(watched: Watched) -> None:
        gone = asyncio.Event()

        async def send(sent: dict[str, object]) -> None:
            if sent.get("body") == plain("first"):
                gone.set()
                if stuck:
                    await asyncio.Event().wait()

        async def receive() -> dict[str, str]:
            await gone.wait()
            return {"type": "http.disconnect"}

        answer = EventStream(stream(watched.events(), Texts(plain)))
        scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}
        with anyio.fail_after(PATIENCE):
            await answer(scope, receive, send)

    watched = Watched()
    asyncio.run(run(watched))
    assert watched.closed


def test_two_hundred_clients_follow_one_job_to_its_end(
    live_server: LiveServer, fake_painter: FakePainter
) -> None:
    """Each hears the start, each picture and the end; half of them go early and disturb nobody."""
    fake_painter.hold(2)

    async def follow(client: httpx2.AsyncClient, id: str, leaves: bool) -> list[str]:
        heard: list[str] = []
        async with client.stream("GET", f"/api/jobs/{id}/events") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    heard.append(line.removeprefix("event: "))
                    if len(heard) == 1:
                        arrived.append(id)
                    if leaves:
                        break
        return heard

    arrived: list[str] = []

    async def run() -> list[list[str]]:
        limits = httpx2.Limits(max_connections=250)
        async with httpx2.AsyncClient(
            base_url=live_server.url, limits=limits, timeout=3 * PATIENCE
        ) as client:
            wanted = {"request": {"prompt": "x", "steps": 5, "count": 2}}
            job = (await client.post("/api/jobs", json=wanted)).json()["job"]
            await asyncio.to_thread(fake_painter.held)
            tasks = [
                asyncio.ensure_future(follow(client, job["id"], leaves=i % 2 == 1))
                for i in range(200)
            ]
            with anyio.fail_after(3 * PATIENCE):
                while len(arrived) < 200:
                    await asyncio.sleep(0.01)
                fake_painter.release()
                return await asyncio.gather(*tasks)

    heard = asyncio.run(run())
    stayed = heard[::2]
    assert all(names[0] == names[-1] == "job" for names in stayed)
    assert {names.count("picture") for names in stayed} == {2}
    assert {len(names) for names in heard[1::2]} == {1}


def test_everything_is_heard_in_one_stream(
    live_server: LiveServer, fake_painter: FakePainter
) -> None:
    """First the jobs in flight as they are, then what happens, of jobs and of the library."""
    fake_painter.hold(1)

    async def run() -> list[tuple[str, dict[str, object]]]:
        heard: list[tuple[str, dict[str, object]]] = []
        async with httpx2.AsyncClient(base_url=live_server.url, timeout=PATIENCE) as client:
            for seed in (1, 2):
                await client.post("/api/jobs", json={"request": {"seed": seed}})
            await asyncio.to_thread(fake_painter.held)
            name = ""
            async with client.stream("GET", "/api/events") as answer:
                async for line in answer.aiter_lines():
                    kind, _, rest = line.partition(": ")
                    name = rest if kind == "event" else name
                    if kind == "data":
                        heard.append((name, json.loads(rest)))
                        if len(heard) == 2:
                            fake_painter.release()
                        if sum(data.get("state") == "done" for _, data in heard) == 2:
                            return heard
        return heard

    heard = asyncio.run(run())
    assert [(name, data["state"]) for name, data in heard[:2]] in (
        [("job", "running"), ("job", "queued")],
        [("job", "queued"), ("job", "running")],
    )
    names = {name for name, _ in heard}
    assert names == {"job", "step", "picture", "library"}
    steps = [data for name, data in heard if name == "step"]
    jobs = {data["id"] for name, data in heard if name == "job"}
    assert {step["job"] for step in steps} == jobs


def test_a_server_that_stops_ends_every_stream(live_server: LiveServer) -> None:
    async def run() -> bytes:
        async with (
            httpx2.AsyncClient(base_url=live_server.url, timeout=PATIENCE) as client,
            client.stream("GET", "/api/events") as answer,
        ):
            heard = b""
            async for part in answer.aiter_bytes():
                heard += part
                live_server.services.hub.close()
            return heard

    assert asyncio.run(run()).startswith(b"retry: ")


def test_an_event_about_a_picture_that_is_gone_says_nothing(services: Services) -> None:
    assert writer(services)(Painted(job="0" * 20, picture=0, id="0" * 20 + "-0")) == b""
