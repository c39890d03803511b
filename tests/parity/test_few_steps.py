"""Models of few steps, LCM, Turbo and Lightning, paint as diffusers' pipelines paint with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from sfumato.errors import WeightsError
from sfumato.families.base import Family
from sfumato.families.sd import StableDiffusion
from sfumato.pipeline import generate
from sfumato.request import Request
from sfumato.spec import ModelSpec, UNetConfig
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model
from tests.parity import small, test_xl

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)

SEED, GUIDED = 7, 32
TRAILING = {**small.STABLE, "timestep_spacing": "trailing"}


def told_its_guidance(unet: Any, randomised: Any) -> Any:
    """The same U-Net with the input that an LCM has for the strength of guidance."""
    torch.manual_seed(0)
    config = {**unet.config, "time_cond_proj_dim": GUIDED}
    config.pop("_use_default_values", None)  # among which it stands
    return randomised(diffusers.UNet2DConditionModel.from_config(config), 3)


def with_guidance(spec: ModelSpec) -> ModelSpec:
    assert isinstance(spec.denoiser, UNetConfig)
    return replace(spec, denoiser=replace(spec.denoiser, guided=GUIDED))


@pytest.fixture(scope="module")
def lcm(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Family, Path]:
    parts = small.make_parts(randomised)
    parts["unet"] = told_its_guidance(parts["unet"], randomised)
    parts["scheduler"] = diffusers.LCMScheduler(**small.STABLE)
    pipe = diffusers.LatentConsistencyModelPipeline(**parts)
    folder = tmp_path_factory.mktemp("lcm") / "model"
    pipe.save_pretrained(folder)
    spec = with_guidance(small.SPEC)
    loaded = load_model(open_weights(folder), spec, tables("diffusers", spec), torch.float32)
    return pipe, StableDiffusion(spec, loaded), folder


def theirs(pipe: Any, steps: int, **fields: Any) -> list[Tensor]:
    """Their latents after each step, from the seed alone."""
    return small.after_each_step(
        pipe,
        small.PROMPT,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(SEED),
        **fields,
    )


def ours(model: Family, wish: Request, *, scaled: bool) -> list[Tensor]:
    """Our latents after each step, in their coordinates."""
    after = small.levels_of(model, wish)[1:].tolist()
    steps = [step.x for step in generate(model, wish)]
    if not scaled:
        return steps
    pairs = zip(steps, after, strict=True)
    return [small.PROCESS.model_input(x, sigma) for x, sigma in pairs]


def wish(sampler: str, schedule: str, steps: int, like: str = "sfumato", **more: Any) -> Request:
    fields = {"prompt": small.PROMPT, "seed": SEED, "guidance": 1.0, **more}
    return small.settled(sampler, like, schedule=schedule, steps=steps, **fields)


@pytest.mark.parametrize("guidance", [8.0, 1.0, 3.5])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_lcm_is_told_its_guidance_and_paints_as_diffusers_pipeline(
    lcm: tuple[Any, Family, Path], relative: Any, guidance: float, steps: int
) -> None:
    pipe, model, _ = lcm
    size = {"width": small.SIZE, "height": small.SIZE}
    found = theirs(pipe, steps, guidance_scale=guidance, **size)
    request = wish("lcm", "lcm", steps, "diffusers", distilled=guidance, **size)
    mine = ours(model, request, scaled=True)
    assert len(mine) == len(found) == steps
    assert max(map(relative, mine, found)) <= 1e-4


def test_another_guidance_is_another_picture(lcm: tuple[Any, Family, Path]) -> None:
    size = {"width": small.SIZE, "height": small.SIZE}
    one, other = (
        ours(lcm[1], wish("lcm", "lcm", 2, distilled=strength, **size), scaled=False)[-1]
        for strength in (2.0, 9.0)
    )
    assert not torch.allclose(one, other, rtol=1e-3)


def test_lcms_weights_fit_no_model_without_that_input_and_no_others_fit_it(
    lcm: tuple[Any, Family, Path], randomised: Any, tmp_path: Path
) -> None:
    plain, guided = small.SPEC, with_guidance(small.SPEC)
    with pytest.raises(WeightsError, match=r"time_embedding\.cond_proj"):
        load_model(open_weights(lcm[2]), plain, tables("diffusers", plain), torch.float32)
    pipe = diffusers.StableDiffusionPipeline(**small.make_parts(randomised))
    pipe.save_pretrained(tmp_path / "plain")
    weights = open_weights(tmp_path / "plain")
    with pytest.raises(WeightsError, match=r"time_embedding\.cond_proj"):
        load_model(weights, guided, tables("diffusers", guided), torch.float32)


XL = {"width": test_xl.WIDTH, "height": test_xl.HEIGHT}


@pytest.fixture(scope="module")
def xl(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Family]:
    pipe = test_xl.pipe_of(test_xl.BASE, randomised)
    return pipe, test_xl.model_of(test_xl.BASE, pipe, tmp_path_factory.mktemp("xl") / "model")


def test_lcm_on_xl_is_told_its_guidance_too(randomised: Any, tmp_path: Path, relative: Any) -> None:
    pipe = test_xl.pipe_of(test_xl.BASE, randomised)
    pipe.unet = told_its_guidance(pipe.unet, randomised)
    pipe.register_to_config(unet=("diffusers", "UNet2DConditionModel"))
    pipe.scheduler = diffusers.LCMScheduler(**small.STABLE)
    model = test_xl.model_of(with_guidance(test_xl.BASE), pipe, tmp_path / "model")
    found = theirs(pipe, 4, guidance_scale=8.0, **XL)
    request = wish("lcm", "lcm", 4, "diffusers", distilled=8.0, **XL)
    mine = ours(model, request, scaled=True)
    assert max(map(relative, mine, found)) <= 1e-4


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("euler_ancestral", diffusers.EulerAncestralDiscreteScheduler),  # Turbo's
        ("euler", diffusers.EulerDiscreteScheduler),  # Lightning's
    ],
    ids=["Turbo", "Lightning"],
)
def test_turbo_and_lightning_paint_as_diffusers_pipeline_with_their_schedulers(
    xl: tuple[Any, Family], relative: Any, sampler: str, scheduler: Any, steps: int
) -> None:
    pipe, model = xl
    pipe.scheduler = scheduler(**TRAILING)
    found = theirs(pipe, steps, guidance_scale=0.0, **XL)
    mine = ours(model, wish(sampler, "simple", steps, **XL), scaled=False)
    assert len(mine) == len(found) == steps
    assert max(map(relative, mine, found)) <= 1e-4
