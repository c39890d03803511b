"""UniPC: a predictor over several past estimates, corrected once the next estimate is known.

Zhao et al. 2023 (arXiv:2302.04867), with x0 predicted and B2(h) = exp(h) - 1 or B1(h) = h.
lambda = log(alpha / sigma), h its growth over a step; estimates at lambda = -inf (pure noise) lie
infinitely far away and are left out of the interpolation.
"""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, levels


@torch.no_grad()
def unipc(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
    order: int = 2,
    bh1: bool = False,
) -> Iterator[Step]:
    """UniPC-p, UniP with UniC: one call per step, as the corrector needs none of its own.

    order: p, 1 to 3, the number of estimates used; fewer in the first and in the last p - 1 steps,
        which keeps short runs stable (the reference's and diffusers' `lower_order_final`).
    bh1: take B1(h) = h for B(h). It makes a difference only where a single slope is weighted.
    history: the corrected x that the last prediction began at, and the p - 1 estimates before x0.
    """
    line = levels(sigmas, process)
    if start is not None:
        x, past = start.x, (start.x0, *start.history[1:])
        base = start.history[0]
    else:
        base, past = x, ()
    for i, now, _ in left(line, start):
        x0 = denoise(x, now.sigma)
        if i > 0:
            used = _order(line, i - 1, order)
            x = _advance(base, past[:used], line[: i + 1], bh1, corrected=x0)
        base = x
        past = (x0, *past)[:order]
        x = _advance(base, past[: _order(line, i, order)], line[: i + 2], bh1)
        yield Step(i, x, x0, (base, *past[1:]))


def unipc_bh1(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """`unipc` with B1(h) = h and three estimates, as A1111 and ComfyUI's `uni_pc` have it."""
    return unipc(denoise, x, sigmas, process=process, noise=noise, start=start, order=3, bh1=True)


def _order(line: Sequence[Level], i: int, order: int) -> int:
    """How many estimates the prediction of step i may use."""
    finite = i + 1 if line[0].alpha > 0 else i
    return max(1, min(order, finite, len(line) - 1 - i))


def _advance(
    base: Tensor,
    past: Sequence[Tensor],
    line: Sequence[Level],
    bh1: bool,
    corrected: Tensor | None = None,
) -> Tensor:
    """`base`, at line[-2], taken to line[-1] by the estimates `past` (newest first).

    corrected: the estimate already made at line[-1]: UniC in place of UniP.
    """
    now, after = line[-2], line[-1]
    h = after.snr - now.snr
    newest = past[0]
    x = after.sigma / now.sigma * base - after.alpha * math.expm1(-h) * newest
    ratios = [(line[-2 - k].snr - now.snr) / h for k in range(1, len(past))]
    slopes = [(old - newest) / ratio for old, ratio in zip(past[1:], ratios, strict=True)]
    if corrected is not None:
        ratios, slopes = [*ratios, 1.0], [*slopes, corrected - newest]
    # Two weights or more have 1 / B(h) in them, so that B cancels; B1 has no limit at pure noise.
    scale = -h if bh1 and len(slopes) == 1 and math.isfinite(h) else math.expm1(-h)
    for weight, slope in zip(_weights(ratios, h), slopes, strict=True):
        x = x - after.alpha * scale * weight * slope
    return x


def _weights(ratios: Sequence[float], h: float) -> list[float]:
    """The weights a of theorem 3.1: for n = 1, 2, ... sum_m a_m r_m^(n-1) = n! phi_(n+1) h / B2.

    Here h counts backwards, as x0 is predicted: phi_1 = (exp(-h) - 1) / -h, and phi_(n+1) =
    (phi_n - 1/n!) / -h. A single weight is 1/2, its limit for small h, as the paper has it.
    """
    if len(ratios) < 2:
        return [0.5] * len(ratios)
    back = -h
    right: list[float] = []
    phi_h = math.expm1(back)  # phi_1 times back
    for n in range(1, len(ratios) + 1):
        phi_h = phi_h / back - 1 / math.factorial(n)
        right.append(math.factorial(n) * phi_h / math.expm1(back))
    powers = torch.tensor([[r**n for r in ratios] for n in range(len(ratios))], dtype=torch.float64)
    solved = cast(Tensor, torch.linalg.solve(powers, torch.tensor(right, dtype=torch.float64)))
    return [float(a) for a in solved]
