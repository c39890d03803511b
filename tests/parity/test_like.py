"""`--like diffusers`: a seed alone gives diffusers' own picture, the first noise and all times too.

The other parity tests hand diffusers our first noise and our times; here it takes its own.
"""

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from sfumato.course import process_of
from sfumato.families.sd import StableDiffusion
from sfumato.images import to_tensor
from sfumato.numerics import DIFFERENCES
from sfumato.pipeline import canvas_of, finish, generate
from sfumato.request import Request
from sfumato.source import Source
from tests.parity import test_like_families
from tests.parity.small import (
    NEGATIVE,
    PROCESS,
    PROMPT,
    SIZE,
    STABLE,
    STEPS,
    after_each_step,
    levels_of,
    make_parts,
    saved_and_loaded,
    settled,
)
from tests.parity.test_start import photo

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEED = 7
KARRAS = {"use_karras_sigmas": True}
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, **KARRAS}
# Sampler -> its schedule, diffusers' scheduler, its options, and whether it works in coordinates
# divided by sqrt(1 + sigma^2).
RUNS: dict[str, tuple[str, Any, dict[str, Any], bool]] = {
    "euler": ("ddim_uniform", diffusers.EulerDiscreteScheduler, LEADING, False),
    "euler_ancestral": ("ddim_uniform", diffusers.EulerAncestralDiscreteScheduler, LEADING, False),
    "ddim": ("ddim_uniform", diffusers.DDIMScheduler, {**LEADING, "clip_sample": False}, True),
    "dpmpp_2m": (
        "karras",
        diffusers.DPMSolverMultistepScheduler,
        {"use_karras_sigmas": True},
        True,
    ),
    "dpmpp_2m_sde": ("karras", diffusers.DPMSolverMultistepScheduler, SDE, True),
}


@pytest.fixture(scope="module")
def parts(randomised: Any) -> dict[str, Any]:
    return make_parts(randomised)


