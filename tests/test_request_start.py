"""A request that starts from a picture: its fields, its size, and its plain form."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfumato.errors import RequestError
from sfumato.limits import STRENGTH
from sfumato.request import Request
from sfumato.request_json import from_dict, to_dict
from sfumato.resolve import Defaults, resolve
from sfumato.source import Source

DEFAULTS = Defaults(20, 7.0, "euler", "karras", 512, 512)
WIDE = Source.picture(Image.new("RGB", (1600, 400)))
MASK = Source.mask(Image.new("L", (1600, 400), 255))


def resolved(request: Request) -> Request:
    return resolve(
        request,
        DEFAULTS,
        model="mini",
        draw_seed=lambda: 7,
        sampler_name=lambda name: name,
        schedule_name=lambda name: name,
    )


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"strength": 0.5}, "strength has no effect without image"),
        ({"fit": "pad"}, "fit has no effect without image"),
        ({"mask": MASK}, "mask has no effect without image"),
        ({"image": WIDE, "mask_blur": 9}, "mask_blur has no effect without mask"),
        ({"image": WIDE, "mask_padding": 0}, "mask_padding has no effect without mask"),
        ({"image": WIDE, "mask_invert": True}, "mask_invert has no effect without mask"),
        ({"image": WIDE, "strength": 0}, "would change nothing"),
        ({"image": WIDE, "strength": 1.01}, "between 0 and 1"),
        ({"image": WIDE, "strength": float("nan")}, "between 0 and 1"),
        ({"image": WIDE, "strength": "half"}, "must be a number"),
        ({"image": WIDE, "fit": "zoom"}, "'crop' or 'stretch' or 'pad'"),
        ({"image": WIDE, "mask": MASK, "mask_fill": "grey"}, "'original' or 'blur'"),
        ({"image": WIDE, "mask": MASK, "mask_blur": -1}, "between 0 and 256"),
        ({"image": WIDE, "mask": MASK, "mask_padding": 4000}, "between 0 and 1024"),
        ({"image": WIDE, "mask": MASK, "mask_invert": 1}, "must be true or false"),
        ({"image": "photo.png"}, r"must be a Source \(RGB\)"),
        ({"image": MASK}, r"must be a Source \(RGB\)"),
        ({"image": WIDE, "mask": WIDE}, r"must be a Source \(L\)"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(values: dict[str, object], match: str) -> None:
    with pytest.raises(RequestError, match=match):
        Request(**values)  # pyright: ignore


def test_a_strength_is_only_there_with_a_picture() -> None:
    assert resolved(Request()).strength is None
    assert resolved(Request(image=WIDE)).strength == STRENGTH
    assert resolved(Request(image=WIDE, strength=1)).strength == 1.0
    assert resolved(Request()).resolved
    assert resolved(Request(image=WIDE)).resolved
    assert not replace(resolved(Request(image=WIDE)), strength=None).resolved


@pytest.mark.parametrize(
    ("given_size", "expected"),
    [
        ({}, (1024, 256)),
        ({"width": 512}, (512, 128)),
        ({"height": 512}, (2048, 512)),
        ({"width": 512, "height": 512}, (512, 512)),
    ],
)
def test_the_size_has_the_pictures_shape_at_the_models_area(
    given_size: dict[str, int], expected: tuple[int, int]
) -> None:
    found = resolved(Request(image=WIDE, **given_size))  # pyright: ignore
    assert (found.width, found.height) == expected


def test_a_request_without_a_picture_has_the_models_size() -> None:
    found = resolved(Request(width=256))
    assert (found.width, found.height) == (256, 512)


def test_requests_are_equal_by_what_their_pictures_show() -> None:
    request = Request("a fox", image=WIDE, mask=MASK, strength=0.5)
    assert request.references == request
    assert request.references.image is not None
    assert request.references.image.pixels is None
    assert hash(request.references) == hash(request)


@given(
    prompt=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    seed=st.none() | st.integers(0, 2**64 - 1),
    guidance=st.none() | st.floats(0, 100),
    start=st.booleans(),
    masked=st.booleans(),
)
def test_the_plain_form_gives_back_the_request(
    prompt: str, seed: int | None, guidance: float | None, start: bool, masked: bool
) -> None:
    request = Request(
        prompt,
        seed=seed,
        guidance=guidance,
        image=WIDE if start else None,
        strength=0.3 if start else None,
        mask=MASK if start and masked else None,
        mask_padding=8 if start and masked else None,
    )
    assert from_dict(json.loads(json.dumps(to_dict(request)))) == request


def test_the_plain_form_is_read_strictly_and_may_be_short() -> None:
    assert from_dict({"prompt": "a fox"}) == Request("a fox")
    assert from_dict({}) == Request()
    with pytest.raises(RequestError, match=r"no field 'promt'\. Did you mean prompt"):
        from_dict({"promt": "a fox"})
    with pytest.raises(RequestError, match="does not name a picture"):
        from_dict({"image": "photo.png"})
    with pytest.raises(RequestError, match="must be a whole number"):
        from_dict({"steps": "20"})


def test_the_least_strength_that_is_named_makes_a_step() -> None:
    for steps in range(2, 1001):
        with pytest.raises(RequestError, match="at the least") as refused:
            Request(image=WIDE, steps=steps, strength=0.9 / steps)
        (least,) = re.findall(r"give (\S+) at the least", str(refused.value))
        assert Request(image=WIDE, steps=steps, strength=float(least)).run_steps >= 1
