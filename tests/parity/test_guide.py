"""A request's own noise levels and its kinds of guidance reach the picture."""

from typing import Any

import diffusers
import pytest
import torch

from sfumato.diffusion.guidance import Clipped, Guidance, Mimicked, Projected, ZeroStar
from sfumato.errors import RequestError
from sfumato.families.sd import StableDiffusion
from sfumato.guide import guidance_of
from sfumato.pipeline import generate
from sfumato.request import Request
from tests.parity.small import (
    NEGATIVE,
    PROMPT,
    SIZE,
    STABLE,
    after_each_step,
    levels_of,
    make_parts,
    saved_and_loaded,
    settled,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
OWN = (14.6, 6.5, 2.5, 0.8)


@pytest.fixture(scope="module")
def parts(randomised: Any) -> dict[str, Any]:
    return make_parts(randomised)


@pytest.fixture(scope="module")
def model(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    pipe = diffusers.StableDiffusionPipeline(**parts)
    return saved_and_loaded(pipe, tmp_path_factory.mktemp("pipe") / "model")


def request(**fields: Any) -> Request:
    usual: dict[str, Any] = {"prompt": PROMPT, "negative": NEGATIVE, "seed": 7, "guidance": 7.5}
    if "sigmas" not in fields:
        usual |= {"steps": 4, "schedule": "karras"}
    return settled("euler", width=SIZE, height=SIZE, **{**usual, **fields})


def last(model: StableDiffusion, wish: Request) -> torch.Tensor:
    return [*generate(model, wish)][-1].x


def test_own_levels_give_diffusers_own_trajectory(
    parts: Any, model: StableDiffusion, relative: Any
) -> None:
    pipe = diffusers.StableDiffusionPipeline(**parts)
    pipe.scheduler = diffusers.EulerDiscreteScheduler(**STABLE, timestep_spacing="linspace")
    found = after_each_step(
        pipe,
        PROMPT,
        negative_prompt=NEGATIVE,
        sigmas=[*OWN, 0.0],  # theirs do not end at 0 by themselves
        guidance_scale=7.5,
        height=SIZE,
        width=SIZE,
        generator=torch.Generator().manual_seed(7),
    )
    mine = [step.x for step in generate(model, request(sigmas=OWN))]
    assert len(mine) == len(found) == len(OWN)
    assert max(map(relative, mine, found)) <= 1e-4


def test_the_levels_of_a_schedule_given_as_own_make_the_same_picture(
    model: StableDiffusion,
) -> None:
    usual = request()
    own = request(sigmas=levels_of(model, usual).tolist())
    assert (own.steps, own.schedule) == (4, None)
    assert torch.equal(last(model, own), last(model, usual))


def test_own_levels_above_pure_noise_are_refused_before_any_step(model: StableDiffusion) -> None:
    with pytest.raises(RequestError, match="sigma 1 is 20; each must be above 0 and no higher"):
        generate(model, request(sigmas=(20.0, 1.0)))


CHANGES: dict[str, dict[str, Any]] = {
    "interval": {"interval": (0.5, 6.0)},
    "apg": {"guidance_rule": "apg"},
    "apg along": {"guidance_rule": "apg", "apg_along": 0.5},
    "apg longest": {"guidance_rule": "apg", "apg_longest": 1.0},
    "zero star": {"guidance_rule": "zero_star"},
    "no zero steps": {"guidance_rule": "zero_star", "zero_steps": 0},
    "pag": {"pag": 3.0, "pag_layers": (4,)},
    "pag elsewhere": {"pag": 3.0, "pag_layers": (2, 3)},
    "mimic": {"threshold": "mimic", "mimic_scale": 4.0},
    "mimic scale": {"threshold": "mimic", "mimic_scale": 2.0},
    "mimic quantile": {"threshold": "mimic", "mimic_scale": 4.0, "mimic_quantile": 0.9},
    "imagen": {"threshold": "imagen"},
    "imagen quantile": {"threshold": "imagen", "imagen_quantile": 0.9},
    "imagen limit": {"threshold": "imagen", "imagen_limit": 1.5},
}


def test_every_kind_of_guidance_makes_a_picture_of_its_own(model: StableDiffusion) -> None:
    made = [last(model, request(**change)) for change in ({}, *CHANGES.values())]
    assert all(x.isfinite().all() for x in made)
    for i, one in enumerate(made):
        assert not any(torch.equal(one, other) for other in made[:i])


def test_guidance_is_what_the_request_says(model: StableDiffusion) -> None:
    run = levels_of(model, request())
    assert guidance_of(request(rescale=0.5), run) == Guidance(7.5, 0.5)
    assert guidance_of(request(interval=[1, 5]), run) == Guidance(7.5, 0.0, (1.0, 5.0))
    apg = request(guidance_rule="apg", apg_along=0.25, apg_longest=0)
    assert guidance_of(apg, run).rule == Projected(0.25, 0.0)
    mimic = request(threshold="mimic", mimic_scale=5, mimic_quantile=0.9)
    assert guidance_of(mimic, run).threshold == Mimicked(5.0, 0.9)
    imagen = request(threshold="imagen", imagen_quantile=0.9, imagen_limit=2)
    assert guidance_of(imagen, run).threshold == Clipped(0.9, 2.0)
    for steps, level in ((0, None), (1, float(run[0])), (3, float(run[2]))):
        wish = request(guidance_rule="zero_star", zero_steps=steps)
        assert guidance_of(wish, run).rule == ZeroStar(level)


@pytest.mark.parametrize(("zero", "steps"), [(4, 4), (99, 4), (1, 1)])
def test_steps_that_all_rest_would_leave_noise_and_are_refused(
    model: StableDiffusion, zero: int, steps: int
) -> None:
    wish = request(guidance_rule="zero_star", zero_steps=zero, steps=steps)
    with pytest.raises(RequestError, match=rf"zero_steps is {zero}, .* give {steps - 1} at the"):
        generate(model, wish)


def test_the_zero_steps_let_x_stay_where_it_is(model: StableDiffusion) -> None:
    first, *_ = generate(model, request(guidance_rule="zero_star", zero_steps=1))
    second, *_ = generate(model, request(guidance_rule="zero_star", zero_steps=0))
    assert torch.equal(first.x, first.x0)  # an output of 0 is a noise of 0
    assert not torch.equal(second.x, second.x0)
