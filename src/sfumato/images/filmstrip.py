"""A film strip: one sheet that shows how a picture comes out of the noise, step after step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# A sheet of warm paper: the pictures must be the only strong colours on it.
_PAPER, _HAIRLINE, _LABEL, _INK = "#f7f5f0", "#d9d4ca", "#8a8478", "#3b3833"
_MARGIN, _GAP, _ROW_GAP = 32, 12, 18
_LABEL_SIZE, _CAPTION_SIZE = 12, 15
_SMALLEST, _LARGEST = 96, 256  # the long side of a frame, in pixels
_WIDEST = 1600
_RADIUS = 4
_FINE = 4  # how much finer than the pixels corners and letters are drawn, for an even look


@dataclass(frozen=True)
class Frame:
    """One picture of a film strip or an animation, and the words below it."""

    label: str
    image: Image.Image


def filmstrip(frames: Sequence[Frame], *, caption: Sequence[str] = ()) -> Image.Image:
    """All frames on one RGB sheet, in reading order, in even rows, each with its label.

    Frames longer than 256 pixels are scaled down; those shorter than 96 are enlarged by a whole
    factor, without blur. The parts of the caption stand below, joined by dots and cut to two
    lines. The built-in font has little beyond ASCII: a part that it cannot write is left out,
    where it would only be a row of empty boxes.
    """
    if not frames:
        raise ValueError("a film strip needs at least one frame")
    pictures = [_fitted(frame.image) for frame in frames]
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    columns = _columns(len(frames), width)
    rows = math.ceil(len(frames) / columns)
    label_font, caption_font = _font(_LABEL_SIZE), _font(_CAPTION_SIZE)
    step_x, step_y = width + _GAP, height + 8 + _LABEL_SIZE + _ROW_GAP
    sheet_width = 2 * _MARGIN + columns * step_x - _GAP
    lines = _wrapped(caption, caption_font, sheet_width - 2 * _MARGIN)
    foot = 12 + len(lines) * (_CAPTION_SIZE + 6) if lines else 0
    sheet_height = 2 * _MARGIN + rows * step_y - _ROW_GAP + foot

    sheet = Image.new("RGB", (sheet_width, sheet_height), _PAPER)
    for i, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        x, y = _MARGIN + i % columns * step_x, _MARGIN + i // columns * step_y
        _mount(sheet, picture, x, y)
        label = _cut(frame.label, label_font, width)
        colour = _INK if i == len(frames) - 1 else _LABEL
        _write(sheet, (x, y + height + 6), label, label_font, colour)
    y = _MARGIN + rows * step_y - _ROW_GAP + 16
    for line in lines:
        _write(sheet, (_MARGIN, y), line, caption_font, _INK)
        y += _CAPTION_SIZE + 6
    return sheet


def _fitted(image: Image.Image) -> Image.Image:
    image = image.convert("RGB")
    long = max(image.size)
    if long > _LARGEST:
        shape = tuple(max(1, round(side * _LARGEST / long)) for side in image.size)
        return image.resize((shape[0], shape[1]), Image.Resampling.LANCZOS)
    factor = math.ceil(_SMALLEST / long)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _columns(count: int, width: int) -> int:
    """As many as fit, then evened out, so that the last row is not a straggler."""
    most = max(1, (_WIDEST - 2 * _MARGIN + _GAP) // (width + _GAP))
    return math.ceil(count / math.ceil(count / most))


def _mount(sheet: Image.Image, picture: Image.Image, x: int, y: int) -> None:
    """Lay a picture on the sheet with rounded corners inside a hairline."""
    size = (picture.width, picture.height)
    sheet.paste(_HAIRLINE, (x - 1, y - 1), _rounded((size[0] + 2, size[1] + 2), _RADIUS + 1))
    sheet.paste(picture, (x, y), _rounded(size, _RADIUS))


def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask (mode L) with smooth rounded corners."""
    fine = Image.new("L", (size[0] * _FINE, size[1] * _FINE), 0)
    box = (0, 0, fine.width - 1, fine.height - 1)
    ImageDraw.Draw(fine).rounded_rectangle(box, radius * _FINE, fill=255)
    return fine.resize(size, Image.Resampling.BOX)


def _font(size: int) -> FreeTypeFont:
    """The font that comes with Pillow, the same on every machine, `_FINE` times as large."""
    font = ImageFont.load_default(size * _FINE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType; install a wheel of Pillow")
    return font


def _write(
    sheet: Image.Image, place: tuple[int, int], text: str, font: FreeTypeFont, colour: str
) -> None:
    """Write one line; drawn large and scaled down, because small letters are spaced unevenly."""
    size = (math.ceil(_length(text, font)) + 2, math.ceil(font.size / _FINE * 1.4))
    fine = Image.new("L", (size[0] * _FINE, size[1] * _FINE), 0)
    ImageDraw.Draw(fine).text((0, 0), text, font=font, fill=255)
    sheet.paste(colour, place, fine.resize(size, Image.Resampling.BOX))


def _length(text: str, font: FreeTypeFont) -> float:
    return font.getlength(text) / _FINE


def _cut(text: str, font: FreeTypeFont, width: float) -> str:
    """The text, or as much of it as fits with an ellipsis behind."""
    if _length(text, font) <= width:
        return text
    while text and _length(text + "…", font) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _wrapped(parts: Sequence[str], font: FreeTypeFont, width: float) -> list[str]:
    """At most two lines of the parts that the font can write, the second cut."""
    shown = [part[:1000] for part in parts if _drawable(part[:1000], font)]
    words = "  ·  ".join(shown).split(" ")
    first = 1
    while first < len(words) and _length(" ".join(words[: first + 1]), font) <= width:
        first += 1
    lines = [" ".join(words[:first]).strip(), " ".join(words[first:]).strip(" ·")]
    return [_cut(line, font, width) for line in lines if line]


def _drawable(text: str, font: FreeTypeFont) -> bool:
    unknown = _drawn("\uffff", font)
    return all(_drawn(char, font) != unknown for char in set("".join(text.split())))


def _drawn(char: str, font: FreeTypeFont) -> bytes:
    image = Image.new("L", (2 * int(font.size), 2 * int(font.size)))
    ImageDraw.Draw(image).text((font.size // 2, 0), char, font=font, fill=255)
    return image.tobytes()
