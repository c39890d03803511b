"""Samplers that follow the probability-flow ODE dx/dsigma = (x - x0) / sigma without noise.

The equation is that of Karras et al. 2022 (arXiv:2206.00364), algorithm 1, line 4, where alpha = 1;
for rectified flow, alpha = 1 - sigma, (x - x0) / sigma is the velocity noise - x0, so the same code
serves both. Nothing is special at pure noise: the derivative is finite there.
"""

from collections.abc import Iterator

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
def dpm2(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """The direction found in the middle of the step: second order, two calls per step.

    k-diffusion's `sample_dpm_2`, the midpoint rule with the middle in log sigma, after DPM-Solver-2
    (Lu et al. 2022, arXiv:2206.00927). A step that ends at 0 is an Euler step.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        slope = (x - x0) / now.sigma
        if after.sigma > 0:
            middle = (now.sigma * after.sigma) ** 0.5
            half = x + slope * (middle - now.sigma)
            slope = (half - denoise(half, middle)) / middle
        x = x + slope * (after.sigma - now.sigma)
        yield Step(i, x, x0)
