"""Weights in one byte each, with a scale for each row: a quarter of float32, for the bundled model.

`name` is stored as int8 and `name.scale` as float16 or float32; row r stands for
`name[r] * name.scale[r]`.
"""

import torch
from torch import Tensor

SCALE = ".scale"


def pack_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A tensor (R, ...) to int8 of the same shape and the rows' scales (R,) in float32.

    The largest number of a row becomes 127, so the error is at most 1/254 of it.
    """
    rows = weight.float().flatten(1)
    scale = rows.abs().amax(dim=1) / 127
    steps = rows / scale.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    return steps.round().to(torch.int8).view(weight.shape), scale


def unpack_rows(packed: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The inverse: int8 (R, ...) and scales (R,) to the tensor in `dtype`."""
    rows = packed.flatten(1).to(torch.float32).mul_(scale.to(torch.float32)[:, None])
    return rows.view(packed.shape).to(dtype)
