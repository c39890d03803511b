"""Paper, ink and letters: what every sheet that sfumato draws is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# A sheet of warm paper: the pictures must be the only strong colours on it.
PAPER, HAIRLINE, LABEL, INK = "#f7f5f0", "#d9d4ca", "#8a8478", "#3b3833"
MARGIN, GAP = 32, 12
LABEL_SIZE, CAPTION_SIZE = 12, 15
SMALLEST, LARGEST = 96, 256  # the long side of a picture on a sheet, in pixels
RADIUS = 4
FINE = 4  # how much finer than the pixels corners and letters are drawn, for an even look


def fitted(image: Image.Image, largest: int = LARGEST) -> Image.Image:
    """The picture in RGB, scaled down to ``largest`` pixels a side, or up without blur to 96."""
    image = image.convert("RGB")
    long = max(image.size)
    if long > largest:
        shape = tuple(max(1, round(side * largest / long)) for side in image.size)
        return image.resize((shape[0], shape[1]), Image.Resampling.LANCZOS)
    factor = math.ceil(SMALLEST / long)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def mount(sheet: Image.Image, picture: Image.Image, x: int, y: int) -> None:
    """Lay a picture on the sheet with rounded corners inside a hairline."""
    size = (picture.width, picture.height)
    sheet.paste(HAIRLINE, (x - 1, y - 1), rounded((size[0] + 2, size[1] + 2), RADIUS + 1))
    sheet.paste(picture, (x, y), rounded(size, RADIUS))


def rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask (mode L) with smooth rounded corners."""
    fine = Image.new("L", (size[0] * FINE, size[1] * FINE), 0)
    box = (0, 0, fine.width - 1, fine.height - 1)
    ImageDraw.Draw(fine).rounded_rectangle(box, radius * FINE, fill=255)
    return fine.resize(size, Image.Resampling.BOX)


def letters(size: int) -> FreeTypeFont:
    """The font that comes with Pillow, the same on every machine, `FINE` times as large."""
    font = ImageFont.load_default(size * FINE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType; install a wheel of Pillow")
    return font


def write(
    sheet: Image.Image, place: tuple[int, int], text: str, font: FreeTypeFont, colour: str
) -> None:
    """Write one line; drawn large and scaled down, because small letters are spaced unevenly."""
    size = (math.ceil(length(text, font)) + 2, math.ceil(font.size / FINE * 1.4))
    fine = Image.new("L", (size[0] * FINE, size[1] * FINE), 0)
    ImageDraw.Draw(fine).text((0, 0), text, font=font, fill=255)
    sheet.paste(colour, place, fine.resize(size, Image.Resampling.BOX))


def length(text: str, font: FreeTypeFont) -> float:
    """How many pixels wide a line is."""
    return font.getlength(text) / FINE


def cut(text: str, font: FreeTypeFont, width: float) -> str:
    """The text, or as much of it as fits with an ellipsis behind."""
    if length(text, font) <= width:
        return text
    while text and length(text + "…", font) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(parts: Sequence[str], font: FreeTypeFont, width: float) -> list[str]:
    """At most two lines of the parts that the font can write, the second cut."""
    shown = [part[:1000] for part in parts if drawable(part[:1000], font)]
    words = "  ·  ".join(shown).split(" ")
    first = 1
    while first < len(words) and length(" ".join(words[: first + 1]), font) <= width:
        first += 1
    lines = [" ".join(words[:first]).strip(), " ".join(words[first:]).strip(" ·")]
    return [cut(line, font, width) for line in lines if line]


def broken(text: str, font: FreeTypeFont, width: float, most: int) -> list[str]:
    """The text in lines no wider than ``width``, broken between words; the last of ``most`` cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if length(longer, font) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines[most - 1] += " …"
    return [cut(one, font, width) for one in lines[:most]]


def drawable(text: str, font: FreeTypeFont) -> bool:
    """Whether the font has every letter of a text; the built-in one has little beyond ASCII."""
    unknown = _drawn("\uffff", font)
    return all(_drawn(char, font) != unknown for char in set("".join(text.split())))


def _drawn(char: str, font: FreeTypeFont) -> bytes:
    image = Image.new("L", (2 * int(font.size), 2 * int(font.size)))
    ImageDraw.Draw(image).text((font.size // 2, 0), char, font=font, fill=255)
    return image.tobytes()
