"""The recipe of the bundled model: its two trainings, one after the other, and the file they end in.

Everything lies in one folder: ``autoencoder/`` and ``denoiser/`` hold the states that training goes
on from, ``bank-N.safetensors`` the pictures as latents, and ``model.safetensors`` the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sfumato.catalog import MINI
from sfumato.diffusion.process import Flow
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train.autoencoder import AutoencoderConfig, AutoencoderTask, to_unit, whiten
from sfumato.train.denoiser import Bank, DenoiserConfig, DenoiserTask, draw_bank, encode
from sfumato.train.loop import LoopConfig, fit
from sfumato.train.muon import MuonConfig
from sfumato.train.reader import Reader, find_published, published
from sfumato.train.scenes import Scenes

__all__ = ["Recipe", "train_autoencoder", "train_denoiser"]

Tell = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Recipe:
    """Every number of a training; the defaults made the bundled model."""

    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    autoencoder_loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=2400, cooldown=800, save_seconds=120)
    )
    autoencoder_rates: MuonConfig = field(default_factory=lambda: MuonConfig(adam=2e-3))
    pictures: int = 6000  # scenes that the autoencoder learns from
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    denoiser_loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=6000, warmup=200, cooldown=1500)
    )
    denoiser_rates: MuonConfig = field(default_factory=MuonConfig)
    compiled: bool = True


def train_autoencoder(
    recipe: Recipe, scenes: Scenes, folder: Path, device: torch.device, tell: Tell
) -> Vae:
    """The first training; goes on where it stopped, and returns the averaged autoencoder."""
    pictures = np.stack([scenes.draw(i).picture for i in range(recipe.pictures)])
    held = np.stack([example.picture for example in scenes.held_out()])
    task = AutoencoderTask(
        MINI.vae, recipe.autoencoder, pictures, held, device, compiled=recipe.compiled
    )
    loop, rates = recipe.autoencoder_loop, recipe.autoencoder_rates
    plain = ("conv_in", "conv_out", "quant")
    averaged = fit(task, loop, rates, folder / "autoencoder", plain=plain, tell=tell)
    vae = averaged["vae"]
    assert isinstance(vae, Vae)
    whiten(vae, to_unit(torch.from_numpy(pictures[:1024])).to(device))
    _write(vae.state_dict(), folder / "vae.safetensors")
    return vae


def train_denoiser(
    recipe: Recipe, scenes: Scenes, folder: Path, device: torch.device, tell: Tell
) -> None:
    """The second training, on the first one's latents; goes on where it stopped."""
    vae = Vae(MINI.vae).eval().requires_grad_(False)
    vae.load_state_dict(load_file(folder / "vae.safetensors"))
    vae = vae.to(device, memory_format=torch.channels_last)
    c = recipe.denoiser
    banks = {
        "train": _train_bank(vae, scenes, folder, c.bank, device),
        "seen": encode(vae, scenes.seen()[::24], device),
        "held": encode(vae, scenes.held_out(), device),
    }
    text = MINI.text
    assert isinstance(text, BertConfig)
    kept = vocabulary()
    reader = Reader(
        published(find_published(), text, kept).to(device),
        WordPieceTokenizer(kept, c.length),
        device,
    )
    task = DenoiserTask(
        MINI.unet, text, c, Flow(), reader, scenes.subjects, banks, compiled=recipe.compiled
    )
    plain = ("conv_in", "conv_out", "time_in", "added_in")
    loop, rates = recipe.denoiser_loop, recipe.denoiser_rates
    averaged = fit(task, loop, rates, folder / "denoiser", plain=plain, tell=tell)
    for name, module in averaged.items():
        _write(module.state_dict(), folder / f"{name}.safetensors")


def vocabulary() -> list[str]:
    """The word pieces that the bundled model reads, in order."""
    path = resources.files("sfumato").joinpath("assets/mini/vocabulary.txt")
    return path.read_text("utf-8").splitlines()


def _train_bank(vae: Vae, scenes: Scenes, folder: Path, size: int, device: torch.device) -> Bank:
    """The training pictures as latents: read from the folder, or made once and kept there."""
    path = folder / f"bank-{size}.safetensors"
    if path.exists():
        return Bank(load_file(path)["latents"], tuple(scenes.facts(i) for i in range(size)))
    bank = draw_bank(vae, scenes, size, device)
    _write({"latents": bank.latents}, path)
    return bank


def _write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    beside = path.with_suffix(".part")
    save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, beside)
    beside.replace(path)
