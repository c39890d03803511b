"""What a picture shows, in one form, however its file stores it: `Source` is made of this."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from PIL import ExifTags, Image, ImageChops, ImageFilter

from sfumato.errors import PictureError

__all__ = ["brightness", "clearness", "layers", "on_white"]

_WHITE = (255, 255, 255)
_NEAR = 6  # pixels: about as far as an upscaler looks
# What brings a stored picture upright, by its orientation in EXIF; 1 is upright.
_TURNS: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def on_white(image: Image.Image) -> Image.Image:
    """The picture upright, RGB, laid on white where it lets light through."""
    upright = _upright(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*_WHITE, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def layers(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The picture upright: its colours as RGB, and how solid it is in one channel, if not all is.

    Under what is quite clear lie the colours nearby, in place of whatever the file holds there, so
    that nothing unseen bleeds into the edges when it is made larger.
    """
    upright = _upright(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB"), None
    layer = upright.convert("RGBA")
    alpha, colours = layer.getchannel("A"), layer.convert("RGB")
    near = layer.convert("RGBa").filter(ImageFilter.GaussianBlur(_NEAR)).convert("RGBA")
    seen = alpha.point(lambda level: 255 if level else 0)
    return Image.composite(colours, near.convert("RGB"), seen), alpha


def brightness(image: Image.Image) -> Image.Image:
    """How bright it is, upright, in one channel; dark where it lets light through."""
    upright = _upright(image)
    alpha = _alpha(upright)
    if alpha is None:
        return upright.convert("RGB").convert("L")
    grey = upright.convert("RGBA").convert("RGB").convert("L")  # whatever lies under clear pixels
    return ImageChops.multiply(grey, alpha)


def clearness(image: Image.Image) -> Image.Image:
    """How much light it lets through, upright, in one channel.

    Raises PictureError where the picture has no alpha at all.
    """
    alpha = _alpha(_upright(image))
    if alpha is None:
        raise PictureError("the mask has no alpha channel; what is to be painted must be clear")
    return ImageChops.invert(alpha)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, in 8 bits a channel."""
    turn = _TURNS.get(_orientation(image))
    turned = image if turn is None else image.transpose(turn)
    if turned.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):  # 16 bits of grey
        return turned.convert("I").point(lambda level: level / 257).convert("L")
    if turned.mode == "F":
        raise PictureError("it holds numbers without a range, not a picture; save it as a PNG")
    return turned


def _orientation(image: Image.Image) -> object:
    """What EXIF says of it; None where it is silent or torn, with which the picture is still one.

    (`ImageOps.exif_transpose` writes the rest of EXIF anew, and falls over what cameras put there.)
    """
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, OSError, struct.error):
        return None


def _alpha(image: Image.Image) -> Image.Image | None:
    """The alpha channel, also that of a palette or of a clear colour; None without one."""
    if image.has_transparency_data:
        return image.convert("RGBA").getchannel("A")
    return None
