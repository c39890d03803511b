"""The worker: the pictures it makes, whatever it survives, and how little it makes twice."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from sfumato.errors import RequestError, SfumatoError
from sfumato.request import Request
from sfumato.server.errors import DatabaseError, NoSuchPicture, NotFound
from sfumato.server.events import Changed, Event, Painted, Stepped
from sfumato.server.home import Home, picture_id
from sfumato.server.job import Job
from sfumato.server.settings import Limits
from sfumato.server.steps import Steps
from sfumato.server.worker import FAULT, HINDERED
from sfumato.source import Source
from tests.server.fake import DEFAULTS, PATIENCE, FakePainter
from tests.server.shop import FOX, Shop, shop_in

OWL = Request(prompt="an owl", seed=11, steps=6)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with shop_in(tmp_path / "home") as shop:
        yield shop


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Shop]:
    """Another server, in which nothing ever goes wrong."""
    with shop_in(tmp_path / "alone") as shop:
        yield shop


def expected(alone: Shop, *requests: Request) -> list[list[bytes]]:
    """The pixels of these requests, one after the other and without trouble."""
    with alone.working():
        return [alone.pixels(alone.ended(alone.submit(each).id)) for each in requests]


def follow(shop: Shop, job: Job) -> list[Event]:
    """All events of a job until its end; the painter is released once somebody follows."""

    async def read() -> list[Event]:
        told: list[Event] = []
        async for event in shop.hub.follow(job.id):
            told.append(event)
            shop.painter.release()
        return told

    return asyncio.run(asyncio.wait_for(read(), 20))


# Painting


def test_a_job_becomes_pictures_in_the_library(shop: Shop) -> None:
    with shop.working():
        job = shop.ended(shop.submit(replace(FOX, count=3)).id)
    assert (job.state, job.painted, job.error) == ("done", 3, "")
    assert job.pictures == tuple(picture_id(job.id, number) for number in range(3))
    entries = [shop.library.get(identity) for identity in job.pictures]
    assert [entry.seed for entry in entries] == [7, 8, 9]
    assert [entry.number for entry in entries] == [0, 1, 2]
    assert [entry.recipe.index for entry in entries if entry.recipe] == [0, 1, 2]
    assert job.started is not None
    assert job.finished is not None
    assert job.created <= job.started <= job.finished
    assert job.seconds > 0
    assert list(shop.home.steps.iterdir()) == []


def test_each_picture_of_a_job_is_that_of_its_seed_alone(shop: Shop, alone: Shop) -> None:
    with shop.working():
        job = shop.ended(shop.submit(replace(FOX, count=3)).id)
    singles = expected(alone, FOX, replace(FOX, seed=8), replace(FOX, seed=9))
    assert shop.pixels(job) == [pixels for (pixels,) in singles]


def test_tags_come_into_the_library_also_those_of_who_joined(shop: Shop) -> None:
    shop.painter.hold(2)
    with shop.working():
        job = shop.jobs.submit(FOX, client="native", tags=("red",))[0]
        shop.painter.held()
        shop.jobs.submit(FOX, client="native", tags=("blue",))
        shop.painter.release()
        ended = shop.ended(job.id)
    assert set(shop.library.get(ended.pictures[0]).tags) == {"red", "blue"}


def test_identical_requests_in_flight_are_painted_once(shop: Shop) -> None:
    shop.painter.hold(2)
    with shop.working():
        jobs = [shop.submit()]
        shop.painter.held()
        jobs += [shop.submit() for _ in range(3)]
        shop.painter.release()
        shop.ended(jobs[0].id)
    assert len({job.id for job in jobs}) == 1
    assert len(shop.painter.submitted) == 1
    assert shop.library.search().total == 1


def test_followers_are_told_of_steps_pictures_and_the_end(shop: Shop) -> None:
    shop.painter.hold(2)
    job = shop.submit(replace(FOX, count=2, steps=4))
    with shop.working():
        shop.painter.held()
        told = follow(shop, job)
    steps = [(e.picture, e.step, e.steps) for e in told if isinstance(e, Stepped)]
    assert set(steps) <= {(p, s, 4) for p in (0, 1) for s in (1, 2, 3, 4)}
    assert steps == sorted(steps)
    assert [e.id for e in told if isinstance(e, Painted)] == [f"{job.id}-0", f"{job.id}-1"]
    states = [e.job.state for e in told if isinstance(e, Changed)]
    assert states[0] == "running"
    assert states[-1] == "done"
    assert isinstance(told[-1], Changed)


def test_a_step_has_a_sketch_of_what_it_made(shop: Shop) -> None:
    shop.painter.hold(3)
    job = shop.submit(replace(FOX, width=64, height=32))
    with shop.working():
        shop.painter.held()
        last = shop.hub.last(job.id)
        shop.painter.release()
        shop.ended(job.id)
    assert last is not None
    assert (last.step, last.sketch.size) == (2, (8, 4))
    assert last.seconds_left is not None
    assert last.seconds_left >= 0


def test_what_the_model_decides_is_held_to_the_limits_too(tmp_path: Path) -> None:
    limits = Limits(steps=DEFAULTS.steps - 1)
    with shop_in(tmp_path, limits=limits) as shop, shop.working():
        job = shop.ended(shop.submit().id)
        assert job.state == "failed"
        assert job.error == "steps is 5, but this server takes at most 4."
        assert shop.painter.steps == 0


def test_a_picture_to_start_from_reaches_the_painter_with_its_pixels(shop: Shop) -> None:
    image = Source.picture(Image.new("RGB", (8, 8), (9, 8, 7)))
    with shop.working():
        job = shop.ended(shop.submit(replace(FOX, image=image)).id)
    assert job.state == "done"
    (given,) = shop.painter.submitted
    assert given.image is not None
    assert given.image.pixels == image.pixels


# Cancelling, stopping, going on


def test_a_cancelled_job_stops_within_one_step(shop: Shop) -> None:
    shop.painter.hold(3)
    with shop.working():
        job = shop.submit(OWL)
        shop.painter.held()
        shop.jobs.cancel(job.id)
        shop.painter.release()
        ended = shop.ended(job.id)
    assert ended.state == "cancelled"
    assert ended.pictures == ()
    assert shop.painter.steps == 3
    assert list(shop.home.steps.iterdir()) == []


def test_a_picture_that_is_skipped_is_nowhere_and_the_job_goes_on(shop: Shop, alone: Shop) -> None:
    shop.painter.hold(3)
    with shop.working():
        job = shop.submit(replace(OWL, count=3))
        shop.painter.held()
        shop.jobs.skip(job.id)
        shop.painter.release()
        ended = shop.ended(job.id)
        assert shop.jobs.skip(job.id).state == "done"  # too late, and nothing happens
    assert (ended.state, ended.painted) == ("done", 3)
    assert ended.pictures == (f"{job.id}-1", f"{job.id}-2")
    assert shop.painter.steps == 3 + 6 + 6
    others = expected(alone, replace(OWL, seed=12), replace(OWL, seed=13))
    assert shop.pixels(ended) == [pixels for (pixels,) in others]


def test_pictures_finished_before_a_cancel_stay(shop: Shop) -> None:
    with shop.working():
        shop.painter.hold(2)
        job = shop.submit(replace(OWL, count=2))
        shop.painter.held()
        shop.painter.release_to(1)
        shop.painter.held()  # before the first step of the second picture
        shop.jobs.cancel(job.id)
        shop.painter.release()
        ended = shop.ended(job.id)
    assert ended.state == "cancelled"
    assert ended.pictures == (f"{job.id}-0",)


@pytest.mark.parametrize("step", [1, 2, 4, 6])
def test_a_stopped_job_goes_on_from_its_last_step_to_the_same_picture(
    shop: Shop, alone: Shop, step: int
) -> None:
    between = shop.stopped_at(step, OWL)
    assert shop.painter.steps == step
    assert between.state == ("queued" if step < 6 else "done")
    with shop.working():
        ended = shop.ended(between.id)
    assert shop.painter.steps == 6
    assert shop.painter.resumed == ([0, step] if step < 6 else [0])
    assert shop.pixels(ended) == expected(alone, OWL)[0]
    assert shop.frames(ended.pictures[0]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_quick_steps_are_kept_now_and_then_and_a_kill_ends_in_the_same_picture(
    shop: Shop, alone: Shop
) -> None:
    """The steps since the last that was kept are made again."""
    shop.painter.fail(5, SystemExit())  # what no worker survives
    owl = shop.submit(OWL)
    with shop.working(beside=3600.0) as worker:
        assert worker._thread is not None
        worker._thread.join(PATIENCE)
        assert shop.painter.steps == 5
    assert shop.jobs.get(owl.id).state == "running"
    shop.jobs.recover()
    with shop.working(beside=3600.0):
        ended = shop.ended(owl.id)
    assert shop.painter.resumed == [0, 1]
    assert shop.pixels(ended) == expected(alone, OWL)[0]
    assert shop.frames(ended.pictures[0]) == [1, 2, 3, 4, 5, 6]


def test_who_stops_a_server_loses_no_step_of_it_however_quick(shop: Shop, alone: Shop) -> None:
    between = shop.stopped_at(4, OWL, beside=3600.0)
    with shop.working():
        ended = shop.ended(between.id)
    assert shop.painter.resumed == [0, 4]
    assert shop.pixels(ended) == expected(alone, OWL)[0]


def test_a_more_urgent_job_in_between_changes_nothing(shop: Shop, alone: Shop) -> None:
    """One job is left in its middle, another is painted, the first goes on."""
    owl = shop.stopped_at(3, OWL)
    fox = shop.submit(priority=5)
    with shop.working():
        ended = [shop.ended(owl.id), shop.ended(fox.id)]
    assert [request.prompt for request in shop.painter.submitted] == [
        "an owl",
        "a red fox",
        "an owl",
    ]
    assert [shop.pixels(job) for job in ended] == expected(alone, OWL, FOX)


def test_two_workers_interleaved_paint_what_one_paints(shop: Shop, alone: Shop) -> None:
    painters = [FakePainter(), FakePainter()]
    with ExitStack() as stack:
        for painter in painters:
            painter.hold(2)
            stack.callback(painter.release)
        jobs = [shop.submit(replace(FOX, count=2)), shop.submit(OWL)]
        for painter in painters:
            stack.enter_context(shop.working(lambda painter=painter: painter))
        for painter in painters:
            painter.held()
        assert {shop.jobs.get(job.id).state for job in jobs} == {"running"}
        for painter in painters:
            painter.release()
        ended = [shop.ended(job.id) for job in jobs]
    assert [shop.pixels(job) for job in ended] == expected(alone, replace(FOX, count=2), OWL)


def test_a_step_that_was_cut_goes_on_from_the_one_before(shop: Shop, alone: Shop) -> None:
    job = shop.stopped_at(3, OWL)
    file = shop.home.step(job.id) / "state-1"
    file.write_bytes(file.read_bytes()[:-3])
    with shop.working():
        ended = shop.ended(job.id)
    assert shop.painter.resumed == [0, 2]
    assert shop.pixels(ended) == expected(alone, OWL)[0]
    assert shop.frames(ended.pictures[0]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-3], lambda data: b"", lambda data: data[:-1] + b"?", lambda data: b"x"],
)
def test_a_damaged_step_is_painted_anew_to_the_same_picture(
    shop: Shop, alone: Shop, damage: object
) -> None:
    job = shop.stopped_at(3, OWL)
    for file in shop.home.step(job.id).glob("state-*"):
        file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with shop.working():
        ended = shop.ended(job.id)
    assert shop.painter.resumed == [0, 0]
    assert shop.pixels(ended) == expected(alone, OWL)[0]
    assert shop.frames(ended.pictures[0]) == [1, 2, 3, 4, 5, 6]


def test_a_step_that_the_painter_cannot_read_is_painted_anew(shop: Shop, alone: Shop) -> None:
    job = shop.stopped_at(3, OWL)
    Steps(shop.home, job.id).save(0, 3, b"a state of another version")
    with shop.working():
        ended = shop.ended(job.id)
    assert shop.painter.resumed == [0, 0]
    assert shop.pixels(ended) == expected(alone, OWL)[0]


def test_a_picture_that_is_in_the_library_already_is_not_painted_again(shop: Shop) -> None:
    """As after a kill between the picture's row and the job's."""
    job = shop.submit()
    (picture,) = shop.painter.submit(FOX).result().pictures
    shop.library.add(picture, id=f"{job.id}-0", job=job.id, number=0)
    steps = shop.painter.steps
    with shop.working():
        ended = shop.ended(job.id)
    assert (ended.state, ended.painted) == ("done", 1)
    assert ended.pictures == (f"{job.id}-0",)
    assert shop.painter.steps == steps


def test_a_picture_and_its_job_are_one_transaction(shop: Shop) -> None:
    """Nobody sees a picture whose job has not come to it, or a job without its picture."""
    seen: list[tuple[bool, int]] = []
    database, write = shop.database, shop.database.write

    @contextmanager
    def looking(**options: bool) -> Iterator[Connection]:
        with write(**options) as connection:
            yield connection
        if there := shop.jobs.list():
            (job,) = there
            seen.append((shop.library.has(f"{job.id}-0"), job.painted))

    database.write = looking  # type: ignore[method-assign]
    with shop.working():
        shop.ended(shop.submit().id)
    assert (True, 1) in seen
    assert set(seen) == {(False, 0), (True, 1)}


def test_thumbnails_are_made_when_there_is_nothing_else_to_do(shop: Shop) -> None:
    with shop.working():
        (picture,) = shop.ended(shop.submit().id).pictures
        thumb, end = shop.home.thumb(picture), time.monotonic() + PATIENCE
        while not thumb.exists():
            assert time.monotonic() < end, "it is never made"
            time.sleep(0.005)
        shop.painter.hold(2)
        first = shop.submit(replace(FOX, count=2))
        shop.painter.held()
        shop.painter.pass_on()
        shop.painter.held()  # the first of two is finished, the second on its way
        assert not shop.home.thumb(f"{first.id}-0").exists()


def test_a_picture_is_made_larger_and_told_once(shop: Shop) -> None:
    """The last step is told again after each tile; it is one step, with one frame."""
    with shop.working():
        job = shop.ended(shop.submit(replace(OWL, upscale=2)).id)
    assert (job.state, job.painted) == ("done", 1)
    (picture,) = job.pictures
    entry = shop.library.get(picture)
    assert (entry.width, entry.height) == (2 * (DEFAULTS.width or 0), 2 * (DEFAULTS.height or 0))
    assert shop.frames(picture) == [1, 2, 3, 4, 5, 6]


def test_it_is_cancelled_between_two_tiles(shop: Shop) -> None:
    shop.painter.hold(8)  # its second tile
    with shop.working():
        job = shop.submit(replace(OWL, upscale=2))
        shop.painter.held()
        shop.jobs.cancel(job.id)
        shop.painter.release()
        assert shop.ended(job.id).state == "cancelled"
    assert shop.painter.steps == 8
    assert not shop.library.has(f"{job.id}-0")


def test_it_is_stopped_between_two_tiles_and_ends_in_the_same_picture(
    shop: Shop, alone: Shop
) -> None:
    larger = replace(OWL, upscale=2)
    job = shop.stopped_at(8, larger)
    assert (job.state, job.painted) == ("queued", 0)
    with shop.working():
        ended = shop.ended(job.id)
    assert shop.painter.resumed == [0, 5]  # after the last step whose state is kept
    assert shop.pixels(ended) == expected(alone, larger)[0]


# Failing


def test_what_cannot_be_painted_fails_with_its_message(shop: Shop) -> None:
    shop.painter.fail(2, RequestError("The memory is not enough. Take a smaller size."))
    with shop.working():
        job = shop.ended(shop.submit().id)
        assert (job.state, job.error) == (
            "failed",
            "The memory is not enough. Take a smaller size.",
        )
        assert shop.ended(shop.submit(OWL).id).state == "done"


def test_a_fault_of_ours_goes_to_the_log_and_the_worker_lives_on(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.painter.fail(2, ZeroDivisionError("secret details"))
    with shop.working():
        job = shop.ended(shop.submit().id)
        assert (job.state, job.error) == ("failed", FAULT)
        assert "ZeroDivisionError: secret details" in caplog.text
        assert shop.ended(shop.submit(OWL).id).state == "done"


def test_a_disk_that_is_full_keeps_the_job_waiting_until_there_is_room(
    shop: Shop, alone: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sfumato.server.worker.AGAIN_SECONDS", 0.01)
    with shop.working():
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            job = shop.until(shop.submit(OWL).id, lambda job: bool(job.error))
            assert (job.state, job.error) == ("queued", HINDERED)
            assert str(shop.home.folder) not in job.error  # clients see it
            assert job.pictures == ()
            assert [path for path in shop.home.pictures.rglob("*") if path.is_file()] == []
            steps = shop.painter.steps
            time.sleep(0.1)
            assert shop.painter.steps == steps, "it painted on, for nothing"
        ended = shop.ended(job.id)
    assert (ended.state, ended.error) == ("done", "")
    assert shop.painter.resumed == [0, 5]
    assert shop.pixels(ended) == expected(alone, OWL)[0]
    assert list(shop.home.folder.glob(".probe*")) == []


def test_who_cancels_a_job_that_waits_for_room_has_his_will(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.server.home.ROOM", 2**80)
    monkeypatch.setattr("sfumato.server.worker.AGAIN_SECONDS", 0.01)
    shop.painter.fail(2, DatabaseError("The server closed the connection."))
    with shop.working():
        job = shop.until(shop.submit().id, lambda job: bool(job.error))
        assert shop.jobs.cancel(job.id).state == "cancelled"


def test_a_database_that_cannot_be_written_for_a_while_is_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, refused = shop.jobs.ended, threading.Event()

    def once(*args: object, **named: object) -> Job:
        if not refused.is_set():
            refused.set()
            raise OperationalError("UPDATE", {}, Exception("database or disk is full"))
        return ended(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.jobs, "ended", once)
    monkeypatch.setattr("sfumato.server.worker.AGAIN_SECONDS", 0.01)
    shop.painter.fail(1, RequestError("no memory"))
    with shop.working():
        assert shop.ended(shop.submit().id).error == "no memory"
    assert refused.is_set()


def test_a_queue_that_cannot_be_read_for_a_while_is_looked_at_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, refused = shop.jobs.claim, threading.Event()

    def once() -> Job | None:
        if not refused.is_set():
            refused.set()
            raise OperationalError("SELECT", {}, Exception("disk I/O error"))
        return claim()

    monkeypatch.setattr(shop.jobs, "claim", once)
    monkeypatch.setattr("sfumato.server.worker.AGAIN_SECONDS", 0.01)
    job = shop.submit()
    with shop.working():
        assert shop.ended(job.id).state == "done"


def test_a_job_that_the_database_fails_goes_on_and_does_not_say_where_it_lies(
    shop: Shop, alone: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.painter.fail(3, DatabaseError("Cannot use the database postgresql://me@box/pictures."))
    told: list[str] = []
    release = shop.jobs.release

    def note(id: str, *, why: str) -> Job:
        told.append(why)
        return release(id, why=why)

    shop.jobs.release = note  # type: ignore[method-assign]
    with shop.working():
        job = shop.ended(shop.submit(OWL).id)
    assert (job.state, told) == ("done", [HINDERED])
    assert shop.painter.resumed == [0, 2]
    assert shop.pixels(job) == expected(alone, OWL)[0]
    assert "me@box" in caplog.text


def test_a_model_that_does_not_load_fails_the_jobs_and_is_tried_again(shop: Shop) -> None:
    broken = True

    def make() -> FakePainter:
        if broken:
            raise SfumatoError("The bundled model is not there.")
        return shop.painter

    with shop.working(make) as worker:
        job = shop.ended(shop.submit().id)
        assert (job.state, job.error) == ("failed", "The bundled model is not there.")
        assert not worker.ready
        assert worker.state.error == "The bundled model is not there."
        broken = False
        assert shop.ended(shop.submit(OWL).id).state == "done"
        assert worker.ready
        assert (worker.state.device, worker.state.precision) == ("cpu", "fp32")


# Previews


def test_previews_that_are_asked_for_are_made_at_even_steps(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    monkeypatch.setattr(shop.hub, "publish", told.append)
    with shop.working():
        shop.ended(shop.submit(replace(FOX, steps=8), previews=3).id)
    seen = [e.step for e in told if isinstance(e, Stepped) and e.preview is not None]
    assert seen == [2, 4, 6]
    assert shop.painter.previews == 3


def test_of_quick_steps_that_nobody_watches_one_is_shown_now_and_then(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    monkeypatch.setattr(shop.hub, "publish", told.append)
    with shop.working(beside=3600.0):
        shop.ended(shop.submit(replace(FOX, steps=8), previews=1).id)
        shop.hub.last(job := shop.submit(replace(FOX, steps=8)).id)  # this one is watched
        shop.ended(job)
    seen = [(event.job == job, event.step) for event in told if isinstance(event, Stepped)]
    assert seen == [(False, 1), (False, 4), *((True, step) for step in range(1, 9))]


def test_nobody_watches_so_there_is_no_preview(shop: Shop) -> None:
    with shop.working():
        for seed in range(3):
            shop.ended(shop.submit(replace(FOX, seed=seed)).id)
    assert shop.painter.previews == 0


def test_more_previews_than_steps_are_one_for_each_step(shop: Shop) -> None:
    with shop.working():
        shop.ended(shop.submit(replace(FOX, steps=4), previews=50).id)
    assert shop.painter.previews == 3  # after the last step there is the picture itself


# Looking at the steps afterwards


def test_the_steps_of_a_picture_can_be_developed(shop: Shop) -> None:
    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        assert worker.frames(identity) == 6
        first = worker.develop(identity, 1)
        assert first.size == (32, 24)
        pixels = {worker.develop(identity, step).tobytes() for step in range(1, 7)}
        assert len(pixels) == 6
        (final,) = shop.pixels(shop.jobs.list()[0])
        assert worker.develop(identity, 6).tobytes() == final


def test_a_developed_step_is_kept(shop: Shop) -> None:
    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        data = worker.frame(identity, 2)
        assert data[:4] + data[8:12] == b"RIFFWEBP"
        assert worker.frame(identity, 2) == data
        assert shop.painter.developed == 1


def test_a_developed_step_is_shown_also_where_there_is_no_room_to_keep_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        monkeypatch.setattr("sfumato.server.worker.replaced", full)
        assert worker.frame(identity, 2)[:4] == b"RIFF"
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("step", [0, 7, -1, 10**30])
def test_a_step_that_was_not_kept_is_told(shop: Shop, step: int) -> None:
    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        for ask in (worker.develop, worker.frame):
            with pytest.raises(NoSuchPicture, match="no step"):
                ask(identity, step)


@pytest.mark.parametrize("name", ["../x", "A", "", "0" * 20 + "-0"])
def test_no_name_opens_another_file(shop: Shop, name: str) -> None:
    with shop.working() as worker, pytest.raises(NotFound):
        worker.frame(name, 1)


def test_a_step_is_developed_between_two_steps_of_its_model(shop: Shop) -> None:
    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        shop.painter.hold(2)
        job = shop.submit(replace(OWL, seed=12))
        shop.painter.held()
        image = shop.asked(worker, identity)
        shop.painter.release_to(4)
        assert image.result(20).size == (32, 24)
        assert shop.jobs.get(job.id).state == "running"
        shop.painter.release()
        assert shop.ended(job.id).state == "done"


def test_a_step_of_another_model_waits_for_the_job_to_end(shop: Shop) -> None:
    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        shop.painter.hold(2)
        job = shop.submit(replace(OWL, model="other.safetensors"))
        shop.painter.held()
        image = shop.asked(worker, identity)
        shop.painter.release_to(5)
        shop.painter.held()
        assert not image.done()
        shop.painter.release()
        assert image.result(20).size == (32, 24)
        assert shop.ended(job.id).state == "done"


def test_a_worker_that_stops_gives_up_who_waits_for_a_step(shop: Shop) -> None:
    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        shop.painter.hold(2)
        shop.submit(replace(OWL, model="other.safetensors"))
        shop.painter.held()
        image = shop.asked(worker, identity)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        while not worker._stopping.is_set():
            pass
        shop.painter.release()
        stopping.join(20)
        with pytest.raises(SfumatoError, match="stopping"):
            image.result(20)
        with pytest.raises(SfumatoError, match="stopping"):
            worker.develop(identity, 1)


def test_a_painter_that_cannot_develop_tells_why(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: Request, estimate: bytes) -> NoReturn:
        raise SfumatoError("The model of this picture is gone.")

    with shop.working() as worker:
        (identity,) = shop.ended(shop.submit(OWL).id).pictures
        with monkeypatch.context() as patched:
            patched.setattr(shop.painter, "develop", refuse)
            with pytest.raises(SfumatoError, match="is gone"):
                worker.develop(identity, 1)
        assert worker.develop(identity, 1).size == (32, 24)


def test_starting_sweeps_what_a_kill_left(shop: Shop, tmp_path: Path) -> None:
    Steps(Home(tmp_path / "home"), "0123").save(0, 1, b"of a job that has ended")
    with shop.working():
        shop.ended(shop.submit().id)
    assert list(shop.home.steps.iterdir()) == []
