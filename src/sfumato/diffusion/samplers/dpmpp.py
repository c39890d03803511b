"""DPM-Solver++: exact in the linear part, a line in lambda = log(alpha / sigma) for x0.

Lu et al. 2022 (arXiv:2211.01095). Between two levels, h = lambda' - lambda, and D estimates x0:
    x' = (sigma' / sigma) x + alpha' (1 - exp(-h)) D
which is the paper's DPM-Solver++1; the others choose a better D. With noise in the steps:
`sfumato.diffusion.samplers.sde`.

At pure noise alpha = 0 and lambda = -inf, so h = inf, and the formula takes its exact limit.
An extrapolation from an estimate at lambda = -inf has slope 0, which is its limit again.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, level, levels


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
    return _two_steps(denoise, x, levels(sigmas, process), start)


def dpmpp_2m_sigma(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """`dpmpp_2m` with -log sigma for lambda whatever the process: second order.

    The same as `dpmpp_2m` for eps and v models. On rectified flow it is what the SD3 reference
    and ComfyUI run, and serves to reproduce their pictures; its error there is the larger one.
    """
    return _two_steps(denoise, x, [level(float(sigma), 1.0) for sigma in sigmas], start)


@torch.no_grad()
def res_multistep(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """Two estimates, and the line through them integrated exactly: second order, one call per step.

    Zhang et al. 2023, RES (arXiv:2308.02157), the multistep form of second order; `dpmpp_2m` takes
    that line's value at the middle of the step. First order in the first step and in one that ends
    at 0.
    """
    x, last = (x, None) if start is None else (start.x, start.x0)
    line = levels(sigmas, process)
    for i, now, after in left(line, start):
        x0 = denoise(x, now.sigma)
        h = after.snr - now.snr
        x = after.sigma / now.sigma * x - after.alpha * math.expm1(-h) * x0
        if last is not None and after.sigma > 0 and line[i - 1].alpha > 0:
            slope = (x0 - last) / (now.snr - line[i - 1].snr)
            x = x + after.alpha * (h + math.expm1(-h)) * slope
        last = x0
        yield Step(i, x, x0)


@torch.no_grad()
def _two_steps(
    denoise: Denoise, x: Tensor, line: Sequence[Level], start: Step | None
) -> Iterator[Step]:
    """DPM-Solver++(2M) on the given levels."""
    x, last = (x, None) if start is None else (start.x, start.x0)
    for i, now, after in left(line, start):
        x0 = denoise(x, now.sigma)
        estimate = middle(x0, last, line, i) if after.sigma > 0 else x0
        x = after.sigma / now.sigma * x - after.alpha * math.expm1(now.snr - after.snr) * estimate
        last = x0
        yield Step(i, x, x0)


def middle(x0: Tensor, last: Tensor | None, line: Sequence[Level], i: int) -> Tensor:
    """The line through this estimate and the last one, at the middle of step i."""
    if last is None:
        return x0
    reach = (line[i + 1].snr - line[i].snr) / (line[i].snr - line[i - 1].snr) / 2  # 1 / (2 r)
    return x0 + reach * (x0 - last)
