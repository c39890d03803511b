"""Stable Diffusion 1.5 at full size, random weights: our numbers and seconds beside diffusers'.

    python benchmarks/sd15_full_size.py [--size 512] [--steps 6] [--device cpu] [--precision fp32]

diffusers' pipeline is made with random weights and saved as a folder; ours is loaded from that
folder. Printed are the largest differences of the text encoder, the U-Net and the autoencoder (of
the oracle's largest number), of whole trajectories (ddim, euler, dpmpp_2m; same prompt, noise and
levels), of the finished pictures in grey levels, and the median seconds of one guided U-Net step,
the two taking turns. Needs about 11 GB of memory and 4.3 GB of disk in fp32.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from sfumato.catalog import SD15
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.schedules import sigmas
from sfumato.families.base import process_of
from sfumato.families.sd import StableDiffusion
from sfumato.images import to_images
from sfumato.pipeline import generate
from sfumato.request import Request
from sfumato.text.clip import ClipTokenizer
from sfumato.weights.detect import recognise
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
PROMPT, NEGATIVE, GUIDANCE = "a red fox in the snow, 3d", "blurry", 7.5
PROCESS = process_of(SD15.process)
STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

# Sampler, schedule, diffusers' scheduler, and whether it divides by sqrt(1 + sigma^2).
RUNS: dict[str, tuple[str, Any, bool]] = {
    "ddim": ("ddim_uniform", diffusers.DDIMScheduler, True),
    "euler": ("normal", diffusers.EulerDiscreteScheduler, False),
    "dpmpp_2m": ("karras", diffusers.DPMSolverMultistepScheduler, True),
}


def oracle() -> dict[str, Any]:
    """diffusers' parts of Stable Diffusion 1.5, random, the predicted noise with a spread of 1."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(cross_attention_dim=768).eval()
    with torch.no_grad():
        noise = unet(torch.randn(1, 4, 16, 16), 500, torch.randn(1, 77, 768)).sample
        unet.conv_out.weight /= noise.std()
    vae = diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).eval()
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408, hidden_size=768, intermediate_size=3072, num_attention_heads=12
        )
    ).eval()
    return {"unet": unet, "vae": vae, "text_encoder": text}


def ours_from(folder: Path, device: str, dtype: torch.dtype) -> StableDiffusion:
    """Our family, recognised in the folder and loaded from it."""
    weights = open_weights(folder)
    name, layout = recognise(weights).require()
    assert name == SD15.name
    parts = load_model(weights, SD15, tables(layout, SD15), dtype)
    return StableDiffusion(SD15, parts.to(torch.device(device)))


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).float().abs().max() / theirs.float().abs().max())


