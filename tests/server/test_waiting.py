"""Clients that wait, hang up and come back: a job is painted once, and stops when nobody cares."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request as HttpRequest
from starlette.types import Message

from sfumato.request import Request
from sfumato.server.errors import DatabaseError
from sfumato.server.job import Job
from sfumato.server.services import Services
from sfumato.server.waiting import Counter, HungUpError, StoppingError, Wish, faulty
from sfumato.server.worker import FAULT
from tests.server.fake import PATIENCE, FakePainter

WISH = Wish(Request("a fox", width=32, height=24, steps=5))
Line = Callable[[], Awaitable[Message]]


def http(line: Line) -> HttpRequest:
    return HttpRequest({"type": "http", "method": "POST", "headers": []}, line)


async def silent() -> Message:
    """The line of a client that waits."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def gone() -> Message:
    """The line of a client that has hung up."""
    return {"type": "http.disconnect"}


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


async def served(counter: Counter, wish: Wish) -> Any:
    async with counter.visit(wish) as visit:
        job = await counter.ended(visit, http(silent))
        visit.served = True
    return job


async def hung_up(counter: Counter, wish: Wish) -> str:
    """A client that asks and goes at once; the id of its job."""
    async with counter.visit(wish) as visit:
        with pytest.raises(HungUpError):
            await counter.ended(visit, http(gone))
    return visit.job.id


def test_who_waits_gets_the_job_when_it_has_ended(services: Services) -> None:
    job = asyncio.run(served(Counter(services, "test"), WISH))
    assert (job.state, job.client, len(job.pictures)) == ("done", "test", 1)


def test_two_equal_wishes_are_two_jobs_while_chance_has_a_part(services: Services) -> None:
    async def both() -> list[Any]:
        counter = Counter(services, "test")
        return await asyncio.gather(served(counter, WISH), served(counter, WISH))

    first, second = asyncio.run(both())
    assert first.id != second.id


def test_who_comes_back_finds_the_same_job(services: Services, fake_painter: FakePainter) -> None:
    fake_painter.hold(2)

    async def back() -> tuple[str, Any]:
        counter = Counter(services, "test")
        left = await hung_up(counter, WISH)
        asyncio.get_running_loop().call_later(0.05, fake_painter.release)
        return left, await served(counter, WISH)

    left, job = asyncio.run(back())
    assert (job.id, job.state, job.parties) == (left, "done", 1)


def test_who_comes_back_after_a_restart_finds_the_job_that_was_in_flight(
    services: Services, fake_painter: FakePainter
) -> None:
    """Once: a second one who asks the same wants a picture of his own, and so does a newcomer."""
    fake_painter.hold(2)
    before, _ = services.jobs.submit(WISH.request, client="test")
    fake_painter.held()
    again = replace(WISH, again=True)

    async def back() -> list[Any]:
        counter = Counter(services, "test")  # of the server that was started anew
        asyncio.get_running_loop().call_later(0.05, fake_painter.release)
        return [await served(counter, each) for each in (WISH, again, again)]

    newcomer, found, second = asyncio.run(back())
    assert (found.id, found.state, found.parties) == (before.id, "done", 1)
    assert len({newcomer.id, before.id, second.id}) == 3


def test_what_was_over_before_the_restart_is_not_found(services: Services) -> None:
    asyncio.run(served(Counter(services, "test"), WISH))
    later = Counter(services, "test")
    other = Counter(services, "other")
    jobs = {asyncio.run(served(each, replace(WISH, again=True))).id for each in (later, other)}
    assert len(jobs | {job.id for job in services.jobs.list()}) == 3


def test_another_wish_does_not_find_it(services: Services, fake_painter: FakePainter) -> None:
    async def another() -> tuple[str, Any]:
        counter = Counter(services, "test")
        left = await hung_up(counter, WISH)
        return left, await served(counter, Wish(replace(WISH.request, prompt="a bear")))

    left, job = asyncio.run(another())
    assert job.id != left


def test_a_finished_job_waits_for_its_client_and_only_once(services: Services) -> None:
    async def late() -> tuple[str, Any, Any]:
        counter = Counter(services, "test")
        left = await hung_up(counter, WISH)
        await until(lambda: services.jobs.get(left).state == "done")
        return left, await served(counter, WISH), await served(counter, WISH)

    left, first, second = asyncio.run(late())
    assert first.id == left
    assert second.id != left


def test_it_waits_also_when_all_patience_is_over(services: Services) -> None:
    async def late() -> tuple[str, Any]:
        counter = Counter(services, "test", grace=0.05)
        async with counter.visit(WISH) as visit:
            await counter.ended(visit, http(silent))  # the answer is made, and never arrives
        await asyncio.sleep(0.2)
        return visit.job.id, await served(counter, WISH)

    left, job = asyncio.run(late())
    assert job.id == left


