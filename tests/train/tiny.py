"""A training small enough for a test: few drawings, narrow networks, a reader of one layer."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from sfumato.nn.bert import Adapter, Bert
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.request import Request
from sfumato.resolve import Defaults, resolve
from sfumato.spec import BertConfig, ModelSpec, ProcessConfig, TextPart, UNetConfig, VaeConfig
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train import store
from sfumato.train.autoencoder import AutoencoderConfig, AutoencoderTask
from sfumato.train.captions import Facts, Named, Subject
from sfumato.train.denoiser import Bank, DenoiserConfig, DenoiserTask
from sfumato.train.machine import Machine
from sfumato.train.reader import Reader
from sfumato.train.start import start
from sfumato.train.stylize import Picture

CPU = torch.device("cpu")
TEXT = BertConfig(
    vocab=48, length=24, positions=32, layers=1, width=12, heads=2, hidden=24, adapter=1
)
UNET = UNetConfig(
    in_channels=4,
    out_channels=4,
    channels=(16, 32),
    blocks=1,
    depth=(0, 1),
    middle=1,
    heads=None,
    head_width=16,
    context=12,
    linear_projection=True,
    added=12,
    scale_shift=True,
    groups=8,
)
VAE = VaeConfig(latent_channels=4, channels=(8, 16), blocks=1, scale=1.0, patch=4, groups=4)
SPEC = ModelSpec(
    name="tiny",
    title="a tiny model",
    family="mini",
    texts=(TextPart(TEXT, "text"),),
    denoiser=UNET,
    vae=VAE,
    process=ProcessConfig("flow"),
    defaults=Defaults(2, 3.0, "euler", "simple", 32, 32),
)
_PIECES = """
[PAD] [UNK] [CLS] [SEP] [MASK] a dog car star tree , 3d flat cartoon sticker line art drawing of in
on the white background design render red brown style thing small big two three four and s
"""
WORDS = _PIECES.split()
SUBJECTS = {
    "1f436": Subject("1f436", ("a dog",), 1.0, "animal-mammal"),
    "1f697": Subject("1f697", ("a car",), 1.0, "transport-ground"),
}
FACTS = (Facts("1f436", "flat"), Facts("1f697", "3d"), Facts("1f697", "flat"))


def pictures(count: int, side: int = 32, seed: int = 0) -> Picture:
    """Discs of some colour on white, (count, side, side, 3)."""
    rng = np.random.default_rng(seed)
    made: list[Picture] = []
    for _ in range(count):
        image = Image.new("RGB", (side, side), "white")
        x, y, radius = (int(v) for v in rng.integers(side // 4, side // 2, size=3))
        colour = tuple(int(v) for v in rng.integers(0, 255, size=3))
        box = (x - radius // 2, y - radius // 2, x + radius, y + radius)
        ImageDraw.Draw(image).ellipse(box, fill=colour)
        made.append(np.asarray(image))
    return np.stack(made)


def autoencoder(seed: int = 0, *, noise: float = 0.0) -> AutoencoderTask:
    config = AutoencoderConfig(seed=seed, batch=4, crop=16, noise=noise)
    return AutoencoderTask(VAE, config, pictures(12), pictures(3, seed=9), Machine(CPU))


def reader(length: int = 24) -> Reader:
    bert = Bert(TEXT)
    start(bert, 3)
    for embedding, seed in ((bert.words, 4), (bert.positions, 5), (bert.segments, 6)):
        generator = torch.Generator().manual_seed(seed)
        torch.nn.init.normal_(embedding.weight, generator=generator)
    return Reader(bert.eval().requires_grad_(False), WordPieceTokenizer(WORDS, length), CPU)


def parts(folder: Path) -> None:
    """Writes the parts as trainings leave them, of first weights."""
    made = {"unet": UNet(UNET), "vae": Vae(VAE), "adapter": Adapter(TEXT)}
    for seed, (name, module) in enumerate(made.items()):
        start(module, seed)
        store.write(module.state_dict(), folder / f"{name}.safetensors")


def banks() -> dict[str, Bank[Facts]]:
    rng = np.random.default_rng(1)

    def latents(n: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal((n, 4, 4, 4), dtype=np.float32)).half()

    return {
        "train": Bank(latents(3), FACTS),
        "held": Bank(latents(2), FACTS[:2]),
        "seen": Bank(latents(1), FACTS[2:]),
    }


def denoiser(seed: int = 0, length: int = 24, workers: int = 0) -> DenoiserTask[Facts]:
    config = DenoiserConfig(seed=seed, batch=4, length=length)
    words = Named(SUBJECTS)
    return DenoiserTask(SPEC, config, reader(length), words, banks(), Machine(CPU, workers=workers))


def pack(path: Path) -> None:
    """A packed file of four subjects in five styles; the cartoon of the dog is held out."""
    codes = {"1f436": "#7a4828", "1f697": "#d61e24", "2b50": "#facd28", "1f333": "#32a03c"}
    styles = ("3d", "flat", "line art", "cartoon", "sticker")
    subjects = {
        code: {
            "label": "thing",
            "group": "objects",
            "subgroup": "plant-other",
            "synonyms": [],
            "styles": list(styles),
        }
        for code in codes
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps({"subjects": subjects}))
        for code, colour in codes.items():
            for i, style in enumerate(styles):
                image = Image.new("RGBA", (128, 128))
                ImageDraw.Draw(image).ellipse((9 + 4 * i, 9, 118, 118 - 6 * i), fill=colour)
                out = io.BytesIO()
                image.save(out, "WEBP", lossless=True)
                archive.writestr(f"{style}/{code}.webp", out.getvalue())


def resolved(request: Request) -> Request:
    """A request for the tiny model, with the seed that it names."""
    return resolve(
        request,
        SPEC.defaults,
        model=SPEC.name,
        draw_seed=lambda: 0,
        sampler_name=str,
        schedule_name=str,
    )
