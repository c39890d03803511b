"""A whole picture, from prompt and seed to pixels, is the one that diffusers' own pipeline makes.

diffusers saves its pipeline as a folder, ours is loaded from that folder; prompt, noise and levels
are the same.
"""

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.schedules import sigmas
from sfumato.families.sd import StableDiffusion
from sfumato.images import to_images
from sfumato.pipeline import generate
from tests.parity.small import (
    NEGATIVE,
    PROCESS,
    PROMPT,
    RUNS,
    SIZE,
    STEPS,
    after_each_step,
    make_parts,
    saved_and_loaded,
    settled,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def pipe(randomised: Any) -> Any:
    pipe = diffusers.StableDiffusionPipeline(**make_parts(randomised))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def model(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return saved_and_loaded(pipe, tmp_path_factory.mktemp("pipe") / "model")


@pytest.mark.parametrize("sampler", RUNS)
def test_the_trajectory_is_that_of_diffusers_pipeline(
    sampler: str, pipe: Any, model: StableDiffusion, relative: Any
) -> None:
    schedule, pipe.scheduler, is_scaled = RUNS[sampler]
    request = settled(
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=7,
        steps=STEPS,
        guidance=7.5,
        sampler=sampler,
        schedule=schedule,
        width=SIZE,
        height=SIZE,
    )
    ours = [step.x for step in generate(model, request)]

    levels = sigmas(schedule, model.process(SIZE, SIZE), STEPS)
    noise, top = Noise([7], model.latent_shape(SIZE, SIZE))(0), float(levels[0])
    start = PROCESS.mix(torch.zeros_like(noise), noise, top)
    pipe.scheduler.set_timesteps(STEPS)
    start = PROCESS.model_input(start, top) if is_scaled else start
    theirs = after_each_step(
        pipe,
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=7.5,
        height=SIZE,
        width=SIZE,
        latents=start / pipe.scheduler.init_noise_sigma,
    )
    assert len(ours) == len(theirs) == STEPS
    for x, other, sigma in zip(ours, theirs, levels[1:].tolist(), strict=True):
        assert relative(PROCESS.model_input(x, sigma) if is_scaled else x, other) <= 1e-4

    with torch.no_grad():
        decoded = pipe.vae.decode(theirs[-1] / pipe.vae.config.scaling_factor).sample
        picture = pipe.image_processor.postprocess(decoded, output_type="pil")[0]
    (mine,) = to_images(model.decode(ours[-1]))
    grey = np.abs(np.asarray(mine, dtype=int) - np.asarray(picture, dtype=int))
    assert grey.max() <= 1
    assert np.asarray(mine).std() > 1  # and it is a picture of something