@torch.no_grad()
def compare_parts(model: StableDiffusion, parts: dict[str, Any], size: int) -> None:
    """The largest difference of each part on the same input."""
    like = model.unet.conv_in.weight
    ids = torch.tensor([ClipTokenizer().encode(PROMPT)], device=like.device)
    theirs = parts["text_encoder"](ids)
    context, pooled = model.text(ids)
    print(f"text context   {relative(context, theirs.last_hidden_state):.1e}")
    print(f"text pooled    {relative(pooled, theirs.pooler_output):.1e}")
    torch.manual_seed(1)
    x = torch.randn(1, 4, size // 8, size // 8).to(like)
    when = torch.tensor([601.0], device=like.device)
    expected = parts["unet"](x, when, context).sample
    print(f"U-Net          {relative(model.unet(x, when, context), expected):.1e}")
    picture = torch.rand(1, 3, size, size).to(like) * 2 - 1
    mean = parts["vae"].encode(picture).latent_dist.mean
    print(f"VAE encode     {relative(model.vae.encoder(picture)[0], mean):.1e}")
    decoded = parts["vae"].decode(x / SD15.vae.scale).sample
    print(f"VAE decode     {relative(model.vae.decode(x), decoded):.1e}")


@torch.no_grad()
def theirs_run(
    parts: dict[str, Any], model: StableDiffusion, sampler: str, size: int, steps: int
) -> list[Tensor]:
    """diffusers' scheduler and U-Net from our starting point, at our levels; each step's latent."""
    schedule, make, is_scaled = RUNS[sampler]
    levels = sigmas(schedule, PROCESS, steps)
    options = {"clip_sample": False, "steps_offset": 1} if sampler == "ddim" else {}
    scheduler = make(**STABLE, **options)
    scheduler.set_timesteps(steps)
    if sampler != "ddim":  # its own levels are the same, but its times are rounded
        scheduler.sigmas = levels.float()
        scheduler.timesteps = torch.tensor([PROCESS.time(float(s)) for s in levels[:-1]])
    (positive,), negative = model.encode([PROMPT], NEGATIVE, (512, 512))
    context = torch.cat([negative.context, positive.context])
    noise = Noise([7], model.latent_shape(size, size))(0).to(model.device)
    x = PROCESS.mix(torch.zeros_like(noise), noise, float(levels[0]))
    x = PROCESS.model_input(x, float(levels[0])) if is_scaled else x
    found: list[Tensor] = []
    for label in scheduler.timesteps:
        twice = scheduler.scale_model_input(torch.cat([x, x]), label).to(context.dtype)
        without, with_prompt = parts["unet"](twice, label, context).sample.to(x.dtype).chunk(2)
        guided = without + GUIDANCE * (with_prompt - without)
        x = scheduler.step(guided, label, x).prev_sample
        found.append(x)
    return found


@torch.no_grad()
def compare_run(
    model: StableDiffusion, parts: dict[str, Any], sampler: str, size: int, steps: int
) -> None:
    """One trajectory and the finished picture."""
    schedule, _, is_scaled = RUNS[sampler]
    request = Request(
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=7,
        steps=steps,
        guidance=GUIDANCE,
        sampler=sampler,
        schedule=schedule,
        width=size,
        height=size,
    )
    ours = [step.x for step in generate(model, request)]
    theirs = theirs_run(parts, model, sampler, size, steps)
    levels = sigmas(schedule, PROCESS, steps)[1:].tolist()
    worst = max(
        relative(PROCESS.model_input(x, sigma) if is_scaled else x, other)
        for x, other, sigma in zip(ours, theirs, levels, strict=True)
    )
    latent = theirs[-1].to(model.unet.conv_in.weight.dtype) / SD15.vae.scale
    pictures = [model.decode(ours[-1]), parts["vae"].decode(latent).sample.float()]
    mine, other = (np.asarray(to_images(p)[0], dtype=int) for p in pictures)
    grey = np.abs(mine - other)
    print(
        f"{sampler:9} {steps} steps  trajectory {worst:.1e}  picture: at most {grey.max()} "
        f"grey levels, {np.mean(grey > 0):.2%} of values differ (spread {mine.std():.0f})"
    )


@torch.no_grad()
def compare_seconds(model: StableDiffusion, parts: dict[str, Any], size: int, rounds: int) -> None:
    """The median of one guided U-Net call each, taking turns."""
    like = model.unet.conv_in.weight
    x = torch.randn(2, 4, size // 8, size // 8).to(like)
    when, context = torch.tensor([601.0] * 2).to(like.device), torch.randn(2, 77, 768).to(like)
    calls: dict[str, Callable[[], object]] = {
        "sfumato": lambda: model.unet(x, when, context),
        "diffusers": lambda: parts["unet"](x, when, context).sample,
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if like.is_cuda:
                torch.cuda.synchronize()
            if i:  # the first of each warms up
                seconds[name].append(time.perf_counter() - start)
    for name, found in seconds.items():
        print(f"{name:10} {statistics.median(found):.2f} s a guided step, {rounds} rounds")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--samplers", nargs="*", choices=RUNS, default=list(RUNS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
    dtype = PRECISIONS[options.precision]
    with tempfile.TemporaryDirectory() as name:
        parts = oracle()
        for part, network in parts.items():
            network.save_pretrained(Path(name) / part)
            network.to(options.device, dtype)
        start = time.perf_counter()
        model = ours_from(Path(name), options.device, dtype)
        print(
            f"{options.size} px, {options.device}, {options.precision}, torch {torch.__version__}"
        )
        print(f"our model loaded in {time.perf_counter() - start:.1f} s")
        compare_parts(model, parts, options.size)
        for sampler in options.samplers:
            compare_run(model, parts, sampler, options.size, options.steps)
        compare_seconds(model, parts, options.size, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
