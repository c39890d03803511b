"""A model of one's own: the bundled model's parts trained on anybody's captioned pictures.

It begins from a model of the same make, whose autoencoder it takes as it is, or from nothing, and
then trains both. The folder is laid out as `train.bundled` says; the same words go on from it.
"""

from dataclasses import replace
from pathlib import Path

import torch

from sfumato.catalog import MINI
from sfumato.errors import RequestError
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train import begun, store
from sfumato.train.autoencoder import require_crop
from sfumato.train.beginning import parts_of
from sfumato.train.bundled import (
    fit_autoencoder,
    fit_denoiser,
    reader_of,
    trained_autoencoder,
    vocabulary,
)
from sfumato.train.decoder import DecoderConfig
from sfumato.train.denoiser import Bank, DenoiserConfig, DenoiserTask, latents_of
from sfumato.train.loop import LoopConfig, Stop, Tell, never
from sfumato.train.muon import MuonConfig
from sfumato.train.own import Captioned, Captions, Lines, Objection
from sfumato.train.polish import Shown, fit_decoder
from sfumato.train.recipe import Recipe, machine_for

__all__ = ["FROM_A_MODEL", "FROM_NOTHING", "objection", "train_new"]

_PART = DenoiserConfig(batch=32)
_LOOP = LoopConfig(steps=1000, warmup=50, cooldown=400, save_seconds=60.0, validate_steps=100)
# What a model knows is kept by a third of the rates that it was made with.
FROM_A_MODEL = Recipe(
    denoiser=_PART,
    denoiser_loop=_LOOP,
    denoiser_rates=MuonConfig(rate=0.007, decay=0.1, adam=3e-4),
    decoder=DecoderConfig(scenes=0),
    compiled=False,
)
FROM_NOTHING = replace(
    Recipe(compiled=False),
    denoiser=_PART,
    denoiser_loop=replace(_LOOP, steps=10_000, cooldown=3000),
)


def objection(length: int = _PART.length) -> Objection:
    """Says why the bundled reader cannot read a caption whole; None where it can."""
    tokenizer = WordPieceTokenizer(vocabulary(), length)

    def object_to(caption: str) -> str | None:
        lost = tokenizer.unknown(caption)
        if lost:
            return f"its caption holds what the model cannot read: {', '.join(lost)}"
        pieces = len(tokenizer.read(caption).ids)
        if pieces > length - 2:
            return f"its caption has {pieces} word pieces, and {length - 2} are read: {caption!r}"
        return None

    return object_to


def train_new(
    recipe: Recipe,
    data: Captioned,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    begin: Path | None,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """Trains on ``data``, or goes on where it stopped; ``begin`` is a model's file, or None.

    Ends in the files of which `export` makes a model. Raises RequestError where the folder
    holds a training on other pictures or from another beginning, or the recipe asks for a lesson
    that captions cannot give, and what `loop.fit` raises.
    """
    if recipe.denoiser.places:
        raise RequestError(
            f"denoiser.places is {recipe.denoiser.places:g}, but a folder's captions do not say in "
            "so many words what stands where.\n  Leave it out of the recipe: only the bundled "
            "model's own scenes can teach it."
        )
    anew = begin is None and not (folder / "vae.safetensors").exists()
    crops = {"autoencoder": recipe.autoencoder.crop} if anew else {}
    crops |= {"decoder": recipe.decoder.crop} if recipe.decoder.scenes else {}
    for name, crop in crops.items():
        require_crop(name, crop, spec.vae.factor, data.pictures.shape[1])
    text = spec.texts[0].config
    assert isinstance(text, BertConfig)
    parts = None if begin is None else parts_of(begin, spec)
    _require_same(data, begin, folder)
    held = data.held()
    rest = [i for i in range(len(data.captions)) if i not in set(held)]
    if not (folder / "vae.safetensors").exists():
        if parts is None:
            pictures = data.pictures
            fit_autoencoder(
                recipe, pictures[rest], pictures[held], folder, device, tell, stop=stop, spec=spec
            )
        else:
            store.write(parts.vae.state_dict(), folder / "vae.safetensors")
    vae = trained_autoencoder(spec, folder, device)
    reader = reader_of(text, recipe.denoiser.length, device)
    banks: dict[str, Bank[Captions]] = {}
    for name, rows in (("train", rest), ("seen", rest[:64]), ("held", held)):
        latents = latents_of(vae, data.pictures[rows], device)
        banks[name] = Bank(latents, tuple(data.captions[i] for i in rows))
    task = DenoiserTask(
        spec,
        recipe.denoiser,
        reader,
        Lines(),
        banks,
        machine_for(recipe, device),
    )
    if parts is not None:
        task.take(parts)
    fit_denoiser(recipe, task, folder, tell, stop=stop)
    if recipe.decoder.scenes:
        some = rest[:: -(-len(rest) // recipe.decoder.scenes)]
        seen, judged = (
            Shown(data.pictures[rows], [task.words.plain(data.captions[i]) for i in rows])
            for rows in (some, held)
        )
        fit_decoder(recipe, seen, judged, folder, device, tell, stop=stop, spec=spec)


def _require_same(data: Captioned, begin: Path | None, folder: Path) -> None:
    """Writes down on what the folder's training is, or refuses one on something else."""
    path = folder / "data.json"
    facts = {
        "digest": data.digest,
        "pictures": len(data.captions),
        "begun from": "nothing" if begin is None else begin.name,
    }
    wrong, before = begun.odd(facts, path), begun.known(path)
    if before is None:
        begun.write_down(facts, path)
    if before is not None and wrong:
        raise RequestError(
            f"{folder} holds a training on other data: {before.get('pictures')} pictures, begun "
            f"from {before.get('begun from')}; now it is {len(data.captions)} pictures, from "
            f"{facts['begun from']}, and {', '.join(wrong)} differ.\n"
            "  Train into another --folder, or give the pictures and captions as they were."
        )
