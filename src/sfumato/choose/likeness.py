"""How different two pictures look: a number from 0, which an eye cannot tell apart, to 1.

Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment":
local means, contrasts and structures are compared at up to five scales, each half of the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CANONICAL", "unlikeness"]

Plane: TypeAlias = NDArray[np.float64]

CANONICAL = 512
"""The longest side, in pixels, at which pictures are compared: what is finer is not looked at."""

# Wang et al. 2003, table of section 3.2: how much each scale counts, the finest first.
_SCALES: Sequence[float] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 8  # pixels a side
# Brightness and two colours (Y, Cb, Cr), by what each is worth to the eye.
_PLANES: Sequence[float] = (0.8, 0.1, 0.1)
# The paper's constants against division by nothing, for values of 0 ... 255.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def unlikeness(a: Image.Image, b: Image.Image) -> float:
    """1 - MS-SSIM of two pictures of one size: 0 for equal ones, near 1 for unrelated ones.

    Compared as Y, Cb and Cr (0.8, 0.1, 0.1), scaled down to `CANONICAL` pixels where they are
    larger. Raises ValueError for pictures of two sizes.
    """
    if a.size != b.size:
        raise ValueError(f"pictures of {a.size} and {b.size} cannot be compared")
    left, right = (_planes(one) for one in (a, b))
    alike = sum(
        weight * _similarity(left[..., i], right[..., i]) for i, weight in enumerate(_PLANES)
    )
    return float(min(max(1 - alike, 0.0), 1.0))


def _planes(image: Image.Image) -> Plane:
    image = image.convert("RGB")
    long = max(image.size)
    if long > CANONICAL:
        width, height = (max(1, round(side * CANONICAL / long)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image.convert("YCbCr"), dtype=np.float64)


def _similarity(a: Plane, b: Plane) -> float:
    """MS-SSIM of two planes; of a small picture the scales that it has, weighted to 1."""
    result, total = 1.0, 0.0
    for i, weight in enumerate(_SCALES):
        light, structure = _ssim(a, b)
        last = i == len(_SCALES) - 1 or min(a.shape) < 4 * _WINDOW
        total += weight
        # The paper compares mean brightness at the coarsest scale only.
        result *= max(structure * light if last else structure, 0.0) ** weight
        if last:
            break
        a, b = _half(a), _half(b)
    return result ** (1 / total)


def _ssim(a: Plane, b: Plane) -> tuple[float, float]:
    """The means over all windows of the brightness and of the contrast-and-structure terms."""
    size = min(_WINDOW, *a.shape)
    mean_a, mean_b = _means(a, size), _means(b, size)
    square_a, square_b = _means(a * a, size) - mean_a**2, _means(b * b, size) - mean_b**2
    both = _means(a * b, size) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * both + _C2) / (square_a + square_b + _C2)
    return float(light.mean()), float(structure.mean())


def _means(plane: Plane, size: int) -> Plane:
    """The mean of every window of size x size pixels, by sums of sums."""
    sums = np.pad(plane, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    total = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return total / size**2


def _half(plane: Plane) -> Plane:
    height, width = (side // 2 * 2 for side in plane.shape)
    plane = plane[:height, :width]
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
