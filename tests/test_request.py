"""A Request refuses every wish that cannot be granted, and resolving leaves nothing open."""

import dataclasses
import math
from typing import Any

import pytest
from PIL import Image

from sfumato.errors import RequestError
from sfumato.limits import MAX_SEED
from sfumato.request import Request
from sfumato.resolve import Defaults, resolve
from sfumato.source import Source

DEFAULTS = Defaults(steps=20, guidance=7, sampler="euler", schedule="normal", width=128, height=64)


def resolved(request: Request, *, draw: int = 5, defaults: Defaults = DEFAULTS) -> Request:
    return resolve(
        request,
        defaults,
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
        ("variation_seed", 3),  # without a strength
        ("variation_strength", 1.01),
        ("variation_strength", -0.1),
        ("variation_strength", math.nan),
        ("variation_strength", "0.2"),
        ("seed_width", 64),  # without a height
        ("seed_height", 64),
        ("seed_width", 63),
        ("stream", "gpu"),
        ("interval", (1.0,)),
        ("interval", (2.0, 1.0)),
        ("interval", "1,2"),
        ("interval", (-1.0, 2.0)),
        ("guidance_rule", "pag"),
        ("pag", -1),
        ("pag", 101),
        ("pag_layers", (1,)),  # without pag
        ("slg_layers", (1,)),
        ("slg_during", (0.1, 0.3)),
        ("threshold", "clip"),
        ("mimic_scale", 5.0),  # without the threshold
        ("mimic_quantile", 0.9),
        ("imagen_quantile", 0.9),
        ("imagen_limit", 2.0),
        ("apg_along", 0.5),  # without the rule
        ("apg_longest", 1),
        ("zero_steps", 2),
        ("sigmas", ()),
        ("sigmas", (0.0,)),
        ("sigmas", (1.0, 2.0)),
        ("sigmas", (1.0, 0.0, 0.0)),
        ("sigmas", (math.nan,)),
        ("sigmas", 3.0),
        ("like", "invoke"),
        ("like", None),
        ("step_noise", "new"),
        ("sde_noise", "tree"),
        ("first_noise", "big"),
        ("whole_times", 1),
        ("discard_penultimate", "yes"),
        ("strength_steps", "most"),
        ("weighting", "A1111"),
        ("rounding", "up"),
        ("clip_skip", 0),
        ("clip_skip", 13),
        ("clip_skip", 2.0),
        ("clip_skip", True),
        ("clip_skip", None),
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
        {"variation_strength": 0, "variation_seed": MAX_SEED},
        {"variation_strength": 1, "variation_seed": 0},
        {"seed_width": 8, "seed_height": 8192},
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
    request = resolved(Request(prompt="a fox"))
    assert request.resolved
    assert (request.steps, request.guidance) == (20, 7.0)
    assert (request.sampler, request.schedule) == ("euler", "normal")
    assert (request.width, request.height) == (128, 64)
    assert (request.seed, request.path_seed, request.model) == (5, None, "mini")


def test_resolving_keeps_zero_seed_and_zero_guidance():
    request = resolved(Request(seed=0, guidance=0, steps=1))
    assert (request.seed, request.guidance, request.steps) == (0, 0.0, 1)


def test_resolving_fills_the_numerics_as_the_tool_has_them_under_the_sampler():
    request = resolved(Request(like="comfy", sampler="unipc", rounding="round"))
    assert (request.like, request.rounding) == ("comfy", "round")
    assert (request.stream, request.step_noise, request.sde_noise) == ("cpu", "own", "brownian")
    assert (request.first_noise, request.strength_steps) == ("variance", "all")
    assert (request.whole_times, request.discard_penultimate) == (True, True)
    assert resolved(Request(like="comfy", sampler="euler")).discard_penultimate is False
    assert resolved(Request(like="comfy", whole_times=False)).whole_times is False


def test_what_followed_from_a_changed_field_is_open_again():
    once = resolved(Request(like="comfy", sampler="unipc", stream="nv"))
    other = once.changed({"like": "diffusers"})
    assert other.stream is None
    assert resolved(other) == resolved(Request(like="diffusers", sampler="unipc"))
    other = resolved(once.changed({"sampler": "euler"}))
    assert (other.stream, other.whole_times, other.discard_penultimate) == ("nv", True, False)
    kept = dataclasses.replace(once, discard_penultimate=False).changed({"sampler": "euler"})
    assert kept.discard_penultimate is False
    assert once.changed({"like": "a1111", "stream": "cpu"}).stream == "cpu"
    wandering = resolved(Request(wander=True))
    assert wandering.changed({"wander": True}).path_seed is None
    assert wandering.changed({"wander": True, "path_seed": 3}).path_seed == 3


def test_own_levels_say_how_many_steps_there_are():
    request = Request(sigmas=[14.6, 3, 1, 0])
    assert (request.sigmas, request.steps) == ((14.6, 3.0, 1.0), 3)
    settled = resolved(request)
    assert settled.resolved
    assert (settled.schedule, settled.steps, settled.discard_penultimate) == (None, 3, False)
    assert resolved(Request(like="comfy", sampler="unipc", sigmas=[2, 1])).resolved
    for other, word in (
        ({"steps": 4}, "steps is 4, but sigmas are 2 steps"),
        ({"schedule": "karras"}, "schedule has no effect beside sigmas"),
        ({"discard_penultimate": True}, "discard_penultimate has no effect beside sigmas"),
        ({"image": PHOTO, "strength": 0.5, "like": "comfy"}, "the last of more steps than sigmas"),
    ):
        with pytest.raises(RequestError, match=word):
            Request(sigmas=(2.0, 1.0), **other)


def test_a_schedule_takes_the_place_of_own_levels_and_the_other_way_round():
    own = resolved(Request(sigmas=(2.0, 1.0)))
    assert resolved(own.changed({"schedule": "karras"})).steps == 20
    assert resolved(own.changed({"steps": 5})).schedule == "normal"
    assert resolved(Request()).changed({"sigmas": (2.0, 1.0)}).steps == 2
    apg = Request(guidance_rule="apg", apg_along=0.5)
    assert apg.changed({"guidance_rule": "cfg"}).apg_along == 0


def test_a_step_more_than_the_most_cannot_be_planned():
    assert Request(discard_penultimate=True, steps=999).discard_penultimate
    with pytest.raises(RequestError, match="discard_penultimate plans one step more than the 1000"):
        Request(discard_penultimate=True, steps=1000)
    with pytest.raises(RequestError, match="discard_penultimate plans one step more"):
        resolved(Request(like="comfy", sampler="unipc", steps=1000))


def test_a_schedule_of_which_the_steps_would_be_the_last_must_not_be_too_long():
    assert Request(image=PHOTO, strength=0.02, steps=20, like="comfy").schedule_steps == 1000
    with pytest.raises(RequestError, match="20 steps would be the last of 1052; 1000 is the most"):
        Request(image=PHOTO, strength=0.019, steps=20, like="comfy")


def test_resolving_normalises_given_names():
    request = resolved(Request(sampler="Heun", schedule="KARRAS"))
    assert (request.sampler, request.schedule) == ("heun", "karras")


def test_resolving_twice_changes_nothing():
    once = resolved(Request(wander=True))
    assert resolved(once, draw=99) == once


def test_a_wander_draws_a_path_of_its_own():
    draws = iter([1, 2])
    request = resolve(
        Request(wander=True),
        DEFAULTS,
        model="mini",
        draw_seed=lambda: next(draws),
        sampler_name=str,
        schedule_name=str,
    )
    assert (request.seed, request.path_seed) == (1, 2)


def test_a_drawn_seed_leaves_room_for_the_whole_run():
    request = resolved(Request(count=10), draw=MAX_SEED)
    assert request.single(9).seed == MAX_SEED


def test_picture_i_has_seed_plus_i_and_count_one():
    request = resolved(Request(seed=7, wander=True, path_seed=70, count=3))
    single = request.single(2)
    assert (single.seed, single.path_seed, single.count) == (9, 72, 1)
    assert single == dataclasses.replace(request, seed=9, path_seed=72, count=1)
    with pytest.raises(IndexError):
        request.single(3)


def test_variations_of_a_run_count_on_and_their_seed_stays():
    request = resolved(Request(seed=7, variation_strength=0.2, variation_seed=70, count=3))
    assert request.single(2) == dataclasses.replace(request, variation_seed=72, count=1)
    last = Request(seed=MAX_SEED, variation_strength=0.2, variation_seed=MAX_SEED - 2, count=3)
    assert (last.single(2).seed, last.single(2).variation_seed) == (MAX_SEED, MAX_SEED)
    with pytest.raises(RequestError, match=r"variation_seed \d+ with count 4 would pass the last"):
        dataclasses.replace(last, count=4)


def test_without_strength_the_pictures_of_a_run_are_those_of_their_seeds():
    request = resolved(Request(seed=7, variation_strength=0, variation_seed=70, count=3))
    assert (request.single(2).seed, request.single(2).variation_seed) == (9, 72)


def test_a_variations_seed_is_drawn_where_it_is_asked_for():
    request = resolved(Request(seed=7, variation_strength=0.2))
    assert request.variation_seed == 5
    assert not Request(seed=7, variation_strength=0.2).resolved
    assert resolved(Request(seed=7)).variation_seed is None


def test_a_request_with_anything_open_is_not_resolved():
    assert not Request().resolved
    complete = resolved(Request())
    assert not dataclasses.replace(complete, seed=None).resolved
    assert not dataclasses.replace(complete, wander=True).resolved


PHOTO = Source.picture(Image.new("RGB", (60, 40)))


@pytest.mark.parametrize(
    ("steps", "strength", "expected"),
    [(20, 0.75, 15), (20, 1, 20), (10, 0.55, 5), (100, 0.29, 29), (20, 0.05, 1), (10, 0.7, 7)],
)
def test_the_strength_is_the_share_of_the_steps_that_are_made(
    steps: int, strength: float, expected: int
):
    assert Request(steps=steps, image=PHOTO, strength=strength).run_steps == expected


def test_without_a_picture_all_steps_are_made():
    assert resolved(Request(steps=7)).run_steps == 7


def test_a_strength_that_makes_no_step_is_refused_with_the_least_that_does():
    with pytest.raises(RequestError, match=r"makes none of 20 steps; give 0\.05 at the least"):
        Request(steps=20, image=PHOTO, strength=0.049)
    with pytest.raises(RequestError, match=r"none of 20 steps"):
        resolved(Request(image=PHOTO, strength=0.01))


def test_a_single_step_is_made_whole_where_no_strength_is_given():
    assert resolved(Request(image=PHOTO, steps=1)).strength == 1.0
    assert resolved(Request(image=PHOTO, steps=1)).run_steps == 1


@pytest.mark.parametrize("size", [(60, 40), (30, 20), (601, 400), (599, 400), (150, 100)])
def test_a_mask_may_be_of_another_size(size: tuple[int, int]):
    assert Request(image=PHOTO, mask=Source.mask(Image.new("L", size, 255))).mask is not None


@pytest.mark.parametrize("size", [(40, 60), (60, 60), (60, 44), (600, 450)])
def test_a_mask_of_another_shape_is_refused(size: tuple[int, int]):
    with pytest.raises(RequestError, match=r"mask has \d+x\d+ pixels and image 60x40"):
        Request(image=PHOTO, mask=Source.mask(Image.new("L", size, 255)))


def test_the_surroundings_of_a_mask_are_painted_at_the_models_own_size():
    wide, mask = Image.new("RGB", (400, 40)), Image.new("L", (400, 40), 255)
    request = Request(image=Source.picture(wide), mask=Source.mask(mask), mask_padding=8)
    assert (resolved(request).width, resolved(request).height) == (128, 64)


@pytest.mark.parametrize("name", ["prompt", "negative", "model", "sampler"])
def test_a_nul_is_refused_by_the_fields_name_and_its_place(name: str):
    """A PNG's text ends at it, and so would the recipe."""
    with pytest.raises(RequestError, match=f"{name} holds a NUL at character 4"):
        Request(**{name: "fox\0, 3d"})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"pag": 3, "pag_layers": ()}, "pag_layers has 0 numbers"),
        ({"pag": 3, "pag_layers": (1.5,)}, "must be a whole number"),
        ({"pag": 3, "pag_layers": 4}, "must be a list of whole numbers"),
        ({"slg": 2.8, "slg_layers": (65,)}, "between 0 and 64"),
        ({"slg": 2.8, "slg_during": (0.5, 0.5)}, "the earlier one first"),
        ({"slg": 2.8, "slg_during": (0.5,)}, "the earlier one first"),
        ({"slg": 2.8, "slg_during": (0.5, 1.5)}, "between 0 and 1"),
        ({"threshold": "mimic", "mimic_quantile": 0.4}, "between 0.5 and 1"),
        ({"threshold": "imagen", "mimic_scale": 5}, "no effect without threshold mimic"),
        ({"threshold": "mimic", "imagen_limit": 5}, "no effect without threshold imagen"),
    ],
)
def test_what_guidance_leads_away_from_is_named_rightly(fields: dict[str, Any], told: str):
    with pytest.raises(RequestError, match=told):
        Request(**fields)


