"""An axis is read as it is meant, typed by its field, or refused by its name."""

from pathlib import Path

import pytest

from sfumato.choose import parse_axis
from sfumato.errors import RequestError
from sfumato.request import Request


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("steps=4,8,16", (4, 8, 16)),
        ("steps= 4 , 8", (4, 8)),
        ("seed=1..3", (1, 2, 3)),
        ("seed=3..1", (3, 2, 1)),
        ("seed=1..9+2", (1, 3, 5, 7, 9)),
        ("seed=1..8+3", (1, 4, 7)),
        ("seed=1..2,7,18446744073709551615", (1, 2, 7, 2**64 - 1)),
        ("guidance=1,2.5", (1.0, 2.5)),
        ("guidance=1..2+0.25", (1.0, 1.25, 1.5, 1.75, 2.0)),
        ("rescale=0..0.3+0.1", (0.0, 0.1, 0.2, 0.3)),
        ("size=64,64x96", ((64, 64), (64, 96))),
        ("seed-size=64x96", ((64, 96),)),
        ("wander=yes,no", (True, False)),
        ("sampler=euler,DPM++ 2M", ("euler", "DPM++ 2M")),
        ('prompt="a fox, red",a dog', ("a fox, red", "a dog")),
        ('negative="","a ""b"""', ("", 'a "b"')),
        ("variation_strength=0,0.5", (0.0, 0.5)),
    ],
)
def test_values_have_the_type_of_their_field(text: str, values: tuple[object, ...]):
    axis = parse_axis(text)
    assert axis.values == values
    assert [type(a) for a in axis.values] == [type(b) for b in values]
    assert len(axis.labels) == len(values)


@pytest.mark.parametrize(
    ("text", "needle", "prompts"),
    [
        ("prompt:red=red,dark blue", "red", ["a red fox, red", "a dark blue fox, dark blue"]),
        ('prompt:"fox, red"="fox, red",cat', "fox, red", ["a red fox, red", "a red cat"]),
        ('prompt:red="",blue', "red", ["a  fox, ", "a blue fox, blue"]),
    ],
)
def test_words_of_a_prompt_are_replaced(text: str, needle: str, prompts: list[str]):
    axis = parse_axis(text)
    assert axis.needle == needle
    values = {"prompt": "a red fox, red"}
    assert [axis.onto(values, i)["prompt"] for i in range(2)] == prompts


def test_words_that_are_not_in_the_prompt_are_refused():
    with pytest.raises(RequestError, match="prompt does not hold 'blue'"):
        parse_axis("prompt:blue=red").onto({"prompt": "a red fox"}, 0)


def test_every_field_of_one_value_can_be_an_axis():
    for field, told in Request.__dataclass_fields__.items():
        if field in ("count", "template", "negative_template") or "tuple" in str(told.type):
            continue
        value = "yes" if "bool" in str(told.type) else "1"
        assert parse_axis(f"{field}={value}", lambda *_: None).field == field


def test_a_picture_to_start_from_is_read_by_whoever_may_read_files():
    read = [("image", "fox.png"), ("image", "a/dog.png")]
    axis = parse_axis("image=fox.png,a/dog.png", lambda field, place: (field, Path(place)))
    assert axis.values == tuple((field, Path(place)) for field, place in read)
    with pytest.raises(RequestError, match="image cannot be an axis here"):
        parse_axis("image=fox.png")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be like steps=4,8,16"),
        ("steps", "must be like steps=4,8,16"),
        ("stps=4", "'stps', which a request does not have; did you mean steps"),
        ("zzz=4", "'zzz', which a request does not have; known: prompt, negative, seed, steps"),
        ("template=a,b", "decides nothing"),
        ("count=2", "count cannot be an axis"),
        ("embeddings=1", "embeddings cannot be an axis, for it is not one value"),
        ("steps=", "steps has an empty value"),
        ("steps=4,,8", "steps has an empty value"),
        ("steps=many", "steps is 'many', but must be a whole number"),
        ("steps=2.5", "steps is '2.5', but must be a whole number"),
        ("guidance=x", "guidance is 'x', but must be a number"),
        ("guidance=1..2", "say by how much"),
        ("seed=1..5+0", "step is not above 0"),
        ("seed=1..999999999", "at most 500"),
        ("seed=1..300,301..600", "seed has 600 values"),
        ("seed=1..3,2", "seed has '2' twice"),
        ("size=wide", "size is 'wide', but must be like 512x768"),
        ("wander=maybe", "wander is 'maybe', but must be yes or no"),
        ('prompt="a', "values of prompt cannot be read"),
        ("steps:4=5", "which only prompt and negative have"),
        ("prompt:=a", "which only prompt and negative have"),
    ],
)
def test_a_bad_axis_is_refused_by_its_name(text: str, reason: str):
    with pytest.raises(RequestError) as caught:
        parse_axis(text)
    assert reason in str(caught.value)
