"""The small picture of a picture: WebP, its longer side at most 320 pixels, made once and kept."""

from __future__ import annotations

import io
import secrets
from pathlib import Path

from PIL import Image, ImageOps

from sfumato.errors import OutputError

__all__ = ["SIDE", "keep", "leftovers", "thumbnail"]

SIDE = 320
_QUALITY = 82
_LARGEST_PROFILE = 8192  # bytes: a screen's has some hundred, a printing press's a megabyte
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_PART = ".part"


def thumbnail(image: Image.Image) -> bytes:
    """The file of an image's thumbnail, upright, see-through where the image is."""
    small = _eight_bits(ImageOps.exif_transpose(image))
    profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None
    if not isinstance(profile, bytes) or len(profile) > _LARGEST_PROFILE:
        profile = b""
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    small.info = {}
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=4, icc_profile=profile)
    return buffer.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image as RGB, or as RGBA where something of it is see-through."""
    if image.mode in _DEEP:
        # Pillow cuts 16 bits off at 255, which makes nearly everything white.
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")


def keep(data: bytes, path: Path, room: Path) -> None:
    """Write a thumbnail, whole or not at all. It can be made again, so nothing waits for the disk.

    ``room`` is the folder of all thumbnails. Raises `OutputError`.
    """
    part = room / f"{secrets.token_hex(8)}{_PART}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from error


def leftovers(room: Path) -> list[Path]:
    """What a kill has left of thumbnails that were being written."""
    return sorted(room.glob(f"*{_PART}"))
