"""Draws training pictures: number in, picture and the facts about it out.

The packed file's drawings are laid on grounds, repeated, put beside one another and restyled.
Example `index` is a pure function of the configuration and `index`, the same on any machine; what
`holdout.json` holds back is never drawn. S is the side of a picture in pixels.
"""

from __future__ import annotations

import io
import json
import zipfile
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sfumato.train.captions import COLOURLESS, Facts, Subject, focus_subjects
from sfumato.train.grammar import has_colour, with_article
from sfumato.train.sources import SourcesError
from sfumato.train.stylize import (
    DERIVED,
    Box,
    Picture,
    inverted_lines,
    may_recolour,
    over,
    place,
    raggedness,
    recolour,
    rim,
    targets,
    tint,
)

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
_CLEAR = 60.0  # distance in RGB that a drawing keeps from its ground
_DARK = 96.0  # luminance below which black lines turn white
_COLOURED = ("3d", "gradient", "flat", "cartoon", "blob", "sticker", "soft")
_FRUIT_ORANGE = "1f34a"  # "an orange" names a thing, not a colour
_BLACK = ("line art", "silhouette")
_HELD_NAMES: Mapping[str, str] = {
    "fluent-3d": "3d",
    "fluent-emoji": "gradient",
    "fluent-emoji-flat": "flat",
    "fluent-emoji-high-contrast": "line art",
    "noto": "cartoon",
    "noto-v1": "blob",
    "twemoji": "sticker",
    "emojione": "soft",
}
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

Cell = tuple[str, str]  # code point, style


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
# Kinds whose outline says nothing; of the others, those that are more than a disc or a box.
_NO_SILHOUETTE = ("face-", "cat-face", "heart")
_PLAIN_SHAPE = 1.27  # perimeter squared over 4 pi area: 1 for a disc


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


def held_cells() -> tuple[frozenset[Cell], frozenset[str]]:
    """The (code point, style) cells and the whole subjects that are never trained on."""
    text = resources.files("sfumato.train").joinpath("data/holdout.json").read_text("utf-8")
    table = json.loads(text)
    cells = frozenset((code, _HELD_NAMES[unit]) for unit, code in table["held_images"])
    return cells, frozenset(table["zero_shot_subjects"])


def _subjects(index: Mapping[str, Any], config: SceneConfig) -> dict[str, Subject]:
    """The subjects to draw, in an order that does not depend on the file's."""
    focus = focus_subjects()
    _, held = held_cells()
    subjects: dict[str, Subject] = {}
    codes = focus if config.focus else sorted(index)
    if config.everything:
        codes = [*codes, *(code for code in sorted(held) if code not in codes)]
    for code in codes:
        if (code in held and not config.everything) or code not in index:
            continue
        entry, told = index[code], focus.get(code)
        if told is not None:
            words, weight, colour = told.words, told.weight, told.colour
            wider, kinds = told.wider, told.kinds
        else:
            # A keyword may be a verb or a sign ("diving", "4"): not a name of the thing.
            names = [n for n in entry["synonyms"] if n.isalpha() and not n.endswith("ing")]
            words = tuple(with_article(n) for n in (entry["label"].lower(), *names))
            # A quarter of all subjects are people, many of them near-twins.
            weight, colour = 0.35 if entry["group"] == "people-body" else 1.0, None
            wider = kinds = ()
        subjects[code] = Subject(code, words, weight, entry["subgroup"], colour, wider, kinds)
    return subjects


def _luminance(rgb: tuple[int, int, int]) -> float:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def _weighted(options: Sequence[str], weights: Sequence[float], u: float) -> str:
    """The option that u in [0, 1) falls on."""
    ends = list(accumulate(weights))
    return options[min(bisect_right(ends, u * ends[-1]), len(options) - 1)]


def _decode(data: bytes, size: int) -> Picture:
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


