"""Samplers that follow the probability-flow ODE dx/dsigma = (x - x0) / sigma without noise.

The equation is that of Karras et al. 2022 (arXiv:2206.00364), algorithm 1, line 4, where alpha = 1;
for rectified flow, alpha = 1 - sigma, (x - x0) / sigma is the velocity noise - x0, so the same code
serves both. Nothing is special at pure noise: the derivative is finite there.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Step, left, levels


@torch.no_grad()
def euler(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """Keep the direction of the noise, lower its level: first order.

    Karras et al. 2022, algorithm 1 without its correction; the same as DDIM without noise (Song et
    al. 2020, eq. 13).
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        x = x0 + (x - x0) * (after.sigma / now.sigma)
        yield Step(i, x, x0)


@torch.no_grad()
def heun(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """The mean of the directions at both ends of the step: second order, two calls per step.

    Karras et al. 2022, algorithm 1. A step that ends at 0 is an Euler step.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        slope = (x - x0) / now.sigma
        ahead = x + slope * (after.sigma - now.sigma)
        if after.sigma > 0:
            slope = (slope + (ahead - denoise(ahead, after.sigma)) / after.sigma) / 2
            ahead = x + slope * (after.sigma - now.sigma)
        x = ahead
        yield Step(i, x, x0)


@torch.no_grad()
def lms(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """A cubic through the last four directions, integrated over the step.

    Adams-Bashforth on uneven levels (Hairer, Norsett and Wanner, Solving ODEs I, III.5), as in
    k-diffusion. The formula is of fourth order; the first three steps have fewer directions to use,
    and the very first, an Euler step, leaves a whole run with second order.
    history: the last three directions dx/dsigma.
    """
    x, past = (x, ()) if start is None else (start.x, start.history)
    line = levels(sigmas, process)
    for i, now, after in left(line, start):
        x0 = denoise(x, now.sigma)
        slopes = ((x - x0) / now.sigma, *past)
        known = [one.sigma for one in line[i - len(past) : i + 1]]
        weights = _adams_bashforth(known, after.sigma)
        for weight, slope in zip(weights, slopes, strict=True):
            x = x + weight * slope
        past = slopes[:3]
        yield Step(i, x, x0, past)


def _adams_bashforth(known: Sequence[float], after: float) -> list[float]:
    """The integral from known[-1] to `after` of each Lagrange polynomial on `known`, newest first.

    Two Gauss-Legendre points are exact for the cubics of four levels.
    """
    now = known[-1]
    middle, half = (now + after) / 2, (after - now) / 2
    points = (middle - half / 3**0.5, middle + half / 3**0.5)
    newest_first = range(len(known) - 1, -1, -1)
    return [half * sum(_lagrange(known, j, point) for point in points) for j in newest_first]


def _lagrange(known: Sequence[float], j: int, at: float) -> float:
    """The polynomial that is 1 at known[j] and 0 at the other known levels, at the level `at`."""
    value = 1.0
    for k, other in enumerate(known):
        if k != j:
            value *= (at - other) / (known[j] - other)
    return value
