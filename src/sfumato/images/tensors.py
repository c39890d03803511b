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
