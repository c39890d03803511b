"""Where guidance is applied: away from the negative prompt, towards the positive one.

B batch, C channels, H W latent height and width.

Ho and Salimans 2022 (arXiv:2207.12598), eq. 6, in the form with guidance 1 for "no guidance":
output = negative + guidance (positive - negative). The weights 1 - guidance and guidance add up
to 1 and x0 is affine in the output, so guiding the outputs, the noises or the clean estimates is
the same.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from sfumato.diffusion.denoiser import Denoiser, times
from sfumato.diffusion.process import Process

Conditioning = TypeVar("Conditioning")


@final
class Guided(Generic[Conditioning]):
    """A denoiser under a positive and a negative conditioning: one network call on 2B pictures.

    network: as for `Denoiser`.
    join: (positive, negative) -> the conditioning of a batch of 2B, the positive half first.
    guidance: 1 follows the positive prompt as it is, and runs that half alone.
    rescale: 0 to 1, the share of `rescaled` in the result; 0.7 in the paper.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor, Conditioning], Tensor],
        process: Process,
        positive: Conditioning,
        negative: Conditioning,
        join: Callable[[Conditioning, Conditioning], Conditioning],
        guidance: float,
        rescale: float = 0.0,
    ) -> None:
        self._network = network
        self._process = process
        self._alone = Denoiser(network, process, positive) if guidance == 1 else None
        self._both = join(positive, negative) if guidance != 1 else positive
        self._guidance = guidance
        self._rescale = rescale

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The guided clean estimate (B, C, H, W) of x at the level sigma."""
        if self._alone is not None:
            return self._alone(x, sigma)
        process = self._process
        twice = process.model_input(x, sigma).repeat(2, *(1 for _ in x.shape[1:]))  # (2B, C, H, W)
        output = self._network(twice, times(process, sigma, twice), self._both).to(x.dtype)
        positive, negative = output.chunk(2)
        guided = negative + self._guidance * (positive - negative)
        if self._rescale > 0:
            guided = torch.lerp(guided, rescaled(guided, positive), self._rescale)
        return process.x0(guided, x, sigma)


def rescaled(guided: Tensor, positive: Tensor) -> Tensor:
    """`guided` with each picture's standard deviation brought back to that of `positive`.

    Lin et al. 2023 (arXiv:2305.08891), eq. 15. Both are (B, C, H, W) outputs of the network (the
    noise for eps, the velocity for v), as in the paper and in diffusers; on clean estimates the
    result would be another.
    """
    axes = tuple(range(1, guided.ndim))
    return guided * (positive.std(axes, keepdim=True) / guided.std(axes, keepdim=True))
