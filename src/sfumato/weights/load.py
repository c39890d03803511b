"""Networks filled with a file's weights: every tensor placed, none missing, none left over.

A network is built without memory (torch's `meta` device), each tensor is taken from the mapped
file in the wanted precision and becomes the network's own, so that loading needs the memory of the
result and little more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sfumato.errors import WeightsError
from sfumato.nn.bert import TextTower
from sfumato.nn.clip import ClipText
from sfumato.nn.flux import Flux
from sfumato.nn.mmdit import MMDiT
from sfumato.nn.t5 import T5Encoder
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import (
    BertConfig,
    ClipConfig,
    FluxConfig,
    MMDiTConfig,
    ModelSpec,
    T5Config,
    UNetConfig,
    VaeConfig,
)
from sfumato.text.t5 import T5Tokenizer
from sfumato.weights import fp8
from sfumato.weights.entries import Weights
from sfumato.weights.int8 import SCALE, unpack_rows
from sfumato.weights.layouts import Tables
from sfumato.weights.layouts.table import Place, Table
from sfumato.weights.parts import Located, Origins
from sfumato.weights.reader import Reader

__all__ = ["Parts", "load_model", "load_part", "load_parts"]

Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)

FLOATS = frozenset({"float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"})


# The network of each kind of description.
NETWORKS: Mapping[type, Callable[[Any], nn.Module]] = {
    UNetConfig: UNet,
    MMDiTConfig: MMDiT,
    FluxConfig: Flux,
    VaeConfig: Vae,
    ClipConfig: ClipText,
    T5Config: T5Encoder,
    BertConfig: TextTower,
}


@dataclass(frozen=True)
class Parts:
    """A whole model's networks, in evaluation mode, asking for no gradients.

    ``texts`` stand in the order of `ModelSpec.texts`, None in place of one that was left out;
    ``t5`` is the tokenizer of a T5 among them.
    """

    denoiser: nn.Module
    vae: Vae
    texts: tuple[nn.Module | None, ...]
    t5: T5Tokenizer | None = None

    def to(self, device: torch.device) -> "Parts":
        """The same on another device."""
        texts = tuple(None if text is None else text.to(device) for text in self.texts)
        return Parts(self.denoiser.to(device), self.vae.to(device), texts, self.t5)


def load_model(
    weights: Weights,
    spec: ModelSpec,
    tables: Tables,
    dtype: torch.dtype,
    vae_dtype: torch.dtype | None = None,
) -> Parts:
    """All parts of `spec` from an opened file or folder, which names them as `tables` say, on the
    CPU.

    `vae_dtype` is the precision of the autoencoder where it differs. Raises WeightsError, before
    any tensor is read, where the file and the spec do not fit each other to the last tensor.
    """
    own = {} if vae_dtype is None else {"vae": vae_dtype}
    origins = Origins({name: Located(weights, table) for name, table in tables.items()})
    return load_parts(spec, origins, dtype, own)


def load_parts(
    spec: ModelSpec,
    origins: Origins,
    dtype: torch.dtype,
    own: Mapping[str, torch.dtype],
    t5: T5Tokenizer | None = None,
    vae: Vae | None = None,
) -> Parts:
    """All parts of `spec` from wherever they lie, on the CPU; raises like `load_model`.

    `own` are the precisions of parts in which they differ; `t5` the tokenizer of a T5; `vae` an
    autoencoder in memory, for origins without one.
    """
    where = origins.parts
    networks = {n: _blank(NETWORKS[type(c)], c) for n, c in spec.parts.items() if n in where}
    places = {
        name: _places(network, where[name].weights, where[name].table)
        for name, network in networks.items()
    }
    for file in {id(one.weights): one.weights for one in where.values()}.values():
        here = [name for name, one in where.items() if one.weights is file]
        _require_nothing_left(
            file,
            [places[name] for name in here],
            [*(where[name].table for name in here), *origins.aside],
            [key for key in file.entries if not any(t.holds(key) for t in origins.aside)],
        )
    reader = Reader()
    for name, network in networks.items():
        _fill(network, where[name].weights, places[name], reader, own.get(name, dtype))
    vae = vae or cast("Vae", networks["vae"])
    texts = tuple(networks.get(part.name) for part in spec.texts)
    return Parts(networks["denoiser"], vae, texts, t5)


def load_part(
    network_class: Callable[[Config], Network],
    config: Config,
    weights: Weights,
    table: Table,
    dtype: torch.dtype,
) -> Network:
    """One network from a file that may hold others too.

    Every key under the table's prefixes must have its place. Raises WeightsError like `load_model`.
    """
    network = _blank(network_class, config)
    places = _places(network, weights, table)
    own = [key for key in weights.entries if table.holds(key)]
    _require_nothing_left(weights, [places], [table], own)
    _fill(network, weights, places, Reader(), dtype)
    return network


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of first weights.

    Without memory there is nothing to draw into, and torch loads 800 modules to find that out for
    normal numbers: 1.3 s of processor time.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__name__", "") == "normal_":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _blank(network_class: Callable[[Config], Network], config: Config) -> Network:
    with torch.device("meta"), _Undrawn():
        return network_class(config)


def _places(network: nn.Module, weights: Weights, table: Table) -> dict[str, Place]:
    """For each of the network's tensors its place in the file, shapes compared."""
    places: dict[str, Place] = {}
    missing: list[str] = []
    unlike: list[str] = []
    state: Mapping[str, Tensor] = network.state_dict()
    for ours, tensor in state.items():
        options = list(table.places(ours))
        place = next((p for p in options if all(key in weights.entries for key in p.keys)), None)
        if place is None:
            missing.append(" + ".join(options[0].keys))
            continue
        places[ours] = place
        got = place.shape([weights.entries[key].shape for key in place.keys])
        expected = tuple(tensor.shape)
        if got is None or _bare(got) != _bare(expected):
            unlike.append(f"{' + '.join(place.keys)}: got {got}, expected {expected}")
        elif (problem := _problem(weights, place)) is not None:
            unlike.append(f"{' + '.join(place.keys)}: {problem}")
    what, name = type(network).__name__, weights.path.name
    if missing and not places:
        raise WeightsError(
            f"{name} holds no {what}: no key such as {missing[0]}. A whole model is expected.\n"
            f"  See what it holds: sfumato models inspect {name}"
        )
    if missing or unlike:
        lines = [*unlike[:3], *(f"{key}: missing" for key in missing[:3])]
        raise WeightsError(
            f"{name} does not fit: of {len(state)} tensors of the {what} {len(missing)} are "
            f"missing and {len(unlike)} differ.\n  "
            + "\n  ".join(lines)
            + f"\n  See what it is: sfumato models inspect {name}"
        )
    return places


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape in which a 1 x 1 convolution equals the matrix that it is."""
    return shape[:2] if len(shape) == 4 and shape[2:] == (1, 1) else shape


def _problem(weights: Weights, place: Place) -> str | None:
    """Why a tensor's type cannot be a weight's, or None."""
    for key in place.keys:
        entry = weights.entries[key]
        if (why := fp8.problem(weights.entries, key)) is not None:
            return why
        if entry.dtype in FLOATS or entry.packing is not None:
            continue
        scale = weights.entries.get(key + SCALE)
        if entry.dtype != "int8":
            return f"got {entry.dtype}, expected floating point"
        if scale is None:
            return f"got int8 without its scale, expected {key}{SCALE} beside it"
        if scale.shape != entry.shape[:1] or scale.dtype not in FLOATS:
            return f"its scale is {scale.dtype} {scale.shape}, expected a float for each row"
    return None


def _require_nothing_left(
    weights: Weights,
    places: Iterable[Mapping[str, Place]],
    tables: Iterable[Table],
    keys: Iterable[str],
) -> None:
    """Every key is used, or known by a table to come along."""
    used = {key for part in places for place in part.values() for key in place.keys}
    used |= {key + SCALE for key in used if weights.entries[key].dtype == "int8"}
    used |= {each for key in tuple(used) for each in fp8.beside(weights.entries, key)}
    rows = list(tables)
    left = [
        key
        for key in keys
        if key not in used
        and key.rpartition(".")[2] != fp8.MARK
        and not any(table.is_extra(key) for table in rows)
    ]
    if left:
        shown = ", ".join(left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")
        raise WeightsError(
            f"{weights.path.name} holds {len(left)} tensors that this model has no place for: "
            f"{shown}.\n  It may be another model, or a merge gone wrong. "
            f"See what it is: sfumato models inspect {weights.path.name}"
        )


def _fill(
    network: nn.Module,
    weights: Weights,
    places: Mapping[str, Place],
    reader: Reader,
    dtype: torch.dtype,
) -> None:
    """Give the network its tensors, one at a time."""
    blank: Mapping[str, Tensor] = network.state_dict()
    state: dict[str, Tensor] = {}
    for ours, place in places.items():
        tensors = [_read(weights, key, reader, dtype) for key in place.keys]
        state[ours] = _assembled(tensors, place).view(blank[ours].shape)
    network.load_state_dict(state, strict=True, assign=True)
    network.eval().requires_grad_(requires_grad=False)


def _read(weights: Weights, key: str, reader: Reader, dtype: torch.dtype) -> Tensor:
    entry = weights.entries[key]
    if (factor := fp8.scale_key(weights.entries, key)) is not None:
        stored = reader.read(entry)
        return fp8.unscaled(stored, reader.read(weights.entries[factor])).to(dtype)
    if entry.dtype != "int8":
        return reader.read(entry, dtype)
    scale = reader.read(weights.entries[key + SCALE])
    return unpack_rows(reader.read(entry), scale, dtype)


def _assembled(tensors: list[Tensor], place: Place) -> Tensor:
    """Our tensor from the pieces of a file; a piece that is whole already is not copied."""
    pieces = place.pieces
    whole = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
    number, count = pieces.part
    if count > 1:
        whole = whole.chunk(count)[number].clone()  # not a view that would keep all of it
    if pieces.swapped:
        whole = torch.cat(whole.chunk(2)[::-1])
    return whole.T.contiguous() if pieces.turned else whole