@pytest.fixture(scope="module")
def model(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    pipe = diffusers.StableDiffusionPipeline(**parts)
    return saved_and_loaded(pipe, tmp_path_factory.mktemp("pipe") / "model")


def request(sampler: str, like: str = "diffusers", **fields: Any) -> Request:
    usual = {
        "prompt": PROMPT,
        "negative": NEGATIVE,
        "seed": SEED,
        "steps": STEPS,
        "guidance": 7.5,
        "schedule": RUNS[sampler][0] if sampler in RUNS else "karras",
        "width": SIZE,
        "height": SIZE,
    }
    return settled(sampler, like, **{**usual, **fields})


def theirs(pipe: Any, sampler: str, **fields: Any) -> list[Tensor]:
    """Their latents after each step, all from a seed."""
    _, scheduler, options, _ = RUNS[sampler]
    pipe.scheduler = scheduler(**STABLE, **options)
    return after_each_step(
        pipe,
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=7.5,
        generator=torch.Generator().manual_seed(SEED),
        **fields,
    )


def ours(model: StableDiffusion, wish: Request, *, scaled: bool) -> list[Tensor]:
    """Our x after each step, in their coordinates."""
    steps = [step.x for step in generate(model, wish, canvas_of(wish))]
    after = levels_of(model, wish)[1:].tolist()
    if not scaled:
        return steps
    return [PROCESS.model_input(x, sigma) for x, sigma in zip(steps, after, strict=True)]


@pytest.mark.parametrize("sampler", RUNS)
def test_a_seed_gives_diffusers_own_trajectory(
    sampler: str, parts: Any, model: StableDiffusion, relative: Any
) -> None:
    pipe = diffusers.StableDiffusionPipeline(**parts)
    found = theirs(pipe, sampler, height=SIZE, width=SIZE)
    mine = ours(model, request(sampler), scaled=RUNS[sampler][3])
    assert len(mine) == len(found) == STEPS
    assert max(map(relative, mine, found)) <= 1e-4
    # And without the word it does not, by far more than the bound.
    other = ours(model, request(sampler, "sfumato"), scaled=RUNS[sampler][3])
    assert max(map(relative, other, found)) > 1e-3


@pytest.mark.parametrize("strength", [0.55, 1.0])
@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m", "dpmpp_2m_sde"])
def test_a_start_from_a_picture_is_diffusers_own_too(
    sampler: str, strength: float, parts: Any, model: StableDiffusion, relative: Any
) -> None:
    pipe = diffusers.StableDiffusionImg2ImgPipeline(**parts)
    latent = model.encode_picture(to_tensor([photo()]))
    found = theirs(pipe, sampler, strength=strength, image=latent)
    wish = request(sampler, image=Source.picture(photo()), strength=strength)
    mine = ours(model, wish, scaled=RUNS[sampler][3])
    assert len(mine) == len(found) == int(STEPS * strength)
    assert max(map(relative, mine, found)) <= 1e-4


CHANGES: dict[str, dict[str, Any]] = {
    "stream": {"stream": "nv"},
    "step_noise": {"step_noise": "own"},
    "sde_noise": {"sde_noise": "brownian"},
    "first_noise": {"first_noise": "variance"},
    "whole_times": {"whole_times": True},
    "discard_penultimate": {"discard_penultimate": True},
    "strength_steps": {"strength_steps": "all"},
    "weighting": {"weighting": "plain"},
    # Of other families than this file's model.
    **{name: {} for name in test_like_families.CHANGES},
    "rounding": {"rounding": "truncate"},
}


def test_every_difference_is_tried_below() -> None:
    assert list(CHANGES) == [each.field for each in DIFFERENCES]


@pytest.mark.parametrize("name", [name for name, change in CHANGES.items() if change])
def test_each_difference_changes_the_picture_by_itself(name: str, model: StableDiffusion) -> None:
    start = {"image": Source.picture(photo()), "strength": 0.5} if name == "strength_steps" else {}
    plain = request("dpmpp_sde", "sfumato", prompt="a (red:1.5) fox", steps=4, **start)
    other = request("dpmpp_sde", "sfumato", prompt="a (red:1.5) fox", steps=4, **start)
    other = other.changed(CHANGES[name])
    assert pixels(model, plain) == pixels(model, plain)
    assert pixels(model, plain) != pixels(model, other)


def pixels(model: StableDiffusion, wish: Request) -> bytes:
    canvas = canvas_of(wish)
    *_, last = generate(model, wish, canvas)
    return finish(model, canvas, last.x, wish.rounding).tobytes()


def test_a_discarded_level_is_the_lowest_above_0_of_one_step_more(model: StableDiffusion) -> None:
    wish = request("euler", "sfumato", schedule="karras", steps=6)
    whole = levels_of(model, request("euler", "sfumato", schedule="karras", steps=7)).tolist()
    found = levels_of(model, wish.changed({"discard_penultimate": True})).tolist()
    assert found == [*whole[:6], 0.0]


def test_comfyui_makes_all_steps_at_the_lower_levels_of_a_longer_schedule(
    model: StableDiffusion,
) -> None:
    start = {"image": Source.picture(photo()), "strength": 0.5}
    wish = request("euler", "comfy", schedule="karras", steps=6, **start)
    longer = levels_of(model, request("euler", "comfy", schedule="karras", steps=12))
    assert torch.equal(levels_of(model, wish), longer[6:])
    # A1111 makes one step more than the share.
    wish = request("euler", "a1111", schedule="karras", steps=6, **start)
    whole = levels_of(model, request("euler", "a1111", schedule="karras", steps=6))
    assert torch.equal(levels_of(model, wish), whole[2:])


def test_the_network_hears_whole_times_under_comfyui(model: StableDiffusion) -> None:
    wish = request("euler", "comfy", schedule="karras")
    heard = process_of(model, wish)
    for sigma in levels_of(model, wish)[:-1].tolist():
        assert heard.time(sigma) == round(PROCESS.time(sigma))


def test_rounding_cuts_or_takes_the_nearest_level(model: StableDiffusion) -> None:
    latent = torch.zeros(1, 4, 8, 8)
    nearest = finish(model, None, latent, "round").tobytes()
    below = finish(model, None, latent, "truncate").tobytes()
    assert {a - b for a, b in zip(nearest, below, strict=True)} == {0, 1}
