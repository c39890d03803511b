"""What a sampler yields after each step, and what it is given: the types that all samplers share.

A step is a value. It holds all that the next one needs, so that previews, cancelling, resuming
after a kill and handing over to a refiner are one thing.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.errors import RequestError

Denoise: TypeAlias = Callable[[Tensor, float], Tensor]
"""denoise(x, sigma) -> x0: the clean estimate, (B, C, H, W) like x."""

Draw: TypeAlias = Callable[[int], Tensor]
"""noise(k) -> (B, C, H, W): unit normal, a function of k alone; see `sfumato.diffusion.noise`."""


@dataclass(frozen=True)
class Step:
    """The state after one step.

    index: the step's number from 0: it went from sigmas[index] to sigmas[index + 1].
    x: (B, C, H, W) at the level sigmas[index + 1]; with `dpm_adaptive`, there or below.
    x0: (B, C, H, W) the clean estimate made at sigmas[index], which previews show.
    history: what else the sampler carries into the next step, newest first.
    """

    index: int
    x: Tensor
    x0: Tensor
    history: tuple[Tensor, ...] = ()

    def tensors(self) -> dict[str, Tensor]:
        """The step as named tensors that share no memory, ready for a safetensors file."""
        past = {f"history.{i}": past for i, past in enumerate(self.history)}
        named = {"index": torch.tensor(self.index), "x": self.x, "x0": self.x0, **past}
        return {
            name: tensor.clone(memory_format=torch.contiguous_format)
            for name, tensor in named.items()
        }

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> "Step":
        """The step whose `tensors()` these are. Raises RequestError for any other names."""
        past = [f"history.{i}" for i in range(len(tensors) - 3)]
        if set(tensors) != {"index", "x", "x0", *past}:
            raise RequestError(
                f"a stored step holds index, x, x0 and history.0 and on; got: {sorted(tensors)}"
            )
        history = tuple(tensors[name] for name in past)
        return Step(int(tensors["index"]), tensors["x"], tensors["x0"], history)


class Sampler(Protocol):
    """A sampler: everything in by parameter, everything out by `yield`.

    denoise: the guided model.
    x: (B, C, H, W) at the level sigmas[0]; not read where `start` is given.
    sigmas: (N + 1,) strictly descending; the last may be 0. They are read once, as floats.
    process: for alpha(sigma).
    noise: the numbered draws; step i of a stochastic sampler reads fixed numbers from 1 on, or from
        `noise.FAR` on for a Brownian path.
    start: go on after this step, as if the sampler had never stopped: the same to the bit.
    """

    def __call__(
        self,
        denoise: Denoise,
        x: Tensor,
        sigmas: Tensor,
        *,
        process: Process,
        noise: Draw,
        start: Step | None = None,
    ) -> Iterator[Step]: ...


@dataclass(frozen=True)
class Level:
    """One noise level of a run.

    snr: lambda = log(alpha / sigma), the log of the signal-to-noise ratio: from -inf, where nothing
    of x0 is left, to inf, where there is no noise.
    """

    sigma: float
    alpha: float
    snr: float


def levels(sigmas: Tensor, process: Process) -> list[Level]:
    """The levels of `sigmas`, (N + 1,), under `process`."""
    return [level(float(sigma), process.alpha(float(sigma))) for sigma in sigmas]


def level(sigma: float, alpha: float) -> Level:
    """The level with this sigma and alpha, at most one of them 0."""
    if sigma == 0:
        return Level(sigma, alpha, math.inf)
    return Level(sigma, alpha, math.log(alpha / sigma) if alpha > 0 else -math.inf)


def left(line: Sequence[Level], start: Step | None) -> Iterator[tuple[int, Level, Level]]:
    """The steps still to take: (number, level now, level after)."""
    for i in range(0 if start is None else start.index + 1, len(line) - 1):
        yield i, line[i], line[i + 1]
