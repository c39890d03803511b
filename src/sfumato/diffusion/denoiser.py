"""A network and its conditioning become denoise(x, sigma) -> x0, all that a sampler knows.

B batch, C channels, H W latent height and width.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from sfumato.diffusion.process import Process

Conditioning = TypeVar("Conditioning")


@final
class Denoiser(Generic[Conditioning]):
    """One network under one conditioning, without guidance.

    network: (x (B, C, H, W), time (B,), conditioning) -> output (B, C, H, W). It gets x in the
        sampler's precision and casts for itself; its output comes back in that precision.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor, Conditioning], Tensor],
        process: Process,
        conditioning: Conditioning,
    ) -> None:
        self._network = network
        self._process = process
        self._conditioning = conditioning

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The clean estimate (B, C, H, W) of x at the level sigma."""
        time = times(self._process, sigma, x)
        output = self._network(self._process.model_input(x, sigma), time, self._conditioning)
        return self._process.x0(output.to(x.dtype), x, sigma)


def times(process: Process, sigma: float, x: Tensor) -> Tensor:
    """The network's time at sigma, once for each of the B pictures of x: (B,) float32."""
    return torch.full((len(x),), process.time(sigma), dtype=torch.float32, device=x.device)
