"""SD 3 and 3.5: what is heard and the whole trajectory are those of diffusers' pipeline."""

from typing import Any

import pytest
import torch

from sfumato.diffusion.noise import Noise
from sfumato.families.base import Reading
from sfumato.families.sd3 import StableDiffusion3
from sfumato.pipeline import generate
from tests.parity.small import settled
from tests.parity.small_sd3 import SPEC, pipe_of
from tests.parity.transformed import (
    CONTEXT,
    HEIGHT,
    NEGATIVE,
    PROMPT,
    STEPS,
    VAE,
    WIDTH,
    saved_and_opened,
    trajectory,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module", params=[True, False], ids=["with T5", "without T5"])
def both(
    request: pytest.FixtureRequest, randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, StableDiffusion3]:
    pipe = pipe_of(randomised, with_t5=request.param)
    return pipe, saved_and_opened(pipe, SPEC, tmp_path_factory.mktemp("sd3") / "model")


def test_what_is_heard_is_what_diffusers_hears(
    both: tuple[Any, StableDiffusion3], relative: Any
) -> None:
    pipe, model = both
    with torch.no_grad():
        context, other, pooled, other_pooled = pipe.encode_prompt(
            PROMPT, None, None, negative_prompt=NEGATIVE
        )
    (positive,), negative = model.encode([PROMPT], NEGATIVE, (WIDTH, HEIGHT))
    assert relative(positive.context, context) <= 1e-5
    assert relative(negative.context, other) <= 1e-5
    assert relative(positive.added, pooled) <= 1e-5
    assert relative(negative.added, other_pooled) <= 1e-5
    if model.t5 is None:
        assert positive.context.shape[1] == 77 + 256
        assert not positive.context[:, 77:].any()


def test_the_trajectory_and_the_picture_are_those_of_diffusers(
    both: tuple[Any, StableDiffusion3], relative: Any
) -> None:
    pipe, model = both
    request = settled(
        "euler",
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=7,
        steps=STEPS,
        guidance=5.0,
        schedule="normal",
        width=WIDTH,
        height=HEIGHT,
    )
    ours = [step.x for step in generate(model, request)]
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    theirs = trajectory(pipe, noise, guidance_scale=5.0)
    assert len(ours) == len(theirs) == STEPS
    for x, other in zip(ours, theirs, strict=True):
        assert relative(x, other) <= 1e-4
    with torch.no_grad():
        shown = pipe.vae.decode(theirs[-1] / VAE.scale + VAE.shift).sample
    assert relative(model.decode(theirs[-1]), shown) <= 1e-5


def test_a_long_prompt_is_read_whole_by_all_readers(both: tuple[Any, StableDiffusion3]) -> None:
    model = both[1]
    (positive,), negative = model.encode(["fox " * 300], "grey", (WIDTH, HEIGHT))
    chunks = 77 * (300 // 75)
    tokens = 256 if model.t5 is None else 301
    assert positive.context.shape == negative.context.shape == (1, chunks + tokens, CONTEXT)


@pytest.mark.parametrize("weighting", ["a1111", "comfy"])
def test_a_weight_changes_what_each_reader_says_of_that_word(
    both: tuple[Any, StableDiffusion3], weighting: str
) -> None:
    model = both[1]
    (plain, heavy), _ = model.encode(
        ["a red fox", "a red (fox:1.5)"], "", (WIDTH, HEIGHT), Reading(weighting)
    )
    differs = (plain.context - heavy.context).abs().amax(2)[0] > 1e-6
    assert bool(differs[:77].any())
    assert bool(differs[77:].any()) == (model.t5 is not None)
