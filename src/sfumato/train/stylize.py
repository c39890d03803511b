"""Looks made from other drawings: pixel art, blueprint, neon, sketch, silhouette, and recolouring.

All pictures here are (S, S, 4) uint8 RGBA with straight alpha, S the side. `colour_name` and
`recolour` judge and change colour by hue, in degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]  # centre x and y, width, height, in sides of the picture
Floats = NDArray[np.floating[Any]]

# Hue, in degrees, that each colour is recoloured to: the middle of what people call by the name.
HUES: Mapping[str, float] = {
    "red": 2,
    "orange": 27,
    "yellow": 50,
    "green": 120,
    "blue": 215,
    "purple": 275,
    "pink": 328,
}
# Between two names lies a gap that is called neither: amber, teal.
_HUE_EDGES = (
    (13, "red"),
    (34, "orange"),
    (38, "other"),
    (66, "yellow"),
    (166, "green"),
    (190, "other"),
    (246, "blue"),
    (298, "purple"),
    (346, "pink"),
    (361, "red"),
)
NAMES = (*HUES, "brown", "black", "white", "grey", "other")

BLUEPRINT = (27, 79, 156)  # the paper of a blueprint, sRGB
NIGHT = (14, 12, 30)  # what neon glows on
_CHALK = np.asarray([236, 244, 255], np.float32)
_LUMA = np.asarray([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_CELL = 4  # side of a "pixel" of pixel art at S = 128: half a latent, so that all lie alike


@dataclass(frozen=True)
class Tint:
    """The one colour of a drawing: its name, hue in degrees, saturation and value in [0, 1]."""

    name: str
    hue: float
    saturation: float
    value: float
    share: float  # of the visible pixels that bear this name


def _hsv(picture: Picture) -> tuple[Floats, Floats, Floats]:
    """Hue in degrees, saturation and value in [0, 1], each (S, S)."""
    hsv = np.asarray(Image.fromarray(picture[..., :3]).convert("HSV"), dtype=np.float32)
    return hsv[..., 0] * (360 / 256), hsv[..., 1] / 255, hsv[..., 2] / 255


def _classes(hue: Floats, sat: Floats, val: Floats) -> NDArray[np.int64]:
    """The index in NAMES of every pixel's colour."""
    order = np.array([NAMES.index(name) for _, name in _HUE_EDGES])
    kind = order[np.searchsorted([edge for edge, _ in _HUE_EDGES], hue, side="right")]
    warm = (hue < 50) | (hue >= 330)
    rosy = ((hue < 13) | (hue >= 298)) & (sat < 0.62) & (val > 0.85)
    sand = (hue >= 13) & (hue < 66) & (sat < 0.6) & (val >= 0.78)  # skin, bread, bone
    ashen = ~warm & (sat < 0.3)
    brown = warm & (sat > 0.2) & (((val < 0.78) & (sat < 0.75)) | (val < 0.5))
    rules = (
        (rosy, "pink"),
        (sand, "other"),
        (ashen, "other"),
        (brown, "brown"),
        (sat < 0.13, "grey"),
        ((sat < 0.13) & (val > 0.86), "white"),
        ((val < 0.24) | ((val < 0.34) & (sat < 0.3)), "black"),
    )
    for where, name in rules:
        kind = np.where(where, NAMES.index(name), kind)
    return kind


def tint(picture: Picture, least: float = 0.66) -> Tint | None:
    """The colour that at least `least` of the visible pixels bear, or None."""
    seen = picture[..., 3] > 128
    total = int(seen.sum())
    if total == 0:
        return None
    hue, sat, val = (channel[seen] for channel in _hsv(picture))
    kinds = _classes(hue, sat, val)
    counts = np.bincount(kinds, minlength=len(NAMES))
    best = int(counts.argmax())
    share = float(counts[best] / total)
    if share < least or NAMES[best] == "other":
        return None
    mine = kinds == best
    angle = np.deg2rad(hue[mine])
    mean = float(np.rad2deg(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360)
    return Tint(NAMES[best], mean, float(sat[mine].mean()), float(val[mine].mean()), share)


def may_recolour(found: Tint | None) -> bool:
    """Whether a drawing's colour is so plainly one bright hue that turning it stays true."""
    return (
        found is not None
        and found.name in HUES
        and found.share >= 0.72
        and found.saturation > 0.55
        and found.value > 0.68
    )


def targets(found: Tint) -> list[str]:
    """The colours that a drawing may be turned to: far from its own, and true to their names."""
    return [
        name
        for name, hue in HUES.items()
        if abs((hue - found.hue + 180) % 360 - 180) > 20
        and name != found.name
        and (found.value > 0.8 or name not in ("orange", "yellow"))  # else brown and olive
    ]


def recolour(picture: Picture, found: Tint, target: str) -> Picture:
    """Turn the band of hues around the drawing's own (35 degrees each way) to the named colour."""
    hue, _, _ = _hsv(picture)
    near = np.abs((hue - found.hue + 180) % 360 - 180) < 35
    hsv = np.array(Image.fromarray(picture[..., :3]).convert("HSV"))
    # Hues gather round the target: a wide band of, say, orange must not spread over two names.
    turned = HUES[target] + 0.5 * ((hue - found.hue + 180) % 360 - 180)
    hsv[..., 0] = np.where(near, np.round(turned % 360 * (256 / 360)) % 256, hsv[..., 0])
    rgb = np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))
    return np.dstack([rgb, picture[..., 3]])


