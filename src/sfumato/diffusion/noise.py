"""The seed becomes noise here: one normal number per (seed, draw, element), the same everywhere.

B pictures, C channels, H W latent height and width. Each picture has a stream of its own, drawn
in float32 on the CPU, so that neither batch, device, precision nor threads change it.

The stream `cpu` is torch's CPU generator (MT19937): the noise of diffusers with a CPU generator
and the first latents of ComfyUI. It reads the low 32 bits of a seed only, hence seeds that agree
modulo 2^32 give the same noise. The stream `nv` is that of NVIDIA cards as AUTOMATIC1111 rebuilds
it, Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), and reads
all 64 bits.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.diffusion.variation import Beginning, set_in, slerp
from sfumato.errors import RequestError

Shape: TypeAlias = tuple[int, int, int]
Words: TypeAlias = NDArray[np.uint64]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
# Salmon et al. 2011: the multipliers of philox4x32, and the Weyl steps of its key.
_MULTIPLY = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_STEP = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))

FAR = 2**32
"""Draws from this number on lie in no row: each is as quick as the first, whatever its number."""


class Noise:
    """Unit normal noise for B pictures, by number: `noise(0)` begins, `noise(k)` feeds the steps.

    A draw is a function of its number alone, so a sampler may stop anywhere and go on later. The
    numbers below 2^32 are those of the stream in its order, for the steps; those from `FAR` = 2^32
    on serve `sfumato.diffusion.samplers.brownian`, which asks for few of very many.

    seeds: one per picture, 0 ... 2^64 - 1.
    shape: (C, H, W) of one picture's latent.
    stream: "cpu" or "nv".
    wander: one further seed per picture: draw 0 stays the seed's, the later draws are those of
        the wander seed's stream. Wandering with the seed itself changes nothing.
    own_steps: the later draws are those of the stream of seed + 1 from its first on, as in ComfyUI
        on a CPU; with `wander`, of the wander seed + 1.
    beginning: what draw 0 is made of where it is not the seed's own alone; the later draws are
        what they would be without.
    Raises RequestError for a seed out of range, for an unknown stream, or where `wander` or the
    seeds of `beginning` have another length than `seeds`.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape: Shape,
        *,
        stream: Literal["cpu", "nv"] = "cpu",
        wander: Sequence[int] | None = None,
        own_steps: bool = False,
        beginning: Beginning | None = None,
    ) -> None:
        beginning = Beginning() if beginning is None else beginning
        if stream not in STREAMS:
            raise RequestError(f"unknown noise stream {stream!r}; choose one of: cpu, nv")
        for what, more in (("wander", wander), ("variation", beginning.seeds or None)):
            if more is not None and len(more) != len(seeds):
                raise RequestError(
                    f"{len(more)} {what} seeds for {len(seeds)} pictures; give one for each picture"
                )
        for seed in (*seeds, *(wander or ()), *beginning.seeds):
            if not 0 <= seed < 2**64:
                raise RequestError(f"seed {seed} is out of range; give 0 to {2**64 - 1}")
        self._first = [STREAMS[stream](seed, shape) for seed in seeds]
        inner = shape if beginning.shape is None else beginning.shape
        # Generators of their own: a draw of another shape must not move on that of the steps.
        self._inner = [STREAMS[stream](seed, inner) for seed in seeds]
        self._others = [STREAMS[stream](seed, inner) for seed in beginning.seeds]
        self._beginning = beginning
        if own_steps:
            wander = [(seed + 1) % 2**64 for seed in wander or seeds]
        self.shape = shape
        same = wander is None
        self._later = self._first if same else [STREAMS[stream](seed, shape) for seed in wander]
        self._offset = 1 if own_steps else 0

    def __call__(self, k: int) -> Tensor:
        """Draw number k, 0 to 2^63 - 1: (B, C, H, W) float32 on the CPU."""
        if k == 0:
            return torch.stack([self._begin(i) for i in range(len(self._first))])
        return torch.stack([one.draw(k - self._offset) for one in self._later])

    def _begin(self, i: int) -> Tensor:
        """Draw 0 of picture i, (C, H, W)."""
        own = self._first[i].draw(0)
        inner = own if self._beginning.shape is None else self._inner[i].draw(0)
        if self._others:
            inner = slerp(self._beginning.strength, inner, self._others[i].draw(0))
        return inner if self._beginning.shape is None else set_in(own, inner)


