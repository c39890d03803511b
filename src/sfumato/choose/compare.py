"""How far apart the pixels of two pictures are, in numbers that need no opinion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Distance", "distance"]


@dataclass(frozen=True)
class Distance:
    """The difference of all values (three colours a pixel, 0 ... 255) of two pictures.

    share: of the values that differ, 0 ... 1. largest, mean: of the difference, in levels.
    psnr: in dB (10 log10(255^2 / mean square)); infinite for equal pictures.
    """

    share: float
    largest: int
    mean: float
    psnr: float

    @property
    def equal(self) -> bool:
        return self.largest == 0

    def words(self) -> str:
        """The same in a line."""
        if self.equal:
            return "equal to the bit"
        share = f"{100 * self.share:.3g} %" if self.share >= 1e-5 else "a few"
        level = "level" if self.largest == 1 else "levels"
        return (
            f"{share} of the values differ, by {self.largest} {level} of 255 at most "
            f"({self.mean:.3g} on average), PSNR {self.psnr:.1f} dB"
        )

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON; psnr is null for equal pictures."""
        return {
            "equal": self.equal,
            "share": self.share,
            "largest": self.largest,
            "mean": self.mean,
            "psnr": None if self.equal else self.psnr,
        }


def distance(a: Image, b: Image) -> Distance | None:
    """How far two pictures are apart; None where their sizes differ."""
    if a.size != b.size:
        return None
    left, right = (np.asarray(one.convert("RGB"), dtype=np.int16) for one in (a, b))
    levels = np.abs(left - right)
    square = float(np.mean(np.square(levels, dtype=np.float64)))
    return Distance(
        share=float(np.count_nonzero(levels)) / levels.size,
        largest=int(levels.max()),
        mean=float(levels.mean()),
        psnr=math.inf if square == 0 else 10 * math.log10(255**2 / square),
    )
