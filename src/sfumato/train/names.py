"""The last training of a recipe: the reader learns which of its names another one means.

It ends in ``naming.safetensors``, which `train.export` puts into the model's file. What was learnt
behind one adapter is of no use behind another, and is learnt anew.
"""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import torch

from sfumato.catalog import MINI
from sfumato.errors import WeightsError
from sfumato.nn.bert import Adapter
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.names import header
from sfumato.train import begun, store
from sfumato.train.bundled import note, reader_of
from sfumato.train.loop import Stop, Tell, fit, never
from sfumato.train.naming import NamingTask, names_of
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import Scenes

__all__ = ["NAMING", "fits", "is_named", "train_naming"]

NAMING = "naming.safetensors"
_FOLDER, _BEGUN, _STATE = "naming", "begun.json", "state.safetensors"
_EVERYTHING = ("",)  # for AdamW


def train_naming(
    recipe: Recipe,
    scenes: Scenes,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """Trains behind the folder's adapter, on words of the ``scenes``; goes on where it stopped.

    Raises what `loop.fit` raises, and WeightsError where the folder has no adapter or the published
    text encoder is missing.
    """
    if is_named(recipe, scenes, folder):
        return
    facts, path = _facts(recipe, scenes, folder), folder / _FOLDER / _BEGUN
    if not path.exists() or begun.odd(facts, path):
        for old in (folder / NAMING, folder / _FOLDER / _STATE):
            old.unlink(missing_ok=True)
    begun.write_down(facts, path)
    note(recipe, folder, _FOLDER, device)
    text, config, names = spec.texts[0].config, recipe.naming, names_of(scenes)
    assert isinstance(text, BertConfig)
    adapter = Adapter(text)
    adapter.load_state_dict(store.read(folder / "adapter.safetensors")[0])
    task = NamingTask(
        config,
        replace(text, names=names, naming=config.width),
        scenes,
        reader_of(text, recipe.denoiser.length, device),
        adapter.to(device).eval().requires_grad_(False),
    )
    loop, rates = recipe.naming_loop, recipe.naming_rates
    made = fit(task, loop, rates, folder / _FOLDER, plain=_EVERYTHING, tell=tell, stop=stop)
    words = {"adapter": str(facts["adapter"]), **header(names)}
    store.write(made["naming"].state_dict(), folder / NAMING, words)


def is_named(recipe: Recipe, scenes: Scenes, folder: Path) -> bool:
    """Whether there is nothing left to do: it is not wanted, or done behind this very adapter."""
    if not recipe.naming.captions:
        return True
    path = folder / _FOLDER / _BEGUN
    if not (folder / NAMING).exists() or not path.exists():
        return False
    return not begun.odd(_facts(recipe, scenes, folder), path)


def fits(folder: Path) -> bool:
    """Whether the folder's names were learnt behind its adapter.

    Raises WeightsError where there is none, or the names' file is damaged.
    """
    path = folder / NAMING
    return path.exists() and store.read(path)[1].get("adapter") == _digest(folder)


def _facts(recipe: Recipe, scenes: Scenes, folder: Path) -> begun.Facts:
    """All that the names depend on."""
    subjects = json.dumps([asdict(scenes.subjects[code]) for code in sorted(scenes.subjects)])
    return {
        "adapter": _digest(folder),
        "subjects": sha256(subjects.encode()).hexdigest(),
        "scenes": asdict(scenes.config),
        "naming": asdict(recipe.naming),
        "loop": recipe.naming_loop.shaping(),
        "rates": asdict(recipe.naming_rates),
        "length": recipe.denoiser.length,
    }


def _digest(folder: Path) -> str:
    path = folder / "adapter.safetensors"
    if not path.exists():
        raise WeightsError(f"There is no {path}; names are learnt behind a trained adapter.")
    return sha256(path.read_bytes()).hexdigest()
