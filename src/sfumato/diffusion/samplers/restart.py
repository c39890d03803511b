"""Restart: go down as Heun does, climb back from low noise to middling noise, and go down again.

Xu et al. 2023 (arXiv:2306.14878): the fresh noise undoes errors made before it, which the ODE alone
would carry to the end.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, levels

# The interval in sigma / alpha, and from how many steps on it is gone through twice: A1111's.
_LOW, _HIGH = 0.1, 2.0
_TWICE_FROM = 36


@torch.no_grad()
def restart(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """Heun's method, with one step that repeats the interval from sigma 2 to 0.1: second order.

    Algorithm 1 with one interval, on the schedule's own levels within it, once or, from 36 steps
    on, twice. So the step that reaches 0.1 costs as much as all steps since 2 once more (A1111
    takes these steps from the others instead, and takes none where there are fewer than 20).
    Where the schedule has no level between, there is nothing to repeat. Repetition k reads draw
    k + 1.
    """
    line = levels(sigmas, process)
    top, bottom = _interval(line)
    x = x if start is None else start.x
    for i, now, after in left(line, start):
        x0, x = _heun(denoise, x, now, after)
        if i + 1 == bottom:
            for k in range(2 if len(line) > _TWICE_FROM else 1):
                x = _climbed(x, after, line[top], noise(k + 1))
                for one, other in zip(line[top:bottom], line[top + 1 : bottom + 1], strict=True):
                    x0, x = _heun(denoise, x, one, other)
        yield Step(i, x, x0)


def _interval(line: Sequence[Level]) -> tuple[int, int]:
    """The numbers of the levels nearest to 2 and to 0.1; (0, 0) where they are the same."""
    inner = [i for i, one in enumerate(line) if one.sigma > 0 and one.alpha > 0]

    def nearest(ratio: float) -> int:
        return min(inner, key=lambda i: abs(line[i].snr + math.log(ratio)), default=0)

    top, bottom = nearest(_HIGH), nearest(_LOW)
    return (top, bottom) if top < bottom else (0, 0)


def _heun(denoise: Denoise, x: Tensor, now: Level, after: Level) -> tuple[Tensor, Tensor]:
    """(x0, x') of a step of `sfumato.diffusion.samplers.ode.heun`."""
    x0 = denoise(x, now.sigma)
    slope = (x - x0) / now.sigma
    ahead = x + slope * (after.sigma - now.sigma)
    if after.sigma > 0:
        slope = (slope + (ahead - denoise(ahead, after.sigma)) / after.sigma) / 2
        ahead = x + slope * (after.sigma - now.sigma)
    return x0, ahead


def _climbed(x: Tensor, low: Level, high: Level, noise: Tensor) -> Tensor:
    """x at the level `low`, taken up to the level `high` by fresh noise."""
    keep = high.alpha / low.alpha
    return keep * x + (high.sigma**2 - (keep * low.sigma) ** 2) ** 0.5 * noise.to(x)
