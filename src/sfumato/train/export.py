"""The trained parts become one file of sfumato's own layout, small enough to ship.

Matrices are stored as int8 rows (`weights.int8`), all that is small and the ends of the networks as
float16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato.catalog import MINI
from sfumato.errors import WeightsError
from sfumato.familiar import header, words_of
from sfumato.nn.unet import UNet
from sfumato.spec import BertConfig, ModelSpec, UNetConfig
from sfumato.text.names import HEADER
from sfumato.train import store
from sfumato.train.bundled import WORDS, average, encoder
from sfumato.train.names import NAMING
from sfumato.train.names import fits as names_fit
from sfumato.train.polish import DECODER, fits
from sfumato.weights.files import open_weights
from sfumato.weights.int8 import SCALE, pack_rows
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model
from sfumato.weights.named import named

__all__ = ["Exported", "export", "pack"]

_SMALL = 4096  # elements; below, a byte each saves nothing worth its error
# The ends of the networks, where an error goes straight into the picture or into every block.
_WHOLE = (
    *("unet.conv_in.", "unet.conv_out.", "unet.time_in.", "unet.added_in.", "text.adapter.pool"),
    *("vae.encoder.conv_", "vae.encoder.quant", "vae.decoder.conv_", "vae.decoder.quant"),
)


@dataclass(frozen=True)
class Exported:
    """What was written: bytes and numbers, and what packing costs.

    The errors are of the U-Net's output on unit noise, against its float32 weights: the root mean
    square and the largest deviation, both over the root mean square of the output.
    """

    path: Path
    bytes: int
    parameters: int
    step: int | None
    mean_error: float
    largest_error: float


def export(folder: Path, out: Path, card: Mapping[str, str], *, spec: ModelSpec = MINI) -> Exported:
    """Makes the model file ``out`` of the parts in a training's ``folder``, and tries it.

    A denoiser still in training is taken as `bundled.average` makes it of its last state. ``card``
    goes into the file's header beside the model's name, the words that it was trained with and the
    names that it knows, if it has learnt any.
    Raises WeightsError where a part is missing or does not fit the model, OutputError where the
    file cannot be written.
    """
    state = folder / "denoiser" / "state.safetensors"
    step = average(folder) if state.exists() else None
    text, config = spec.texts[0].config, spec.denoiser
    assert isinstance(text, BertConfig)
    assert isinstance(config, UNetConfig)
    parts: dict[str, Tensor] = {}
    for lead, name in (("unet.", "unet"), ("vae.", "vae"), ("text.adapter.", "adapter")):
        found, _ = store.read(folder / f"{name}.safetensors")
        parts |= {f"{lead}{n}": t for n, t in found.items()}
    if (folder / DECODER).exists():
        if not fits(folder):
            raise _unfit(
                f"{folder / DECODER} was trained for other parts than lie",
                "the autoencoder's own decoder is taken",
            )
        polished, _ = store.read(folder / DECODER)
        parts |= {f"vae.decoder.{n}": t for n, t in polished.items()}
    parts |= {f"text.bert.{n}": t for n, t in encoder(text)[0].state_dict().items()}
    words = folder / WORDS
    said = header(words_of([words.read_text("utf-8")])) if words.exists() else {}
    if (folder / NAMING).exists():
        if not names_fit(folder):
            raise _unfit(
                f"{folder / NAMING} was trained behind another adapter than lies",
                "the model calls nothing by a name",
            )
        layers, own = store.read(folder / NAMING)
        parts |= {f"text.naming.{n}": t for n, t in layers.items()}
        said |= {HEADER: own[HEADER]}
    size = store.write(pack(parts), out, {"model": spec.name, **card, **said})
    unet = UNet(config)
    unet.load_state_dict(
        {n.removeprefix("unet."): t for n, t in parts.items() if n.startswith("unet.")}
    )
    mean, largest = _errors(unet.eval(), out, spec)
    count = sum(t.numel() for t in parts.values())
    return Exported(out, size, count, step, mean, largest)


def _unfit(what: str, without: str) -> WeightsError:
    return WeightsError(
        f"{what} beside it.\n"
        "  End the training by the words that it was begun with, or remove that file: then "
        f"{without}."
    )


def pack(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file of our layout in their smaller form, by the same names."""
    packed: dict[str, Tensor] = {}
    for name, tensor in parts.items():
        if not bool(tensor.half().isfinite().all()):
            raise WeightsError(
                f"{name} holds values that are no numbers, or beyond 65,504: the training fell "
                "apart. Train again with lower learning rates."
            )
        small = tensor.ndim < 2 or tensor.numel() < _SMALL
        if small or name.startswith(_WHOLE):
            packed[name] = tensor.half()
        else:
            packed[name], packed[name + SCALE] = pack_rows(tensor)
    return packed


@torch.no_grad()
def _errors(exact: UNet, path: Path, spec: ModelSpec) -> tuple[float, float]:
    """Loads the file as the engine does; root mean square and largest deviation of its U-Net."""
    weights = open_weights(path)
    spec = named(spec, weights)
    parts = load_model(weights, spec, tables("sfumato", spec), torch.float32)
    stored, rng, c = parts.denoiser, np.random.default_rng(0), exact.config

    def draw(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    x, context = draw(4, c.in_channels, 16, 16), draw(4, 8, c.context)
    time = torch.tensor([50.0, 350.0, 650.0, 950.0])
    added = None if c.added is None else draw(4, c.added)
    want = exact(x, time, context, added=added)
    off = stored(x, time, context, added=added) - want
    scale = float(want.square().mean().sqrt())
    return float(off.square().mean().sqrt()) / scale, float(off.abs().max()) / scale
