"""The numerics of one family alone: each changes its picture, and what it does is a tool's."""

from typing import Any

import pytest
import torch

from sfumato.course import levels, process_of
from sfumato.diffusion.schedules import sigmas
from sfumato.families.base import Family, Reading
from sfumato.pipeline import generate
from sfumato.request import Request
from tests.parity import small_flux, small_sd3, test_xl
from tests.parity.small import settled
from tests.parity.transformed import HEIGHT, PROMPT, WIDTH, saved_and_opened

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)

Both = tuple[Any, Family]
# Each difference with another way than ours, and the model that has it.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "empty_negative": ("xl", {"empty_negative": "words"}),
    "t5_padding": ("sd3", {"t5_padding": "short"}),
    "fixed_shift": ("flux", {"fixed_shift": True}),
}
SIZE = (WIDTH, HEIGHT)
LONG = "a red fox, " * 25  # two chunks of CLIP


@pytest.fixture(scope="module")
def models(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    folder = tmp_path_factory.mktemp("models")
    xl, refiner = (test_xl.pipe_of(s, randomised) for s in (test_xl.BASE, test_xl.REFINER))
    pipes = {
        "sd3": (small_sd3.pipe_of(randomised, with_t5=True), small_sd3.SPEC),
        "sd3 without t5": (small_sd3.pipe_of(randomised, with_t5=False), small_sd3.SPEC),
        "flux": (small_flux.pipe_of(randomised, small_flux.DEV), small_flux.DEV),
    }
    found = {
        name: (pipe, saved_and_opened(pipe, spec, folder / name))
        for name, (pipe, spec) in pipes.items()
    }
    found["xl"] = xl, test_xl.model_of(test_xl.BASE, xl, folder / "xl")
    found["refiner"] = (
        refiner,
        test_xl.model_of(test_xl.REFINER, refiner, folder / "refiner"),
    )
    return found


def wish(**fields: Any) -> Request:
    usual: dict[str, Any] = {"prompt": PROMPT, "seed": 7, "steps": 2, "guidance": 4.0}
    usual |= {"schedule": "simple", "width": WIDTH, "height": HEIGHT}
    return settled("euler", **{**usual, **fields})


@pytest.mark.parametrize("name", CHANGES)
def test_each_difference_changes_the_picture_by_itself(name: str, models: dict[str, Both]) -> None:
    which, change = CHANGES[name]
    model = models[which][1]
    distilled = 3.5 if which == "flux" else None

    def last(request: Request) -> torch.Tensor:
        *_, step = generate(model, request)
        return step.x

    plain = last(wish(distilled=distilled))
    assert torch.equal(plain, last(wish(distilled=distilled)))
    assert not torch.equal(plain, last(wish(distilled=distilled).changed(change)))


def test_no_negative_prompt_is_heard_as_words_as_diffusers_hears_an_empty_one(
    models: dict[str, Both], relative: Any
) -> None:
    pipe, model = models["xl"]
    with torch.no_grad():
        _, theirs, _, pooled = pipe.encode_prompt(PROMPT, negative_prompt="")
    _, ours = model.encode([PROMPT], "", SIZE, Reading(empty_negative="words"))
    assert relative(ours.context, theirs) <= 1e-5
    assert ours.added is not None
    assert relative(ours.added[:, : pooled.shape[1]], pooled) <= 1e-5


@pytest.mark.parametrize("which", ["xl", "refiner"])
@pytest.mark.parametrize("way", ["zeros", "all_zeros", "words"])
def test_no_negative_prompt_is_zeros_for_those_models_alone_that_its_way_says(
    models: dict[str, Both], which: str, way: str
) -> None:
    reading = Reading(empty_negative=way)
    (positive,), negative = models[which][1].encode(["a fox"], "", SIZE, reading)
    silent = way == "all_zeros" or (way == "zeros" and which == "xl")
    assert bool(negative.context.any()) != silent
    assert positive.context.any()
    _, said = models[which][1].encode(["a fox"], "blurry", SIZE, reading)
    assert said.context.any()


@pytest.mark.parametrize(
    ("way", "prompt", "tokens"),
    [
        ("long", PROMPT, 256),
        ("short", PROMPT, 77),
        ("clip", PROMPT, 77),
        ("long", LONG, 256),
        ("short", LONG, None),
        ("clip", LONG, 154),
    ],
)
def test_sd3s_t5_is_padded_to_as_many_tokens_as_the_tool_pads_it(
    models: dict[str, Both], relative: Any, way: str, prompt: str, tokens: int | None
) -> None:
    pipe, model = models["sd3"]
    own = len(pipe.tokenizer_3(prompt).input_ids)
    tokens = own if tokens is None else tokens
    (ours,), negative = model.encode([prompt], "", SIZE, Reading(t5_padding=way))
    chunks = 77 * (1 if prompt == PROMPT else 2)
    assert ours.context.shape[1] == negative.context.shape[1] == chunks + tokens
    with torch.no_grad():
        theirs = pipe._get_t5_prompt_embeds(prompt, max_sequence_length=tokens)
    assert relative(ours.context[:, chunks:], theirs) <= 1e-5


@pytest.mark.parametrize(("way", "tokens"), [("long", 256), ("clip", 77), ("short", 0)])
def test_where_sd3_is_without_its_t5_zeros_stand_in_its_place_or_nothing(
    models: dict[str, Both], way: str, tokens: int
) -> None:
    (heard,), _ = models["sd3 without t5"][1].encode([PROMPT], "", SIZE, Reading(t5_padding=way))
    assert heard.context.shape[1] == 77 + tokens
    assert not heard.context[:, 77:].any()


@pytest.mark.parametrize(("way", "tokens"), [("long", 512), ("clip", 256), ("short", 256)])
def test_flux_devs_t5_is_padded_as_the_tool_pads_it(
    models: dict[str, Both], relative: Any, way: str, tokens: int
) -> None:
    pipe, model = models["flux"]
    with torch.no_grad():
        theirs, _, _ = pipe.encode_prompt(PROMPT, None, max_sequence_length=tokens)
    (ours,), _ = model.encode([PROMPT], "", SIZE, Reading(t5_padding=way))
    assert ours.context.shape[1] == tokens
    assert relative(ours.context, theirs) <= 1e-5


def test_flux_devs_levels_are_those_of_1024_pixels_where_they_are_fixed(
    models: dict[str, Both],
) -> None:
    model = models["flux"][1]
    usual = sigmas("simple", model.process(1024, 1024), 2)
    for side in (256, 1024):
        fixed = wish(width=side, height=side, fixed_shift=True)
        assert torch.equal(levels(process_of(model, fixed), fixed), usual)
    free = wish(width=256, height=256)
    assert not torch.equal(levels(process_of(model, free), free), usual)
