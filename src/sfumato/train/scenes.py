"""Draws training pictures: number in, picture and the facts about it out.

The packed file's drawings are laid on grounds, repeated, put beside one another and restyled.
Example `index` is a pure function of the configuration and `index`, the same on any machine; what
`holdout.json` holds back is never drawn. S is the side of a picture in pixels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from sfumato.train.captions import Facts
from sfumato.train.drawings import BLACK, Cell, Choice, Drawings
from sfumato.train.stylize import (
    DERIVED,
    Box,
    Picture,
    inverted_lines,
    over,
    place,
    recolour,
    targets,
)

__all__ = ["GROUNDS", "WHITE", "Example", "SceneConfig", "Scenes"]

GROUNDS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (243, 146, 55),
    "yellow": (250, 214, 80),
    "green": (76, 168, 88),
    "teal": (24, 140, 140),
    "light blue": (150, 205, 240),
    "blue": (45, 100, 205),
    "navy": (24, 36, 92),
    "purple": (128, 70, 180),
    "pink": (246, 160, 196),
    "brown": (122, 82, 52),
    "grey": (150, 152, 156),
    "black": (16, 16, 18),
    "beige": (236, 220, 190),
}
WHITE = (255, 255, 255)
_JITTER = 7  # each way, of 255, in every channel of a coloured ground
_DARK = 96.0  # luminance below which black lines turn white
_STYLE_WEIGHTS = (
    ("3d", 0.24),
    ("flat", 0.17),
    ("cartoon", 0.17),
    ("line art", 0.15),
    ("sticker", 0.12),
    ("pixel art", 0.03),
    ("blueprint", 0.03),
    ("neon", 0.03),
    ("pencil sketch", 0.03),
    ("silhouette", 0.03),
)

# Where two, three or four stand: each fills its half or quarter, whose middle is a latent's corner,
# so that a half-size drawing is the same latents in every such place.
_LEFT, _RIGHT = (0.25, 0.5, 0.47, 0.8), (0.75, 0.5, 0.47, 0.8)
_TOP, _BOTTOM = (0.5, 0.25, 0.8, 0.47), (0.5, 0.75, 0.8, 0.47)
_PLACES: Mapping[int, tuple[Box, ...]] = {
    2: (_LEFT, _RIGHT),
    3: ((0.5, 0.25, 0.47, 0.47), (0.25, 0.75, 0.47, 0.47), (0.75, 0.75, 0.47, 0.47)),
    4: tuple((x, y, 0.47, 0.47) for y in (0.25, 0.75) for x in (0.25, 0.75)),
}
_RELATIONS: Mapping[str, tuple[Box, Box]] = {
    "above": (_TOP, _BOTTOM),
    "below": (_BOTTOM, _TOP),
    "to the left of": (_LEFT, _RIGHT),
    "to the right of": (_RIGHT, _LEFT),
    "next to": (_LEFT, _RIGHT),
}


@dataclass(frozen=True)
class SceneConfig:
    """What is drawn how often; probabilities are of all examples unless said otherwise."""

    seed: int = 0
    size: int = 128  # side of the pictures, at most 128
    focus: bool = True  # only the focus list, else every subject in the file
    emphasis: float = 1.0  # power of the subjects' weights: above 1, more of what is asked for most
    styles: tuple[tuple[str, float], ...] = _STYLE_WEIGHTS
    counts: float = 0.04  # two to four copies
    relations: float = 0.04  # two subjects
    ground: float = 0.40  # of pictures whose style leaves the ground free: a colour, else white
    recolour: float = 0.04  # of single subjects
    small: float = 0.03  # of single subjects
    big: float = 0.015  # of single subjects
    everything: bool = False  # for judges alone: what is held out is drawn too


@dataclass(frozen=True)
class Example:
    """A picture, (S, S, 3) uint8 sRGB, and what may be said about it."""

    picture: Picture
    facts: Facts


@dataclass(frozen=True)
class _Plan:
    """All choices of one example: what is enough to paint it."""

    facts: Facts
    rgb: tuple[int, int, int]
    parts: tuple[tuple[str, Box | None], ...]  # code and where; None fills the picture


def _luminance(rgb: tuple[int, int, int]) -> float:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def _weighted(options: Sequence[str], weights: Sequence[float], u: float) -> str:
    """The option that u in [0, 1) falls on."""
    ends = list(accumulate(weights))
    return options[min(bisect_right(ends, u * ends[-1]), len(options) - 1)]


class Scenes:
    """The drawings in memory, and the examples made of them."""

    def __init__(self, pack: Path, config: SceneConfig | None = None) -> None:
        """Decode the drawings that `config` needs. Raises SourcesError if `pack` is not ours."""
        self.config = SceneConfig() if config is None else config
        self._wanted = {style: w for style, w in self.config.styles if w > 0}
        c = self.config
        self._drawings = Drawings(pack, Choice(c.size, tuple(self._wanted), c.focus, c.everything))
        self.subjects = self._drawings.subjects
        self._styles = self._drawings.looks
        self._codes = list(self.subjects)
        self._weights = [s.weight**self.config.emphasis for s in self.subjects.values()]
        self._turn = min(0.5, self.config.recolour / max(self._recolourable_share(), 1e-6))

    def __len__(self) -> int:
        """How many (subject, style) cells can be drawn."""
        return sum(len(styles) for styles in self._styles.values())

    def _recolourable_share(self) -> float:
        """The share of single subjects, as drawn, whose colour can be turned."""
        share = 0.0
        for code, weight in zip(self._codes, self._weights, strict=True):
            styles = self._styles[code]
            total = sum(self._wanted[style] for style in styles)
            turned = sum(self._wanted[s] for s in styles if self._drawings.turnable(code, s))
            share += weight * turned / total
        return share / sum(self._weights)

    def _ground(
        self, cells: Sequence[Cell], colour: str | None, rng: np.random.Generator
    ) -> tuple[str, tuple[int, int, int]]:
        """A named colour that the drawings stand out from, a little varied; white if none does."""
        names = list(GROUNDS)
        for _ in range(6):
            name = names[int(rng.random() * len(names))]
            shift = [round((2 * rng.random() - 1) * _JITTER) for _ in range(3)]
            red, green, blue = (
                min(255, max(0, c + d)) for c, d in zip(GROUNDS[name], shift, strict=True)
            )
            if name != colour and all(
                self._drawings.stands_out(cell, (red, green, blue)) for cell in cells
            ):
                return name, (red, green, blue)
        return "white", WHITE

    def _plan(self, index: int) -> _Plan:
        rng = np.random.default_rng([self.config.seed, index])
        kind = rng.random()
        code = _weighted(self._codes, self._weights, rng.random())
        if kind < self.config.relations:
            plan = self._plan_relation(code, rng)
            if plan is not None:
                return plan
        styles = self._styles[code]
        several = kind < self.config.relations + self.config.counts
        whole = [style for style in styles if style not in DERIVED]
        if several and kind >= self.config.relations and self.subjects[code].countable and whole:
            count = 2 + int(rng.random() * 3)
            style = self._choose_style(whole, rng)
            parts = tuple((code, box) for box in _PLACES[count])
            return self._finish(Facts(code, style, count=count), parts, rng)
        return self._plan_single(code, self._choose_style(styles, rng), rng)

    def _choose_style(self, styles: Sequence[str], rng: np.random.Generator) -> str:
        return _weighted(styles, [self._wanted[style] for style in styles], rng.random())

    def _plan_relation(self, code: str, rng: np.random.Generator) -> _Plan | None:
        other = _weighted(self._codes, self._weights, rng.random())
        both = [s for s in self._styles[code] if s in self._styles[other] and s not in DERIVED]
        if other == code or not both:
            return None
        style = self._choose_style(both, rng)
        where = list(_RELATIONS)[int(rng.random() * len(_RELATIONS))]
        first, second = _RELATIONS[where]
        if where == "next to" and rng.random() < 0.5:
            first, second = second, first
        facts = Facts(code, style, relation=(where, other))
        return self._finish(facts, ((code, first), (other, second)), rng)

    def _plan_single(self, code: str, style: str, rng: np.random.Generator) -> _Plan:
        size, box, u = None, None, rng.random()
        if style not in DERIVED and u < self.config.small:
            size, box = "small", (0.5, 0.5, 0.46, 0.46)
        elif style not in DERIVED and u < self.config.small + self.config.big:
            size, box = "big", (0.5, 0.5, 0.96, 0.96)
        facts = Facts(code, style, size=size)
        found = self._drawings.turnable(code, style)
        if found is not None and rng.random() < self._turn:
            others = targets(found)
            facts = replace(facts, colour=others[int(rng.random() * len(others))], recoloured=True)
        return self._finish(facts, ((code, box),), rng)

    def _finish(
        self, facts: Facts, parts: tuple[tuple[str, Box | None], ...], rng: np.random.Generator
    ) -> _Plan:
        """Choose the ground and note the colour."""
        style = facts.style
        if not facts.recoloured and facts.relation is None:
            facts = replace(facts, colour=self._drawings.colour(facts.subject, style))
        if style in DERIVED and DERIVED[style].own_ground:
            return _Plan(replace(facts, background=None), WHITE, parts)
        name, rgb = "white", WHITE
        if rng.random() < self.config.ground:
            cells = [(code, style) for code, _ in parts]
            name, rgb = self._ground(cells, facts.colour, rng)
        return _Plan(replace(facts, background=name), rgb, parts)

    def _paint(self, plan: _Plan) -> Picture:
        side, facts = self.config.size, plan.facts
        canvas = np.empty((side, side, 3), np.float32)
        canvas[:] = plan.rgb
        for code, box in plan.parts:
            picture = self._drawings.picture(code, facts.style)
            found = self._drawings.tint(code, facts.style)
            if facts.recoloured and found is not None and facts.colour is not None:
                picture = recolour(picture, found, facts.colour)
            if facts.style in BLACK and _luminance(plan.rgb) < _DARK:
                picture = inverted_lines(picture)
            if box is None:
                canvas = over(picture, canvas)
            else:
                place(canvas, picture, box)
        return np.clip(np.round(canvas), 0, 255).astype(np.uint8)

    def facts(self, index: int) -> Facts:
        """What example `index` shows, without painting it."""
        return self._plan(index).facts

    def draw(self, index: int) -> Example:
        """Example `index`: the same for the same configuration, in any order, on any machine."""
        plan = self._plan(index)
        return Example(self._paint(plan), plan.facts)

    def cell(self, code: str, style: str) -> Example:
        """One subject in one style, alone, on white (or on the ground that the style brings)."""
        return self.show(self.told(code, style))

    def cells(self) -> list[Cell]:
        """Every (code point, style) that `draw` may draw."""
        return [(code, style) for code in self._codes for style in self._styles[code]]

    def made_from(self, code: str, style: str) -> str | None:
        """The style of the drawing that a cell's picture is made from; None if it has none."""
        return self._drawings.source(code, style)

    def told(self, code: str, style: str) -> Facts:
        """What may be said of a cell alone on white, or on the ground that the style brings."""
        own = style in DERIVED and DERIVED[style].own_ground
        return Facts(code, style, None if own else "white", self._drawings.colour(code, style))

    def colours(self, code: str, style: str) -> list[str]:
        """The colours that a cell's drawing can be turned to; none where that would not be true."""
        found = self._drawings.turnable(code, style)
        return [] if found is None else targets(found)

    def grounds(self, facts: Facts) -> list[str]:
        """The named colours that a single subject stands out from."""
        if facts.background is None:
            return []
        cell = (facts.subject, facts.style)
        return [
            name
            for name, rgb in GROUNDS.items()
            if name != facts.colour and self._drawings.stands_out(cell, rgb)
        ]

    def show(self, facts: Facts, box: Box | None = None) -> Example:
        """The picture of which the facts are true; ``box`` is where a single subject stands."""
        parts: tuple[tuple[str, Box | None], ...] = ((facts.subject, box),)
        if facts.relation is not None:
            where, other = facts.relation
            first, second = _RELATIONS[where]
            parts = ((facts.subject, first), (other, second))
        elif facts.count > 1:
            parts = tuple((facts.subject, place) for place in _PLACES[facts.count])
        rgb = GROUNDS.get(facts.background or "white", WHITE)
        return Example(self._paint(_Plan(facts, rgb, parts)), facts)

    def turned(self, facts: Facts, look: str) -> Picture:
        """A drawing on white in a look that this subject's scenes make of another drawing."""
        made = DERIVED[look].make(self._drawings.own((facts.subject, facts.style)))
        return np.clip(np.round(over(made, WHITE)), 0, 255).astype(np.uint8)

    def seen(self) -> list[Example]:
        """Every cell that may be trained on, once, plain."""
        return [self.cell(code, style) for code, style in self.cells()]

    def held_out(self) -> list[Example]:
        """The cells of these subjects that are held back, plain: never drawn by `draw`."""
        return [self.cell(code, style) for code, style in self.held_back()]

    def held_back(self) -> list[Cell]:
        """The cells of these subjects, in the styles that are drawn, which `draw` never draws."""
        return self._drawings.held_back()
