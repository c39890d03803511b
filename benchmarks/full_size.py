"""Stable Diffusion 1.5, 2.1 and XL, full size, random weights: from an original file to a picture.

    python benchmarks/full_size.py sdxl [--size 1024] [--steps 4] [--precision bf16] [--device cpu]

diffusers' networks are made with random weights in half precision and saved as its folder; the same
weights are written to one file in the original layout. sfumato opens the file and diffusers the
folder, each in a process of its own, and both make the same picture (euler, the same noise, levels
and prompt). Printed are the seconds to open and for a guided step (the median), the peak memory of
each process, and how far the last latents and the pictures lie apart. With --rounds they take turns
so often, and medians of all rounds are printed. SDXL needs 20 GB of disk, and 8 GB of memory in
half precision.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.parity.small import STABLE, make_tokenizer

PROMPT, NEGATIVE, GUIDANCE, SEED = "a red fox in the snow", "blurry", 7.5, 7
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

UNETS: dict[str, dict[str, Any]] = {
    "sd15": {"cross_attention_dim": 768},
    "sd21": {
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    "sdxl": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
CLIP_H = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "hidden_act": "gelu",
}
CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New networks get their weights in this precision from the start: half the memory."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def make(model: str, folder: Path) -> None:
    """diffusers' folder with random weights, and beside it one file in the original layout."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def clip(kind: Any, sizes: dict[str, Any]) -> Any:
        marks = {"vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407}
        return kind(CLIPTextConfig(**marks, **{"num_hidden_layers": 12, **sizes})).eval()

    torch.manual_seed(0)
    with default_dtype(torch.float16):
        unet = diffusers.UNet2DConditionModel(**UNETS[model]).eval()
        vae = diffusers.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            scaling_factor=0.13025 if model == "sdxl" else 0.18215,
            force_upcast=False,
        ).eval()
        first = clip(CLIPTextModel, CLIP_H if model == "sd21" else CLIP_L)
        second = clip(CLIPTextModelWithProjection, CLIP_G) if model == "sdxl" else None
    with torch.no_grad():
        unet.conv_out.weight *= 20  # so that what it predicts is as large as noise
    scheduler = diffusers.EulerDiscreteScheduler(
        **STABLE,
        timestep_spacing="linspace",
        prediction_type="v_prediction" if model == "sd21" else "epsilon",
    )
    parts = {"unet": unet, "vae": vae, "text_encoder": first, "scheduler": scheduler}
    parts["tokenizer"] = make_tokenizer("!") if model == "sd21" else make_tokenizer()
    if second is None:
        pipe = diffusers.StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    else:
        parts |= {"text_encoder_2": second, "tokenizer_2": make_tokenizer("!")}
        pipe = diffusers.StableDiffusionXLPipeline(**parts, add_watermarker=False)
    pipe.save_pretrained(folder / "folder")
    save_file(original(model, folder / "folder"), folder / "original.safetensors")


def original(model: str, folder: Path) -> dict[str, Tensor]:
    """The tensors of diffusers' folder by the names, and in the pieces, of the original layout."""
    from sfumato.catalog import model_spec
    from sfumato.weights.files import open_weights
    from sfumato.weights.layouts import tables
    from sfumato.weights.load import load_model

    spec = model_spec(model)
    names = tables("original", spec)
    parts = load_model(open_weights(folder), spec, tables("diffusers", spec), torch.float16)
    networks = {"denoiser": parts.denoiser, "vae": parts.vae}
    networks |= {part.name: text for part, text in zip(spec.texts, parts.texts, strict=True)}
    state: dict[str, Tensor] = {}
    for name, network in networks.items():
        state |= in_original(network, names[name])
    return state


def in_original(network: nn.Module, table: Any) -> dict[str, Tensor]:
    """One network's tensors; several of ours may be rows of one of theirs."""
    rows: dict[str, dict[int, Tensor]] = {}
    for ours, tensor in network.state_dict().items():
        place = next(table.places(ours))
        (key,) = place.keys
        laid = tensor.T if place.pieces.turned else tensor
        laid = torch.cat(laid.chunk(2)[::-1]) if place.pieces.swapped else laid
        rows.setdefault(key, {})[place.pieces.part[0]] = laid
    return {key: torch.cat([part[i] for i in sorted(part)]) for key, part in rows.items()}


