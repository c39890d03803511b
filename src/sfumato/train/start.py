"""Where a training begins: weights that are a function of a seed alone, on any machine."""

import torch
from torch import nn

__all__ = ["start"]


@torch.no_grad()
def start(module: nn.Module, seed: int) -> None:
    """Draws every matrix and convolution anew, evenly within 1 / sqrt(inputs), as torch does.

    Norms keep their ones and zeros. ``module`` lies on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            bound = part.weight[0].numel() ** -0.5
            part.weight.uniform_(-bound, bound, generator=generator)
            if part.bias is not None:
                part.bias.uniform_(-bound, bound, generator=generator)
