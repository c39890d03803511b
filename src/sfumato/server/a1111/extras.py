"""Pictures made larger: A1111's extras tab, by filters and by the network that comes with us."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PIL import Image

from sfumato.catalog import ILLUSTRATION
from sfumato.server.a1111.errors import RefusedError
from sfumato.server.a1111.payloads import Extras

if TYPE_CHECKING:
    from sfumato.server.settings import Limits

__all__ = ["UPSCALERS", "Enlarge", "enlarged", "html_info", "png"]

NETWORK = ILLUSTRATION.title
# A1111's None does nothing at all. What a network has made larger is brought to size by Lanczos.
UPSCALERS: Mapping[str, Image.Resampling | None] = {
    "None": None,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
    NETWORK: Image.Resampling.LANCZOS,
}
# An RGB picture made so many times (2 or 4) as wide and high by our network.
Enlarge = Callable[[Image.Image, int], Image.Image]


def enlarged(image: Image.Image, how: Extras, limits: Limits, network: Enlarge) -> Image.Image:
    """A picture at the size that was asked for, with one upscaler or a blend of two.

    Raises RefusedError for a network that is not here, for a result of more than
    ``limits.upload_pixels``, and for one of our network's with more than ``limits.pixels``.
    """
    for name in ("gfpgan_visibility", "codeformer_visibility"):
        if getattr(how, name):
            raise RefusedError(f"{name} is {getattr(how, name):g}: faces cannot be restored here.")
    for name, value in how.unknown().items():
        if value:
            raise RefusedError(f"{name:.60} is not a field of this request.")
    image = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA")
    names = _upscaler("upscaler_1", how.upscaler_1), _upscaler("upscaler_2", how.upscaler_2)
    first = _one(image, names[0], how, limits, network)
    share = how.extras_upscaler_2_visibility or 0
    if names[1] == "None" or not share:
        return first
    if not 0 <= share <= 1:
        raise RefusedError(f"extras_upscaler_2_visibility is {share:g}, but must be from 0 to 1.")
    other = _one(image, names[1], how, limits, network)
    return Image.blend(first.resize(other.size, Image.Resampling.LANCZOS), other, share)


def html_info(how: Extras) -> str:
    """What was done, as the paragraph that the web UI shows."""
    names = [name for name in (how.upscaler_1, how.upscaler_2) if name and name != "None"]
    return f"<p>{html.escape('Upscaler: ' + ', '.join(names))}</p>" if names else ""


def png(image: Image.Image) -> bytes:
    """The picture's file, without any text: what another picture said does not hold for it."""
    bare = image.copy()
    bare.info = {}
    buffer = io.BytesIO()
    bare.save(buffer, "PNG")
    return buffer.getvalue()


def _upscaler(field: str, name: str | None) -> str:
    if (name or "None") not in UPSCALERS:
        known = ", ".join(UPSCALERS)
        raise RefusedError(f"{field} is {name!r:.60}, which is not here; there are: {known}.")
    return name or "None"


def _one(
    image: Image.Image, name: str, how: Extras, limits: Limits, network: Enlarge
) -> Image.Image:
    filter_ = UPSCALERS[name]
    if filter_ is None:
        return image
    wanted = (how.upscaling_resize_w or 512, how.upscaling_resize_h or 512)
    if how.resize_mode in (None, 0):
        factor = 2.0 if how.upscaling_resize is None else how.upscaling_resize
        field = "upscaling_resize"
    elif how.resize_mode == 1:
        factor = max(wanted[0] / image.width, wanted[1] / image.height)
        field = "upscaling_resize_w x upscaling_resize_h"
    else:
        raise RefusedError(f"resize_mode is {how.resize_mode}, but must be 0 or 1.")
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    if not factor > 0 or size[0] * size[1] > limits.upload_pixels:
        raise RefusedError(
            f"{field} makes a picture of {size[0]}x{size[1]}; "
            f"it must have from 1 to {limits.upload_pixels:,} pixels."
        )
    if name == NETWORK:
        image = _by_network(image, factor, limits, network)
    larger = image.resize(size, filter_)
    if how.resize_mode == 1 and how.upscaling_crop is not False:
        left, top = (size[0] - wanted[0]) // 2, (size[1] - wanted[1]) // 2
        larger = larger.crop((left, top, left + wanted[0], top + wanted[1]))
    return larger


def _by_network(image: Image.Image, factor: float, limits: Limits, network: Enlarge) -> Image.Image:
    """The picture 2 or 4 times as large, which is at least what was asked for; alpha smoothly."""
    if factor <= 1:
        return image
    times = 2 if factor <= 2 else 4
    pixels = image.width * image.height * times**2
    if factor > 4 or pixels > limits.pixels:
        raise RefusedError(
            f"upscaling_resize: {NETWORK} enlarges up to 4 times, and to {limits.pixels:,} pixels; "
            f"this would be {factor:g} times, and {pixels:,}. Take less, or Lanczos."
        )
    larger = network(image.convert("RGB"), times)
    if image.mode == "RGBA":
        larger.putalpha(image.getchannel("A").resize(larger.size, Image.Resampling.BICUBIC))
    return larger
