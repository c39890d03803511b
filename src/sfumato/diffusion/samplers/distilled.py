"""Samplers of distilled models, whose estimate of x0 is already a finished picture.

They are no solvers: with an ordinary model the picture loses its detail, however many the steps.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Step, left, level, levels


@torch.no_grad()
def lcm(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """Take the estimate, noise it afresh to the next level, and so on; one call per step.

    Luo et al. 2023, Latent Consistency Models (arXiv:2310.04378), algorithm 3, without the skip
    connection at the boundary, whose weight is below 1e-5 from the second level of the table on.
    Step i reads draw i + 1.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        x = x0
        if after.sigma > 0:
            x = after.alpha * x0 + after.sigma * noise(i + 1).to(x)
        yield Step(i, x, x0)


@torch.no_grad()
def tcd(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
    gamma: float = 0.3,
) -> Iterator[Step]:
    """Go below the next level without noise, then climb back to it with fresh noise.

    Zheng et al. 2024, Trajectory Consistency Distillation (arXiv:2402.19159), algorithm 4: the
    level below has 1 - gamma of the next one's network time. Step i reads draw i + 1.

    gamma: 0 draws no noise and is DDIM, 1 is `lcm`; diffusers calls it eta.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        lower = 0.0
        if after.sigma > 0 and gamma < 1:
            lower = process.sigma_for((1 - gamma) * process.time(after.sigma))
        down = level(min(lower, after.sigma), process.alpha(min(lower, after.sigma)))
        x = down.alpha * x0 + down.sigma / now.sigma * (x - now.alpha * x0)
        keep = after.alpha / down.alpha
        fresh = after.sigma**2 - (keep * down.sigma) ** 2
        if fresh > 0:
            x = keep * x + fresh**0.5 * noise(i + 1).to(x)
        yield Step(i, x, x0)
