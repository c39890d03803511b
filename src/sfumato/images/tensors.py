"""Pictures of 8 bits to tensors in [-1, 1] and back.

B pictures, H W their height and width in pixels; torch is imported only when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from sfumato.errors import PictureError

if TYPE_CHECKING:
    from torch import Tensor

# Where a picture's values lie in [-1, 1], those of a decoder go beyond it by a little; with the
# guidance 100 some of the bundled model's reach 2.9, and others are near 0 all the same.
FAR = 3.0


def to_tensor(images: Sequence[Image.Image]) -> Tensor:
    """Float32 (B, 3, H, W) in [-1, 1] on the CPU: level 0 is -1, level 255 is 1.

    Raises `PictureError` when the pictures differ in size.
    """
    import torch

    sizes = {image.size for image in images}
    if len(sizes) != 1:
        raise PictureError(f"pictures of one batch must have one size, got {sorted(sizes)}.")
    width, height = sizes.pop()
    raw = bytearray(b"".join(image.convert("RGB").tobytes() for image in images))
    levels = torch.frombuffer(raw, dtype=torch.uint8).view(-1, height, width, 3)
    return levels.permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, 3, H, W)


def to_mask(mask: Image.Image) -> Tensor:
    """Float32 (1, 1, H, W) in [0, 1] on the CPU, of a picture in mode L."""
    import torch

    assert mask.mode == "L"
    levels = torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8)
    return levels.view(1, 1, mask.height, mask.width).float() / 255


def fault(batch: Tensor, *, flat: bool = False) -> str:
    """Why a decoder's values (B, 3, H, W) are no picture, in a few words; empty where they are one.

    Overflow leaves values that are no numbers, or none but such as lie far outside a picture's;
    a network that has died gives every pixel the same ones, to the last bit. A picture that a model
    meant to be black is neither: its values differ in the last digits, and lie near -1. ``flat``:
    all pixels may be the same, for so was the picture that was begun with.
    """
    if not batch.isfinite().all():
        return "values that are no numbers"
    if batch.abs().min() >= FAR:
        return f"values beyond ±{FAR:g} alone, where a picture's lie within ±1"
    if not flat and (batch == batch[:, :, :1, :1]).all():
        return "every pixel the very same values"
    return ""


def to_images(batch: Tensor, rounding: str = "round") -> list[Image.Image]:
    """One RGB picture for each of (B, 3, H, W); values outside [-1, 1] are cut off.

    Levels are (x + 1) * 127.5, computed in float32; ``rounding`` takes the nearest whole number
    ("round") or the one below ("truncate"): see `sfumato.numerics`.
    Raises `PictureError` when a value is not a number, which a model does in too low a precision.
    """
    levels = (batch.detach().float() + 1) * 127.5  # (B, 3, H, W)
    if not levels.isfinite().all():
        raise PictureError(
            "the model returned values that are not numbers; use a higher --precision (fp32)."
        )
    whole = levels.floor() if rounding == "truncate" else levels.round()
    pixels = whole.clamp(0, 255).byte().permute(0, 2, 3, 1).cpu()  # (B, H, W, 3)
    return [Image.fromarray(picture.numpy()) for picture in pixels]
