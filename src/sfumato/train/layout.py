"""Where drawings stand in a scene: alone, several, beside and above one another, in a backdrop."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sfumato.train.stylize import Box, Floats, Picture, lay, over, place

__all__ = ["IN_BACKDROP", "PLACES", "RELATIONS", "Part", "in_backdrop", "wandered"]

# Where two, three or four stand: each fills its half or quarter, whose middle is a latent's corner,
# so that a half-size drawing is the same latents in every such place.
_LEFT, _RIGHT = (0.25, 0.5, 0.47, 0.8), (0.75, 0.5, 0.47, 0.8)
_TOP, _BOTTOM = (0.5, 0.25, 0.8, 0.47), (0.5, 0.75, 0.8, 0.47)
PLACES: Mapping[int, tuple[Box, ...]] = {
    2: (_LEFT, _RIGHT),
    3: ((0.5, 0.25, 0.47, 0.47), (0.25, 0.75, 0.47, 0.47), (0.75, 0.75, 0.47, 0.47)),
    4: tuple((x, y, 0.47, 0.47) for y in (0.25, 0.75) for x in (0.25, 0.75)),
}
RELATIONS: Mapping[str, tuple[Box, Box]] = {
    "above": (_TOP, _BOTTOM),
    "below": (_BOTTOM, _TOP),
    "to the left of": (_LEFT, _RIGHT),
    "to the right of": (_RIGHT, _LEFT),
    "next to": (_LEFT, _RIGHT),
}
IN_BACKDROP: Box = (0.5, 0.58, 0.62, 0.62)  # where a subject stands in one, if nothing else is said
_SMALLEST = 0.78  # of its usual side: what a subject that wanders is drawn at, at least


@dataclass(frozen=True)
class Part:
    """One drawing of a scene: whose, the box that it fills, and whether it is mirrored.

    Without a box it is laid down with its margins: on the whole picture, or on the square ``at``
    (left, top and side in pixels).
    """

    code: str
    box: Box | None = None
    mirrored: bool = False
    at: tuple[int, int, int] | None = None

    def on(self, canvas: Floats, picture: Picture) -> Floats:
        """The canvas (S, S, 3) with this part's drawing (S, S, 4) on it."""
        canvas = canvas.copy()
        if self.mirrored:
            picture = np.ascontiguousarray(picture[:, ::-1])
        if self.box is not None:
            place(canvas, picture, self.box)
        elif self.at is not None:
            lay(canvas, picture, *self.at)
        else:
            canvas = over(picture, canvas)
        return canvas


def wandered(part: Part, whole: int, share: float, rng: np.random.Generator) -> Part:
    """Somewhat smaller, wherever it has room, in this share of cases; ``whole`` is in pixels."""
    side = round(whole * (_SMALLEST + (1 - _SMALLEST) * rng.random()))
    left, top = (int(rng.random() * (whole - side + 1)) for _ in range(2))
    return replace(part, at=(left, top, side)) if rng.random() < share else part


def in_backdrop(rng: np.random.Generator, *, floor: bool) -> Box:
    """A box half to three quarters as wide as a backdrop: low on its floor, else in the middle."""
    wide, x = 0.5 + 0.24 * rng.random(), 0.5 + 0.16 * (rng.random() - 0.5)
    swing = rng.random()
    y = 0.84 + 0.1 * swing - wide / 2 if floor else 0.45 + 0.1 * swing
    return (x, y, wide, wide)
