"""Inpainting with any model: what lies outside a mask is held to the original at every step.

B batch, C channels, H W latent height and width.
"""

from typing import final

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.step import Denoise

__all__ = ["Inpaint"]


@final
class Inpaint:
    """A denoiser that paints within a mask and knows what is around it.

    denoise sees, outside the mask, the original mixed with one and the same noise to the level at
    hand; and its clean estimate is, outside the mask, the original. So the outside of x follows
    `process.mix(original, noise, sigma)` under any sampler without noise of its own, which is the
    method of the first inpainting pipelines (RePaint, Lugmayr et al. 2022, arXiv:2201.09865, fig.
    2, without its resampling): there x is overwritten after each step instead.

    original: (B, C, H, W) the clean latent. noise: (B, C, H, W) that of the start.
    mask: (B or 1, 1, H, W) bool, true where it is painted.
    """

    def __init__(
        self, denoise: Denoise, process: Process, original: Tensor, noise: Tensor, mask: Tensor
    ) -> None:
        self._denoise = denoise
        self._process = process
        self._original = original
        self._noise = noise
        self._mask = mask

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The clean estimate (B, C, H, W) of x at the level sigma."""
        around = self._process.mix(self._original, self._noise, sigma)
        x0 = self._denoise(torch.where(self._mask, x, around), sigma)
        return torch.where(self._mask, x0, self._original)
