"""Draws training pictures: number in, picture and the facts about it out.

The packed file's drawings are laid on grounds, repeated, put beside one another and restyled.
Example `index` is a pure function of the configuration and `index`, the same on any machine; what
`holdout.json` holds back is never drawn. S is the side of a picture in pixels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from sfumato.train.ahead import Ahead
from sfumato.train.backdrops import BACKDROPS
from sfumato.train.captions import Facts
from sfumato.train.drawings import BLACK, Cell, Choice, Drawings, may_be_mirrored
from sfumato.train.layout import (
    IN_BACKDROP,
    PLACES,
    RELATIONS,
    Part,
    in_backdrop,
    wandered,
)
from sfumato.train.stylize import (
    DERIVED,
    Box,
    Picture,
    inverted_lines,
    over,
    recolour,
    targets,
)

__all__ = ["GROUNDS", "WHITE", "Example", "SceneConfig", "Scenes", "drawn"]

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
_AT_ONCE = 256  # scenes that are drawn together
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


@dataclass(frozen=True)
class SceneConfig:
    """What is drawn how often; probabilities are of all examples unless said otherwise."""

    seed: int = 0
    size: int = 128  # side of the pictures, at most 128
    focus: bool = True  # only the focus list, else all that are listed
    emphasis: float = 1.0  # power of the subjects' weights: above 1, more of what is asked for most
    styles: tuple[tuple[str, float], ...] = _STYLE_WEIGHTS
    counts: float = 0.04  # two to four copies
    relations: float = 0.04  # two subjects
    ground: float = 0.40  # of pictures whose style leaves the ground free: a colour, else white
    recolour: float = 0.04  # of single subjects
    small: float = 0.03  # of single subjects
    big: float = 0.015  # of single subjects
    mirror: float = 0.0  # of drawings that are as true the other way round
    backdrop: float = 0.0  # of single subjects of no said size, in a drawn look with colours
    wander: float = 0.0  # of single subjects of no said size: somewhat smaller, not in the middle
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
    parts: tuple[Part, ...]
    seed: int = 0  # of a backdrop


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
            parts = tuple(Part(code, box) for box in PLACES[count])
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
        where = list(RELATIONS)[int(rng.random() * len(RELATIONS))]
        first, second = RELATIONS[where]
        if where == "next to" and rng.random() < 0.5:
            first, second = second, first
        facts = Facts(code, style, relation=(where, other))
        return self._finish(facts, (Part(code, first), Part(other, second)), rng)

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
        part = Part(code, box)
        if style not in DERIVED and size is None and self.config.wander:
            part = wandered(part, self.config.size, self.config.wander, rng)
        drawn = style not in DERIVED and style not in BLACK
        free = drawn and size is None and not facts.recoloured  # else it may be as green as grass
        if free and self.config.backdrop and rng.random() < self.config.backdrop:
            plan = self._plan_backdrop(facts, rng)
            if plan is not None:
                return plan
        return self._finish(facts, (part,), rng)

    def _plan_backdrop(self, facts: Facts, rng: np.random.Generator) -> _Plan | None:
        """The subject in a backdrop that it stands out from: on its ground, or in its middle."""
        name = list(BACKDROPS)[int(rng.random() * len(BACKDROPS))]
        if name not in self.backdrops(facts):
            return None
        backdrop = BACKDROPS[name]
        colour = self._drawings.colour(facts.subject, facts.style)
        facts = replace(facts, background=name, colour=colour)
        part = self._mirrored(Part(facts.subject, in_backdrop(rng, floor=backdrop.floor)), rng)
        return _Plan(facts, WHITE, (part,), int(rng.integers(2**31)))

    def _mirrored(self, part: Part, rng: np.random.Generator) -> Part:
        if not self.config.mirror or not may_be_mirrored(self.subjects[part.code]):
            return part
        return replace(part, mirrored=rng.random() < self.config.mirror)

    def _finish(self, facts: Facts, parts: tuple[Part, ...], rng: np.random.Generator) -> _Plan:
        """Choose the ground and which way each drawing looks, and note the colour."""
        style = facts.style
        parts = tuple(self._mirrored(part, rng) for part in parts)
        if not facts.recoloured and facts.relation is None:
            facts = replace(facts, colour=self._drawings.colour(facts.subject, style))
        if style in DERIVED and DERIVED[style].own_ground:
            return _Plan(replace(facts, background=None), WHITE, parts)
        name, rgb = "white", WHITE
        if rng.random() < self.config.ground:
            cells = [(part.code, style) for part in parts]
            name, rgb = self._ground(cells, facts.colour, rng)
        return _Plan(replace(facts, background=name), rgb, parts)

    def _paint(self, plan: _Plan) -> Picture:
        side, facts = self.config.size, plan.facts
        canvas = np.empty((side, side, 3), np.float32)
        canvas[:] = plan.rgb
        backdrop = BACKDROPS.get(facts.background or "")
        if backdrop is not None:
            canvas = backdrop.paint(side, np.random.default_rng(plan.seed))
        for part in plan.parts:
            picture = self._drawings.picture(part.code, facts.style)
            found = self._drawings.tint(part.code, facts.style)
            if facts.recoloured and found is not None and facts.colour is not None:
                picture = recolour(picture, found, facts.colour)
            if facts.style in BLACK and _luminance(plan.rgb) < _DARK:
                picture = inverted_lines(picture)
            canvas = part.on(canvas, picture)
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

    def backdrops(self, facts: Facts) -> list[str]:
        """The backdrops that a single subject stands out from."""
        cell = (facts.subject, facts.style)
        if facts.style in DERIVED or facts.style in BLACK:
            return []
        return [
            name
            for name, backdrop in BACKDROPS.items()
            if all(self._drawings.stands_out(cell, colour) for colour in backdrop.colours)
        ]

    def show(self, facts: Facts, box: Box | None = None, seed: int = 0) -> Example:
        """The picture of which the facts are true; ``box`` is where a single subject stands.

        ``seed`` is that of its backdrop.
        """
        if box is None and facts.background in BACKDROPS:
            box = IN_BACKDROP
        parts: tuple[Part, ...] = (Part(facts.subject, box),)
        if facts.relation is not None:
            where, other = facts.relation
            first, second = RELATIONS[where]
            parts = (Part(facts.subject, first), Part(other, second))
        elif facts.count > 1:
            parts = tuple(Part(facts.subject, place) for place in PLACES[facts.count])
        rgb = GROUNDS.get(facts.background or "white", WHITE)
        return Example(self._paint(_Plan(facts, rgb, parts, seed)), facts)

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


def drawn(
    scenes: Scenes, count: int, workers: int = 0
) -> Iterator[tuple[Picture, tuple[Facts, ...]]]:
    """The first scenes, some hundreds at a time: pictures (N, S, S, 3) and the facts of each.

    So many ``workers`` processes draw them ahead.
    """

    def some(number: int) -> tuple[Picture, tuple[Facts, ...]]:
        first = _AT_ONCE * number
        examples = [scenes.draw(i) for i in range(first, min(first + _AT_ONCE, count))]
        return np.stack([e.picture for e in examples]), tuple(e.facts for e in examples)

    parts = -(-count // _AT_ONCE)
    with closing(Ahead(some, workers, last=parts - 1)) as ahead:
        for number in range(parts):
            yield ahead(number)
