"""What is told to followers: all that matters, in order, from any thread, and within bounds."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from sfumato.server.errors import NoSuchJob
from sfumato.server.events import MAILBOX, Changed, Event, LibraryChanged, Painted, Stepped
from sfumato.server.job import Job, State
from tests.server.shop import FOX, Shop, shop_in


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with shop_in(tmp_path) as shop:
        yield shop


def stepped(job: str, step: int) -> Stepped:
    return Stepped(job, 0, step, 9, 1.0, None, Image.new("RGB", (4, 4), (step, 0, 0)))


def changed(job: Job, state: State, revision: int) -> Changed:
    return Changed(replace(job, state=state, revision=revision))


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    return [await asyncio.wait_for(anext(events), 10) for _ in range(count)]


async def rest(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def test_a_follower_first_gets_the_job_as_it_is(shop: Shop) -> None:
    job = shop.submit()

    async def follow() -> list[Event]:
        async with aclosing(shop.hub.follow(job.id)) as events:
            return await take(events, 1)

    assert asyncio.run(follow()) == [Changed(job)]


def test_a_follower_gets_all_in_order_and_then_the_end(shop: Shop) -> None:
    job = shop.submit()
    sent: list[Event] = [
        changed(job, "running", 1),
        stepped(job.id, 1),
        Painted(job.id, 0, f"{job.id}-0"),
        changed(job, "done", 2),
    ]

    async def follow() -> list[Event]:
        events = shop.hub.follow(job.id)
        first = await take(events, 1)
        for event in sent:
            await asyncio.to_thread(shop.hub.publish, event)
        return first + await asyncio.wait_for(rest(events), 10)

    assert asyncio.run(follow()) == [Changed(job), *sent]
    assert shop.hub.followers(job.id) == 0


def test_a_job_that_has_ended_is_told_once(shop: Shop) -> None:
    job = shop.jobs.cancel(shop.submit().id)

    async def follow() -> list[Event]:
        return await asyncio.wait_for(rest(shop.hub.follow(job.id)), 10)

    assert asyncio.run(follow()) == [Changed(job)]


def test_a_job_that_is_not_there_cannot_be_followed(shop: Shop) -> None:
    async def follow() -> list[Event]:
        return await rest(shop.hub.follow("nobody"))

    with pytest.raises(NoSuchJob):
        asyncio.run(follow())
    assert shop.hub.followers("nobody") == 0


def test_who_comes_in_the_middle_gets_the_latest_step_once(shop: Shop) -> None:
    job = shop.submit()
    step = stepped(job.id, 3)
    shop.hub.publish(step)

    async def follow() -> list[Event]:
        async with aclosing(shop.hub.follow(job.id)) as events:
            first = await take(events, 2)
            shop.hub.publish(stepped(job.id, 4))
            return first + await take(events, 1)

    begun, third, fourth = asyncio.run(follow())
    assert isinstance(begun, Changed)
    assert (begun.job.step, begun.job.steps) == (3, 9)
    assert third is step
    assert isinstance(fourth, Stepped)
    assert fourth.step == 4


def test_news_that_the_first_snapshot_has_are_not_told_again(shop: Shop) -> None:
    """An event that comes while the snapshot is read may be in it already."""
    job = shop.submit()
    shop.jobs.claim()

    async def follow() -> list[Event]:
        events = shop.hub.follow(job.id)
        first = asyncio.ensure_future(anext(events))
        while not shop.hub.followers(job.id):
            await asyncio.sleep(0)
        shop.hub.publish(changed(job, "queued", 0))  # late: the job runs by now
        shop.hub.publish(changed(job, "done", 9))
        return [await first, *await asyncio.wait_for(rest(events), 10)]

    states = [event.job.state for event in asyncio.run(follow()) if isinstance(event, Changed)]
    assert states == ["running", "done"]


def test_the_end_is_never_missed_whenever_one_begins_to_follow(shop: Shop) -> None:
    jobs = [shop.submit(replace(FOX, seed=seed)) for seed in range(40)]

    async def last(identity: str) -> Event:
        return (await asyncio.wait_for(rest(shop.hub.follow(identity)), 20))[-1]

    async def follow_all() -> list[Event]:
        ending = threading.Thread(target=lambda: [shop.jobs.cancel(job.id) for job in jobs])
        ending.start()
        ends = await asyncio.gather(*(last(job.id) for job in jobs))
        await asyncio.to_thread(ending.join)
        return ends

    for end in asyncio.run(follow_all()):
        assert isinstance(end, Changed)
        assert end.job.state == "cancelled"


def test_who_is_slow_misses_steps_and_nothing_else(shop: Shop) -> None:
    one, other = shop.submit(), shop.submit(replace(FOX, seed=8))

    async def follow() -> list[Event]:
        events = shop.hub.everything()
        for step in range(1, 500):
            shop.hub.publish(stepped(one.id, step))
            shop.hub.publish(stepped(other.id, step))
            if step == 250:
                shop.hub.publish(Painted(one.id, 0, f"{one.id}-0"))
        shop.hub.publish(LibraryChanged("a"))
        got = await take(events, 4)
        await events.aclose()  # type: ignore[attr-defined]
        return got

    painted, *last, library = asyncio.run(follow())
    assert painted == Painted(one.id, 0, f"{one.id}-0")
    assert library == LibraryChanged("a")
    assert [(e.job, e.step) for e in last if isinstance(e, Stepped)] == [
        (one.id, 499),
        (other.id, 499),
    ]


def test_a_full_picture_waits_also_for_a_slow_reader(shop: Shop) -> None:
    job = shop.submit()
    shown = {3, 7}

    async def follow() -> list[Event]:
        events = shop.hub.follow(job.id)
        await take(events, 1)
        for step in range(1, 10):
            event = stepped(job.id, step)
            full = event.sketch if step in shown else None
            shop.hub.publish(replace(event, preview=full))
        shop.hub.publish(changed(job, "done", 2))
        return await asyncio.wait_for(rest(events), 10)

    *steps, end = asyncio.run(follow())
    assert [event.step for event in steps if isinstance(event, Stepped)] == [3, 7, 9]
    assert isinstance(end, Changed)


def test_who_never_reads_is_given_up(shop: Shop) -> None:
    async def follow() -> int:
        events = shop.hub.everything()
        for number in range(MAILBOX + 10):
            shop.hub.publish(LibraryChanged(str(number)))
        assert not shop.hub.watched("any")
        return len(await asyncio.wait_for(rest(events), 10))

    assert asyncio.run(follow()) < MAILBOX


def test_everything_is_heard_from_the_call_on(shop: Shop) -> None:
    async def follow() -> list[Event]:
        events = shop.hub.everything()
        shop.submit()
        return await take(events, 1)

    (event,) = asyncio.run(follow())
    assert isinstance(event, Changed)


def test_others_jobs_are_not_told_to_a_follower(shop: Shop) -> None:
    one, other = shop.submit(), shop.submit(replace(FOX, seed=8))

    async def follow() -> list[Event]:
        events = shop.hub.follow(one.id)
        first = await take(events, 1)
        shop.jobs.cancel(other.id)
        shop.jobs.cancel(one.id)
        return first + await asyncio.wait_for(rest(events), 10)

    told = asyncio.run(follow())
    assert {event.job.id for event in told if isinstance(event, Changed)} == {one.id}


def test_who_waits_for_the_end_alone_hears_no_steps_and_does_not_watch(shop: Shop) -> None:
    job = shop.submit()
    shop.jobs.claim()
    shop.hub.publish(stepped(job.id, 1))

    async def wait() -> list[Event]:
        events = shop.hub.follow(job.id, steps=False)
        first = await take(events, 1)
        shop.hub.publish(stepped(job.id, 2))
        shop.hub.publish(Painted(job.id, 0, f"{job.id}-0"))
        assert shop.hub.followers(job.id) == 1
        assert not shop.hub.watched(job.id)
        shop.jobs.ended(job.id, "done")
        return first + await asyncio.wait_for(rest(events), 10)

    begun, painted, end = asyncio.run(wait())
    assert isinstance(begun, Changed)
    assert (begun.job.step, begun.job.steps) == (1, 9)
    assert isinstance(painted, Painted)
    assert isinstance(end, Changed)


def test_two_hundred_followers_all_hear_the_same(shop: Shop) -> None:
    job = shop.submit()

    async def one() -> list[Event]:
        return await rest(shop.hub.follow(job.id))

    async def follow() -> list[list[Event]]:
        readers = [asyncio.ensure_future(one()) for _ in range(200)]
        while shop.hub.followers(job.id) < 200:
            await asyncio.sleep(0.001)
        for step in range(1, 10):
            await asyncio.to_thread(shop.hub.publish, stepped(job.id, step))
        await asyncio.to_thread(shop.jobs.cancel, job.id)
        return await asyncio.wait_for(asyncio.gather(*readers), 20)

    for told in asyncio.run(follow()):
        steps = [event.step for event in told if isinstance(event, Stepped)]
        assert steps == sorted(set(steps))
        assert isinstance(told[-1], Changed)
        assert told[-1].job.state == "cancelled"


def test_a_picture_is_encoded_once_for_all(shop: Shop) -> None:
    step = stepped("a", 1)
    assert step.sketch_png is step.sketch_png
    assert step.preview_png is None
    assert step.sketch_png.startswith(b"\x89PNG")
    full = replace(step, preview=step.sketch)
    assert full.preview_png == step.sketch_png


def test_a_poller_sees_the_latest_step_and_counts_as_watching(shop: Shop) -> None:
    job = shop.submit()
    assert shop.hub.last(job.id, look=False) is None
    assert not shop.hub.watched(job.id)
    assert shop.hub.last(job.id) is None
    assert shop.hub.watched(job.id)
    other = shop.submit(replace(FOX, seed=8))
    assert not shop.hub.watched(other.id)
    shop.hub.publish(stepped(job.id, 1))
    shop.hub.publish(step := stepped(job.id, 2))
    assert shop.hub.last(job.id) is step
    shop.jobs.cancel(job.id)
    assert shop.hub.last(job.id) is None


def test_closing_ends_every_iteration(shop: Shop) -> None:
    job = shop.submit()

    async def follow() -> list[list[Event]]:
        readers = [rest(shop.hub.everything()), rest(shop.hub.follow(job.id))]
        tasks = [asyncio.ensure_future(reader) for reader in readers]
        while not shop.hub.followers(job.id):
            await asyncio.sleep(0)
        await asyncio.to_thread(shop.hub.close)
        return await asyncio.wait_for(asyncio.gather(*tasks), 10)

    assert len(asyncio.run(follow())[1]) <= 1


def test_a_loop_that_is_gone_is_forgotten(shop: Shop) -> None:
    async def leave() -> AsyncIterator[Event]:
        return shop.hub.everything()

    events = asyncio.run(leave())
    shop.hub.publish(LibraryChanged("a"))
    shop.hub.publish(LibraryChanged("b"))
    assert not shop.hub.watched("any")
    del events
