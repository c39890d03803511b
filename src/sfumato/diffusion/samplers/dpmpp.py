"""DPM-Solver++: exact in the linear part, a polynomial in lambda = log(alpha / sigma) for x0.

Lu et al. 2022 (arXiv:2211.01095). Between two levels, with h = lambda' - lambda,
x' = (sigma' / sigma) x + alpha' (1 - exp(-h)) D, where D estimates x0 over the step (their eq. 9
with the integral's x0 replaced). At pure noise alpha = 0 and lambda = -inf: then h = inf, and the
step alpha' D + sigma' x / sigma is the formula's exact limit; an estimate at infinite distance
adds nothing to an extrapolation, which is the limit again.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Step, levels


@torch.no_grad()
def dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """Two estimates, extrapolated to the middle of the step: second order, one call per step.

    Lu et al. 2022, algorithm 2 (DPM-Solver++(2M)), as k-diffusion has it: first order in the first
    step and in one that ends at 0.
    """
    level = levels(sigmas, process)
    x, last = (x, None) if start is None else (start.x, start.x0)
    for i in level.left(start):
        x0 = denoise(x, level.sigma[i])
        h = level.snr[i + 1] - level.snr[i]
        estimate = x0
        if last is not None and level.sigma[i + 1] > 0:
            reach = h / (level.snr[i] - level.snr[i - 1]) / 2  # 1 / (2 r)
            estimate = x0 + reach * (x0 - last)
        x = level.sigma[i + 1] / level.sigma[i] * x - level.alpha[i + 1] * math.expm1(-h) * estimate
        last = x0
        yield Step(i, x, x0)
