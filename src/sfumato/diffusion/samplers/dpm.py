"""DPM-Solver: the noise as a polynomial in lambda = log(alpha / sigma), found within one step.

Lu et al. 2022 (arXiv:2206.00927). Between two levels, h = lambda' - lambda, e0 is the noise
(x - alpha x0) / sigma at the first, and e1, e2 are the noises at the parts r1 and r2 of the step:
    first order   x' = alpha' x0 + sigma' e0
    second        ... - sigma' / (2 r1) (exp(h) - 1) (e1 - e0)
    third         ... - sigma' / r2 ((exp(h) - 1) / h - 1) (e2 - e0)
which are their algorithms 1, 4 and 5, with alpha'/alpha x written in x0 and e0, as both are known.
At pure noise lambda = -inf; a step from there is of first order.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, level, levels

# k-diffusion's `sample_dpm_adaptive`: the first step in lambda, the error borne, and the shortest
# new step, as a part of the old one, with which the old one still counts as good.
_FIRST_STEP = 0.05
_RELATIVE, _ABSOLUTE = 0.05, 0.0078
_SAFETY = 0.81
# Below this lambda it is as good as pure noise: sigma is 148 alpha, ten times as much as SD's
# highest level and less than that of models with zero terminal SNR, whose first step would
# otherwise multiply the error of e1 by exp(h), often over a thousand.
_NOISE = -5.0


@dataclass(frozen=True)
class _Base:
    """Where a step begins: its level, the clean estimate and the noise there."""

    at: Level
    x0: Tensor
    noise: Tensor


@torch.no_grad()
def dpm_fast(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """DPM-Solver-fast: the levels by threes, each three one step of third order; one call each.

    The two levels within a three are where e1 and e2 are found. The last step or steps above 0 are
    of second or first order, as their number allows (paper, section 3.4), which leaves a run with
    second order. k-diffusion takes no schedule and puts even steps in lambda between its levels;
    here the schedule chooses.
    history: the clean estimate and the noises of the three, from its first level on.
    """
    x, past = (x, ()) if start is None else (start.x, start.history)
    line = levels(sigmas, process)
    plan = _plan(line)
    for i, now, after in left(line, start):
        begin, order = plan[i]
        x0 = denoise(x, now.sigma)
        found = (x - now.alpha * x0) / now.sigma
        past = (x0, found) if i == begin else (*past, found)
        base = _Base(line[begin], past[0], past[1])
        x = _solved(base, past[2:], line[begin + 1 : i + 1], after, order == i - begin + 1)
        yield Step(i, x, x0, past)


def _plan(line: Sequence[Level]) -> list[tuple[int, int]]:
    """For each step, the number of the step that its three begins with, and the three's order."""
    count = len(line) - 1
    orders = [1] if line[0].snr < _NOISE else []  # by itself
    above = count - len(orders) - (line[-1].sigma == 0)
    if above > 0:
        threes, rest = divmod(above, 3)
        orders += [3] * (threes - 1) + [2, 1] if rest == 0 else [3] * threes + [rest]
    plan: list[tuple[int, int]] = []
    for order in [*orders, 1]:
        plan += [(len(plan), order)] * order
    return plan[:count]


def _solved(
    base: _Base, noises: Sequence[Tensor], inner: Sequence[Level], after: Level, last: bool
) -> Tensor:
    """From the base to the level `after`, with the noises found at the inner levels so far.

    last: whether the three ends here; the way to its third level is algorithm 5's u2.
    """
    h = after.snr - base.at.snr
    x = after.alpha * base.x0 + after.sigma * base.noise
    if not noises:
        return x
    bend = noises[-1] - base.noise
    part = (inner[-1].snr - base.at.snr) / h
    if len(noises) == 1 and last:
        return x - after.sigma / (2 * part) * math.expm1(h) * bend
    return x - after.sigma / part * (math.expm1(h) / h - 1) * bend


@torch.no_grad()
def dpm_adaptive(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """DPM-Solver-23, which chooses its own steps: three calls for each that it tries.

    k-diffusion's `sample_dpm_adaptive` with its defaults. Only the first and the last level of the
    schedule matter; a step is yielded whenever the run has passed another level, so x there lies at
    that level or below, and the number of steps asked for changes only how often one may look.
    A run that ends at 0 comes down from the last level above by the clean estimate. All pictures of
    a batch share their steps.
    history: x of the lower order at the last step, and (lambda, h).
    """
    line = levels(sigmas, process)
    x, x0 = (x, x) if start is None else (start.x, start.x0)
    end = next(one for one in reversed(line) if one.sigma > 0)
    if start is None:
        low, at, h = x, line[0].snr, _FIRST_STEP
    else:
        low, at, h = start.history[0], float(start.history[1][0]), float(start.history[1][1])
    for i, now, after in left(line, start):
        if after.sigma == 0:
            x = low = x0 = denoise(x, now.sigma)
        elif now.alpha == 0:
            x0 = denoise(x, now.sigma)
            x = low = after.alpha * x0 + after.sigma / now.sigma * (x - now.alpha * x0)
            at = after.snr
        else:
            while at < after.snr - 1e-5:
                tried = min(end.snr, at + h)
                x0, high, lower = _tried(denoise, x, process, at, tried)
                change = _change(high, lower, low)
                h *= change
                if change >= _SAFETY or not math.isfinite(change):
                    x, low, at = high, lower, tried if math.isfinite(change) else end.snr
        yield Step(i, x, x0, (low, torch.tensor([at, h], dtype=torch.float64)))


def _tried(
    denoise: Denoise, x: Tensor, process: Process, at: float, after: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One step in lambda: x0, and x' of third and of second order, with r1 = 1/3 and r2 = 2/3."""
    marks = [at, at + (after - at) / 3, at + (after - at) * 2 / 3, after]
    sigmas = [process.sigma_of(mark) for mark in marks]
    now, one, two, end = (level(sigma, process.alpha(sigma)) for sigma in sigmas)
    x0 = denoise(x, now.sigma)
    base = _Base(now, x0, (x - now.alpha * x0) / now.sigma)
    found: list[Tensor] = []
    for inner, passed in ((one, []), (two, [one])):
        at_inner = _solved(base, found, passed, inner, last=False)
        found.append((at_inner - inner.alpha * denoise(at_inner, inner.sigma)) / inner.sigma)
    high = _solved(base, found, [one, two], end, last=True)
    return x0, high, _solved(base, found[:1], [one], end, last=True)


def _change(high: Tensor, lower: Tensor, before: Tensor) -> float:
    """How the step should grow, from the difference of the two orders: Lu et al., appendix C.

    k-diffusion's controller with its defaults, which leave of PID the integral part alone, and its
    limit 1 + atan(change - 1).
    """
    bearable = (_RELATIVE * torch.maximum(lower.abs(), before.abs())).clamp(min=_ABSOLUTE)
    error = float(((lower - high) / bearable).square().mean().sqrt())
    return 1 + math.atan((1 / (error + 1e-8)) ** (1 / 3) - 1)
