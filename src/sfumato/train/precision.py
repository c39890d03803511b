"""In which numbers a training multiplies: bf16 where a device has units for it, else fp32.

Weights, gradients and the optimiser's state are fp32 throughout; only the products are rounded.
"""

from typing import Literal

import torch

__all__ = ["Precision", "multiplying", "products"]

Precision = Literal["auto", "bf16", "fp32"]


def products(name: Precision, device: torch.device) -> torch.dtype:
    """The type of a training's products.

    "auto" is bf16 on a GPU and on a processor with AMX. Others convert every bf16 product to and
    fro: a training step of the bundled model took 1.8 times as long in bf16 as in fp32 on a Xeon
    with AVX-512 and no AMX (torch 2.13).
    """
    if name == "auto":
        quick = device.type != "cpu" or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
        return torch.bfloat16 if quick else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[name]


def multiplying(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which networks make their products in this type."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