def ours(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """sfumato's picture from the original file."""
    from sfumato.engine import Engine
    from sfumato.request import Request

    begun = time.perf_counter()
    file = str(folder / "original.safetensors")
    engine = Engine(options.device, options.precision, model=file)
    engine.load()
    opened = time.perf_counter() - begun
    request = Request(
        PROMPT,
        NEGATIVE,
        seed=SEED,
        steps=options.steps,
        guidance=GUIDANCE,
        sampler="euler",
        schedule="normal",
        width=options.size,
        height=options.size,
    )
    run = engine.submit(request)
    seconds: list[float] = []
    latent, now = torch.empty(0), time.perf_counter()
    for step in run:
        latent = step.step.x
        seconds.append(time.perf_counter() - now)
        now = time.perf_counter()
    (picture,) = run.result().pictures
    save_file({"latent": latent.float().cpu().contiguous()}, folder / "ours.safetensors")
    picture.save(folder / "ours.png")
    return {"open": opened, "step": statistics.median(seconds[:-1] or seconds), "peak": peak()}


def theirs(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """diffusers' picture from its folder, of the same noise."""
    import diffusers

    from sfumato.diffusion.noise import Noise

    begun = time.perf_counter()
    pipe = diffusers.DiffusionPipeline.from_pretrained(
        folder / "folder", torch_dtype=DTYPES[options.precision]
    ).to(options.device)
    # As in sfumato: a finished pixel has as many bits as bf16, so the decoder needs more.
    pipe.vae.to(torch.float32)
    opened = time.perf_counter() - begun
    pipe.set_progress_bar_config(disable=True)
    side = options.size // 8
    seconds: list[float] = []
    latents: list[Tensor] = []
    now = time.perf_counter()

    def stepped(_: Any, __: int, ___: Any, found: dict[str, Tensor]) -> dict[str, Tensor]:
        nonlocal now
        latents.append(found["latents"])
        seconds.append(time.perf_counter() - now)
        now = time.perf_counter()
        return found

    pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        width=options.size,
        height=options.size,
        num_inference_steps=options.steps,
        guidance_scale=GUIDANCE,
        latents=Noise([SEED], (4, side, side))(0).to(options.device, pipe.unet.dtype),
        callback_on_step_end=stepped,
        output_type="latent",
    )
    with torch.no_grad():
        decoded = pipe.vae.decode(latents[-1].float() / pipe.vae.config.scaling_factor).sample
    save_file({"latent": latents[-1].float().cpu()}, folder / "theirs.safetensors")
    pipe.image_processor.postprocess(decoded)[0].save(folder / "theirs.png")
    return {"open": opened, "step": statistics.median(seconds), "peak": peak()}


def peak() -> float:
    """The most memory that this process held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def apart(folder: Path) -> str:
    """How far the two latents and the two pictures lie apart."""
    from PIL import Image

    mine, other = (load_file(folder / f"{name}.safetensors")["latent"] for name in SIDES)
    latent = float((mine - other).abs().max() / other.abs().max())
    a, b = (np.asarray(Image.open(folder / f"{name}.png"), dtype=int) for name in SIDES)
    grey = np.abs(a - b)
    return (
        f"latent {latent:.1e} of the largest number; picture at most {grey.max()} grey levels, "
        f"{np.mean(grey > 0):.2%} of values differ (spread {a.std():.0f})"
    )


SIDES = {"ours": ours, "theirs": theirs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=UNETS)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=DTYPES, default="bf16")
    parser.add_argument("--folder", type=Path, help="where the weights are, or are to be kept")
    parser.add_argument("--part", choices=["make", *SIDES], help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part == "make":
        make(options.model, options.folder)
    elif options.part is not None:
        print(json.dumps(SIDES[options.part](options, options.folder)))
    else:
        with tempfile.TemporaryDirectory() as name:
            compare(options, options.folder or Path(name))
    return 0


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Both sides in turns, each in a process of its own, and what came of it."""

    def apart_from_here(part: str) -> str:
        words = [sys.executable, __file__, *sys.argv[1:], "--folder", str(folder), "--part", part]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return done.stdout

    if not (folder / "original.safetensors").exists():
        apart_from_here("make")
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(options.rounds):
        for side, runs in found.items():
            runs.append(json.loads(apart_from_here(side).splitlines()[-1]))
    gb = (folder / "original.safetensors").stat().st_size / 1e9
    print(
        f"{options.model}, a file of {gb:.2f} GB, {options.size} px, {options.steps} steps, "
        f"{options.device}, {options.precision}, torch {torch.__version__}"
    )
    for side, runs in found.items():
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{'sfumato' if side == 'ours' else 'diffusers':10} opened in {median['open']:.1f} s, "
            f"{median['step']:.2f} s a guided step, at most {median['peak']:.2f} GB"
        )
    print(apart(folder))


if __name__ == "__main__":
    sys.exit(main())
