"""The noise that a picture begins with, where it is not its seed's alone.

Turned towards another seed's, it gives a variation of the picture; set into noise of another size,
it keeps the composition there. Both are AUTOMATIC1111's (its `modules/rng.py`), element by element.

C channels, H W latent height and width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Beginning", "set_in", "slerp"]


@dataclass(frozen=True)
class Beginning:
    """How the first draw differs from that of the seed alone.

    seeds: one further seed per picture, towards whose noise it is turned; none: it is not.
    strength: how far, 0 ... 1.
    shape: (C, H, W) of the latent whose noise is set into the middle of this one's.
    """

    seeds: Sequence[int] = ()
    strength: float = 0.0
    shape: tuple[int, int, int] | None = None


def slerp(strength: float, low: Tensor, high: Tensor) -> Tensor:
    """Noise of one seed turned towards that of another: 0 gives `low`, 1 gives `high`.

    low, high: (C, H, W). The vectors that are turned are the columns of each channel, for A1111
    norms dimension 1 of a (C, H, W). What is normal stays normal, of nearly the same spread.
    Noise of one seed twice is left as it is. A1111 has no answer for columns that point the same
    way, or opposite ways, to the last bit, which only happens in latents of one row or two. The
    first are mixed in a straight line; the others as vectors at right angles are, for no way
    around is shorter than another.
    """
    one = low / low.square().sum(1, keepdim=True).sqrt()
    two = high / high.square().sum(1, keepdim=True).sqrt()
    cosine = (one * two).sum(1, keepdim=True)  # (C, 1, W)
    if cosine.mean() > 0.9995:
        return torch.lerp(low, high, strength)
    angle = torch.acos(cosine.clamp(-1, 1))
    stay = torch.sin((1.0 - strength) * angle) / torch.sin(angle)
    turn = torch.sin(strength * angle) / torch.sin(angle)
    right = strength * math.pi / 2
    for where, (a, b) in (
        (cosine.ge(1), (1 - strength, strength)),
        (cosine.le(-1), (math.cos(right), math.sin(right))),
    ):
        stay, turn = stay.masked_fill(where, a), turn.masked_fill(where, b)
    return stay * low + turn * high


def set_in(around: Tensor, inner: Tensor) -> Tensor:
    """`inner` in the middle of `around`; where it is larger, its own middle is what is seen.

    around: (C, H, W); inner: (C, h, w). Odd differences are halved downwards, as in A1111: of a
    larger `inner` one row then stays that of `around`.
    """
    (top, from_top, height), (left, from_left, width) = (
        _overlap(around.shape[axis], inner.shape[axis]) for axis in (1, 2)
    )
    noise = around.clone()
    noise[:, top : top + height, left : left + width] = inner[
        :, from_top : from_top + height, from_left : from_left + width
    ]
    return noise


def _overlap(outer: int, inner: int) -> tuple[int, int, int]:
    """Where the inner begins in the outer, where what is seen begins in the inner, how much."""
    margin = (outer - inner) // 2
    if margin >= 0:
        return margin, 0, inner
    return 0, -margin, inner + 2 * margin
