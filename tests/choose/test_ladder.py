"""A ladder recommends the fewest steps that look like the most, and is honest where none do."""

from dataclasses import replace

import pytest
from PIL import Image

from sfumato.choose import Cell, Sheet
from sfumato.choose.ladder import NEAR, RUNGS, SAME, climb, draw_ladder, plan_ladder
from sfumato.choose.likeness import unlikeness
from sfumato.errors import RequestError
from sfumato.limits import MAX_SEED
from sfumato.recipe import Picture
from sfumato.request import Request
from tests.choose.recipes import RECIPE
from tests.choose.test_likeness import SCENE, scene

FOX = Request("a red fox", seed=7)
OTHER = scene(8)


def plan(seeds: int = 1, steps: tuple[int, ...] = RUNGS, request: Request = FOX) -> Sheet:
    return plan_ladder(request, steps, seeds, lambda: 99)


def towards(part: float) -> Image.Image:
    """A picture that is so far from the finished one."""
    return Image.blend(SCENE, OTHER, part)


def pictures(
    sheet: Sheet, parts: dict[int, float], sampler: str = "dpmpp_2m", late: int = 0
) -> dict[Cell, Picture]:
    """Pictures with so much of another in them by their steps; `late` seeds are a rung behind."""
    made: dict[Cell, Picture] = {}
    for cell in sheet.cells:
        x, y, _ = cell.place
        steps = list(parts)
        part = parts[steps[max(x - 1, 0) if y < late and x < len(steps) - 1 else x]]
        request = replace(
            RECIPE.request, steps=cell.request.steps, seed=cell.request.seed, sampler=sampler
        )
        recipe = replace(RECIPE, request=request, seconds=0.1 * (cell.request.steps or 0))
        made[cell] = Picture(towards(part), recipe)
    return made


SETTLES = {4: 0.3, 6: 0.2, 8: 0.1, 12: 0.01, 16: 0.005, 24: 0, 32: 0, 48: 0}
DRIFTS = {n: 0.3 - 0.04 * i for i, n in enumerate(RUNGS)}


def test_the_fewest_steps_that_look_like_the_most_are_recommended():
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, SETTLES))
    assert unlikeness(towards(0.01), SCENE) <= SAME < unlikeness(towards(0.1), SCENE)
    assert (ladder.recommended, ladder.settled) == (12, True)
    assert "From 12 steps on no eye sees a change" in ladder.reason
    assert "48 take 4.0 times as long" in ladder.reason
    assert ladder.rungs[0].seconds == pytest.approx(0.4)
    assert ladder.rungs[-1].change == 0


def test_one_seed_is_said_to_be_one():
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, SETTLES))
    assert "One seed was looked at" in ladder.reason
    assert ladder.advice == ("seeds",)


def test_the_seed_that_settles_last_decides():
    sheet = plan(seeds=3)
    ladder = climb(sheet, pictures(sheet, SETTLES, late=1))
    assert ladder.recommended == 16
    assert "Of 3 seeds the first settles at 12 steps and the last at 16" in ladder.reason
    even = climb(sheet, pictures(sheet, SETTLES))
    assert even.recommended == 12
    assert "All 3 seeds say the same." in even.reason
    assert even.advice == ()


def test_a_rung_that_only_happens_to_be_near_does_not_count():
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, {**SETTLES, 16: 0.3}))
    assert ladder.recommended == 24


def test_a_picture_that_has_not_settled_is_said_to_have_not():
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, {**DRIFTS, 32: 0.25, 48: 0}))
    assert (ladder.recommended, ladder.settled) == (None, False)
    assert "It has not settled: between 32 and 48 steps" in ladder.reason
    assert ladder.headline == "no number of steps can be recommended"
    assert ladder.advice == ("higher", "sampler")


def test_nearly_settled_is_recommended_for_want_of_better():
    part = next(p / 1000 for p in range(1000) if unlikeness(towards(p / 1000), SCENE) > 2 * SAME)
    assert SAME < unlikeness(towards(part), SCENE) < NEAR
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, {**DRIFTS, 24: part, 32: part, 48: 0}))
    assert (ladder.recommended, ladder.settled) == (24, False)
    assert "It has not settled" in ladder.reason
    assert ladder.headline == "24 steps, for want of better"
    assert ladder.advice == ("higher", "seeds")


