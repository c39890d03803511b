"""The queue on both databases: what is accepted stays, is rendered once, and ends as told."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import update

from sfumato.errors import RequestError
from sfumato.limits import MAX_SEED
from sfumato.request import Request
from sfumato.server.database import jobs as table
from sfumato.server.errors import NoSuchInput, NoSuchJob, QueueFull
from sfumato.server.settings import Limits
from sfumato.source import Source
from tests.server.shop import FOX, Shop, shop_in

LIMITS = Limits(queue=3, pixels=64 * 64, steps=20, count=4)
DRAWN = Request(prompt="a red fox")


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Iterator[Shop]:
    with shop_in(tmp_path / "home", database_url, LIMITS) as shop:
        yield shop


# Accepting


def test_an_accepted_job_is_there_for_another_connection_at_once(
    shop: Shop, tmp_path: Path, database_url: str
) -> None:
    job = shop.submit(replace(FOX, count=2))
    if not shop.database.sqlite:  # one server has a PostgreSQL database for itself
        shop.database.close()
    with shop_in(tmp_path / "other", database_url) as other:
        assert other.jobs.get(job.id) == job
    assert (job.state, job.count, job.picture, job.step) == ("queued", 2, 0, 0)


def test_a_missing_seed_is_drawn_when_the_job_is_accepted(shop: Shop) -> None:
    one, other = shop.submit(DRAWN), shop.submit(DRAWN)
    assert one.id != other.id
    assert one.request.seed is not None
    assert one.request.seed != other.request.seed
    wander = shop.submit(replace(DRAWN, wander=True)).request
    assert wander.path_seed is not None


def test_the_biggest_seed_and_odd_words_come_back(shop: Shop) -> None:
    request = Request(prompt="狐 \1 \U0001f98a “x”", negative="\n", seed=MAX_SEED, guidance=7.5)
    assert shop.jobs.get(shop.submit(request).id).request == request


def test_pictures_are_kept_beside_and_only_named_in_the_job(shop: Shop) -> None:
    image = Source.picture(Image.new("RGB", (8, 8), (1, 2, 3)))
    mask = Source.mask(Image.new("L", (8, 8), 255))
    job = shop.submit(replace(FOX, image=image, mask=mask))
    assert job.request == replace(FOX, image=image.reference, mask=mask.reference)
    assert job.request.image is not None
    assert job.request.image.pixels is None
    assert shop.inputs.get(image.sha256).pixels == image.pixels
    again = shop.submit(replace(FOX, image=image.reference, mask=mask.reference))
    assert again.id == job.id


def test_a_reference_to_what_was_never_sent_is_refused(shop: Shop) -> None:
    image = Source.picture(Image.new("RGB", (8, 8)))
    with pytest.raises(NoSuchInput):
        shop.submit(replace(FOX, image=image.reference))
    assert shop.jobs.list() == []


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (replace(FOX, count=5), "count is 5.*at most 4"),
        (replace(FOX, steps=21), "steps is 21.*at most 20"),
        (replace(FOX, width=64, height=72), "width x height is 64x72.*4096 pixels"),
        (replace(FOX, width=32, height=32, upscale=4), "upscale is 4, which makes 128x128.*4096"),
        (replace(FOX, upscale=2, upscaler="/etc/passwd"), "upscaler is '/etc/passwd', but this"),
        (replace(FOX, prompt="(" * 10_001), "prompt has 10001 letters.*at most 10000"),
        (replace(FOX, negative="(" * 10_001), "negative has 10001 letters"),
    ],
)
def test_what_is_beyond_the_limits_is_refused_by_name(
    shop: Shop, request_: Request, name: str
) -> None:
    with pytest.raises(RequestError, match=name):
        shop.submit(request_)
    assert shop.jobs.list() == []


def test_what_is_just_within_the_limits_is_taken(shop: Shop) -> None:
    assert shop.submit(replace(FOX, count=4, steps=20, width=64, height=64)).state == "queued"


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({"priority": 1001}, "priority"),
        ({"priority": -(2**40)}, "priority"),
        ({"previews": -1}, "previews"),
        ({"tags": ("a\0b",)}, "tag"),
        ({"tags": ("",)}, "tag"),
        ({"tags": ("a",) * 33}, "33 tags"),
        ({"idempotency": ""}, "idempotency"),
        ({"idempotency": "x" * 256}, "idempotency"),
        ({"idempotency": "\ud800"}, "idempotency"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_by_name(
    shop: Shop, wish: dict[str, object], name: str
) -> None:
    with pytest.raises(RequestError, match=name):
        shop.jobs.submit(FOX, client="native", **wish)  # type: ignore[arg-type]


def test_a_full_queue_refuses_and_says_when_to_come_again(shop: Shop) -> None:
    for seed in range(3):
        shop.submit(replace(FOX, seed=seed))
    with pytest.raises(QueueFull, match="3 jobs wait") as told:
        shop.submit(replace(FOX, seed=3))
    assert told.value.retry_after == 10.0  # nothing was measured yet
    assert shop.submit(replace(FOX, seed=1)).parties == 2  # joining takes no room
    shop.jobs.claim()
    assert shop.submit(replace(FOX, seed=3)).state == "queued"


def test_when_to_come_again_is_what_a_job_took_of_late(shop: Shop) -> None:
    for seed, seconds in ((0, 30.0), (1, 50.0)):
        job = shop.submit(replace(FOX, seed=seed))
        shop.jobs.claim()
        shop.jobs.painted(job.id, 0, seconds, last=True)
    for seed in range(2, 5):
        shop.submit(replace(FOX, seed=seed))
    with pytest.raises(QueueFull) as told:
        shop.submit(replace(FOX, seed=5))
    assert told.value.retry_after == 40.0


def test_two_threads_cannot_pass_the_limit_together(shop: Shop) -> None:
    def send(seed: int) -> None:
        try:
            shop.submit(replace(FOX, seed=seed))
        except QueueFull:
            refused.append(seed)

    refused: list[int] = []
    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shop.jobs.list()) == 3
    assert len(refused) == 9


# Joining


def test_an_identical_request_in_flight_is_joined(shop: Shop) -> None:
    first, joined = shop.jobs.submit(FOX, client="native", tags=("a",), previews=1)
    assert not joined
    second, joined = shop.jobs.submit(FOX, client="openai", tags=("b", "a"), priority=5)
    assert joined
    assert second.id == first.id
    assert (second.parties, second.priority, second.previews) == (2, 5, 1)
    assert second.tags == ("a", "b")
    shop.jobs.claim()
    assert shop.submit().id == first.id  # and while it runs


def test_many_at_once_make_one_job(shop: Shop) -> None:
    got: list[tuple[str, bool]] = []

    def send() -> None:
        job, joined = shop.jobs.submit(FOX, client="native")
        got.append((job.id, joined))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({identity for identity, _ in got}) == 1
    assert sorted(joined for _, joined in got) == [False] + [True] * 7
    assert shop.jobs.list()[0].parties == 8


@pytest.mark.parametrize(
    "other", [replace(FOX, seed=8), replace(FOX, steps=3), replace(FOX, prompt="a red fox ")]
)
def test_a_request_that_differs_is_not_joined(shop: Shop, other: Request) -> None:
    assert shop.submit().id != shop.submit(other).id


def test_a_job_that_has_ended_is_not_joined(shop: Shop) -> None:
    first = shop.submit()
    shop.jobs.claim()
    shop.jobs.ended(first.id, "done")
    second = shop.submit()
    assert second.id != first.id
    shop.jobs.cancel(second.id)
    assert shop.submit().id != second.id


def test_a_job_that_is_being_cancelled_is_not_joined(shop: Shop) -> None:
    first = shop.submit()
    shop.jobs.claim()
    shop.jobs.cancel(first.id)
    assert shop.jobs.get(first.id).state == "running"
    assert shop.submit().id != first.id


def test_an_idempotency_key_finds_its_job_also_when_it_has_ended(shop: Shop) -> None:
    first, joined = shop.jobs.submit(DRAWN, client="openai", idempotency="k")
    assert not joined
    again, joined = shop.jobs.submit(DRAWN, client="openai", idempotency="k")
    assert (again.id, joined, again.parties) == (first.id, True, 2)
    shop.jobs.claim()
    shop.jobs.ended(first.id, "failed", error="no memory")
    again, joined = shop.jobs.submit(DRAWN, client="openai", idempotency="k")
    assert (again.id, joined, again.error) == (first.id, True, "no memory")


def test_an_idempotency_key_of_a_cancelled_job_begins_anew(shop: Shop) -> None:
    first, _ = shop.jobs.submit(DRAWN, client="openai", idempotency="k")
    shop.jobs.leave(first.id)  # the client was cut off
    again, joined = shop.jobs.submit(DRAWN, client="openai", idempotency="k")
    assert not joined
    assert again.id != first.id
    assert shop.jobs.submit(DRAWN, client="openai", idempotency="k")[0].id == again.id


def test_an_idempotency_key_of_another_request_is_refused(shop: Shop) -> None:
    shop.jobs.submit(DRAWN, client="openai", idempotency="k")
    with pytest.raises(RequestError, match="idempotency key 'k' was used for another"):
        shop.jobs.submit(FOX, client="openai", idempotency="k")


# Cancelling and leaving


def test_a_waiting_job_is_cancelled_at_once(shop: Shop) -> None:
    job = shop.jobs.cancel(shop.submit().id)
    assert job.state == "cancelled"
    assert job.finished is not None
    assert shop.jobs.claim() is None


def test_a_job_that_is_put_back_says_why_until_it_runs_again(shop: Shop) -> None:
    job = shop.submit()
    shop.jobs.claim()
    waiting = shop.jobs.release(job.id, why="no room")
    assert (waiting.state, waiting.error) == ("queued", "no room")
    again = shop.jobs.claim()
    assert again is not None
    assert (again.state, again.error) == ("running", "")


def test_a_job_that_was_cancelled_in_its_last_moment_is_not_put_back(shop: Shop) -> None:
    job = shop.submit()
    shop.jobs.claim()
    shop.jobs.cancel(job.id)
    assert shop.jobs.release(job.id).state == "cancelled"


def test_jobs_come_in_their_order_though_the_clock_is_set_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.submit()
    monkeypatch.setattr("sfumato.server.jobs.time.time", lambda: 1000.0)
    second, third = (shop.submit(replace(FOX, seed=seed)) for seed in (8, 9))
    assert [job.id for job in shop.jobs.list()] == [third.id, second.id, first.id]
    assert [shop.jobs.position(job.id) for job in (first, second, third)] == [0, 1, 2]
    claimed = [shop.jobs.claim() for _ in range(3)]
    assert [job.id for job in claimed if job] == [first.id, second.id, third.id]


def test_a_running_job_is_told_to_end(shop: Shop) -> None:
    job = shop.submit()
    assert not shop.jobs.live.cancelling(job.id)
    shop.jobs.claim()
    assert not shop.jobs.live.cancelling(job.id)
    shop.jobs.cancel(job.id)
    assert shop.jobs.live.cancelling(job.id)
    assert shop.jobs.ended(job.id, "cancelled").state == "cancelled"
    assert not shop.jobs.live.cancelling(job.id)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_a_job_that_has_ended_stays_as_it_is(shop: Shop, state: str) -> None:
    job = shop.submit()
    shop.jobs.claim()
    ended = shop.jobs.ended(job.id, state)  # type: ignore[arg-type]
    assert shop.jobs.cancel(job.id) == ended
    assert shop.jobs.leave(job.id).state == state
    assert shop.jobs.ended(job.id, "failed", error="late").error == ""
    assert shop.jobs.release(job.id).state == state


def test_all_that_run_are_cancelled_together(shop: Shop) -> None:
    running, waiting = shop.submit(), shop.submit(replace(FOX, seed=8))
    shop.jobs.claim()
    assert [job.id for job in shop.jobs.cancel_running()] == [running.id]
    assert shop.jobs.live.cancelling(running.id)
    assert shop.jobs.get(waiting.id).state == "queued"


def test_who_leaves_does_not_take_the_others_picture(shop: Shop) -> None:
    job = shop.submit()
    shop.submit()
    assert shop.jobs.leave(job.id).parties == 1
    assert shop.jobs.get(job.id).state == "queued"
    assert shop.jobs.leave(job.id).state == "cancelled"


def test_the_last_who_leaves_ends_a_running_job(shop: Shop) -> None:
    job = shop.submit()
    shop.jobs.claim()
    shop.submit()
    shop.jobs.leave(job.id)
    assert not shop.jobs.live.cancelling(job.id)
    shop.jobs.leave(job.id)
    assert shop.jobs.live.cancelling(job.id)


def test_cancelling_by_id_asks_no_other_party(shop: Shop) -> None:
    job = shop.submit()
    shop.submit()
    assert shop.jobs.cancel(job.id).state == "cancelled"


# Order


def test_jobs_are_claimed_by_priority_and_then_by_age(shop: Shop) -> None:
    ids = [
        shop.submit(replace(FOX, seed=seed), priority=priority).id
        for seed, priority in ((0, 0), (1, 5), (2, 5))
    ]
    assert [shop.jobs.position(each) for each in ids] == [2, 0, 1]
    claimed = [shop.jobs.claim() for _ in range(4)]
    assert [job.id if job else None for job in claimed] == [ids[1], ids[2], ids[0], None]
    assert shop.jobs.position(ids[0]) == 0


def test_a_clock_that_was_set_back_changes_no_order(shop: Shop) -> None:
    first = shop.submit()
    ahead = f"{int((time.time() + 1e7) * 1000):012x}00000000"
    with shop.database.write() as connection:
        connection.execute(update(table).values(id=ahead, created=time.time() + 1e7))
    second = shop.submit(replace(FOX, seed=8))
    assert first.id < ahead < second.id
    claimed = [shop.jobs.claim(), shop.jobs.claim()]
    assert [job.id for job in claimed if job] == [ahead, second.id]
    ended = shop.jobs.ended(ahead, "done")
    assert ended.state == "done"


def test_a_job_is_claimed_by_one_worker_only(shop: Shop) -> None:
    for seed in range(3):
        shop.submit(replace(FOX, seed=seed))
    claimed: list[str] = []
    gate = threading.Barrier(6)

    def claim() -> None:
        gate.wait()
        while (job := shop.jobs.claim()) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(job.id for job in shop.jobs.list())


def test_jobs_are_listed_newest_first_and_by_page(shop: Shop) -> None:
    ids = [shop.submit(replace(FOX, seed=seed)).id for seed in range(3)]
    assert [job.id for job in shop.jobs.list()] == ids[::-1]
    assert [job.id for job in shop.jobs.list(limit=1, before=ids[2])] == [ids[1]]
    shop.jobs.claim()
    assert [job.id for job in shop.jobs.list(states=("running",))] == [ids[0]]
    assert [job.id for job in shop.jobs.list(states=("queued", "done"))] == [ids[2], ids[1]]


@pytest.mark.parametrize("ask", ["get", "cancel", "leave", "position"])
def test_a_job_that_is_not_there_is_told(shop: Shop, ask: str) -> None:
    with pytest.raises(NoSuchJob, match="no job 'nobody'"):
        getattr(shop.jobs, ask)("nobody")


# Workers


def test_the_step_is_seen_while_a_job_runs(shop: Shop) -> None:
    job = shop.submit(replace(FOX, count=2))
    shop.jobs.claim()
    shop.jobs.live.progressed(job.id, 3, 5)
    seen = shop.jobs.get(job.id)
    assert (seen.state, seen.picture, seen.step, seen.steps) == ("running", 0, 3, 5)
    assert shop.jobs.list()[0].step == 3
    shop.jobs.painted(job.id, 0, 2.5, last=False)
    seen = shop.jobs.get(job.id)
    assert (seen.painted, seen.picture, seen.step, seen.seconds) == (1, 1, 0, 2.5)


def test_what_ran_when_the_server_ended_waits_again(shop: Shop) -> None:
    running, gone = shop.submit(), shop.submit(replace(FOX, seed=8))
    for _ in range(2):
        shop.jobs.claim()
    shop.jobs.cancel(gone.id)
    shop.jobs.recover()
    assert shop.jobs.get(running.id).state == "queued"
    assert shop.jobs.get(gone.id).state == "cancelled"
    assert shop.jobs.in_flight() == {running.id}
    again = shop.jobs.claim()
    assert again is not None
    assert again.id == running.id


def test_every_change_raises_the_revision(shop: Shop) -> None:
    seen = [shop.submit().revision, shop.submit().revision]
    job = shop.jobs.claim()
    assert job is not None
    seen += [job.revision, shop.jobs.painted(job.id, 0, 1.0, last=False).revision]
    seen += [shop.jobs.ended(job.id, "done").revision]
    assert seen == sorted(set(seen))
    assert shop.jobs.cancel(job.id).revision == seen[-1]


def test_waiting_ends_with_news_also_with_such_that_came_before(shop: Shop) -> None:
    ticket = shop.jobs.bell.ticket()
    shop.submit()
    shop.jobs.bell.wait(ticket)  # would hang if it missed what came before
    waiter = threading.Thread(target=shop.jobs.bell.wait, args=(shop.jobs.bell.ticket(),))
    waiter.start()
    shop.jobs.bell.ring()
    waiter.join(20)
    assert not waiter.is_alive()
