"""The drawings that scenes are made of: which there are, what may be made of them, what they show.

They are read from the packed file; what `holdout.json` holds back is never given out for training.
S is the side of a drawing in pixels.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sfumato.train.captions import (
    COLOURLESS,
    FocusEntry,
    Subject,
    focus_subjects,
    other_subjects,
)
from sfumato.train.grammar import has_colour, with_article
from sfumato.train.sources import SourcesError
from sfumato.train.stylize import DERIVED, Picture, Tint, may_recolour, raggedness, rim, tint

__all__ = ["BLACK", "Cell", "Choice", "Drawings", "held_cells", "may_be_mirrored"]

BLACK = ("line art", "silhouette")  # looks that are white on dark grounds
_CLEAR = 60.0  # distance in RGB that a drawing keeps from its ground
_COLOURED = ("3d", "gradient", "flat", "cartoon", "blob", "sticker", "soft")
_FRUIT_ORANGE = "1f34a"  # "an orange" names a thing, not a colour
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
# Kinds whose outline says nothing; of the others, those that are more than a disc or a box.
_NO_SILHOUETTE = ("face-", "cat-face", "heart")
_PLAIN_SHAPE = 1.27  # perimeter squared over 4 pi area: 1 for a disc

# Kinds that are as true the other way round, and those among them that bear letters.
_EITHER_WAY = (
    *("animal-", "plant-", "food-", "drink", "dishware", "face-", "cat-face", "monkey-face"),
    *("transport-", "person", "family", "clothing", "tool", "household", "musical-instrument"),
    *("sport", "science", "light-video", "lock", "place-other", "place-geographic", "event"),
)
_ONE_WAY = frozenset(
    (
        *("1f376", "1f39f", "1f3ab", "1f3ee", "1f634", "1f911", "1f92c", "1f9e7", "1f9ec"),
        *("1f691", "1f693", "1f694", "1f695", "1f696", "1f68c", "1f68d", "1f68f", "1f6d1", "26fd"),
    )
)

Cell = tuple[str, str]  # code point, style


@dataclass(frozen=True)
class Choice:
    """Which drawings: their side, the looks, and whether of the focus list alone, else of all.

    ``everything`` takes what is held out as well, for judges alone.
    """

    size: int
    looks: tuple[str, ...]
    focus: bool
    everything: bool


def may_be_mirrored(subject: Subject) -> bool:
    """Whether a drawing of it is as true when left and right are exchanged."""
    turned = any(side in subject.words[0].split() for side in ("left", "right"))
    return subject.kind.startswith(_EITHER_WAY) and subject.code not in _ONE_WAY and not turned


def held_cells() -> tuple[frozenset[Cell], frozenset[str]]:
    """The (code point, style) cells and the whole subjects that are never trained on."""
    text = resources.files("sfumato.train").joinpath("data/holdout.json").read_text("utf-8")
    table = json.loads(text)
    cells = frozenset((code, _HELD_NAMES[unit]) for unit, code in table["held_images"])
    return cells, frozenset(table["zero_shot_subjects"])


def _subjects(index: Mapping[str, Any], choice: Choice) -> dict[str, Subject]:
    """The subjects to draw, in an order that does not depend on the file's."""
    listed = focus_subjects()
    _, held = held_cells()
    codes = list(listed)
    if not choice.focus:
        listed |= other_subjects()
        codes = sorted(listed)
    if choice.everything:
        codes = [*codes, *(code for code in sorted(held) if code not in codes)]
    subjects: dict[str, Subject] = {}
    for code in codes:
        if (code in held and not choice.everything) or code not in index:
            continue
        entry, told = index[code], listed.get(code)
        if told is None:  # held out whole: for judges alone, who need no further names
            told = FocusEntry((with_article(entry["label"].lower()),), 1.0, None, (), ())
        subjects[code] = Subject(
            *(code, told.words, told.weight, entry["subgroup"], told.colour),
            *(told.wider, told.kinds),
        )
    return subjects


def _decode(data: bytes, size: int) -> Picture:
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


