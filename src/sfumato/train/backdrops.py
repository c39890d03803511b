"""Painted grounds behind a drawing: a meadow, a beach, snow, a sunset, a starry night, the sea.

Each is a function of the picture's side and a generator of random numbers, so that no two meadows
are alike. Pictures are float32 (S, S, 3) in [0, 255].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sfumato.train.stylize import Floats

__all__ = ["BACKDROPS", "Backdrop"]

Colour = tuple[int, int, int]
_Rng = np.random.Generator


@dataclass(frozen=True)
class Backdrop:
    """How one is painted, and the colours that a drawing must stand out from.

    ``floor``: whether there is a ground on which a drawing stands, else it is in the middle.
    """

    paint: Callable[[int, _Rng], Floats]
    colours: tuple[Colour, ...]
    floor: bool


def _fade(side: int, *colours: Colour) -> Floats:
    """From the first colour at the top to the last at the bottom."""
    y, at = np.linspace(0, 1, side), np.linspace(0, 1, len(colours))
    row = np.stack([np.interp(y, at, [c[i] for c in colours]) for i in range(3)], axis=-1)
    return np.repeat(row[:, None], side, axis=1).astype(np.float32)


def _shifted(colour: Colour, rng: _Rng, by: int = 10) -> Colour:
    red, green, blue = (min(255, max(0, c + round((2 * rng.random() - 1) * by))) for c in colour)
    return red, green, blue


def _mix(canvas: Floats, colour: Colour, cover: Floats) -> Floats:
    """A colour laid over where ``cover`` (S, S) is 1."""
    far = np.asarray(colour, np.float32) - canvas
    return canvas + cover[..., None].astype(np.float32) * far


def _below(side: int, edge: Floats) -> Floats:
    """Cover of all below a line, whose height (S,) is in sides from the top; soft by a pixel."""
    return np.clip((np.arange(side)[:, None] - edge[None] * side) + 0.5, 0, 1)


def _disc(side: int, x: float, y: float, radius: float, soft: float = 1.0) -> Floats:
    rows, columns = np.mgrid[:side, :side] / side
    away = np.hypot(columns - x, rows - y) * side
    return np.clip((radius * side - away) / soft + 0.5, 0, 1)


def _hill(side: int, height: float, swing: float, rng: _Rng) -> Floats:
    x = np.linspace(0, 1, side)
    turn, wide = 2 * np.pi * rng.random(), 1.2 + rng.random()
    return height + swing * np.sin(wide * np.pi * x + turn)


def _cloud(canvas: Floats, colour: Colour, rng: _Rng) -> Floats:
    side = len(canvas)
    x, y, wide = rng.random(), 0.08 + 0.18 * rng.random(), 0.05 + 0.03 * rng.random()
    cover = np.zeros((side, side))
    for shift, size in ((-1.2, 0.7), (0.0, 1.0), (1.2, 0.75)):
        cover = np.maximum(cover, _disc(side, x + shift * wide, y, size * wide))
    return _mix(canvas, colour, cover * (np.arange(side)[:, None] < (y + wide / 3) * side))


def _meadow(side: int, rng: _Rng) -> Floats:
    canvas = _fade(side, _shifted((126, 196, 240), rng), (206, 234, 250))
    for _ in range(1 + int(rng.random() * 2)):
        canvas = _cloud(canvas, (255, 255, 255), rng)
    canvas = _mix(canvas, _shifted((150, 205, 110), rng), _below(side, _hill(side, 0.6, 0.05, rng)))
    return _mix(canvas, _shifted((108, 180, 80), rng), _below(side, _hill(side, 0.72, 0.03, rng)))


def _beach(side: int, rng: _Rng) -> Floats:
    canvas = _fade(side, _shifted((120, 200, 245), rng), (214, 240, 252))
    canvas = _cloud(canvas, (255, 255, 255), rng)
    sea, sand = np.full(side, 0.5), _hill(side, 0.68, 0.02, rng)
    canvas = _mix(canvas, _shifted((40, 150, 200), rng), _below(side, sea))
    canvas = _mix(canvas, (235, 248, 250), _below(side, sand - 0.02))
    return _mix(canvas, _shifted((240, 214, 156), rng), _below(side, sand))


def _snow(side: int, rng: _Rng) -> Floats:
    canvas = _fade(side, _shifted((130, 165, 205), rng), (206, 222, 238))
    canvas = _mix(canvas, (224, 234, 246), _below(side, _hill(side, 0.6, 0.05, rng)))
    canvas = _mix(canvas, (246, 250, 255), _below(side, _hill(side, 0.72, 0.03, rng)))
    for _ in range(22):
        spot = _disc(side, rng.random(), rng.random() * 0.75, 0.008 + 0.008 * rng.random())
        canvas = _mix(canvas, (255, 255, 255), spot)
    return canvas


def _sunset(side: int, rng: _Rng) -> Floats:
    top, low = _shifted((92, 62, 132), rng), _shifted((255, 196, 112), rng)
    canvas = _fade(side, top, _shifted((232, 106, 100), rng), low)
    sun = (0.2 + 0.6 * rng.random(), 0.56 + 0.06 * rng.random())
    canvas = _mix(canvas, (255, 226, 150), 0.35 * _disc(side, *sun, 0.24, 0.16 * side))
    canvas = _mix(canvas, (255, 240, 190), _disc(side, *sun, 0.11))
    return _mix(canvas, _shifted((70, 44, 84), rng), _below(side, _hill(side, 0.78, 0.03, rng)))


def _night(side: int, rng: _Rng) -> Floats:
    canvas = _fade(side, _shifted((12, 16, 52), rng, 5), _shifted((52, 58, 122), rng))
    for _ in range(34):
        bright, size = 0.5 + 0.5 * rng.random(), 0.004 + 0.007 * rng.random() ** 2
        spot = _disc(side, rng.random(), rng.random(), size)
        canvas = _mix(canvas, (255, 250, 225), bright * spot)
    return canvas


def _sea(side: int, rng: _Rng) -> Floats:
    canvas = _fade(side, _shifted((92, 196, 220), rng), _shifted((18, 86, 150), rng))
    sand = _below(side, _hill(side, 0.88, 0.02, rng))
    canvas = _mix(canvas, _shifted((196, 186, 150), rng), 0.85 * sand)
    for _ in range(9):
        x, y, radius = rng.random(), 0.8 * rng.random(), 0.012 + 0.016 * rng.random()
        ring = _disc(side, x, y, radius) - 0.75 * _disc(side, x, y, radius * 0.7)
        canvas = _mix(canvas, (225, 246, 255), 0.8 * np.clip(ring, 0, 1))
    return canvas


BACKDROPS: Mapping[str, Backdrop] = {
    "meadow": Backdrop(_meadow, ((126, 196, 240), (108, 180, 80)), floor=True),
    "beach": Backdrop(_beach, ((120, 200, 245), (240, 214, 156)), floor=True),
    "snow": Backdrop(_snow, ((206, 222, 238), (246, 250, 255)), floor=True),
    "sunset": Backdrop(_sunset, ((232, 106, 100), (70, 44, 84)), floor=True),
    "night": Backdrop(_night, ((30, 36, 86),), floor=False),
    "sea": Backdrop(_sea, ((70, 160, 200), (18, 86, 150)), floor=False),
}
