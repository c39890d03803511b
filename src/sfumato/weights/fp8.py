"""Weights in eight bits of floating point, with one scale for each tensor: ComfyUI's scaled files.

`x.weight` stands for itself times `x.scale_weight`, one number; `x.scale_input` scales what is
multiplied with it where that is done in eight bits too, which it is not here. A tensor called
`scaled_fp8` says that a file is of this kind. Eight-bit tensors without a scale are plain numbers.
"""

from collections.abc import Mapping

from torch import Tensor

from sfumato.weights.entries import Entry

__all__ = ["MARK", "beside", "problem", "scale_key", "unscaled"]

MARK = "scaled_fp8"
_KINDS = ("float8_e4m3fn", "float8_e5m2")
_NUMBERS = ("float32", "float16", "bfloat16")


def scale_key(entries: Mapping[str, Entry], key: str) -> str | None:
    """The key of an eight-bit tensor's scale; None for a tensor that has none."""
    if entries[key].dtype not in _KINDS or not key.endswith(".weight"):
        return None
    scale = key.removesuffix("weight") + "scale_weight"
    return scale if scale in entries else None


def beside(entries: Mapping[str, Entry], key: str) -> set[str]:
    """The keys that come with an eight-bit tensor: of its scale, and of its input's."""
    scale = scale_key(entries, key)
    return set() if scale is None else {scale, key.removesuffix("weight") + "scale_input"}


def problem(entries: Mapping[str, Entry], key: str) -> str | None:
    """Why a tensor's scale cannot be one, or None."""
    name = scale_key(entries, key)
    if name is None:
        return None
    scale = entries[name]
    if scale.elements == 1 and scale.dtype in _NUMBERS:
        return None
    return f"its scale is {scale.dtype} {scale.shape}, expected one number"


def unscaled(stored: Tensor, scale: Tensor) -> Tensor:
    """The tensor in float32 that eight bits and their scale stand for."""
    return stored.float() * scale.float().reshape(())
