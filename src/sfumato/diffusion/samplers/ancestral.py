"""Samplers that remove noise and put some back: DDIM with eta, DDPM, and the ancestral ones.

With alpha = 1 (eps and v models) the three are one update, for eta = 1; k-diffusion found Euler
ancestral so. On rectified flow, Euler ancestral divides the step by sigma and the other two by
sigma / alpha, so there they differ.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise, Draw, Level, Step, left, level, levels


@torch.no_grad()
def ddim(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
    eta: float = 0.0,
) -> Iterator[Step]:
    """Song et al. 2020 (arXiv:2010.02502), eq. 12 with eq. 16: first order.

    eta: 0 draws no noise and is Euler's method; 1 is DDPM.
    noise: step i reads draw i + 1, where eta > 0.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        old, fresh = _split(now, after, eta)
        x = after.alpha * x0 + old / now.sigma * (x - now.alpha * x0)
        if fresh > 0:
            x = x + fresh * noise(i + 1).to(x)
        yield Step(i, x, x0)


@torch.no_grad()
def ddpm(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """A draw from the posterior of the next level, given x and the estimate of x0: first order.

    Ho et al. 2020 (arXiv:2006.11239), algorithm 2 with eq. 7 and the smaller variance beta-tilde,
    from any level to any lower one. Step i reads draw i + 1.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        old, fresh = _split(now, after, 1.0)
        x = after.alpha * x0 + old / now.sigma * (x - now.alpha * x0)
        if fresh > 0:
            x = x + fresh * noise(i + 1).to(x)
        yield Step(i, x, x0)


@torch.no_grad()
def euler_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """Step below the target level, then climb back with fresh noise: first order.

    k-diffusion's sampler; for alpha = 1 it is `ddpm`. On rectified flow it is the form that is
    usual there (ComfyUI, and diffusers' LTXEulerAncestralRFScheduler): the level below is
    sigma'^2 / sigma, and x is scaled so that alpha comes out right. Step i reads draw i + 1.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        down = after.sigma**2 / now.sigma
        x = x0 + (x - x0) * (down / now.sigma)
        if after.sigma > 0:
            keep = after.alpha / process.alpha(down)
            x = keep * x + (after.sigma**2 - (keep * down) ** 2) ** 0.5 * noise(i + 1).to(x)
        yield Step(i, x, x0)


@torch.no_grad()
def dpm2_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """`dpm2` to the level below, then climb back with fresh noise: second order, two calls.

    k-diffusion's `sample_dpm_2_ancestral`; on rectified flow with the level below and the climb of
    `euler_ancestral`. A step that ends at 0 is an Euler step. Step i reads draw i + 1.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        down = after.sigma**2 / now.sigma
        slope = (x - x0) / now.sigma
        if after.sigma > 0:
            middle = (now.sigma * down) ** 0.5
            half = x + slope * (middle - now.sigma)
            slope = (half - denoise(half, middle)) / middle
        x = x + slope * (down - now.sigma)
        if after.sigma > 0:
            x = _climbed(x, level(down, process.alpha(down)), after, noise(i + 1))
        yield Step(i, x, x0)


@torch.no_grad()
def dpmpp_2s_ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """DPM-Solver++(2S) to the level below, then climb back with fresh noise: second order.

    Lu et al. 2022 (arXiv:2211.01095), algorithm 1 with r = 1/2, as k-diffusion's
    `sample_dpmpp_2s_ancestral`; on rectified flow as `euler_ancestral`. Two calls per step, one in
    a step from pure noise (lambda has no middle there) and in one that ends at 0. Step i reads
    draw i + 1.
    """
    x = x if start is None else start.x
    for i, now, after in left(levels(sigmas, process), start):
        x0 = denoise(x, now.sigma)
        if after.sigma == 0:
            x = x0
            yield Step(i, x, x0)
            continue
        sigma = after.sigma**2 / now.sigma
        down, estimate = level(sigma, process.alpha(sigma)), x0
        if now.alpha > 0:
            sigma = process.sigma_of((now.snr + down.snr) / 2)
            estimate = denoise(_solved(x, x0, now, level(sigma, process.alpha(sigma))), sigma)
        x = _climbed(_solved(x, estimate, now, down), down, after, noise(i + 1))
        yield Step(i, x, x0)


def _solved(x: Tensor, estimate: Tensor, now: Level, after: Level) -> Tensor:
    """DPM-Solver++1 (Lu et al. 2022, eq. 9) from one level to a lower one."""
    shrink = math.expm1(now.snr - after.snr)
    return after.sigma / now.sigma * x - after.alpha * shrink * estimate


def _climbed(x: Tensor, down: Level, after: Level, noise: Tensor) -> Tensor:
    """x at the level `down`, taken up to the higher level `after` by fresh noise."""
    keep = after.alpha / down.alpha
    return keep * x + (after.sigma**2 - (keep * down.sigma) ** 2) ** 0.5 * noise.to(x)


def _split(now: Level, after: Level, eta: float) -> tuple[float, float]:
    """How much of the old noise and of fresh noise make up sigma': their squares add up to its.

    Song et al. 2020, eq. 16, in alpha and sigma. At pure noise (alpha = 0) and eta = 1 all of it is
    fresh.
    """
    ratio = now.alpha / after.alpha * after.sigma / now.sigma  # below 1
    old = after.sigma * (1 - eta**2 * (1 - ratio**2)) ** 0.5
    return old, after.sigma * eta * (1 - ratio**2) ** 0.5
