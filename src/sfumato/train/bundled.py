"""The recipe of the bundled model: its trainings, one after the other.

Everything lies in one folder: ``autoencoder/``, ``adapter/`` and ``denoiser/`` hold the states that
training goes on from, ``bank-N.safetensors`` the pictures as latents, ``words.txt`` every word of
the captions, and ``vae``, ``unet`` and ``adapter.safetensors`` the trained parts. `train.polish`
and `train.names` add the last trainings, and `train.export` makes the package's file of all.
"""

import json
import os
import platform
from contextlib import closing
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from sfumato.catalog import MINI
from sfumato.errors import WeightsError
from sfumato.images.files import write as write_bytes
from sfumato.nn.bert import Bert
from sfumato.nn.vae import Vae
from sfumato.shipped import shipped
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train import begun, store
from sfumato.train.adapter import AdapterTask
from sfumato.train.autoencoder import AutoencoderTask, require_crop, to_unit, whiten
from sfumato.train.captions import Facts, Named
from sfumato.train.denoiser import Bank, DenoiserConfig, DenoiserTask, draw_bank, encode
from sfumato.train.loop import Stop, Tell, fit, never
from sfumato.train.machine import Machine
from sfumato.train.places import Places
from sfumato.train.reader import Reader, find_published, published
from sfumato.train.recipe import Recipe, machine_for
from sfumato.train.scenes import Scenes, drawn
from sfumato.train.start import start
from sfumato.train.stylize import Picture
from sfumato.weights.load import Parts

__all__ = [
    "WORDS",
    "adapter_comes_first",
    "average",
    "encoder",
    "fit_autoencoder",
    "fit_denoiser",
    "note",
    "reader_of",
    "train_autoencoder",
    "train_denoiser",
    "trained_autoencoder",
    "vocabulary",
]

Fact = TypeVar("Fact")
WORDS = "words.txt"  # in the folder: every word of the captions


