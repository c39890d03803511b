"""A picture and its mask laid out for painting, and what was painted laid back where it belongs.

Sizes are (width, height) in pixels, boxes (left, top, right, bottom) as in Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageChops, ImageFilter, ImageOps

from sfumato.errors import RequestError

__all__ = ["Canvas", "Masking", "lay"]

Size: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[int, int, int, int]

_GREY = (128, 128, 128, 255)
_HARD = 128  # from this level of a mask on, a pixel is painted anew


@dataclass(frozen=True)
class Masking:
    """A mask (L, white is painted anew) and how it is to be taken; see `Request` for the rest."""

    mask: Image.Image
    blur: int = 4
    fill: str = "original"
    padding: int | None = None
    invert: bool = False


@dataclass(frozen=True)
class Canvas:
    """What is painted upon.

    - `ground`: the picture as the finished one shows it wherever nothing is painted anew.
    - `area`: the part of `ground` that is painted; it may reach over its edges.
    - `picture`: that part, at the size at which it is painted; `start` is what painting starts
      from: the same, or with the mask filled.
    - `mask`: at that size, 0 or 255; None where all is painted.
    - `shade`: how much of the new shows, for each pixel of `ground`; None where all of it does.
    """

    ground: Image.Image
    area: Box
    picture: Image.Image
    start: Image.Image
    mask: Image.Image | None = None
    shade: Image.Image | None = None

    def back(self, painted: Image.Image) -> Image.Image:
        """The finished picture; where `shade` is 0 its pixels are those of `ground`, to the bit."""
        if self.shade is None:
            return painted
        left, top, right, bottom = self.area
        whole = self.ground.copy()
        size = (right - left, bottom - top)
        whole.paste(_scaled(painted, size, Image.Resampling.LANCZOS), (left, top))
        return Image.composite(whole, self.ground, self.shade)


def lay(image: Image.Image, size: Size, fit: str, masking: Masking | None = None) -> Canvas:
    """The canvas for an RGB picture that is painted at `size`.

    Without padding the finished picture has `size`, and `fit` says how `image` meets it. With it,
    the finished picture has the size of `image`, and `size` is that of the area around the mask.
    What "pad" adds around a picture is painted anew if there is a mask.

    Raises RequestError where nothing would be painted: where nothing in the mask is white, or what
    is white is cut off or too small.
    """
    if masking is None:
        ground = _fitted(image, size, fit)
        return Canvas(ground, (0, 0, *ground.size), ground, ground)
    mask = _scaled(masking.mask, image.size, Image.Resampling.BILINEAR)
    mask = whole = ImageChops.invert(mask) if masking.invert else mask
    ground = image
    if masking.padding is None:
        ground, mask = _fitted(image, size, fit), _fitted(mask, size, fit)
    shade = _shade(mask, masking.blur)
    box = shade.getbbox()
    if box is None:
        raise _nothing_to_paint(whole, size)
    area = (0, 0, *ground.size)
    if masking.padding is not None:
        area = _around(box, masking.padding, ground.size, size)
    picture = _scaled(_cut(ground, area), size, Image.Resampling.LANCZOS)
    hard = _scaled(mask.crop(area), size, Image.Resampling.BILINEAR).point(_is_hard)
    if hard.getbbox() is None:
        raise _nothing_to_paint(whole, size)
    start = _filled(picture, hard) if masking.fill == "blur" else picture
    return Canvas(ground, area, picture, start, hard, shade)


def _nothing_to_paint(mask: Image.Image, size: Size) -> RequestError:
    """Why: the mask never had anything to paint, or what it had is lost on its way to `size`."""
    if mask.point(_is_hard).getbbox() is None:
        return RequestError(
            "Nothing in the mask is white, so nothing would be painted; "
            "white is painted anew and black is kept (or ask for it to be inverted)."
        )
    return RequestError(
        f"What is white in the mask is cut off, or too small, at {size[0]}x{size[1]}. Take another "
        "size or fit, or mask_padding, with which only the mask's surroundings are painted."
    )


def _is_hard(level: int) -> int:
    return 255 if level >= _HARD else 0


def _fitted(image: Image.Image, size: Size, fit: str) -> Image.Image:
    """The picture, or its mask, at `size`; what "pad" adds is the edge, or white in a mask."""
    filter_ = Image.Resampling.BILINEAR if image.mode == "L" else Image.Resampling.LANCZOS
    if fit == "stretch":
        return _scaled(image, size, filter_)
    if fit == "crop":
        return ImageOps.fit(image, size, filter_)
    inner = _scaled(image, _contained(image.size, size), filter_)
    left, top = (size[0] - inner.width) // 2, (size[1] - inner.height) // 2
    if image.mode == "L":
        sheet = Image.new("L", size, 255)
        sheet.paste(inner, (left, top))
        return sheet
    return _cut(inner, (-left, -top, size[0] - left, size[1] - top))


def _contained(inner: Size, outer: Size) -> Size:
    """The largest size of the shape `inner` within `outer`."""
    scale = min(outer[0] / inner[0], outer[1] / inner[1])
    return max(1, round(inner[0] * scale)), max(1, round(inner[1] * scale))


def _scaled(image: Image.Image, size: Size, filter_: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, filter_)


def _cut(image: Image.Image, box: Box) -> Image.Image:
    """The part in the box; beyond the picture its outermost pixels go on."""
    left, top, right, bottom = box
    inner = image.crop((max(left, 0), max(top, 0), min(right, image.width), image.height))
    inner = inner.crop((0, 0, inner.width, min(bottom, image.height) - max(top, 0)))
    before, above = max(-left, 0), max(-top, 0)
    sheet = Image.new(image.mode, (right - left, bottom - top))
    sheet.paste(inner, (before, above))
    width, height = inner.size
    for x, edge in ((0, 0), (before + width, width - 1)):
        room = before if x == 0 else sheet.width - x
        column = inner.crop((edge, 0, edge + 1, height))
        if room > 0:
            sheet.paste(column.resize((room, height)), (x, above))
    for y, edge in ((0, above), (above + height, above + height - 1)):
        room = above if y == 0 else sheet.height - y
        row = sheet.crop((0, edge, sheet.width, edge + 1))
        if room > 0:
            sheet.paste(row.resize((sheet.width, room)), (0, y))
    return sheet


def _shade(mask: Image.Image, blur: int) -> Image.Image:
    """How much of the new picture shows: all of it within the mask, less and less around it.

    The doubling puts the blur's middle, which lies on the mask's edge, at 1, as A1111 does: what
    was to go is gone entirely, and the transition lies in what was kept.
    """
    if blur == 0:
        return mask
    soft = mask.filter(ImageFilter.GaussianBlur(blur)).point(_twice)
    return ImageChops.lighter(mask, soft)


def _twice(level: int) -> int:
    return min(255, 2 * level)


def _around(box: Box, padding: int, ground: Size, size: Size) -> Box:
    """The box with `padding` around it, widened to the shape of `size`, within the ground.

    It reaches over the ground's edge only where the ground is too narrow for that shape.
    """
    left, top = max(box[0] - padding, 0), max(box[1] - padding, 0)
    right, bottom = min(box[2] + padding, ground[0]), min(box[3] + padding, ground[1])
    width, height = right - left, bottom - top
    if width * size[1] < height * size[0]:
        width = round(height * size[0] / size[1])
    else:
        height = round(width * size[1] / size[0])
    left = _within((left + right - width) // 2, width, ground[0])
    top = _within((top + bottom - height) // 2, height, ground[1])
    return left, top, left + width, top + height


def _within(begin: int, length: int, room: int) -> int:
    """Where a stretch of `length` begins so that it lies within `room`, or else in its middle."""
    return min(max(begin, 0), room - length) if length <= room else (room - length) // 2


def _filled(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The masked part in the colours from around it, smoothly; the rest as it was.

    Averages over squares of 2, 4, 8 … pixels, of what is known in them, are laid over one another
    from the widest to the finest: the pull-push of Gortler et al. 1996 ("The Lumigraph").
    """
    finest = image.convert("RGBA")
    finest.putalpha(ImageChops.invert(mask))
    levels = [finest]
    while max(levels[-1].size) > 1:
        wider = levels[-1].reduce(2)
        wider.putalpha(wider.getchannel("A").point(_surely))
        levels.append(wider)
    sheet = Image.new("RGBA", (1, 1), _GREY)
    for level in reversed(levels):
        sheet = sheet.resize(level.size, Image.Resampling.BICUBIC)
        sheet.alpha_composite(level)
    return Image.composite(sheet.convert("RGB"), image, mask)


def _surely(share: int) -> int:
    """One known pixel in four is enough to tell a colour."""
    return min(255, 4 * share)