def test_a_sampler_that_draws_noise_has_nothing_to_settle():
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, {**DRIFTS, 32: 0.25, 48: 0}, "euler_ancestral"))
    assert ladder.recommended is None
    assert "euler_ancestral draws fresh noise in its steps" in ladder.reason
    assert ladder.advice == ("calm",)
    calm = climb(sheet, pictures(sheet, SETTLES, "euler_ancestral"))
    assert calm.recommended == 12  # what was measured counts, not what samplers of its kind do


@pytest.mark.parametrize(
    ("parts", "sampler"),
    [
        (SETTLES, "dpmpp_2m"),
        ({**DRIFTS, 32: 0.25, 48: 0}, "dpmpp_2m"),
        ({**DRIFTS, 32: 0.25, 48: 0}, "euler_ancestral"),
    ],
)
def test_what_was_found_is_told_in_no_door_s_own_words(parts: dict[int, float], sampler: str):
    sheet = plan()
    reason = climb(sheet, pictures(sheet, parts, sampler)).reason
    assert "--" not in reason
    assert "sfumato" not in reason
    assert "  " not in reason


def test_the_lowest_rung_says_that_it_was_the_lowest():
    sheet = plan()
    ladder = climb(sheet, pictures(sheet, dict.fromkeys(RUNGS, 0.0)))
    assert ladder.recommended == 4
    assert "Fewer were not tried." in ladder.reason


def test_seeds_follow_each_other_and_leave_room_for_the_last():
    cells = plan(seeds=3).cells
    assert sorted({cell.request.seed for cell in cells}) == [7, 8, 9]
    drawn = plan_ladder(Request("a fox"), RUNGS, 3, lambda: MAX_SEED)
    assert max(cell.request.seed or 0 for cell in drawn.cells) == MAX_SEED


@pytest.mark.parametrize(
    ("request_", "steps", "seeds", "reason"),
    [
        (replace(FOX, steps=4), RUNGS, 1, "leave them out of the request"),
        (replace(FOX, count=3), RUNGS, 1, "one picture of each seed"),
        (FOX, (4, 8), 1, "3 to 20 rising numbers"),
        (FOX, (8, 4, 16), 1, "3 to 20 rising numbers"),
        (FOX, (4, 4, 8, 16), 1, "3 to 20 rising numbers"),
        (FOX, tuple(range(1, 30)), 1, "3 to 20 rising numbers"),
        (FOX, (0, 4, 8), 1, "a ladder has 0 steps"),
        (FOX, (4, 8, 1001), 1, "a ladder has 1001 steps"),
        (FOX, RUNGS, 0, "seeds is 0"),
        (FOX, RUNGS, 21, "seeds is 21"),
    ],
)
def test_a_bad_ladder_is_refused(
    request_: Request, steps: tuple[int, ...], seeds: int, reason: str
):
    with pytest.raises(RequestError) as caught:
        plan(seeds, steps, request_)
    assert reason in str(caught.value)


def test_a_ladder_is_drawn_with_its_curve_and_what_is_recommended():
    sheet = plan()
    made = pictures(sheet, SETTLES)
    ladder = climb(sheet, made)
    drawn = draw_ladder(sheet, made, ladder)
    flat = replace(ladder, rungs=tuple(replace(r, changes=(0.0,)) for r in ladder.rungs))
    other = replace(ladder, recommended=16)
    assert drawn.size == draw_ladder(sheet, made, flat).size
    assert len({draw_ladder(sheet, made, one).tobytes() for one in (ladder, flat, other)}) == 3


def test_a_ladder_is_told_to_programs():
    sheet = plan()
    told = climb(sheet, pictures(sheet, SETTLES)).to_dict()
    assert (told["recommended"], told["same"]) == (12, SAME)
    assert len(told["rungs"]) == len(RUNGS)  # type: ignore[arg-type]
