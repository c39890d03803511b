"""A film strip: one sheet that shows how a picture comes out of the noise, step after step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from sfumato.images.paper import (
    CAPTION_SIZE,
    GAP,
    INK,
    LABEL,
    LABEL_SIZE,
    MARGIN,
    PAPER,
    cut,
    fitted,
    letters,
    mount,
    wrapped,
    write,
)

_ROW_GAP = 18
_WIDEST = 1600


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
    pictures = [fitted(frame.image) for frame in frames]
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    columns = _columns(len(frames), width)
    rows = math.ceil(len(frames) / columns)
    label_font, caption_font = letters(LABEL_SIZE), letters(CAPTION_SIZE)
    step_x, step_y = width + GAP, height + 8 + LABEL_SIZE + _ROW_GAP
    sheet_width = 2 * MARGIN + columns * step_x - GAP
    lines = wrapped(caption, caption_font, sheet_width - 2 * MARGIN)
    foot = 12 + len(lines) * (CAPTION_SIZE + 6) if lines else 0
    sheet_height = 2 * MARGIN + rows * step_y - _ROW_GAP + foot

    sheet = Image.new("RGB", (sheet_width, sheet_height), PAPER)
    for i, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        x, y = MARGIN + i % columns * step_x, MARGIN + i // columns * step_y
        mount(sheet, picture, x, y)
        label = cut(frame.label, label_font, width)
        colour = INK if i == len(frames) - 1 else LABEL
        write(sheet, (x, y + height + 6), label, label_font, colour)
    y = MARGIN + rows * step_y - _ROW_GAP + 16
    for line in lines:
        write(sheet, (MARGIN, y), line, caption_font, INK)
        y += CAPTION_SIZE + 6
    return sheet


def _columns(count: int, width: int) -> int:
    """As many as fit, then evened out, so that the last row is not a straggler."""
    most = max(1, (_WIDEST - 2 * MARGIN + GAP) // (width + GAP))
    return math.ceil(count / math.ceil(count / most))