def test_a_job_is_cancelled_when_nobody_comes_back(
    services: Services, fake_painter: FakePainter
) -> None:
    fake_painter.hold(2)

    async def left() -> str:
        id = await hung_up(Counter(services, "test", grace=0.01), WISH)
        await until(lambda: services.jobs.get(id).parties == 0)
        fake_painter.release()
        await until(lambda: services.jobs.get(id).ended)
        return id

    assert services.jobs.get(asyncio.run(left())).state == "cancelled"


def test_a_cancelled_job_is_nothing_to_come_back_to(
    services: Services, fake_painter: FakePainter
) -> None:
    fake_painter.hold(2)

    async def again() -> tuple[str, Any]:
        counter = Counter(services, "test")
        left = await hung_up(counter, WISH)
        services.jobs.cancel(left)
        fake_painter.release()
        await until(lambda: services.jobs.get(left).ended)
        return left, await served(counter, WISH)

    left, job = asyncio.run(again())
    assert (job.id != left, job.state) == (True, "done")


def test_who_says_that_he_asks_again_takes_his_place_back_from_a_dead_line(
    services: Services, fake_painter: FakePainter
) -> None:
    fake_painter.hold(2)

    async def again() -> tuple[Any, Any]:
        counter = Counter(services, "test")
        async with counter.visit(WISH) as dead:  # the line is broken, and nothing tells of it
            waiting = asyncio.ensure_future(counter.ended(dead, http(silent)))
            second = asyncio.ensure_future(served(counter, replace(WISH, again=True)))
            await asyncio.to_thread(fake_painter.held)
            fake_painter.release()
            return await waiting, await second

    first, second = asyncio.run(again())
    assert first.id == second.id
    assert (second.state, second.parties) == ("done", 1)


def test_where_more_hang_up_than_can_come_back_the_oldest_is_painted_for_nobody_no_more(
    services: Services, fake_painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.server.waiting._MOST", 2)
    fake_painter.hold(1)

    async def leave() -> list[str]:
        counter = Counter(services, "test", grace=3600.0)
        wishes = [Wish(replace(WISH.request, seed=seed)) for seed in range(4)]
        ids = [await hung_up(counter, wish) for wish in wishes]
        await until(lambda: not counter._tasks)
        return ids

    ids = asyncio.run(leave())
    fake_painter.release()
    stay = [services.jobs.get(id).parties for id in ids]
    assert stay == [0, 0, 1, 1]


def test_a_part_is_given_up_also_where_the_database_was_away(
    services: Services, fake_painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave, refused = services.jobs.leave, list[str]()

    def away_once(id: str) -> Job:
        if not refused:
            refused.append(id)
            raise DatabaseError("The server closed the connection.")
        return leave(id)

    monkeypatch.setattr(services.jobs, "leave", away_once)
    monkeypatch.setattr("sfumato.server.waiting.AGAIN", 0.0)
    fake_painter.hold(1)

    async def give_up() -> str:
        counter = Counter(services, "test", grace=0.0)
        id = await hung_up(counter, WISH)
        await until(lambda: services.jobs.get(id).parties == 0)
        return id

    assert refused == [asyncio.run(give_up())]
    fake_painter.release()


def test_a_part_given_up_is_given_up_once(services: Services, fake_painter: FakePainter) -> None:
    fake_painter.hold(2)
    seeded = Wish(replace(WISH.request, seed=7))

    async def two() -> Any:
        hasty = Counter(services, "test", grace=0.01)
        first = asyncio.ensure_future(served(hasty, seeded))
        await until(lambda: bool(services.jobs.list()))
        id = await hung_up(hasty, seeded)  # joins the first: two parties
        await until(lambda: services.jobs.get(id).parties == 1)
        await asyncio.sleep(0.05)
        assert services.jobs.get(id).parties == 1
        fake_painter.release()
        return await first

    assert asyncio.run(two()).state == "done"


def test_a_server_that_stops_says_so(services: Services, fake_painter: FakePainter) -> None:
    fake_painter.hold(2)

    async def stopped() -> None:
        counter = Counter(services, "test")
        async with counter.visit(WISH) as visit:
            waiting = asyncio.ensure_future(counter.ended(visit, http(silent)))
            await until(lambda: services.hub.followers(visit.job.id) == 1)
            services.hub.close()
            await waiting

    with pytest.raises(StoppingError, match="goes on"):
        asyncio.run(stopped())


def test_a_fault_is_told_from_a_failure(services: Services) -> None:
    job, _ = services.jobs.submit(WISH.request, client="test")
    assert not faulty(job)
    assert faulty(replace(job, state="failed", error=FAULT))