class Drawings:
    """The drawings in memory, by code point and look; derived looks are made when first asked for.

    ``subjects`` are those with a look to be drawn in, ``looks`` those of each.
    """

    def __init__(self, pack: Path, choice: Choice) -> None:
        """Decode what the choice needs. Raises SourcesError if `pack` is not ours."""
        self._held = frozenset[Cell]() if choice.everything else held_cells()[0]
        self._wanted = frozenset(choice.looks)
        if not pack.exists():
            raise SourcesError(f"There are no training pictures at {pack}; build the file first.")
        with zipfile.ZipFile(pack) as archive:
            index = json.loads(archive.read("index.json"))["subjects"]
            subjects = _subjects(index, choice)
            self._own = _read(archive, index, subjects, choice)
        self._made: dict[Cell, Picture] = {}
        looks = {c: self._looks_of(s, choice.looks) for c, s in subjects.items()}
        self.looks: Mapping[str, tuple[str, ...]] = {c: some for c, some in looks.items() if some}
        self.subjects = {code: subjects[code] for code in self.looks}
        if not self.subjects:
            raise SourcesError(f"{pack} has none of the wanted subjects; build it again.")
        self._tints = {c: tint(p) for c, p in self._own.items() if c[1] in _COLOURED}
        self._rims = {cell: rim(picture) for cell, picture in self._own.items()}

    def held_back(self) -> list[Cell]:
        """The drawings in the wanted looks that are never trained on."""
        return [c for c in self._own if c in self._held and c[1] in self._wanted]

    def own(self, cell: Cell) -> Picture:
        """A drawing as it is in the file, held back or not: (S, S, 4) uint8."""
        return self._own[cell]

    def picture(self, code: str, style: str) -> Picture:
        """A drawing, or the look made of another: (S, S, 4) uint8."""
        if style not in DERIVED:
            return self._own[(code, style)]
        if (code, style) not in self._made:
            source = self.source(code, style)
            if source is None:
                raise ValueError(f"no drawing of {code} may be used for {style}")
            self._made[(code, style)] = DERIVED[style].make(self._own[(code, source)])
        return self._made[(code, style)]

    def source(self, code: str, style: str) -> str | None:
        """The style of the drawing that a look is made from; None if there is none to use."""
        options = DERIVED[style].made_from if style in DERIVED else (style,)
        free = (s for s in options if (code, s) in self._own and (code, s) not in self._held)
        return next(free, None)

    def tint(self, code: str, style: str) -> Tint | None:
        """The one colour of a drawing, where it has one."""
        return self._tints.get((code, style))

    def turnable(self, code: str, style: str) -> Tint | None:
        """The colour of a drawing that can be turned to another; None where that is not true."""
        found = self.tint(code, style)
        named = has_colour(self.subjects[code].words[0])
        return found if not named and may_recolour(found) else None

    def colour(self, code: str, style: str) -> str | None:
        """The colour that may be said of a subject in a style."""
        if style in (*_COLOURED, "pixel art") and self.subjects[code].colour is not None:
            return self.subjects[code].colour
        source = self.source(code, style) if style == "pixel art" else style
        found = None if source is None else self.tint(code, source)
        return None if found is None else found.name

    def stands_out(self, cell: Cell, rgb: tuple[int, int, int]) -> bool:
        """Whether a drawing is seen on a ground of this colour."""
        code, style = cell
        if style in BLACK:  # black or white, whichever is farther
            return True
        source = self.source(code, style)
        if source is None:
            return False
        ground = np.asarray(rgb, np.float32)
        far = np.linalg.norm(self._rims[(code, source)] - ground, axis=1) > _CLEAR
        return bool(far.mean() > 0.6)

    def _looks_of(self, subject: Subject, wanted: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            style
            for style in wanted
            if self.source(subject.code, style) is not None and self._tells(subject, style)
        )

    def _tells(self, subject: Subject, style: str) -> bool:
        """Whether the subject can be known, and its label be true, in a look without colour."""
        named = has_colour(subject.words[0]) and "black" not in subject.words[0].split()
        if style in COLOURLESS and named and subject.code != _FRUIT_ORANGE:
            return False
        if style != "silhouette":
            return True
        source = self.source(subject.code, style)
        return (
            source is not None
            and not subject.kind.startswith(_NO_SILHOUETTE)
            and raggedness(self._own[(subject.code, source)]) > _PLAIN_SHAPE
        )


def _read(
    archive: zipfile.ZipFile,
    index: Mapping[str, Any],
    subjects: Mapping[str, Subject],
    choice: Choice,
) -> dict[Cell, Picture]:
    needed = set(choice.looks)
    for style in needed & set(DERIVED):
        needed |= set(DERIVED[style].made_from)
    return {
        (code, style): _decode(archive.read(f"{style}/{code}.webp"), choice.size)
        for code in subjects
        for style in index[code]["styles"]
        if style in needed
    }
