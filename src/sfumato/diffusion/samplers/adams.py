"""Samplers that remember directions: a polynomial through the last four, integrated over the step.

They follow the equation of `sfumato.diffusion.samplers.ode`, one call per step: linear multistep or
Adams-Bashforth methods (Hairer, Norsett and Wanner, Solving ODEs I, III.1 and III.5).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, levels

# Adams-Bashforth on even steps, for one to four directions, the newest first.
_EVEN = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


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
    for i, now, _ in left(line, start):
        x0 = denoise(x, now.sigma)
        slopes = ((x - x0) / now.sigma, *past)
        x = _integrated(x, slopes, line, i)
        past = slopes[:3]
        yield Step(i, x, x0, past)


@torch.no_grad()
def plms(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """The last four directions, weighted as if all steps were even; begun with a Heun step.

    Liu et al. 2022, PNDM (arXiv:2202.09778), in CompVis's form without its Runge-Kutta start: one
    call per step and one more in the first. Where the steps are uneven the weights are not exact,
    which leaves second order.
    history: the last three directions dx/dsigma.
    """
    x, past = (x, ()) if start is None else (start.x, start.history)
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        slopes = ((x - x0) / now.sigma, *past)
        slope = _weighted(slopes)
        if not past and after.sigma > 0:
            ahead = x + slope * (after.sigma - now.sigma)
            slope = (slope + (ahead - denoise(ahead, after.sigma)) / after.sigma) / 2
        x = x + slope * (after.sigma - now.sigma)
        past = slopes[:3]
        yield Step(i, x, x0, past)


@torch.no_grad()
def ipndm(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """`plms` begun with an Euler step, and with the clean estimate as the last step: second order.

    Zhang and Chen 2022 (arXiv:2204.13902), iPNDM of fourth order in sigma, as in zju-pi's
    diff-sampler and ComfyUI.
    history: the last three directions dx/dsigma.
    """
    x, past = (x, ()) if start is None else (start.x, start.history)
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        slopes = ((x - x0) / now.sigma, *past)
        x = x + _weighted(slopes) * (after.sigma - now.sigma) if after.sigma > 0 else x0
        past = slopes[:3]
        yield Step(i, x, x0, past)


@torch.no_grad()
def ipndm_v(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """`ipndm` with weights for the steps as they are: `lms` with the clean estimate as last step.

    Second order, as `lms`. The published code (zju-pi's diff-sampler, taken over by ComfyUI) has a
    bracket misplaced in the weights of the third direction; where the steps are even there is no
    difference, elsewhere its pictures are not these.
    history: the last three directions dx/dsigma.
    """
    x, past = (x, ()) if start is None else (start.x, start.history)
    line = levels(sigmas, process)
    for i, now, after in left(line, start):
        x0 = denoise(x, now.sigma)
        slopes = ((x - x0) / now.sigma, *past)
        x = _integrated(x, slopes, line, i) if after.sigma > 0 else x0
        past = slopes[:3]
        yield Step(i, x, x0, past)


def _weighted(slopes: Sequence[Tensor]) -> Tensor:
    """The mean direction over the next step, if all steps were of one size."""
    mean = _EVEN[len(slopes) - 1][0] * slopes[0]
    for weight, slope in zip(_EVEN[len(slopes) - 1][1:], slopes[1:], strict=True):
        mean = mean + weight * slope
    return mean


def _integrated(x: Tensor, slopes: Sequence[Tensor], line: Sequence[Level], i: int) -> Tensor:
    """x after step i, along the polynomial through the slopes (newest first)."""
    known = [one.sigma for one in line[i - len(slopes) + 1 : i + 1]]
    weights = _adams_bashforth(known, line[i + 1].sigma)
    for weight, slope in zip(weights, slopes, strict=True):
        x = x + weight * slope
    return x


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