def _blur(plane: Floats, radius: float) -> Floats:
    """Gaussian blur of a (S, S) plane with values in [0, 1]."""
    image = Image.fromarray(np.clip(plane * 255, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255


def over(picture: Picture, ground: tuple[int, int, int] | Floats) -> Floats:
    """Lay the drawing over a ground colour or a (S, S, 3) ground: float32 in [0, 255]."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    base = np.asarray(ground, dtype=np.float32)
    return picture[..., :3] * alpha + base * (1 - alpha)


def rim(picture: Picture) -> Floats:
    """Colours along a drawing's outline, 48 of them, float32 (48, 3)."""
    solid = picture[..., 3] > 128
    inner = solid.copy()
    for axis, step in ((0, 3), (0, -3), (1, 3), (1, -3)):
        inner &= np.roll(solid, step, axis)
    rim = picture[solid & ~inner][:, :3]
    if len(rim) == 0:
        return np.zeros((1, 3), np.float32)
    return rim[np.linspace(0, len(rim) - 1, 48).astype(int)].astype(np.float32)


def raggedness(picture: Picture) -> float:
    """Perimeter squared over 4 pi times the area of a drawing's outline: 1 for a disc."""
    solid = np.pad(picture[..., 3] > 128, 1).astype(np.int64)
    steps = int(sum(np.abs(np.diff(solid, axis=axis)).sum() for axis in (0, 1)))
    return (steps * np.pi / 4) ** 2 / (4 * np.pi * max(1, int(solid.sum())))


def place(canvas: Floats, picture: Picture, box: Box) -> None:
    """Lay the visible part of `picture` into `box` of the float canvas (S, S, 3), in place."""
    side = canvas.shape[0]
    rows, columns = (np.flatnonzero((picture[..., 3] > 0).any(axis=axis)) for axis in (1, 0))
    cut = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    high, wide = cut.shape[:2]
    scale = min(box[2] * side / wide, box[3] * side / high)
    wide, high = max(1, int(wide * scale)), max(1, int(high * scale))
    image = Image.fromarray(np.ascontiguousarray(cut))
    small = np.asarray(image.resize((wide, high), Image.Resampling.LANCZOS))
    left, top = round(box[0] * side - wide / 2), round(box[1] * side - high / 2)
    region = (slice(top, top + high), slice(left, left + wide))
    canvas[region] = over(small, canvas[region])


def lay(canvas: Floats, picture: Picture, left: int, top: int, side: int) -> None:
    """Lay `picture`, margins and all, into a square of the float canvas (S, S, 3), in place."""
    small = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
    region = (slice(top, top + side), slice(left, left + side))
    canvas[region] = over(small, canvas[region])


def _edges(picture: Picture, faint: float = 0.10) -> Floats:
    """Strength in [0, 1] of colour edges, the outline among them: (S, S); 0 below `faint`."""
    flat = over(picture, (128, 255, 128)) / 255  # a ground that few drawings have
    soft = np.dstack([_blur(flat[..., i], 0.7) for i in range(3)])
    dx = np.abs(soft[1:-1, 2:] - soft[1:-1, :-2]).max(axis=2)
    dy = np.abs(soft[2:, 1:-1] - soft[:-2, 1:-1]).max(axis=2)
    strength = np.pad(np.hypot(dx, dy), 1)
    return np.clip((strength - faint) / (2.2 * faint), 0, 1).astype(np.float32)


def pixel_art(picture: Picture) -> Picture:
    """Few big square pixels, few colours, hard edges."""
    side = picture.shape[0]
    cell = max(2, round(_CELL * side / 128))
    cells = -(-side // cell)
    image = Image.fromarray(picture)
    wide = Image.new("RGBA", (cells * cell, cells * cell))
    shift = (cells * cell - side) // 2
    wide.paste(image, (shift, shift))
    small = np.array(wide.resize((cells, cells), Image.Resampling.BOX))
    solid = small[..., 3] > 100
    colours = Image.fromarray(small[..., :3]).quantize(12, dither=Image.Dither.NONE)
    rgb = np.asarray(colours.convert("RGB"))
    out = np.dstack([rgb, np.where(solid, 255, 0).astype(np.uint8)])
    big = out.repeat(cell, axis=0).repeat(cell, axis=1)
    return big[shift : shift + side, shift : shift + side]


def blueprint(picture: Picture) -> Picture:
    """White construction lines on blue squared paper; opaque."""
    side = picture.shape[0]
    paper = np.empty((side, side, 3), np.float32)
    paper[:] = BLUEPRINT
    step = max(4, side // 8)
    paper[step // 2 :: step] += 22
    paper[:, step // 2 :: step] += 22
    line = _edges(picture, 0.045)[..., None]
    inside = picture[..., 3:].astype(np.float32) / 255
    paper = paper * (1 - 0.12 * inside)
    out = paper * (1 - line) + _CHALK * line
    return _opaque(out)


def neon(picture: Picture) -> Picture:
    """Glowing coloured tubes along the edges, at night; opaque."""
    line = _edges(picture, 0.055)
    hue, sat, _ = _hsv(picture)
    glow_of = np.where(sat > 0.2, hue, 190)  # what has no colour glows cyan
    bright = np.dstack([glow_of * (256 / 360), np.full_like(hue, 190), np.full_like(hue, 255)])
    rgb = np.asarray(Image.fromarray(bright.astype(np.uint8), "HSV").convert("RGB"))
    alpha = picture[..., 3:] > 60
    rgb = np.where(alpha, rgb, _spread(rgb, picture[..., 3] > 60)).astype(np.float32)
    lit = rgb * line[..., None]
    wide = np.dstack([_blur(lit[..., i] / 255, 4.0 * line.shape[0] / 128) for i in range(3)])
    core = 0.35 * 255 * np.clip(line * 1.2 - 0.5, 0, 1)[..., None]
    return _opaque(np.asarray(NIGHT, np.float32) + lit + 255 * 1.5 * wide + core)


def _spread(rgb: NDArray[np.uint8], known: NDArray[np.bool_]) -> Floats:
    """Colours carried a few pixels beyond the drawing, so that its outline glows in them too."""
    weight = _blur(known.astype(np.float32), 2.5)[..., None]
    parts = [_blur(rgb[..., i] / np.float32(255) * known, 2.5) for i in range(3)]
    return np.clip(255 * np.dstack(parts) / np.maximum(weight, 1 / 64), 0, 255)


def pencil_sketch(picture: Picture) -> Picture:
    """Grey strokes and soft shade on white paper; opaque."""
    grey = over(picture, (255, 255, 255)) @ _LUMA / 255
    soft = _blur(1 - grey, 4.0 * grey.shape[0] / 128)
    dodge = np.clip(grey / np.maximum(1 - soft, 0.02), 0, 1)  # colour dodge: only changes stay
    shade = 1 - 0.16 * (1 - grey)
    stroke = 1 - 0.72 * _edges(picture)
    return _opaque(np.repeat((255 * np.minimum(dodge, stroke) * shade)[..., None], 3, axis=2))


def outline(picture: Picture) -> Picture:
    """Black lines along the edges, on white; opaque."""
    return _opaque(np.repeat(255 * (1 - _edges(picture, 0.06))[..., None], 3, axis=2))


def silhouette(picture: Picture) -> Picture:
    """The outline filled with black."""
    out = np.zeros_like(picture)
    out[..., 3] = np.clip(picture[..., 3].astype(np.float32) * 1.6, 0, 255).astype(np.uint8)
    return out


def inverted_lines(picture: Picture) -> Picture:
    """Black lines made white, for dark grounds."""
    out = picture.copy()
    out[..., :3] = 255 - out[..., :3]
    return out


def _opaque(rgb: Floats) -> Picture:
    full = np.full(rgb.shape[:2], 255, np.uint8)
    return np.dstack([np.clip(np.round(rgb), 0, 255).astype(np.uint8), full])


@dataclass(frozen=True)
class Derived:
    """How one derived look is made: from the first of `made_from` that may be used."""

    make: Callable[[Picture], Picture]
    made_from: tuple[str, ...]
    own_ground: bool


DERIVED: Mapping[str, Derived] = {
    "pixel art": Derived(pixel_art, ("flat", "3d", "sticker", "cartoon"), own_ground=False),
    "blueprint": Derived(blueprint, ("flat", "sticker", "cartoon"), own_ground=True),
    "neon": Derived(neon, ("flat", "sticker", "cartoon"), own_ground=True),
    "pencil sketch": Derived(pencil_sketch, ("3d", "cartoon"), own_ground=True),
    "silhouette": Derived(silhouette, ("3d", "flat"), own_ground=False),
}
