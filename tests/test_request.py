"""A Request refuses every wish that cannot be granted, and resolving leaves nothing open."""

import dataclasses
import math
from typing import Any

import pytest

from sfumato.errors import RequestError
from sfumato.request import MAX_SEED, Defaults, Request

DEFAULTS = Defaults(steps=20, guidance=7, sampler="euler", schedule="normal", width=128, height=64)


def resolve(request: Request, *, draw: int = 5) -> Request:
    return request.resolve(
        DEFAULTS,
        model="mini",
        draw_seed=lambda: draw,
        sampler_name=str.lower,
        schedule_name=str.lower,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", b"fox"),
        ("prompt", 1 << 20_000),
        ("prompt", "fox \udcff"),
        ("negative", 3),
        ("seed", -1),
        ("seed", MAX_SEED + 1),
        ("seed", True),
        ("seed", 1.0),
        ("seed", "1"),
        ("seed", 1 << 20_000),
        ("steps", 0),
        ("steps", 1001),
        ("steps", 20.0),
        ("steps", True),
        ("guidance", math.nan),
        ("guidance", math.inf),
        ("guidance", -0.1),
        ("guidance", 100.5),
        ("guidance", "7"),
        ("guidance", False),
        ("guidance", 1 << 20_000),
        ("rescale", math.nan),
        ("rescale", 1.1),
        ("rescale", None),
        ("sampler", ""),
        ("sampler", 3),
        ("schedule", ""),
        ("model", ""),
        ("width", 0),
        ("width", 130),
        ("width", 8200),
        ("width", 64.0),
        ("height", -8),
        ("height", True),
        ("count", 0),
        ("count", 1001),
        ("count", None),
        ("count", True),
        ("wander", 1),
        ("path_seed", 3),  # without wander
        ("stream", "gpu"),
        ("stream", None),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else type(value).__name__,
)
def test_a_bad_value_is_refused_by_its_name(field: str, value: Any):
    with pytest.raises(RequestError) as caught:
        Request(**{field: value})
    message = str(caught.value)
    assert message.startswith(field)
    assert len(message) < 200
    assert "\n" not in message


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": ""},
        {"prompt": "naïve 狐 🦊\nsecond line"},
        {"seed": 0},
        {"seed": MAX_SEED},
        {"steps": 1},
        {"steps": 1000},
        {"guidance": 0},
        {"guidance": 100},
        {"rescale": 1},
        {"width": 8, "height": 8192},
        {"wander": True, "path_seed": 0},
        {"stream": "nv"},
    ],
)
def test_the_ends_of_every_range_are_allowed(values: dict[str, Any]):
    request = Request(**values)
    assert all(getattr(request, name) == value for name, value in values.items())


def test_a_size_off_the_grid_is_told_its_neighbours():
    with pytest.raises(RequestError, match="multiple of 8; the nearest are 504 and 512"):
        Request(width=510)


def test_the_last_seed_of_a_run_must_be_a_seed():
    assert Request(seed=MAX_SEED - 2, count=3).single(2).seed == MAX_SEED
    with pytest.raises(RequestError, match=f"take at most {MAX_SEED - 2}"):
        Request(seed=MAX_SEED - 1, count=3)


def test_a_whole_guidance_equals_the_same_guidance_as_a_float():
    assert Request(guidance=7) == Request(guidance=7.0)
    assert isinstance(Request(guidance=7).guidance, float)


def test_resolving_fills_what_is_open_from_the_defaults():
    request = resolve(Request(prompt="a fox"))
    assert request.resolved
    assert (request.steps, request.guidance) == (20, 7.0)
    assert (request.sampler, request.schedule) == ("euler", "normal")
    assert (request.width, request.height) == (128, 64)
    assert (request.seed, request.path_seed, request.model) == (5, None, "mini")


def test_resolving_keeps_zero_seed_and_zero_guidance():
    request = resolve(Request(seed=0, guidance=0, steps=1))
    assert (request.seed, request.guidance, request.steps) == (0, 0.0, 1)


def test_resolving_normalises_given_names():
    request = resolve(Request(sampler="Heun", schedule="KARRAS"))
    assert (request.sampler, request.schedule) == ("heun", "karras")


def test_resolving_twice_changes_nothing():
    once = resolve(Request(wander=True))
    assert resolve(once, draw=99) == once


def test_a_wander_draws_a_path_of_its_own():
    draws = iter([1, 2])
    request = Request(wander=True).resolve(
        DEFAULTS,
        model="mini",
        draw_seed=lambda: next(draws),
        sampler_name=str,
        schedule_name=str,
    )
    assert (request.seed, request.path_seed) == (1, 2)


def test_a_drawn_seed_leaves_room_for_the_whole_run():
    request = resolve(Request(count=10), draw=MAX_SEED)
    assert request.single(9).seed == MAX_SEED


def test_picture_i_has_seed_plus_i_and_count_one():
    request = resolve(Request(seed=7, wander=True, path_seed=70, count=3))
    single = request.single(2)
    assert (single.seed, single.path_seed, single.count) == (9, 72, 1)
    assert single == dataclasses.replace(request, seed=9, path_seed=72, count=1)
    with pytest.raises(IndexError):
        request.single(3)


def test_a_request_with_anything_open_is_not_resolved():
    assert not Request().resolved
    complete = resolve(Request())
    assert not dataclasses.replace(complete, seed=None).resolved
    assert not dataclasses.replace(complete, wander=True).resolved
