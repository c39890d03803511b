"""Why two pictures differ is told by what differs in their recipes."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.choose.compare import distance
from sfumato.choose.why import DOES, differences, summary
from sfumato.recipe import Origin, Recipe, from_parameters
from sfumato.request import Request
from sfumato.source import Source
from tests.choose.recipes import RECIPE

BLACK, WHITE = (Image.new("RGB", (8, 8), colour) for colour in ("black", "white"))


def origin(recipe: Recipe = RECIPE, **changes: Any) -> Origin:
    made = replace(recipe, request=replace(recipe.request, **changes))
    return Origin(made.request, made, made.parameters(), {})


def told(a: Origin, b: Origin, *images: Image.Image) -> str:
    found = differences(a, b)
    return summary(found, distance(*(images or (BLACK, WHITE))), sizes_differ=False)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"seed": 43}, ["seed"]),
        ({"steps": 21, "guidance": 3}, ["steps", "guidance"]),
        ({"sampler": "euler"}, ["sampler"]),
        (
            {"variation_strength": 0.5, "variation_seed": 3},
            ["variation_seed", "variation_strength"],
        ),
        ({"width": 72}, ["width"]),
    ],
)
def test_every_field_that_differs_is_told(changes: dict[str, Any], fields: list[str]):
    found = differences(origin(), origin(**changes))
    assert [one.field for one in found] == fields
    assert all(one.does for one in found)


def test_of_a_prompt_the_words_are_told_that_only_one_has():
    (one,) = differences(origin(), origin(prompt="a blue fox, flat"))
    assert one.does == "only the first has: red 3d; only the second has: blue flat"
    (one,) = differences(origin(), origin(prompt="3d, a red fox"))
    assert one.does.startswith("the same words in another order")


def test_the_machine_is_told_too_and_a_clock_is_no_difference():
    other = replace(RECIPE, torch="2.14.0", precision="bf16", seconds=9.0, index=3)
    assert [one.field for one in differences(origin(), origin(other))] == ["precision", "torch"]


def test_equal_recipes_of_equal_pixels_are_the_same_picture():
    assert told(origin(), origin(), BLACK, BLACK) == "They are the same picture."
    version = origin(replace(RECIPE, sfumato="0.2.0"))
    assert told(origin(), version, BLACK, BLACK) == "They are the same picture."


def test_equal_recipes_of_other_pixels_are_told_as_such():
    assert told(origin(), origin()).startswith("Their recipes are equal, but not their pixels")
    scaled = summary([], None, sizes_differ=True)
    assert scaled.startswith("Their recipes are equal, but not their sizes")


def test_the_sentence_names_what_differs():
    assert told(origin(), origin(seed=1)) == "They differ because seed differs."
    sentence = told(origin(), origin(seed=1, steps=3, path_seed=2, wander=True))
    assert sentence == "They differ because seed, steps, wander and path seed differ."
    same = told(origin(), origin(replace(RECIPE, torch="3")), BLACK, BLACK)
    assert same == "Their pixels are equal, although torch differs."


A1111 = (
    "a red fox, 3d\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 42, "
    "Size: 64x64, RNG: CPU, Hypernet: ink"
)


def test_what_a1111_leaves_unsaid_is_no_difference_and_what_is_not_followed_is():
    found = differences(origin(), from_parameters(A1111))
    assert [one.field for one in found] == ["like", "Hypernet"]
    assert (found[1].a, found[1].b) == (None, "ink")
    found = differences(from_parameters(A1111), from_parameters(A1111.replace("42", "43")))
    assert [one.field for one in found] == ["seed"]


def test_another_picture_to_start_from_is_told_by_its_hash():
    noise = np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    starts = [Source.picture(BLACK), Source.picture(Image.fromarray(noise))]
    (one,) = differences(*(origin(image=start, strength=0.5) for start in starts))
    assert one.field == "image"
    assert one.to_dict()["a"] == starts[0].to_dict()


def test_what_a_field_does_is_told_for_each_that_a_request_has():
    assert {f.name for f in fields(Request)} - {"count"} <= DOES.keys()


def test_two_upscalers_of_one_name_are_told_apart_by_their_weights():
    one, other = (origin(replace(RECIPE, upscaler_sha256=each * 64)) for each in "ab")
    assert [each.field for each in differences(one, other)] == ["upscaler_sha256"]
    assert differences(origin(), one) == []


def test_a_template_tells_nothing_of_pixels():
    drawn = origin(template="a {red|blue} fox")
    assert told(origin(), drawn, BLACK, BLACK) == "They are the same picture."
    assert "not their pixels" in told(origin(), drawn)
