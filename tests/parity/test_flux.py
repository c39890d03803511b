"""Flux dev and schnell: what is heard and the whole trajectory are those of diffusers' pipeline."""

from typing import Any

import pytest
import torch

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.schedules import sigmas
from sfumato.families.flux import FluxModel
from sfumato.pipeline import generate
from tests.parity.small import settled
from tests.parity.small_flux import DEV, SCHNELL, pipe_of
from tests.parity.transformed import (
    HEIGHT,
    NEGATIVE,
    PROMPT,
    WIDTH,
    saved_and_opened,
    trajectory,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)

# The stride of `simple` is cut to whole entries of a thousand; of so many steps it is whole.
WHOLE_STEPS = 5


@pytest.fixture(scope="module", params=[DEV, SCHNELL], ids=["dev", "schnell"])
def both(
    request: pytest.FixtureRequest, randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, FluxModel]:
    pipe = pipe_of(randomised, request.param)
    return pipe, saved_and_opened(pipe, request.param, tmp_path_factory.mktemp("flux") / "model")


def packed(latent: torch.Tensor) -> torch.Tensor:
    """A latent (1, C, H, W) as diffusers packs it: (1, H W / 4, 4 C)."""
    _, channels, height, width = latent.shape
    x = latent.view(1, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(1, height * width // 4, channels * 4)


def length_of(model: FluxModel) -> int:
    return 512 if model.spec.defaults.distilled is not None else 256


def test_what_is_heard_is_what_diffusers_hears(both: tuple[Any, FluxModel], relative: Any) -> None:
    pipe, model = both
    with torch.no_grad():
        context, pooled, _ = pipe.encode_prompt(PROMPT, None, max_sequence_length=length_of(model))
    (positive,), _ = model.encode([PROMPT], "", (WIDTH, HEIGHT))
    assert relative(positive.context, context) <= 1e-5
    assert relative(positive.added, pooled) <= 1e-5


@pytest.mark.parametrize("guidance", [1.0, 4.0], ids=["one prompt", "both prompts"])
def test_the_trajectory_is_that_of_diffusers(
    both: tuple[Any, FluxModel], guidance: float, relative: Any
) -> None:
    pipe, model = both
    distilled = None if model.spec.defaults.distilled is None else 2.5
    request = settled(
        "euler",
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=7,
        steps=WHOLE_STEPS,
        guidance=guidance,
        distilled=distilled,
        schedule="simple",
        width=WIDTH,
        height=HEIGHT,
    )
    ours = [step.x for step in generate(model, request)]
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    theirs = trajectory(
        pipe,
        packed(noise),
        steps=WHOLE_STEPS,
        guidance_scale=2.5,
        true_cfg_scale=guidance,
        max_sequence_length=length_of(model),
    )
    assert len(ours) == len(theirs) == WHOLE_STEPS
    for x, other in zip(ours, theirs, strict=True):
        assert relative(packed(x), other) <= 1e-4


def test_dev_shifts_its_levels_by_the_size_and_schnell_does_not(
    both: tuple[Any, FluxModel],
) -> None:
    model = both[1]
    small, large = (sigmas("simple", model.process(s, s), 4).tolist() for s in (256, 1024))
    if model.spec.process.by_size:
        assert small[1] == pytest.approx(shifted_by(0.75, 0.5))  # mu of 256 tokens
        assert large[1] == pytest.approx(shifted_by(0.75, 1.15))  # mu of 4096
    else:
        assert small == large == [1.0, 0.75, 0.5, 0.25, 0.0]


def shifted_by(level: float, mu: float) -> float:
    """black-forest-labs/flux, `time_shift`."""
    from math import exp

    return exp(mu) / (exp(mu) + (1 / level - 1))