def train_autoencoder(
    recipe: Recipe,
    scenes: Scenes,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """The first training, on ``recipe.pictures`` of the ``scenes``; goes on where it stopped.

    Ends in ``vae.safetensors``: the averaged autoencoder, its latents made zero-mean and
    unit-variance. Raises what `loop.fit` raises.
    """
    require_crop("autoencoder", recipe.autoencoder.crop, spec.vae.factor, scenes.config.size)
    workers = machine_for(recipe, device).workers
    some = [seen for seen, _ in drawn(scenes, recipe.pictures, workers)]
    pictures = np.concatenate(some)
    held = np.stack([example.picture for example in scenes.held_out()])
    fit_autoencoder(recipe, pictures, held, folder, device, tell, stop=stop, spec=spec)


def fit_autoencoder(
    recipe: Recipe,
    pictures: Picture,
    held: Picture,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """The first training on any ``pictures``, judged by ``held``: (N, S, S, 3) uint8."""
    note(recipe, folder, "autoencoder", device)
    task = AutoencoderTask(
        spec.vae,
        recipe.autoencoder,
        pictures,
        held,
        machine_for(recipe, device),
    )
    loop, rates = recipe.autoencoder_loop, recipe.autoencoder_rates
    plain = ("conv_in", "conv_out", "quant")
    averaged = fit(task, loop, rates, folder / "autoencoder", plain=plain, tell=tell, stop=stop)
    vae = averaged["vae"]
    assert isinstance(vae, Vae)
    whiten(vae, to_unit(torch.from_numpy(pictures[:1024])).to(device))
    store.write(vae.state_dict(), folder / "vae.safetensors")


def train_denoiser(
    recipe: Recipe,
    scenes: Scenes,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    begin: Parts | None = None,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """The second training, on the first one's latents; goes on where it stopped.

    It begins from the denoiser of ``begin``, or from nothing. The autoencoder is the folder's, or
    where it has none that of ``begin``.
    Ends in ``unet.safetensors`` and ``adapter.safetensors``, averaged. Raises what `loop.fit`
    raises, and WeightsError where the autoencoder or the published text encoder is missing.
    """
    text, c = spec.texts[0].config, recipe.denoiser
    assert isinstance(text, BertConfig)
    if begin is not None and not (folder / "vae.safetensors").exists():
        store.write(begin.vae.state_dict(), folder / "vae.safetensors")
    vae, machine = trained_autoencoder(spec, folder, device), machine_for(recipe, device)
    reader = reader_of(text, c.length, device)
    banks = {
        "train": _train_bank(vae, scenes, folder, c.bank, machine),
        "seen": encode(vae, scenes.seen()[::24], device),
        "held": encode(vae, scenes.held_out(), device),
    }
    lesson = _lesson(text.width, scenes, c) if c.places else None
    task = DenoiserTask(
        spec,
        c,
        reader,
        Named(scenes.subjects),
        banks,
        machine,
        lesson=lesson,
    )
    if begin is not None:
        task.take(begin)
    if lesson is not None and adapter_comes_first(recipe, folder):
        hold = begin is not None
        alone = AdapterTask(
            recipe.adapter, scenes, reader, task.adapter, lesson, hold=hold, workers=machine.workers
        )
        _fit_adapter(recipe, alone, folder, device, tell, stop)
    fit_denoiser(recipe, task, folder, tell, stop=stop)


def adapter_comes_first(recipe: Recipe, folder: Path) -> bool:
    """Whether the adapter is trained alone before the denoiser, whose state holds it later."""
    begun = (folder / "denoiser" / "state.safetensors").exists()
    return recipe.denoiser.places > 0 and not begun


def _lesson(width: int, scenes: Scenes, config: DenoiserConfig) -> Places:
    places = Places(width, sorted(scenes.subjects), config.places)
    start(places, config.seed + 2)
    return places


def _fit_adapter(
    recipe: Recipe, task: AdapterTask, folder: Path, device: torch.device, tell: Tell, stop: Stop
) -> None:
    """The adapter alone, in ``adapter/``; its averaged weights take the place of the last."""
    _require_same_beginning(recipe, task, folder / "adapter")
    note(recipe, folder, "adapter", device)
    loop, rates = recipe.adapter_loop, recipe.adapter_rates
    everything = ("",)  # for AdamW, by which the lesson was found to begin
    with closing(task):
        averaged = fit(
            task, loop, rates, folder / "adapter", plain=everything, tell=tell, stop=stop
        )
    for name, module in task.modules.items():
        module.load_state_dict(averaged[name].state_dict())


def _require_same_beginning(recipe: Recipe, task: AdapterTask, folder: Path) -> None:
    """Writes down from what the adapter begins, or refuses a folder where it was something else."""
    weights = b"".join(
        p.detach().cpu().contiguous().numpy().tobytes()
        for module in task.modules.values()
        for p in module.parameters()
    )
    facts = {
        "weights": sha256(weights).hexdigest(),
        "scenes": asdict(recipe.scenes),
        "length": recipe.denoiser.length,
        "adapter": asdict(recipe.adapter),
        "loop": recipe.adapter_loop.shaping(),
        "rates": asdict(recipe.adapter_rates),
    }
    path = folder / "begun.json"
    if (folder / "state.safetensors").exists() and begun.odd(facts, path):
        raise WeightsError(
            f"{folder} holds an adapter's training from other weights (--from) or by another "
            "recipe.\n  Train into another folder, or remove that one to begin anew."
        )
    begun.write_down(facts, path)


def reader_of(text: BertConfig, length: int, device: torch.device) -> Reader:
    """The frozen encoder, reading captions of so many word pieces. WeightsError if not there."""
    bert, words = encoder(text)
    return Reader(bert.to(device), WordPieceTokenizer(words, length), device)


def fit_denoiser(
    recipe: Recipe, task: DenoiserTask[Fact], folder: Path, tell: Tell, *, stop: Stop = never
) -> None:
    """The second training, of any task, to its two files."""
    note(recipe, folder, "denoiser", task.device)
    words = sorted(task.words.words(task.banks["train"].facts))
    write_bytes(("\n".join(words) + "\n").encode(), folder / WORDS)
    plain = ("conv_in", "conv_out", "time_in", "added_in", "lesson.")
    loop, rates = recipe.denoiser_loop, recipe.denoiser_rates
    with closing(task):
        fit(task, loop, rates, folder / "denoiser", plain=plain, tell=tell, stop=stop)
    average(folder)


def trained_autoencoder(spec: ModelSpec, folder: Path, device: torch.device) -> Vae:
    """The first training's result. WeightsError if it is not there."""
    vae = Vae(spec.vae).eval().requires_grad_(False)
    vae.load_state_dict(store.read(folder / "vae.safetensors")[0])
    return convert_conv2d_weight_memory_format(vae.to(device), torch.channels_last)


def average(folder: Path) -> int:
    """Writes the denoiser's parts as they stand in its state, finished or not.

    That is ``unet.safetensors`` and ``adapter.safetensors``, each halfway between the averaged
    weights and the last ones: as good as the last on pictures that were trained on, and nearly as
    good as the average on those held out (docs/model/README.md has the figures). A training that
    runs meanwhile is not disturbed. Returns the state's step. WeightsError if there is no state.
    """
    tensors, words = store.read(folder / "denoiser" / "state.safetensors")
    for part in ("unet", "adapter"):
        lead = f"averaged.{part}."
        found = {
            name.removeprefix(lead): (mean + tensors[name.replace("averaged", "weights", 1)]) / 2
            for name, mean in tensors.items()
            if name.startswith(lead)
        }
        store.write(found, folder / f"{part}.safetensors")
    return int(words["step"])


def vocabulary() -> list[str]:
    """The word pieces that the bundled model reads, in order."""
    return shipped("mini/vocabulary.txt").read_text("utf-8").splitlines()


def encoder(text: BertConfig) -> tuple[Bert, list[str]]:
    """The published encoder with our words alone, and these. WeightsError if it is not there."""
    words = vocabulary()
    return published(find_published(), text, words), words


def _train_bank(vae: Vae, scenes: Scenes, folder: Path, size: int, machine: Machine) -> Bank[Facts]:
    """The training pictures as latents: read from the folder, or made once and kept there."""
    path = folder / f"bank-{size}.safetensors"
    if not path.exists():
        bank = draw_bank(vae, scenes, size, machine.device, workers=machine.workers)
        store.write({"latents": bank.latents}, path)
        return bank
    latents = store.read(path)[0]["latents"]
    _require_same(vae, scenes, latents, path, machine.device)
    return Bank(latents, tuple(scenes.facts(i) for i in range(size)))


def _require_same(
    vae: Vae, scenes: Scenes, latents: Tensor, path: Path, device: torch.device
) -> None:
    """Some latents of a stored bank, made again: other pictures or another autoencoder show."""
    some = range(0, len(latents), -(-len(latents) // 16))
    again = encode(vae, [scenes.draw(i) for i in some], device).latents.float()
    kept = latents[some.start : some.stop : some.step].float()
    same = kept.shape == again.shape
    if same:  # each by itself, for another look of a few would be lost among all
        off = (kept - again).square().mean((1, 2, 3)).max() / again.square().mean()
        same = float(off) < 0.2**2
    if not same:
        raise WeightsError(
            f"{path} holds other pictures than this recipe draws, or another autoencoder's "
            "latents.\n  Remove it and it is made again, or train into another folder."
        )


def note(recipe: Recipe, folder: Path, part: str, device: torch.device) -> None:
    """Writes down with what a training was begun or taken up, for the model's card."""
    facts = {
        "recipe": asdict(recipe),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    write_bytes(json.dumps(facts, indent=1).encode(), folder / part / "run.json")
