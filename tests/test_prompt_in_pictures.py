"""What a prompt's notation does to a picture of the bundled model, and what is refused by name."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

import sfumato
from sfumato.engine import Engine
from sfumato.errors import PromptError, RequestError, SfumatoError
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


def test_prompts_joined_by_and_are_heard_by_their_weights_in_any_order(engine: Engine) -> None:
    fox, cat = pixels(engine, "a fox, 3d"), pixels(engine, "a cat, 3d")
    both = pixels(engine, "a fox, 3d AND a cat, 3d")
    assert both not in (fox, cat)
    assert pixels(engine, "a cat, 3d AND a fox, 3d") == both
    assert pixels(engine, "a fox, 3d AND a cat, 3d:0.2") not in (fox, cat, both)
    assert pixels(engine, "a fox, 3d AND a cat, 3d:0") == fox
    assert pixels(engine, "a fox, 3d AND a fox, 3d:0") == fox
    assert pixels(engine, "a fox, 3d:0.5 AND a fox, 3d:0.5") == fox
    assert pixels(engine, "a fox, 3d AND a cat, 3d", weighting="plain") != both


def test_prompts_joined_by_and_may_each_change_on_the_way(engine: Engine) -> None:
    both = pixels(engine, "a fox, 3d AND a cat, 3d")
    assert pixels(engine, "a [cat:fox:0], 3d AND a [cat|cat], 3d") == both
    later = pixels(engine, "a [cat:fox:2], 3d AND a cat, 3d")
    assert later not in (both, pixels(engine, "a cat, 3d AND a cat, 3d"))


def test_a_run_of_several_prompts_is_resumed_to_the_bit(engine: Engine) -> None:
    run = engine.submit(replace(REQUEST, prompt="a [cat:fox:2], 3d AND a star:0.4"))
    states = [step.state() for step in run]
    whole = run.result().pictures[0].image.tobytes()
    for state in states[:3]:
        again = engine.submit(run.request, state=state).result().pictures[0]
        assert again.image.tobytes() == whole


def test_more_prompts_than_anybody_means_are_refused_by_their_number(engine: Engine) -> None:
    many = " AND ".join(f"a fox {n}" for n in range(33))
    with pytest.raises(PromptError, match=r"joins 33 with AND.*32 at the most"):
        engine.submit(replace(REQUEST, prompt=many))
    pixels(engine, " AND ".join(["a fox, 3d"] * 100))  # the same one, once


def test_a_negative_prompt_is_one(engine: Engine) -> None:
    with pytest.raises(PromptError, match="The negative prompt joins several with AND"):
        engine.submit(replace(REQUEST, negative="a cat AND a dog"))


def test_a_network_is_refused_and_not_dropped(engine: Engine) -> None:
    with pytest.raises(PromptError, match=r"The prompt .*<lora:ink:0.8>"):
        engine.submit(replace(REQUEST, prompt="a fox <lora:ink:0.8>"))
    with pytest.raises(PromptError, match=r"The negative prompt .*<lora:ink:0.8>"):
        engine.submit(replace(REQUEST, negative="a fox <lora:ink:0.8>"))


def test_a_model_that_hears_one_layer_refuses_another(engine: Engine) -> None:
    with pytest.raises(RequestError, match=r"clip_skip is 2, but .* its usual layer alone"):
        engine.submit(replace(REQUEST, clip_skip=2))


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
    with pytest.raises(SfumatoError, match=r"no numbers.* Take less guidance, and smaller"):
        engine.submit(replace(REQUEST, prompt=heavy)).result()