class Scenes:
    """The drawings in memory, and the examples made of them."""

    def __init__(self, pack: Path, config: SceneConfig | None = None) -> None:
        """Decode the drawings that `config` needs. Raises SourcesError if `pack` is not ours."""
        self.config = SceneConfig() if config is None else config
        self._held = frozenset[Cell]() if self.config.everything else held_cells()[0]
        self._wanted = dict(self.config.styles)
        if not pack.exists():
            raise SourcesError(f"There are no training pictures at {pack}; build the file first.")
        with zipfile.ZipFile(pack) as archive:
            index = json.loads(archive.read("index.json"))["subjects"]
            subjects = _subjects(index, self.config)
            self._cells = self._read(archive, index, subjects)
        self._made: dict[Cell, Picture] = {}  # derived looks, made when first drawn
        self._styles = {code: self._styles_of(subject) for code, subject in subjects.items()}
        self.subjects = {code: s for code, s in subjects.items() if self._styles[code]}
        if not self.subjects:
            raise SourcesError(f"{pack} has none of the wanted subjects; build it again.")
        self._codes = list(self.subjects)
        self._weights = [s.weight**self.config.emphasis for s in self.subjects.values()]
        self._tints = {c: tint(p) for c, p in self._cells.items() if c[1] in _COLOURED}
        self._rims = {cell: rim(picture) for cell, picture in self._cells.items()}
        self._turn = min(0.5, self.config.recolour / max(self._recolourable_share(), 1e-6))

    def __len__(self) -> int:
        """How many (subject, style) cells can be drawn."""
        return sum(len(styles) for styles in self._styles.values())

    def _read(
        self, archive: zipfile.ZipFile, index: Mapping[str, Any], subjects: Mapping[str, Subject]
    ) -> dict[Cell, Picture]:
        needed = {style for style, weight in self._wanted.items() if weight > 0}
        for style in needed & set(DERIVED):
            needed |= set(DERIVED[style].made_from)
        return {
            (code, style): _decode(archive.read(f"{style}/{code}.webp"), self.config.size)
            for code in subjects
            for style in index[code]["styles"]
            if style in needed
        }

    def _source(self, code: str, style: str) -> str | None:
        """The style of the drawing that a look is made from; None if there is none to use."""
        options = DERIVED[style].made_from if style in DERIVED else (style,)
        free = (s for s in options if (code, s) in self._cells and (code, s) not in self._held)
        return next(free, None)

    def _styles_of(self, subject: Subject) -> list[str]:
        return [
            style
            for style, weight in self._wanted.items()
            if weight > 0
            and self._source(subject.code, style) is not None
            and self._tells(subject, style)
        ]

    def _tells(self, subject: Subject, style: str) -> bool:
        """Whether the subject can be known, and its label be true, in a look without colour."""
        named = has_colour(subject.words[0]) and "black" not in subject.words[0].split()
        if style in COLOURLESS and named and subject.code != _FRUIT_ORANGE:
            return False
        if style != "silhouette":
            return True
        source = self._source(subject.code, style)
        return (
            source is not None
            and not subject.kind.startswith(_NO_SILHOUETTE)
            and raggedness(self._cells[(subject.code, source)]) > _PLAIN_SHAPE
        )

    def _recolourable_share(self) -> float:
        """The share of single subjects, as drawn, whose colour can be turned."""
        share = 0.0
        for code, weight in zip(self._codes, self._weights, strict=True):
            styles = self._styles[code]
            total = sum(self._wanted[style] for style in styles)
            turned = sum(self._wanted[style] for style in styles if self._may_turn(code, style))
            share += weight * turned / total
        return share / sum(self._weights)

    def _may_turn(self, code: str, style: str) -> bool:
        return not has_colour(self.subjects[code].words[0]) and may_recolour(
            self._tints.get((code, style))
        )

    def _colour(self, code: str, style: str) -> str | None:
        if style in (*_COLOURED, "pixel art") and self.subjects[code].colour is not None:
            return self.subjects[code].colour
        source = self._source(code, style) if style == "pixel art" else style
        found = None if source is None else self._tints.get((code, source))
        return None if found is None else found.name

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
            if name != colour and all(self._clear(cell, (red, green, blue)) for cell in cells):
                return name, (red, green, blue)
        return "white", WHITE

    def _clear(self, cell: Cell, rgb: tuple[int, int, int]) -> bool:
        code, style = cell
        if style in _BLACK:  # black or white, whichever is farther
            return True
        source = self._source(code, style)
        if source is None:
            return False
        far = (
            np.linalg.norm(self._rims[(code, source)] - np.asarray(rgb, np.float32), axis=1)
            > _CLEAR
        )
        return bool(far.mean() > 0.6)

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
        found = self._tints.get((code, style))
        if found is not None and self._may_turn(code, style) and rng.random() < self._turn:
            others = targets(found)
            facts = replace(facts, colour=others[int(rng.random() * len(others))], recoloured=True)
        return self._finish(facts, ((code, box),), rng)

    def _finish(
        self, facts: Facts, parts: tuple[tuple[str, Box | None], ...], rng: np.random.Generator
    ) -> _Plan:
        """Choose the ground and note the colour."""
        style = facts.style
        if not facts.recoloured and facts.relation is None:
            facts = replace(facts, colour=self._colour(facts.subject, style))
        if style in DERIVED and DERIVED[style].own_ground:
            return _Plan(replace(facts, background=None), WHITE, parts)
        name, rgb = "white", WHITE
        if rng.random() < self.config.ground:
            cells = [(code, style) for code, _ in parts]
            name, rgb = self._ground(cells, facts.colour, rng)
        return _Plan(replace(facts, background=name), rgb, parts)

    def _drawing(self, code: str, style: str) -> Picture:
        if style not in DERIVED:
            return self._cells[(code, style)]
        if (code, style) not in self._made:
            source = self._source(code, style)
            if source is None:
                raise ValueError(f"no drawing of {code} may be used for {style}")
            self._made[(code, style)] = DERIVED[style].make(self._cells[(code, source)])
        return self._made[(code, style)]

    def _paint(self, plan: _Plan) -> Picture:
        side, facts = self.config.size, plan.facts
        canvas = np.empty((side, side, 3), np.float32)
        canvas[:] = plan.rgb
        for code, box in plan.parts:
            picture = self._drawing(code, facts.style)
            found = self._tints.get((code, facts.style))
            if facts.recoloured and found is not None and facts.colour is not None:
                picture = recolour(picture, found, facts.colour)
            if facts.style in _BLACK and _luminance(plan.rgb) < _DARK:
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
        return self._source(code, style)

    def told(self, code: str, style: str) -> Facts:
        """What may be said of a cell alone on white, or on the ground that the style brings."""
        own = style in DERIVED and DERIVED[style].own_ground
        return Facts(code, style, None if own else "white", self._colour(code, style))

    def colours(self, code: str, style: str) -> list[str]:
        """The colours that a cell's drawing can be turned to; none where that would not be true."""
        found = self._tints.get((code, style))
        return targets(found) if found is not None and self._may_turn(code, style) else []

    def grounds(self, facts: Facts) -> list[str]:
        """The named colours that a single subject stands out from."""
        if facts.background is None:
            return []
        cell = (facts.subject, facts.style)
        return [
            name for name, rgb in GROUNDS.items() if name != facts.colour and self._clear(cell, rgb)
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
        made = DERIVED[look].make(self._cells[(facts.subject, facts.style)])
        return np.clip(np.round(over(made, WHITE)), 0, 255).astype(np.uint8)

    def seen(self) -> list[Example]:
        """Every cell that may be trained on, once, plain."""
        return [self.cell(code, style) for code, style in self.cells()]

    def held_out(self) -> list[Example]:
        """The cells of these subjects that are held back, plain: never drawn by `draw`."""
        return [self.cell(code, style) for code, style in self.held_back()]

    def held_back(self) -> list[Cell]:
        """The cells of these subjects, in the styles that are drawn, which `draw` never draws."""
        return [c for c in self._cells if c in self._held and self._wanted.get(c[1], 0) > 0]
