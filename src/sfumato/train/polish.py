"""The last training of a recipe: the decoder, polished on what the trained denoiser paints.

It ends in ``decoder.safetensors``, which `train.export` takes in place of the autoencoder's own.
The encoder stays as it is, and with it every latent.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from sfumato.catalog import MINI
from sfumato.errors import WeightsError
from sfumato.families.base import process_of
from sfumato.images.files import write as write_bytes
from sfumato.nn.bert import Adapter
from sfumato.nn.unet import UNet
from sfumato.spec import BertConfig, ModelSpec, UNetConfig
from sfumato.train import store
from sfumato.train.bundled import note, reader_of, trained_autoencoder, workers_on
from sfumato.train.captions import Named
from sfumato.train.decoder import DecoderTask, Guesser, Painted
from sfumato.train.denoiser import latents_of
from sfumato.train.loop import Stop, Tell, fit, never
from sfumato.train.precision import products
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import Scenes, drawn
from sfumato.train.stylize import Picture

__all__ = ["DECODER", "fit_decoder", "train_decoder"]

DECODER = "decoder.safetensors"
_HELD = 256  # pictures that judge, at most an eighth of all
_PLAIN = ("conv_in", "conv_out", "quant")


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
    """The last training, on ``recipe.decoder.scenes`` of the ``scenes``; goes on where it stopped.

    Raises what `fit_decoder` raises.
    """
    pictures: list[Picture] = []
    captions: list[str] = []
    words = Named(scenes.subjects)
    for some, facts in drawn(scenes, recipe.decoder.scenes, workers_on(recipe, device)):
        pictures.append(some)
        captions += map(words.plain, facts)
    fit_decoder(
        recipe, np.concatenate(pictures), captions, folder, device, tell, stop=stop, spec=spec
    )


def fit_decoder(
    recipe: Recipe,
    pictures: Picture,
    captions: list[str],
    folder: Path,
    device: torch.device,
    tell: Tell,
    *,
    stop: Stop = never,
    spec: ModelSpec = MINI,
) -> None:
    """The last training on any ``pictures`` (N, S, S, 3) uint8, with a caption each.

    Raises what `loop.fit` raises, and WeightsError where a part is missing, or where the folder
    holds the training of a decoder for another denoiser.
    """
    _require_same_denoiser(folder)
    note(recipe, folder, "decoder", device)
    vae = trained_autoencoder(spec, folder, device)
    latents = latents_of(vae, pictures, device)
    guesses = _guesser(recipe, folder, device, spec).guesses(latents, captions, recipe.decoder)
    painted = Painted(pictures, latents, guesses)
    held = max(1, min(_HELD, len(pictures) // 8))
    task = DecoderTask(
        vae,
        recipe.decoder,
        painted.part(slice(held, None)),
        painted.part(slice(0, held)),
        device,
        precision=products(recipe.precision, device),
    )
    loop, rates = recipe.decoder_loop, recipe.decoder_rates
    averaged = fit(task, loop, rates, folder / "decoder", plain=_PLAIN, tell=tell, stop=stop)
    store.write(averaged["decoder"].state_dict(), folder / DECODER)


def _guesser(recipe: Recipe, folder: Path, device: torch.device, spec: ModelSpec) -> Guesser:
    """The trained denoiser, its adapter and the reader before them."""
    text, config = spec.texts[0].config, spec.denoiser
    assert isinstance(text, BertConfig)
    assert isinstance(config, UNetConfig)
    unet, adapter = UNet(config), Adapter(text)
    unet.load_state_dict(store.read(folder / "unet.safetensors")[0])
    adapter.load_state_dict(store.read(folder / "adapter.safetensors")[0])
    reader = reader_of(text, recipe.denoiser.length, device)
    return Guesser(unet.to(device), adapter.to(device), reader, process_of(spec.process))


def _require_same_denoiser(folder: Path) -> None:
    """Writes down whose latents the decoder learns, or refuses a folder where it was another's."""
    parts = [folder / name for name in ("unet.safetensors", "adapter.safetensors")]
    for path in parts:
        if not path.exists():
            raise WeightsError(f"There is no {path}; the denoiser is trained before the decoder.")
    digest = sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    path = folder / "decoder" / "denoiser.sha256"
    begun = (folder / "decoder" / "state.safetensors").exists() and path.exists()
    if begun and path.read_text("utf-8").strip() != digest:
        raise WeightsError(
            f"{path.parent} holds a decoder's training for another denoiser than {parts[0]}.\n"
            "  Remove that folder, and the decoder is trained anew for this one."
        )
    write_bytes(f"{digest}\n".encode(), path)
