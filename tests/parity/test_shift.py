"""The shift that a request asks for moves a flow's levels as diffusers' scheduler moves them."""

from typing import Any

import diffusers
import pytest
import torch

from sfumato.course import levels, process_of
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.shift import shift_of_flux
from sfumato.errors import RequestError
from sfumato.families.base import Family
from sfumato.pipeline import generate
from sfumato.request import Request
from tests.parity import small, small_flux, small_sd3
from tests.parity.transformed import (
    HEIGHT,
    NEGATIVE,
    PROMPT,
    STEPS,
    WIDTH,
    saved_and_opened,
    trajectory,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def both(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Family]:
    pipe = small_sd3.pipe_of(randomised, with_t5=False)
    folder = tmp_path_factory.mktemp("sd3") / "model"
    return pipe, saved_and_opened(pipe, small_sd3.SPEC, folder)


@pytest.fixture(scope="module")
def dev(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> Family:
    pipe = small_flux.pipe_of(randomised, small_flux.DEV)
    return saved_and_opened(pipe, small_flux.DEV, tmp_path_factory.mktemp("flux") / "model")


def wish(**fields: Any) -> Request:
    usual: dict[str, Any] = {"prompt": PROMPT, "negative": NEGATIVE, "seed": 7, "steps": STEPS}
    usual |= {"guidance": 5.0, "schedule": "normal", "width": WIDTH, "height": HEIGHT}
    return small.settled("euler", **{**usual, **fields})


def test_the_trajectory_under_another_shift_is_that_of_diffusers(
    both: tuple[Any, Family], relative: Any
) -> None:
    pipe, model = both
    usual = pipe.scheduler
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0)
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    theirs = trajectory(pipe, noise, guidance_scale=5.0)
    pipe.scheduler = usual
    ours = [step.x for step in generate(model, wish(shift=5.0))]
    assert len(ours) == len(theirs) == STEPS
    assert max(map(relative, ours, theirs)) <= 1e-4


def test_the_models_own_shift_asked_for_changes_nothing(both: tuple[Any, Family]) -> None:
    *_, unasked = generate(both[1], wish())
    *_, asked = generate(both[1], wish(shift=3.0))
    *_, other = generate(both[1], wish(shift=1.0))
    assert torch.equal(unasked.x, asked.x)
    assert not torch.equal(unasked.x, other.x)


def test_a_lone_step_begins_at_pure_noise_under_any_shift(both: tuple[Any, Family]) -> None:
    (own,), (asked,) = (generate(both[1], wish(steps=1, **more)) for more in ({}, {"shift": 7.0}))
    assert torch.equal(own.x, asked.x)


def test_flux_devs_own_goes_by_the_size_and_a_shift_asked_for_does_not(dev: Family) -> None:
    def course(side: int, shift: float | None) -> list[float]:
        request = wish(schedule="simple", width=side, height=side, shift=shift)
        return levels(process_of(dev, request), request).tolist()

    assert course(256, None) != course(512, None)
    assert course(256, 2.0) == course(512, 2.0)
    assert course(512, None) == course(512, shift_of_flux(1024))


def test_a_model_that_is_no_flow_refuses_it_by_name(
    randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pipe = diffusers.StableDiffusionPipeline(**small.make_parts(randomised))
    model = small.saved_and_loaded(pipe, tmp_path_factory.mktemp("sd") / "model")
    with pytest.raises(RequestError, match="shift is 3, and Small is no flow"):
        generate(model, wish(shift=3.0, width=small.SIZE, height=small.SIZE))


@pytest.mark.parametrize("schedule", ["gits", "align_your_steps", "linear_quadratic"])
def test_levels_as_they_were_published_refuse_it_by_name(
    both: tuple[Any, Family], schedule: str
) -> None:
    with pytest.raises(RequestError, match=f"no effect with the schedule {schedule}"):
        generate(both[1], wish(shift=2.0, schedule=schedule))