class _Stream(ABC):
    """The numbered draws of one picture."""

    @abstractmethod
    def __init__(self, seed: int, shape: Shape) -> None: ...

    @abstractmethod
    def draw(self, k: int) -> Tensor:
        """Draw number k: (C, H, W) float32 on the CPU."""


@final
class _Mersenne(_Stream):
    """torch's CPU generator, which can only go forward; a draw that lies behind starts it anew."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self._seed = seed
        self._shape = shape
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._next = 0

    def draw(self, k: int) -> Tensor:
        if k >= FAR:
            generator = torch.Generator("cpu").manual_seed(_mixed(self._seed, k))
            return torch.randn(self._shape, generator=generator, dtype=torch.float32)
        if k < self._next:
            self._generator.manual_seed(self._seed)
            self._next = 0
        while self._next < k:
            self._forward()
        return self._forward()

    def _forward(self) -> Tensor:
        self._next += 1
        return torch.randn(self._shape, generator=self._generator, dtype=torch.float32)


@final
class _Philox(_Stream):
    """curand's normal numbers: key = seed, counter = (draw, 0, element, 0), the first output.

    A draw from `FAR` on has the upper half of its number in the counter's second word.
    """

    def __init__(self, seed: int, shape: Shape) -> None:
        self._key = np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint64)
        self._shape = shape

    def draw(self, k: int) -> Tensor:
        element = np.arange(math.prod(self._shape), dtype=np.uint64)
        zero = np.zeros_like(element)
        low, high = zero + np.uint64(k % FAR), zero + np.uint64(k // FAR)
        words = philox((low, high, element, zero), self._key)
        return torch.tensor(_box_muller(words[0], words[1])).view(self._shape)


STREAMS: Mapping[str, type[_Stream]] = {"cpu": _Mersenne, "nv": _Philox}


def philox(counter: tuple[Words, Words, Words, Words], key: Words) -> tuple[Words, ...]:
    """Philox4x32-10 of many counters under one key (Salmon et al. 2011).

    counter: four (N,) arrays of 32-bit words; key: (2,). Returns four (N,) arrays of 32-bit words,
    each held in 64 bits, where the products fit.
    """
    a, b, c, d = counter
    left, right = key[0], key[1]
    for _ in range(10):
        one, two = a * _MULTIPLY[0], c * _MULTIPLY[1]
        a, b = (two >> _HALF) ^ b ^ left, two & _LOW
        c, d = (one >> _HALF) ^ d ^ right, one & _LOW
        left, right = (left + _STEP[0]) & _LOW, (right + _STEP[1]) & _LOW
    return a, b, c, d


def _mixed(seed: int, k: int) -> int:
    """A seed for draw k of a stream: splitmix64 (Steele, Lea and Flood 2014) of both numbers."""
    word = seed
    for one in (0, k):
        word = (word + one + 0x9E3779B97F4A7C15) % 2**64
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
        word ^= word >> 31
    return word


def _box_muller(x: Words, y: Words) -> NDArray[np.float32]:
    """The sine half of Box-Muller, in float64 with curand's two float32 constants, as A1111."""
    unit = float(np.float32(2.3283064e-10))  # 2^-32
    turn = float(np.float32(2.3283064e-10 * 6.2831855))
    radius = np.sqrt(-2 * np.log(x * unit + unit / 2))
    return (radius * np.sin(y * turn + turn / 2)).astype(np.float32)
