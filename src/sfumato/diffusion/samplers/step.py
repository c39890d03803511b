"""What a sampler yields after each step, and what it is given: the types that all samplers share.

A step is a value. It holds all that the next one needs, so that previews, cancelling, resuming
after a kill and handing over to a refiner are one thing.
"""

import math
from collections.abc import Callable, Iterator, Mapping
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
    x: (B, C, H, W) at the level sigmas[index + 1].
    x0: (B, C, H, W) the clean estimate made at sigmas[index], which previews show.
    history: what else the sampler carries into the next step, newest first.
    """

    index: int
    x: Tensor
    x0: Tensor
    history: tuple[Tensor, ...] = ()

    def tensors(self) -> dict[str, Tensor]:
        """The step as named tensors, ready for a safetensors file."""
        past = {f"history.{i}": past for i, past in enumerate(self.history)}
        return {"index": torch.tensor(self.index), "x": self.x, "x0": self.x0, **past}

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
    noise: the numbered draws; step i of a stochastic sampler reads fixed numbers from 1 on.
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
class Levels:
    """The noise levels of a run as floats, with alpha and log(alpha / sigma) of each."""

    sigma: list[float]
    alpha: list[float]
    snr: list[float]
    """lambda = log(alpha / sigma), the log of the signal-to-noise ratio: from -inf, where nothing
    of x0 is left, to inf, where there is no noise."""

    @property
    def steps(self) -> int:
        return len(self.sigma) - 1

    def left(self, start: Step | None) -> range:
        """The numbers of the steps still to take."""
        return range(0 if start is None else start.index + 1, self.steps)


def levels(sigmas: Tensor, process: Process) -> Levels:
    """The levels of `sigmas`, (N + 1,), under `process`."""
    sigma = [float(level) for level in sigmas]
    alpha = [process.alpha(s) for s in sigma]
    return Levels(sigma, alpha, [log_snr(a, s) for a, s in zip(alpha, sigma, strict=True)])


def log_snr(alpha: float, sigma: float) -> float:
    """log(alpha / sigma), with its limits: -inf for pure noise, inf for none."""
    if sigma == 0:
        return math.inf
    return -math.inf if alpha == 0 else math.log(alpha / sigma)
