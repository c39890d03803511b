"""What a prompt's notation does to a picture of the bundled model, and what is refused by name."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

import sfumato
from sfumato.engine import Engine
from sfumato.errors import PromptError, SfumatoError
from sfumato.recipe import Recipe

REQUEST = sfumato.Request("a red fox, 3d", seed=7, steps=4, width=64, height=64)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield sfumato.load(precision="fp32")
    torch.set_num_threads(threads)


def pixels(engine: Engine, prompt: str, **changes: object) -> bytes:
    request = replace(REQUEST, prompt=prompt, **changes)  # pyright: ignore
    return engine.submit(request).result().pictures[0].image.tobytes()


def test_weights_change_a_picture_and_a_weight_of_one_does_not(engine: Engine) -> None:
    plain = pixels(engine, "a red fox, 3d")
    assert pixels(engine, "a (red:1.0) fox, 3d") == plain
    assert pixels(engine, "a (red:1.6) fox, 3d") != plain
    assert pixels(engine, "a (red:1.6) fox, 3d", weighting="comfy") not in (
        plain,
        pixels(engine, "a (red:1.6) fox, 3d"),
    )
    assert pixels(engine, r"a \(red\) fox, 3d") == pixels(
        engine, "a (red) fox, 3d", weighting="plain"
    )


def test_a_change_on_the_way_is_heard_from_its_step_on(engine: Engine) -> None:
    cat, fox = pixels(engine, "a cat, 3d"), pixels(engine, "a fox, 3d")
    assert pixels(engine, "a [cat:fox:0], 3d") == fox
    assert pixels(engine, "a [cat:fox:4], 3d") == cat
    between = pixels(engine, "a [cat:fox:2], 3d")
    assert between not in (cat, fox)
    assert pixels(engine, "a [cat:fox:0.5], 3d") == between
    assert pixels(engine, "a [cat|fox], 3d") not in (cat, fox, between)


def test_a_change_on_the_way_is_resumed_to_the_bit(engine: Engine) -> None:
    run = engine.submit(replace(REQUEST, prompt="a [cat:fox:2], 3d"))
    states = [step.state() for step in run]
    whole = run.result().pictures[0].image.tobytes()
    for state in states[:3]:
        again = engine.submit(run.request, state=state).result().pictures[0]
        assert again.image.tobytes() == whole


@pytest.mark.parametrize(
    ("prompt", "match"),
    [("a cat AND a dog", "joins several with AND"), ("a fox <lora:ink:0.8>", "<lora:ink:0.8>")],
)
def test_what_is_not_done_here_is_refused_and_not_dropped(
    engine: Engine, prompt: str, match: str
) -> None:
    with pytest.raises(PromptError, match=f"The prompt .*{match}"):
        engine.submit(replace(REQUEST, prompt=prompt))
    with pytest.raises(PromptError, match=f"The negative prompt .*{match}"):
        engine.submit(replace(REQUEST, negative=prompt))


def test_a_picture_from_before_there_were_weights_took_brackets_for_letters(
    engine: Engine,
) -> None:
    recipe = engine.submit(REQUEST).result().pictures[0].recipe
    assert recipe.request.weighting == "a1111"
    old = recipe.to_json().replace('"weighting": "a1111", ', "")
    assert old != recipe.to_json()
    assert Recipe.from_json(old).request.weighting == "plain"


def test_values_that_overflow_in_full_precision_are_not_told_to_take_more(engine: Engine) -> None:
    heavy = "(" * 5 + "fox" + ":999999999)" * 5
    with pytest.raises(SfumatoError, match=r"overflowed\. Take less guidance, and smaller weights"):
        engine.submit(replace(REQUEST, prompt=heavy)).result()
