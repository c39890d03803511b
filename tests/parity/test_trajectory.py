"""A whole picture, from prompt and seed to pixels, is the one that diffusers' own pipeline makes.

diffusers saves its pipeline as a folder, ours is loaded from that folder; prompt, noise and levels
are the same.
"""

import gzip
from importlib import resources
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.schedules import sigmas
from sfumato.families.base import process_of
from sfumato.families.sd import StableDiffusion
from sfumato.images import to_images
from sfumato.nn.clip import ClipText
from sfumato.pipeline import generate
from sfumato.request import Defaults, Request
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, UNetConfig, VaeConfig
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 64
STEPS = 10
SPEC = ModelSpec(
    name="small",
    title="Small",
    family="sd",
    text=ClipConfig(layers=2, width=32, heads=2, hidden=64),
    unet=UNetConfig(channels=(32, 64, 64), depth=(1, 1, 0), heads=4, context=32, groups=8),
    vae=VaeConfig(channels=(16, 16, 32, 32), blocks=1, groups=8),
    process=ProcessConfig("eps"),
    defaults=Defaults(STEPS, 7.5, "euler", "normal", SIZE, SIZE),
)
PROMPT, NEGATIVE = "a red fox in the snow, 3d", "blurry"
STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


PROCESS = process_of(SPEC.process)


class GivenDPM(diffusers.DPMSolverMultistepScheduler):
    """DPM++ 2M at our levels: diffusers' own are the same, but with times rounded to whole ones."""

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        super().set_timesteps(*args, **kwargs)
        levels = sigmas("karras", PROCESS, STEPS)
        assert torch.allclose(self.sigmas, levels.float(), rtol=1e-4, atol=0)  # float32 alphas
        self.sigmas = levels.float()
        self.timesteps = torch.tensor([PROCESS.time(float(sigma)) for sigma in levels[:-1]])


# Sampler, schedule, diffusers' scheduler, and whether it works in coordinates divided by
# sqrt(1 + sigma^2).
RUNS = {
    "ddim": (
        "ddim_uniform",
        diffusers.DDIMScheduler(**STABLE, clip_sample=False, steps_offset=1),
        True,
    ),
    "euler": (
        "normal",
        diffusers.EulerDiscreteScheduler(**STABLE, timestep_spacing="linspace"),
        False,
    ),
    "dpmpp_2m": ("karras", GivenDPM(**STABLE, use_karras_sigmas=True), True),
}


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    packed = resources.files("sfumato").joinpath("assets/clip/merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    shown = [b for b in range(256) if chr(b).isprintable() and b not in (32, 127, 160, 173)]
    letters = [chr(b) for b in shown] + [chr(256 + n) for n in range(256 - len(shown))]
    words = letters + [c + "</w>" for c in letters] + [line.replace(" ", "") for line in lines]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={word: n for n, word in enumerate(words)},
        merges=[tuple(line.split(" ")) for line in lines],
        model_max_length=77,
    )


@pytest.fixture(scope="module")
def pipe(tokenizer: CLIPTokenizer, randomised: Any) -> diffusers.StableDiffusionPipeline:
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIZE // 8,
        block_out_channels=SPEC.unet.channels,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=32,
        norm_num_groups=8,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=SPEC.vae.channels,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )
    pipe = diffusers.StableDiffusionPipeline(
        vae=randomised(vae, 1),
        text_encoder=randomised(text, 2),
        tokenizer=tokenizer,
        unet=randomised(unet, 3),
        scheduler=RUNS["ddim"][1],
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def model(
    pipe: diffusers.StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory
) -> StableDiffusion:
    folder = tmp_path_factory.mktemp("pipe") / "model"
    pipe.save_pretrained(folder)
    parts = load_model(open_weights(Path(folder)), SPEC, tables("diffusers", SPEC), torch.float32)
    assert isinstance(parts.text, ClipText)
    return StableDiffusion(SPEC, parts.unet, parts.vae, parts.text)


@pytest.mark.parametrize("sampler", RUNS)
def test_the_trajectory_is_that_of_diffusers_pipeline(
    sampler: str, pipe: Any, model: StableDiffusion, relative: Any
) -> None:
    schedule, pipe.scheduler, is_scaled = RUNS[sampler]
    request = Request(
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

    levels = sigmas(schedule, model.process, STEPS)
    noise, top = Noise([7], model.latent_shape(SIZE, SIZE))(0), float(levels[0])
    start = PROCESS.mix(torch.zeros_like(noise), noise, top)
    pipe.scheduler.set_timesteps(STEPS)
    start = PROCESS.model_input(start, top) if is_scaled else start
    theirs: list[torch.Tensor] = []

    def keep(_pipe: Any, _step: int, _time: Any, held: dict[str, Any]) -> dict[str, Any]:
        theirs.append(held["latents"])
        return {}

    final = pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=7.5,
        height=SIZE,
        width=SIZE,
        latents=start / pipe.scheduler.init_noise_sigma,
        callback_on_step_end=keep,
        output_type="latent",
    ).images
    assert len(ours) == len(theirs) == STEPS
    for x, other, sigma in zip(ours, theirs, levels[1:].tolist(), strict=True):
        assert relative(PROCESS.model_input(x, sigma) if is_scaled else x, other) <= 1e-4

    with torch.no_grad():
        decoded = pipe.vae.decode(final / pipe.vae.config.scaling_factor).sample
        picture = pipe.image_processor.postprocess(decoded, output_type="pil")[0]
    (mine,) = to_images(model.decode(ours[-1]))
    grey = np.abs(np.asarray(mine, dtype=int) - np.asarray(picture, dtype=int))
    assert grey.max() <= 1
    assert np.asarray(mine).std() > 1  # and it is a picture of something
