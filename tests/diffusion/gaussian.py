"""Gaussian data, for which the ideal denoiser and the exact answer of every sampler are formulas.

x0 ~ N(MEAN, SPREAD^2) in each element, hence x ~ N(alpha MEAN, alpha^2 SPREAD^2 + sigma^2) at every
level; along the probability-flow ODE, (x - mean) / deviation stays as it is.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers import run

MEAN, SPREAD = 0.7, 0.6


def deviation(process: Process, sigma: float, spread: float = SPREAD) -> float:
    return math.hypot(process.alpha(sigma) * spread, sigma)


def ideal(process: Process, mean: float = MEAN) -> Callable[[Tensor, float], Tensor]:
    """denoise(x, sigma) = E[x0 | x], the best any network can learn."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        alpha = process.alpha(sigma)
        gain = alpha * SPREAD**2 / deviation(process, sigma) ** 2
        return mean + gain * (x - alpha * mean)

    return denoise


def predicted(process: Process, mean: float = MEAN) -> Callable[[Tensor, float], Tensor]:
    """`ideal` by way of what a network of this process predicts: noise, v, or velocity."""
    clean = ideal(process, mean)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        x0 = clean(x, sigma)
        noise = (x - process.alpha(sigma) * x0) / sigma
        return process.x0(process.target(x0, noise, sigma), x, sigma)

    return denoise


def exact(process: Process, x: Tensor, now: float, after: float) -> Tensor:
    """x at the level `after`, from x at the level `now`, along the ODE."""
    away = (x - process.alpha(now) * MEAN) / deviation(process, now)
    return process.alpha(after) * MEAN + away * deviation(process, after)


def silent(k: int) -> Tensor:
    raise AssertionError(f"a sampler that draws no noise asked for draw {k}")


def last(name: str, process: Process, x: Tensor, sigmas: Tensor, noise=silent, mean=MEAN) -> Tensor:
    """Where the named sampler ends."""
    *_, step = run(name, predicted(process, mean), x, sigmas, process=process, noise=noise)
    return step.x


def variance(name: str, process: Process, sigmas: Tensor, draws: int) -> float:
    """The variance of where a stochastic sampler ends, without drawing a number.

    With the ideal denoiser of mean 0 a sampler is linear in the first x and in each draw. Element 0
    gets the first x alone, element k draw k alone; the squares of where they end add up.
    """
    unit = torch.eye(draws + 1, dtype=torch.float64).view(draws + 1, 1, 1, draws + 1)
    first = unit[:1] * deviation(process, float(sigmas[0]))
    return float(last(name, process, first, sigmas, lambda k: unit[k : k + 1], 0.0).square().sum())
