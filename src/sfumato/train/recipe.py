"""The recipe of the bundled model: every number of its trainings, by its name."""

import os
import platform
from dataclasses import dataclass, field

import torch

from sfumato.train.adapter import AdapterConfig
from sfumato.train.autoencoder import AutoencoderConfig
from sfumato.train.decoder import DecoderConfig
from sfumato.train.denoiser import DenoiserConfig
from sfumato.train.loop import LoopConfig
from sfumato.train.machine import Machine
from sfumato.train.muon import MuonConfig
from sfumato.train.naming import NamingConfig
from sfumato.train.precision import Precision, products
from sfumato.train.scenes import SceneConfig

__all__ = ["Recipe", "machine_for"]

_DRAWINGS = SceneConfig(
    focus=False,
    styles=tuple(
        (style, 0.125)
        for style in ("3d", "gradient", "flat", "line art", "cartoon", "blob", "sticker", "soft")
    ),
    counts=0.0,
    relations=0.0,
    recolour=0.0,
)
_AUTOENCODER_LOOP = LoopConfig(
    steps=2100, cooldown=750, save_seconds=120.0, log_steps=50, validate_steps=200
)
_AUTOENCODER_RATES = MuonConfig(adam=2e-3)
_ADAPTER_LOOP = LoopConfig(
    steps=960, warmup=20, cooldown=80, average=0.95, log_steps=30, validate_steps=120
)
_ADAPTER_RATES = MuonConfig(adam=1e-3)
_SCENES = SceneConfig(emphasis=4.0)
_DENOISER_LOOP = LoopConfig(
    steps=2500, warmup=150, cooldown=900, save_seconds=150.0, validate_steps=400
)
_DENOISER_RATES = MuonConfig(rate=0.02, decay=0.1)
# Most of what a decoder smears: hard edges and plain fills.
_DECODER_SCENES = SceneConfig(
    seed=1,
    styles=(
        *(("3d", 0.12), ("flat", 0.20), ("cartoon", 0.12), ("line art", 0.10), ("sticker", 0.20)),
        *(("pixel art", 0.20), ("blueprint", 0.015), ("neon", 0.015), ("pencil sketch", 0.015)),
        ("silhouette", 0.015),
    ),
    relations=0.08,
)
_DECODER_LOOP = LoopConfig(steps=3000, warmup=20, cooldown=2400, average=0.99, save_seconds=100.0)
_DECODER_RATES = MuonConfig(rate=0.005, adam=1e-3)

# Of a name that nobody knows, what is asked for most is what is meant most.
_NAMING_SCENES = SceneConfig(seed=2, focus=False, emphasis=2.0)
_NAMING_LOOP = LoopConfig(
    steps=3000, warmup=30, cooldown=2100, average=0.98, log_steps=50, validate_steps=250
)
_NAMING_RATES = MuonConfig(adam=3e-3)


@dataclass(frozen=True)
class Recipe:
    """Every number of a training; the defaults suit some hours of two cores.

    ``docs/model/recipe.toml`` and ``finish.toml`` hold what the bundled model was trained by.

    The autoencoder sees ``pictures`` scenes of every listed subject and drawing, the denoiser those
    of ``scenes``: what is asked for most comes most often (the subjects' weights to the power of
    ``scenes.emphasis``). Where the adapter has a lesson beside it (``denoiser.places``), it learns
    that alone first. At the end the decoder learns once more, from what the denoiser makes of
    ``decoder_scenes`` (`train.polish`), and the reader which of the names that it knows is meant by
    another (`train.naming`).
    """

    pictures: int = 8000
    drawings: SceneConfig = _DRAWINGS
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    autoencoder_loop: LoopConfig = _AUTOENCODER_LOOP
    autoencoder_rates: MuonConfig = _AUTOENCODER_RATES
    scenes: SceneConfig = _SCENES
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    adapter_loop: LoopConfig = _ADAPTER_LOOP
    adapter_rates: MuonConfig = _ADAPTER_RATES
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    denoiser_loop: LoopConfig = _DENOISER_LOOP
    denoiser_rates: MuonConfig = _DENOISER_RATES
    decoder_scenes: SceneConfig = _DECODER_SCENES
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    decoder_loop: LoopConfig = _DECODER_LOOP
    decoder_rates: MuonConfig = _DECODER_RATES
    naming_scenes: SceneConfig = _NAMING_SCENES
    naming: NamingConfig = field(default_factory=NamingConfig)
    naming_loop: LoopConfig = _NAMING_LOOP
    naming_rates: MuonConfig = _NAMING_RATES
    precision: Precision = "auto"  # of products: bf16 or fp32; auto as `train.precision` says
    compiled: bool = True
    workers: int = 0  # processes that draw and word what is seen; 0: all cores but two on a GPU


def machine_for(recipe: Recipe, device: torch.device) -> Machine:
    """The device as a recipe wants it used.

    On a CPU the cores train, and there are workers only where the recipe names some; a GPU would
    wait, and all cores but two work for it. There are none where they cannot be forked safely,
    which is anywhere but on Linux.
    """
    workers = recipe.workers
    if platform.system() != "Linux":
        workers = 0
    elif not workers and device.type != "cpu":
        workers = max(1, len(os.sched_getaffinity(0)) - 2)
    return Machine(device, products(recipe.precision, device), recipe.compiled, workers)
