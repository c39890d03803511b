"""The time that is left and what previews may cost, by a clock that the test moves."""

from dataclasses import replace
from typing import Any

import pytest

from sfumato.request import Request
from sfumato.server.pace import PREVIEW_SHARE, REMEMBERED, Pace, Speeds

FOX = Request(model="mini", sampler="euler", steps=20, width=64, height=64)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def paint(pace: Pace, clock: Clock, steps: int, *, each: float = 2.0, decode: float = 5.0) -> None:
    """A picture of so many steps, each of ``each`` seconds."""
    pace.begin(FOX)
    for step in range(1, steps + 1):
        clock.now += each + (decode if step == steps else 0.0)
        pace.stepped(last=step == steps)
        clock.now += 0.5  # what is done beside
        pace.resume()


def test_nothing_is_said_before_a_step_was_measured(clock: Clock) -> None:
    pace = Pace(Speeds(), clock)
    pace.begin(FOX)
    assert pace.seconds_left(10, 0, 10) is None
    assert not pace.affords_preview()


def test_what_is_left_is_steps_and_pictures_and_their_decoding(clock: Clock) -> None:
    pace = Pace(Speeds(), clock)
    paint(pace, clock, 4)
    assert pace.seconds_left(0, 0, 4) == 0.0
    assert pace.seconds_left(3, 0, 4) == 3 * 2 + 5
    assert pace.seconds_left(1, 2, 4) == 9 * 2 + 3 * 5
    assert pace.painting == 4 * 2 + 5


def test_the_estimate_follows_a_machine_that_becomes_slower(clock: Clock) -> None:
    pace = Pace(Speeds(), clock)
    paint(pace, clock, 20, each=1.0)
    paint(pace, clock, 20, each=3.0)
    assert pace.seconds_left(10, 0, 20) == pytest.approx(10 * 3 + 5)


def test_one_slow_step_does_not_spoil_the_estimate(clock: Clock) -> None:
    pace = Pace(Speeds(), clock)
    pace.begin(FOX)
    for seconds in (1.0, 60.0, 1.0):
        clock.now += seconds
        pace.stepped(last=False)
        pace.resume()
    assert pace.seconds_left(10, 0, 13) == 10.0


def test_the_next_job_of_its_kind_knows_its_speed_at_once(clock: Clock) -> None:
    speeds = Speeds()
    paint(Pace(speeds, clock), clock, 4)
    pace = Pace(speeds, clock)
    pace.begin(FOX)
    assert pace.seconds_left(4, 0, 4) == 4 * 2 + 5
    other = Pace(speeds, clock)
    other.begin(replace(FOX, width=128))
    assert other.seconds_left(4, 0, 4) is None


@pytest.mark.parametrize(
    ("change", "times"),
    [
        ({}, 1),
        ({"sampler": "heun"}, 2),
        ({"guidance": 1}, 1 / 2),
        ({"pag": 3.0, "pag_layers": (0,)}, 3 / 2),
        ({"pag": 3.0, "pag_layers": (0,), "slg": 2.0, "slg_layers": (1,)}, 4 / 2),
        ({"pag": 3.0, "pag_layers": (0,), "sampler": "heun"}, 3),
        ({"prompt": "a fox AND a hill"}, 3 / 2),
    ],
    ids=str,
)
def test_a_job_that_calls_the_network_more_often_is_known_to_take_longer(
    clock: Clock, change: dict[str, Any], times: float
) -> None:
    speeds = Speeds()
    paint(Pace(speeds, clock), clock, 4)
    pace = Pace(speeds, clock)
    pace.begin(replace(FOX, **change))
    assert pace.seconds_left(4, 0, 4) == pytest.approx(4 * 2 * times + 5)


def test_of_a_job_with_another_refiner_nothing_is_known(clock: Clock) -> None:
    speeds = Speeds()
    paint(Pace(speeds, clock), clock, 4)
    pace = Pace(speeds, clock)
    pace.begin(replace(FOX, refiner="finer"))
    assert pace.seconds_left(4, 0, 4) is None


def test_speeds_forget_the_oldest_kind() -> None:
    speeds = Speeds()
    first = speeds.of(FOX)
    first.call = 1.0
    for seed in range(REMEMBERED):
        speeds.of(Request(model=f"m{seed}"))
    assert speeds.of(FOX).call is None


def test_previews_keep_their_share_of_the_time(clock: Clock) -> None:
    """Whenever one is allowed it is made; after any number of steps they stay below the share."""
    speeds = Speeds()
    paint(Pace(speeds, clock), clock, 3, each=1.0, decode=0.3)
    pace = Pace(speeds, clock)
    pace.begin(FOX)
    made = 0
    for _ in range(100):
        clock.now += 1.0
        pace.stepped(last=False)
        if pace.affords_preview():
            made += 1
            clock.now += 0.3
            pace.previewed(0.3)
        pace.resume()
        assert pace.previewing <= PREVIEW_SHARE * pace.painting
    assert made == int(100 * PREVIEW_SHARE / 0.3)


def test_there_is_no_preview_whose_price_is_unknown(clock: Clock) -> None:
    pace = Pace(Speeds(), clock)
    pace.begin(FOX)
    for _ in range(1000):
        clock.now += 1.0
        pace.stepped(last=False)
        pace.resume()
        assert not pace.affords_preview()


def test_a_preview_that_was_asked_for_is_paid_by_later_ones(clock: Clock) -> None:
    speeds = Speeds()
    paint(Pace(speeds, clock), clock, 3, each=1.0, decode=0.01)
    pace = Pace(speeds, clock)
    pace.begin(FOX)
    clock.now += 10.0
    pace.stepped(last=False)
    assert pace.affords_preview()
    pace.previewed(5.0)
    pace.resume()
    clock.now += 90.0
    pace.stepped(last=False)
    assert not pace.affords_preview()