def test_the_layers_are_the_models_own_where_none_are_named():
    able = dataclasses.replace(DEFAULTS, pag_layers=(6,), slg_layers=(7, 8))
    assert resolved(Request(pag=3), defaults=able).pag_layers == (6,)
    named: dict[str, Any] = {"pag": 3, "pag_layers": [4, 2, 4]}
    assert resolved(Request(**named), defaults=able).pag_layers == (2, 4)
    assert resolved(Request(slg=3), defaults=able).slg_layers == (7, 8)
    assert resolved(Request(), defaults=able).pag_layers is None
    for name in ("pag", "slg"):
        for more in ({}, {f"{name}_layers": (1,)}):
            asked: dict[str, Any] = {name: 3, **more}
            with pytest.raises(RequestError, match=f"{name} is 3, and mini has no layers"):
                resolved(Request(**asked))


def test_a_threshold_without_guidance_is_refused_for_it_would_do_nothing():
    with pytest.raises(RequestError, match="threshold has no effect with guidance 1"):
        resolved(Request(threshold="mimic", guidance=1))
    able = dataclasses.replace(DEFAULTS, pag_layers=(6,))
    assert resolved(Request(threshold="imagen", guidance=1, pag=3), defaults=able).pag == 3


def test_what_says_more_of_a_way_goes_with_it():
    wish = Request(threshold="mimic", mimic_scale=5, pag=3, pag_layers=(1,))
    assert wish.changed({"threshold": "none"}).mimic_scale == 7
    assert wish.changed({"pag": 0.0}).pag_layers is None
    assert wish.changed({"pag": 2.0}).pag_layers == (1,)


def test_a_shift_is_no_shift_beside_own_levels_and_never_nothing():
    with pytest.raises(RequestError, match="shift has no effect beside sigmas"):
        Request(sigmas=(1.0, 0.5), shift=3.0)
    for wrong in (0, 0.001, 101, float("nan")):
        with pytest.raises(RequestError, match="shift is"):
            Request(shift=wrong)
    assert Request(shift=3.0).changed({"sigmas": (1.0, 0.5)}).shift is None
    assert Request(shift=3.0).changed({"shift": None}).shift is None
