"""How the answers to two prompts become one: the rules of guidance, each a pure function.

B batch, C channels, H W latent height and width. "Output" is what the network gives (the noise for
eps, the velocity for v and flow), "estimate" the clean x0 that follows from it. Guidance 1 means
none throughout.
"""

import torch
from torch import Tensor


def guided(positive: Tensor, negative: Tensor, scale: float) -> Tensor:
    """From the negative towards the positive prompt and beyond; (B, C, H, W) each.

    Ho and Salimans 2022 (arXiv:2207.12598), eq. 6. The weights 1 - scale and scale add up to 1 and
    x0 is affine in the output, so guiding outputs or estimates is the same.
    """
    return negative + scale * (positive - negative)


def rescaled(guided: Tensor, positive: Tensor) -> Tensor:
    """`guided` with each picture's standard deviation brought back to that of `positive`.

    Lin et al. 2023 (arXiv:2305.08891), eq. 15. Both are (B, C, H, W) outputs, as in the paper and
    in diffusers; on clean estimates the result would be another.
    """
    axes = tuple(range(1, guided.ndim))
    return guided * (positive.std(axes, keepdim=True) / guided.std(axes, keepdim=True))


def fitted(negative: Tensor, positive: Tensor) -> Tensor:
    """The negative output, scaled for each picture so that it comes nearest to the positive one.

    Fan et al. 2025, CFG-Zero* (arXiv:2503.18886), eq. 7: the factor is their scalar product over
    the square of the negative one.
    """
    product = _inner(positive, negative)
    return negative * (product / _inner(negative, negative).clamp(min=1e-8))


def projected(positive: Tensor, negative: Tensor, along: float, longest: float) -> Tensor:
    """The guiding difference of two estimates, with the part that only saturates taken out.

    Sadat et al. 2024, APG (arXiv:2410.02416), algorithm 1: the difference is cut to the length
    `longest` (0 for any length), and the part of it that lies along the positive estimate is
    weighted by `along`: 0 takes it out, 1 leaves ordinary guidance. Their momentum is left out: it
    remembers earlier calls, so that a step would no longer be a function of x and sigma alone.
    """
    difference = positive - negative
    if longest > 0:
        length = _inner(difference, difference).sqrt()
        difference = difference * (longest / length).clamp(max=1)
    share = _inner(difference, positive) / _inner(positive, positive).clamp(min=1e-12)
    parallel = share * positive
    return difference - parallel + along * parallel


def clipped(estimate: Tensor, quantile: float, limit: float) -> Tensor:
    """Each picture's estimate, clipped at its own quantile and drawn back into [-limit, limit].

    Saharia et al. 2022, Imagen (arXiv:2205.11487), section 2.3, where limit is 1, the range of
    pixels; latents have a wider one. A picture whose quantile lies within the limit is clipped at
    the limit alone.
    """
    flat = estimate.flatten(1).abs()
    bound = torch.quantile(flat, quantile, dim=1).clamp(min=limit)
    bound = bound.view(-1, *(1 for _ in estimate.shape[1:]))  # (B, 1, 1, 1)
    return estimate.clamp(-bound, bound) * (limit / bound)


def mimicked(estimate: Tensor, model: Tensor, quantile: float) -> Tensor:
    """An estimate under strong guidance with the range of another under gentle guidance.

    Goodwin 2023, sd-dynamic-thresholding ("CFG scale fix", for A1111 and ComfyUI), with its
    defaults: in each channel of each picture, values are taken from their mean, clipped at their
    quantile, and scaled so that the greatest is that of `model`.

    estimate, model: (B, C, H, W), with guidance as asked for and with the mimicked one.
    """
    mean = estimate.mean((2, 3), keepdim=True)
    away = estimate - mean
    goal = (model - model.mean((2, 3), keepdim=True)).abs().amax((2, 3), keepdim=True)
    greatest = torch.quantile(away.flatten(2).abs(), quantile, dim=2)
    bound = torch.maximum(greatest[:, :, None, None], goal)  # (B, C, 1, 1)
    return mean + away.clamp(-bound, bound) * (goal / bound)


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """The scalar product of each picture with its fellow: (B, 1, 1, 1)."""
    return (one * other).sum(tuple(range(1, one.ndim)), keepdim=True)
