"""A small Stable Diffusion with random weights, as diffusers' pipelines and as ours.

diffusers saves its pipeline as a folder, ours is loaded from that folder.
"""

import gzip
from importlib import resources
from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from sfumato.course import levels, process_of
from sfumato.diffusion.schedules import sigmas
from sfumato.families.base import Family
from sfumato.families.base import process_of as process_named
from sfumato.families.sd import StableDiffusion
from sfumato.numerics import LIKE
from sfumato.request import Request
from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, TextPart, UNetConfig, VaeConfig
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model

SIZE = 64
STEPS = 10
SPEC = ModelSpec(
    name="small",
    title="Small",
    family="sd",
    texts=(TextPart(ClipConfig(layers=2, width=32, heads=2, hidden=64)),),
    denoiser=UNetConfig(channels=(32, 64, 64), depth=(1, 1, 0), heads=4, context=32, groups=8),
    vae=VaeConfig(channels=(16, 16, 32, 32), blocks=1, groups=8),
    process=ProcessConfig("eps"),
    defaults=Defaults(STEPS, 7.5, "euler", "normal", SIZE, SIZE),
)
PROMPT, NEGATIVE = "a red fox in the snow, 3d", "blurry"
STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


PROCESS = process_named(SPEC.process)


class GivenDPM(diffusers.DPMSolverMultistepScheduler):
    """DPM++ 2M at our levels: diffusers' own are the same, but with times rounded to whole ones."""

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        super().set_timesteps(*args, **kwargs)
        ours = sigmas("karras", PROCESS, STEPS)
        assert torch.allclose(self.sigmas, ours.float(), rtol=1e-4, atol=0)  # float32 alphas
        self.sigmas = ours.float()
        self.timesteps = torch.tensor([PROCESS.time(float(sigma)) for sigma in ours[:-1]])


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


def settled(sampler: str, like: str = "sfumato", **fields: Any) -> Request:
    """A request whose numerics are settled, as a pipeline takes it."""
    numerics = LIKE[like].under(sampler)
    return Request(**{**numerics, "like": like, "sampler": sampler, **fields})


def levels_of(model: Family, request: Request) -> torch.Tensor:
    """The noise levels of a settled request's run, (N + 1,)."""
    return levels(process_of(model, request), request)


def make_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    """CLIP's own words, from the list that comes with sfumato; `pad` fills up short prompts."""
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
        pad_token=pad,
    )


def make_parts(randomised: Any, in_channels: int = 4) -> dict[str, Any]:
    """The parts that every one of diffusers' pipelines is made of."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=in_channels,
        block_out_channels=SPEC.denoiser.channels,
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
    return {
        "vae": randomised(vae, 1),
        "text_encoder": randomised(text, 2),
        "tokenizer": make_tokenizer(),
        "unet": randomised(unet, 3),
        "scheduler": RUNS["ddim"][1],
        "safety_checker": None,
        "feature_extractor": None,
        "image_encoder": None,
        "requires_safety_checker": False,
    }


def saved_and_loaded(pipe: Any, folder: Path, spec: ModelSpec = SPEC) -> StableDiffusion:
    """Our model, from the folder that diffusers' pipeline saved."""
    pipe.save_pretrained(folder)
    parts = load_model(open_weights(folder), spec, tables("diffusers", spec), torch.float32)
    return StableDiffusion(spec, parts)


def after_each_step(pipe: Any, prompt: str, **said: Any) -> list[torch.Tensor]:
    """The latents of a pipeline of diffusers after each of its steps."""
    found: list[torch.Tensor] = []

    def keep(_pipe: Any, _step: int, _time: Any, held: dict[str, Any]) -> dict[str, Any]:
        found.append(held["latents"])
        return {}

    pipe.set_progress_bar_config(disable=True)
    pipe(prompt, callback_on_step_end=keep, output_type="latent", **said)
    return found
