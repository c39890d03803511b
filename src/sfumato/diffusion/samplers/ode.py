"""Samplers that follow the probability-flow ODE dx/dsigma = (x - x0) / sigma without noise.

The equation is that of Karras et al. 2022 (arXiv:2206.00364), eq. 3, where alpha = 1; for rectified
flow, alpha = 1 - sigma, (x - x0) / sigma is the velocity noise - x0, so the same code serves both.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Step, levels


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

    Karras et al. 2022, algorithm 1 without line 6 on; for a flow, Esser et al. 2024, eq. 1.
    """
    level = levels(sigmas, process)
    x = x if start is None else start.x
    for i in level.left(start):
        now, after = level.sigma[i], level.sigma[i + 1]
        x0 = denoise(x, now)
        x = x0 + (x - x0) * (after / now)
        yield Step(i, x, x0)
