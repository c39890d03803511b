"""A verdict says how far a picture is from what its recipe makes, and why."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.choose.verify import Claim, judge, read_claim
from sfumato.errors import PictureError
from sfumato.images import encode
from sfumato.recipe import Picture
from sfumato.source import Source
from tests.choose.recipes import RECIPE

NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8))
SMOOTH = NOISE.resize((8, 8)).resize((64, 64), Image.Resampling.BICUBIC)


def claim(kind: str = "PNG", image: Image.Image = SMOOTH, **options: Any) -> Claim:
    data = encode(image, kind, RECIPE.texts(), **options)
    return read_claim(io.BytesIO(data), "fox")


def made(image: Image.Image = SMOOTH, **changes: Any) -> Picture:
    return Picture(image, replace(RECIPE, **changes))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_is_what_its_recipe_makes_is_equal_whatever_its_file(kind: str):
    verdict = judge(claim(kind), made())
    assert verdict.equal
    assert verdict.reasons == ()


@pytest.mark.parametrize("quality", [40, 90])
def test_a_jpeg_of_another_quality_is_compared_as_such(quality: int):
    assert judge(claim("JPEG", quality=quality), made()).equal
    other = SMOOTH.copy()
    other.paste("white", (10, 10, 20, 20))
    assert not judge(claim("JPEG", quality=quality), made(other)).equal


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "cd" * 32}, "another model: 6ce0161689… then, cdcdcdcdcd… here"),
        ({"device": "cuda"}, "another device: cpu then, cuda here"),
        ({"precision": "bf16"}, "another precision: fp32 then, bf16 here"),
        ({"torch": "2.14.0"}, "another torch: 2.13.0 then, 2.14.0 here"),
        ({"numerics": 2}, "another numerics: 1 then, 2 here"),
        ({"sfumato": "0.2.0"}, "another version of sfumato: 0.1.0 then, 0.2.0 here"),
        ({}, "its pixels were changed after it was made"),
    ],
)
def test_what_is_not_equal_has_its_reasons(changes: dict[str, Any], reason: str):
    verdict = judge(claim(), made(NOISE, **changes))
    assert not verdict.equal
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]
    assert "of the values differ" in verdict.words()


def test_another_machine_is_no_matter_where_the_bits_are_equal():
    assert judge(claim(), made(torch="2.14.0")).reasons == ()


def test_a_scaled_copy_is_not_what_its_recipe_makes():
    verdict = judge(claim(image=SMOOTH.resize((32, 32))), made())
    assert not verdict.equal
    assert verdict.words() == "not what its recipe makes"
    assert "32x32 pixels, and its recipe makes 64x64" in verdict.reasons[0]


def test_a_picture_that_started_from_one_is_made_from_it_again():
    start, mask = Source.picture(NOISE), Source.mask(Image.new("L", (64, 64), 255))
    request = replace(RECIPE.request, image=start, mask=mask, strength=0.5)
    wanted = Claim("fox", SMOOTH, replace(RECIPE, request=request))
    again = wanted.request([mask, Source.picture(SMOOTH), start])
    assert again == request
    assert again.image is not None
    assert again.image.pixels is not None
    with pytest.raises(PictureError, match=r"fox was made with a picture of 64x64 .* --image"):
        wanted.request([mask])
    with pytest.raises(PictureError, match=r"fox was made with a mask of 64x64 .* --mask"):
        wanted.request([start])


def test_a_picture_without_a_recipe_cannot_be_verified():
    data = encode(SMOOTH, "PNG")
    with pytest.raises(PictureError, match="fox carries no recipe of sfumato"):
        read_claim(io.BytesIO(data), "fox")
