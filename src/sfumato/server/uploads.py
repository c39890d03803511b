"""Pictures that a client sends: measured before they are decoded, refused when too big."""

from __future__ import annotations

import base64
import binascii
import io
import struct
from typing import TYPE_CHECKING

from PIL import Image

from sfumato.errors import PictureError
from sfumato.images import Texts, read_picture

if TYPE_CHECKING:
    from sfumato.server.settings import Limits

__all__ = ["TooBig", "measure", "opened", "unwrapped"]

_SUFFIX_OF_DATA_URL = ";base64"
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class TooBig(PictureError):  # noqa: N818 - reads as what happened
    """A picture with more bytes or pixels than this server takes."""


def opened(data: bytes, limits: Limits) -> tuple[Image.Image, Texts]:
    """An uploaded picture file, decoded, and what it says about itself.

    Raises `TooBig` as `measure` does, and `PictureError` for what is no picture.
    """
    measure(data, limits)
    return read_picture(io.BytesIO(data))


def measure(data: bytes, limits: Limits) -> None:
    """Refuse a picture file before it is decoded.

    Raises `TooBig` for one with more than ``limits.upload_bytes`` bytes, and for one with more
    than ``limits.upload_pixels`` pixels, told from its header: a small file may fill the memory.
    """
    if len(data) > limits.upload_bytes:
        raise TooBig(
            f"the picture has {len(data):,} bytes, but at most {limits.upload_bytes:,} are read."
        )
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            pixels = image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = limits.upload_pixels + 1
    except (OSError, ValueError, SyntaxError, EOFError, struct.error):
        pixels = 0  # whoever reads it says what is the matter
    if pixels > limits.upload_pixels:
        raise TooBig(
            f"the picture has more than {limits.upload_pixels:,} pixels; send a smaller one."
        )


def unwrapped(text: str, limits: Limits) -> bytes:
    """The bytes of a picture that came as base64, bare or as a `data:` URL.

    Raises `PictureError` for text that is neither, and for one longer than ``limits`` allow. An
    address is never fetched.
    """
    head, comma, body = text.partition(",")
    if comma:
        if not (head.startswith("data:") and head.endswith(_SUFFIX_OF_DATA_URL)):
            raise PictureError(f"the picture begins {head[:40]!r}, which is no base64 data URL.")
        text = body
    if len(text) * 3 // 4 > limits.upload_bytes + 2:
        raise TooBig(
            f"the picture has more than {limits.upload_bytes:,} bytes; send a smaller one."
        )
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        came = f" It begins {text[:20]!r}." if text else " It is empty."
        raise PictureError(f"the picture is not valid base64 ({error}).{came}") from error
