"""The last training of pictures: the decoder, polished on what the trained denoiser paints.

It ends in ``decoder.safetensors``, which `train.export` takes in place of the autoencoder's own.
The encoder stays as it is, and with it every latent. A polished decoder belongs to the very parts
that it was trained for: where one of these is another, it is of no use, and is trained anew.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from sfumato.catalog import MINI
from sfumato.errors import WeightsError
from sfumato.families.base import process_of
from sfumato.nn.bert import Adapter
from sfumato.nn.unet import UNet
from sfumato.spec import BertConfig, ModelSpec, UNetConfig
from sfumato.train import begun, store
from sfumato.train.autoencoder import require_crop
from sfumato.train.bundled import note, reader_of, trained_autoencoder
from sfumato.train.captions import Facts, Named
from sfumato.train.decoder import DecoderTask, Guesser, Painted
from sfumato.train.denoiser import latents_of, said_whole
from sfumato.train.loop import Stop, Tell, fit, never
from sfumato.train.reader import Reader
from sfumato.train.recipe import Recipe, machine_for
from sfumato.train.scenes import Scenes, drawn
from sfumato.train.stylize import Picture

__all__ = [
    "DECODER",
    "Shown",
    "begins_anew",
    "fit_decoder",
    "fits",
    "is_polished",
    "parts_digest",
    "train_decoder",
]

DECODER = "decoder.safetensors"
_PARTS = ("vae.safetensors", "unet.safetensors", "adapter.safetensors")
_FOLDER, _BEGUN, _PAINTED = "decoder", "begun.json", "painted.safetensors"
_PLAIN = ("conv_in", "conv_out", "quant")


@dataclass(frozen=True)
class Shown:
    """Pictures (N, S, S, 3) uint8, with a caption each."""

    pictures: Picture
    captions: Sequence[str]


def train_decoder(
    recipe: Recipe,
    scenes: Scenes,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """Trains the decoder on ``recipe.decoder.scenes`` of the ``scenes``; goes on where it stopped.

    Raises what `fit_decoder` raises.
    """
    if is_polished(recipe, folder):
        return
    require_crop("decoder", recipe.decoder.crop, spec.vae.factor, scenes.config.size)
    reader = _reader(recipe, device, spec)
    words = Named(scenes.subjects)
    count, size = recipe.decoder.scenes, scenes.config.size
    pictures = np.empty((count, size, size, 3), np.uint8)
    captions: list[str] = []
    for some, facts in drawn(scenes, count, machine_for(recipe, device).workers):
        pictures[len(captions) : len(captions) + len(some)] = some
        captions += [_said(words, each, reader) for each in facts]
    held = scenes.held_out()
    fit_decoder(
        recipe,
        Shown(pictures, captions),
        Shown(np.stack([e.picture for e in held]), [_said(words, e.facts, reader) for e in held]),
        folder,
        device,
        tell,
        stop=stop,
        spec=spec,
    )


def _said(words: Named, facts: Facts, reader: Reader) -> str:
    """The canonical wording, or where that is too long another."""
    plain = words.plain(facts)
    if reader.fits(plain):
        return plain
    return said_whole(words, facts, np.random.default_rng(0), 0.0, reader)


def fit_decoder(
    recipe: Recipe,
    seen: Shown,
    held: Shown,
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """Trains the decoder on any pictures, judged by those that no part was trained on.

    Raises what `loop.fit` raises, WeightsError where a part is missing, TrainingError for a crop
    that the pictures have no room for, and KeyboardInterrupt when ``stop`` says so: the guesses are
    kept once all are made.
    """
    if is_polished(recipe, folder):
        return
    require_crop("decoder", recipe.decoder.crop, spec.vae.factor, seen.pictures.shape[1])
    facts = {**_facts(recipe, folder), "shown": _digest(seen, held)}
    path = folder / _FOLDER / _BEGUN
    if not path.exists() or begun.odd(facts, path):
        _clear(folder)
    begun.write_down(facts, path)
    note(recipe, folder, _FOLDER, device)
    task = DecoderTask(
        trained_autoencoder(spec, folder, device),
        recipe.decoder,
        *_painted(recipe, seen, held, facts, folder, device, stop, spec),
        machine_for(recipe, device),
    )
    loop, rates = recipe.decoder_loop, recipe.decoder_rates
    averaged = fit(task, loop, rates, folder / _FOLDER, plain=_PLAIN, tell=tell, stop=stop)
    words = {"parts": str(facts["parts"])}
    store.write(averaged["decoder"].state_dict(), folder / DECODER, words)


def is_polished(recipe: Recipe, folder: Path) -> bool:
    """Whether there is nothing left to do: it is not wanted, or done for these very parts."""
    if not recipe.decoder.scenes:
        return True
    facts, path = _facts(recipe, folder), folder / _FOLDER / _BEGUN
    if not (folder / DECODER).exists() or not path.exists():
        return False
    return not begun.odd(facts, path)


def begins_anew(recipe: Recipe, folder: Path) -> bool:
    """Whether the training in the folder is for other parts, or by another recipe."""
    return bool(begun.odd(_facts(recipe, folder), folder / _FOLDER / _BEGUN))


def fits(folder: Path) -> bool:
    """Whether there is a polished decoder, and of the parts beside it.

    Raises WeightsError where a part is missing, or the decoder is damaged.
    """
    path = folder / DECODER
    return path.exists() and store.read(path)[1].get("parts") == parts_digest(folder)


def parts_digest(folder: Path) -> str:
    """What tells the trained parts of a folder from others. WeightsError where one is missing."""
    for name in _PARTS:
        if not (folder / name).exists():
            raise WeightsError(
                f"There is no {folder / name}; the decoder is trained after these parts."
            )
    return sha256(b"".join((folder / name).read_bytes() for name in _PARTS)).hexdigest()


def _facts(recipe: Recipe, folder: Path) -> begun.Facts:
    """All that a polished decoder depends on."""
    return {
        "parts": parts_digest(folder),
        "scenes": asdict(recipe.decoder_scenes),
        "decoder": asdict(recipe.decoder),
        "loop": recipe.decoder_loop.shaping(),
        "rates": asdict(recipe.decoder_rates),
        "length": recipe.denoiser.length,
    }


def _digest(*some: Shown) -> str:
    """What tells pictures and captions from others."""
    found = sha256()
    for shown in some:
        found.update(shown.pictures.tobytes())
        found.update("\n".join(shown.captions).encode())
    return found.hexdigest()


def _clear(folder: Path) -> None:
    """Takes away a decoder that is of no use; what says so goes last, should this be broken off.

    The guesses stay: they say themselves what they are of.
    """
    (folder / DECODER).unlink(missing_ok=True)
    own = folder / _FOLDER
    if own.exists():
        for path in own.iterdir():
            if path.name not in (_BEGUN, _PAINTED):
                path.unlink()
        (own / _BEGUN).unlink(missing_ok=True)


def _painted(
    recipe: Recipe,
    seen: Shown,
    held: Shown,
    facts: begun.Facts,
    folder: Path,
    device: torch.device,
    stop: Stop,
    spec: ModelSpec,
) -> tuple[Painted, Painted]:
    """The pictures with their latents and the denoiser's guesses, made once and kept.

    ``facts`` say of which parts, and what is shown.
    """
    path = folder / _FOLDER / _PAINTED
    config = recipe.decoder
    guessed = [config.seed, config.low, config.high, config.guidance]
    of = f"{facts['parts']} {facts['length']} {guessed} {facts['shown']}"
    if not path.exists() or store.read(path)[1].get("of") != of:
        vae = trained_autoencoder(spec, folder, device)
        guesser = _guesser(recipe, folder, device, spec)
        made: dict[str, torch.Tensor] = {}
        for name, shown in (("seen", seen), ("held", held)):
            latents = latents_of(vae, shown.pictures, device)
            guesses = guesser.guesses(latents, shown.captions, config, stop)
            made |= {f"{name}.latents": latents, f"{name}.guesses": guesses}
        store.write(made, path, {"of": of})
    kept, _ = store.read(path)
    return (
        Painted(seen.pictures, kept["seen.latents"], kept["seen.guesses"]),
        Painted(held.pictures, kept["held.latents"], kept["held.guesses"]),
    )


def _reader(recipe: Recipe, device: torch.device, spec: ModelSpec) -> Reader:
    text = spec.texts[0].config
    assert isinstance(text, BertConfig)
    return reader_of(text, recipe.denoiser.length, device)


def _guesser(recipe: Recipe, folder: Path, device: torch.device, spec: ModelSpec) -> Guesser:
    """The trained denoiser, its adapter and the reader before them."""
    text, config = spec.texts[0].config, spec.denoiser
    assert isinstance(text, BertConfig)
    assert isinstance(config, UNetConfig)
    unet, adapter = UNet(config), Adapter(text)
    for part, name in ((unet, "unet"), (adapter, "adapter")):
        part.load_state_dict(store.read(folder / f"{name}.safetensors")[0])
        part.to(device).eval().requires_grad_(False)
    return Guesser(unet, adapter, _reader(recipe, device, spec), process_of(spec.process))
