"""What a training runs on: a device, how products are made there, and who makes its data."""

from dataclasses import dataclass

import torch

__all__ = ["Machine"]


@dataclass(frozen=True)
class Machine:
    """``precision`` is that of products; ``compiled`` networks start slowly and run faster.

    ``workers`` processes make a step's data ahead of it.
    """

    device: torch.device
    precision: torch.dtype = torch.bfloat16
    compiled: bool = False
    workers: int = 0
