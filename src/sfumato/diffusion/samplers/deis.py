"""DEIS: the noise as a polynomial in log rho, integrated exactly over the step.

Zhang and Chen 2022 (arXiv:2204.13902), eq. 14, with rho = sigma / alpha, in which x / alpha obeys
d(x / alpha) = noise d(rho). The variable log rho is that of diffusers ("logrho").
"""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, levels

_ORDER = 3


@torch.no_grad()
def deis(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """The last three noises, one call per step.

    The formula is of third order; the first step, with one noise, is DDIM's, which leaves a whole
    run with second order. So is a step that ends at 0, and one from pure noise, which lies at
    log rho = inf and takes no part in the polynomial either.
    history: the last two noises (x - alpha x0) / sigma.
    """
    x, past = (x, ()) if start is None else (start.x, start.history)
    line = levels(sigmas, process)
    for i, now, after in left(line, start):
        x0 = denoise(x, now.sigma)
        noises = ((x - now.alpha * x0) / now.sigma, *past)
        first = 0 if line[0].alpha > 0 else 1  # the first level with a finite log rho
        usable = min(len(noises), i + 1 - first) if after.sigma > 0 else 1
        x = after.alpha * x0 + after.sigma * noises[0]
        if usable > 1:
            weights = _weights(line[i - usable + 1 : i + 1], after)
            for weight, one in zip(weights[1:], noises[1:usable], strict=True):
                x = x + weight * (one - noises[0])
        past = noises[: _ORDER - 1]
        yield Step(i, x, x0, past)


def _weights(known: Sequence[Level], after: Level) -> list[float]:
    """alpha' times the integral over rho of each Lagrange polynomial in log rho, newest first.

    All weights add up to alpha' (rho' - rho), which the first term of the step has in it already.
    With u = log(rho / rho_now), the integrals of u^n exp(u) follow by parts from that of exp(u).
    """
    now = known[-1]
    points = [now.snr - one.snr for one in reversed(known)]  # u of each, 0 for the newest
    end = now.snr - after.snr
    moments = [math.expm1(end)]
    for n in range(1, len(points)):
        moments.append(end**n * math.exp(end) - n * moments[-1])
    powers = torch.tensor([[u**n for u in points] for n in range(len(points))], dtype=torch.float64)
    right = torch.tensor(moments, dtype=torch.float64)
    solved = cast(Tensor, torch.linalg.solve(powers, right))
    scale = after.alpha * now.sigma / now.alpha
    return [scale * float(one) for one in solved]
