"""Real drawings as the judges learn them: every subject, look and ground, and variations of them.

What is real is the drawing; grounds, places and sizes, the looks made from drawings and what makes
them softer are laid over it by rule, as in the training's own scenes, held-out drawings included.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sfumato.train.captions import Facts
from sfumato.train.measure.features import Eye, Looked
from sfumato.train.measure.hands import HANDS, fold_of
from sfumato.train.measure.soften import soften
from sfumato.train.scenes import SceneConfig, Scenes
from sfumato.train.stylize import DERIVED, Box, Picture, outline

__all__ = ["RELATIONS", "Real", "Reals"]

RELATIONS = ("above", "below", "to the left of", "to the right of")
LINES = "lines"
_AT_ONCE = 256


@dataclass(frozen=True)
class Real:
    """A picture to be drawn: what is true of it, where its subject stands, and who drew it."""

    facts: Facts
    box: Box | None
    soft: int | None  # the number of the way in which it is softened; None: as it was drawn
    made: str | None  # the look that the drawing is turned into: what a stranger would make of it
    fold: int
    alone: bool  # plain on white, as it was drawn
    plain: bool  # as a model is asked for it: in one of its styles, as it was drawn
    style: str | None  # None where the look is no one's style
    ground: str | None  # None where the look brings its own
    seed: int = 0  # of a backdrop


class Reals:
    """The drawings of a packed file as the judges learn them, for a model of some styles."""

    def __init__(self, pack: Path, styles: Sequence[str], size: int = 128) -> None:
        """Raises SourcesError if `pack` is not ours."""
        wanted = dict.fromkeys((*HANDS, *styles), 1.0)
        config = SceneConfig(size=size, everything=True, styles=tuple(wanted.items()), emphasis=0.0)
        self.scenes = Scenes(pack, config)
        self.styles = tuple(styles)
        self._places = {code: i for i, code in enumerate(self.scenes.subjects)}
        content = hashlib.sha256(pack.read_bytes()).hexdigest()
        self.digest = f"{content} {size} {sorted(styles)}"

    def singles(self) -> list[Real]:
        """Every cell plain and, softer, plain, elsewhere with a ground, and in other colours."""
        made: list[Real] = []
        turned = [style for style in self.styles if style in DERIVED]
        for number, (code, style) in enumerate(self.scenes.cells()):
            rng = np.random.default_rng([11, number])
            facts = self.scenes.told(code, style)
            real = self._real(facts, plain=style in self.styles)
            made.append(replace(real, alone=True))
            made.append(replace(real, soft=3 * number, plain=False))
            grounds = self.scenes.grounds(facts)
            if grounds:
                facts = replace(facts, background=grounds[int(rng.random() * len(grounds))])
            wide = 0.6 + 0.36 * rng.random()
            x, y = (0.5 + (rng.random() - 0.5) * (0.98 - wide) for _ in range(2))
            box = None if style in DERIVED else (x, y, wide, wide)
            real = self._real(facts, plain=False)
            made.append(replace(real, box=box, soft=3 * number + 1))
            backdrops = self.scenes.backdrops(facts) if style in self.styles else []
            if backdrops:
                name = backdrops[number % len(backdrops)]
                real = self._real(replace(facts, background=name), plain=False)
                made.append(replace(real, seed=number))
                made.append(replace(real, box=_lower(box), seed=1 + number, soft=3 * number + 1))
            if HANDS.get(style, 0) > 0:
                real = self._real(self.scenes.told(code, style), plain=False)
                told = replace(real.facts, colour=None)
                made.append(replace(real, facts=told, made=LINES, style=None, ground=None))
                made += [
                    replace(real, facts=told, made=look, style=look, ground=None) for look in turned
                ]
            colours = self.scenes.colours(code, style)
            if colours and style in self.styles:
                colour = colours[int(rng.random() * len(colours))]
                told = replace(self.scenes.told(code, style), colour=colour, recoloured=True)
                real = self._real(told, plain=True)
                made += [real, replace(real, soft=3 * number + 2, plain=False)]
        return made

    def several(self) -> list[Real]:
        """Two to four of each subject that can be counted, each number in one drawn style."""
        made: list[Real] = []
        drawn = [style for style in self.styles if style not in DERIVED]
        cells = set(self.scenes.cells())
        for number, (code, subject) in enumerate(self.scenes.subjects.items()):
            looks = [s for s in drawn if (code, s) in cells]
            for count in (2, 3, 4) if subject.countable and looks else ():
                style = looks[(number + count) % len(looks)]
                facts = replace(self.scenes.told(code, style), count=count)
                made.append(self._real(facts, plain=True))
        return made

    def together(self, facts: Facts) -> bool:
        """Whether all drawings of a picture are of one fold: of a single subject there is one."""
        if facts.relation is None:
            return True
        first, second = facts.subject, facts.relation[1]
        return self._fold(first, facts.style) == self._fold(second, facts.style)

    def _fold(self, code: str, style: str) -> int:
        source = self.scenes.made_from(code, style)
        assert source is not None
        return fold_of(source, self._places[code])

    def asked(self, facts: Facts) -> Real:
        """The drawing of which these facts are true, as a model is asked for it."""
        return self._real(facts, plain=True)

    def _real(self, facts: Facts, *, plain: bool) -> Real:
        fold = self._fold(facts.subject, facts.style)
        style = facts.style if facts.style in self.styles else None
        return Real(facts, None, None, None, fold, False, plain, style, facts.background)

    def draw(self, real: Real) -> Picture:
        """The picture (S, S, 3)."""
        picture = self.scenes.show(real.facts, real.box, real.seed).picture
        if real.made == LINES:
            opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
            picture = outline(np.dstack([picture, opaque]))[..., :3]
        elif real.made is not None:
            picture = self.scenes.turned(real.facts, real.made)
        if real.soft is None:
            return picture
        return soften(picture, np.random.default_rng([13, real.soft]))

    def look(self, eye: Eye, reals: Sequence[Real]) -> Looked:
        """Features of the pictures, drawn some hundreds at a time."""
        parts: list[Looked] = []
        for first in range(0, len(reals), _AT_ONCE):
            drawn = [self.draw(real) for real in reals[first : first + _AT_ONCE]]
            parts.append(eye.look(np.stack(drawn)))
        return Looked.join(parts)


def _lower(box: Box | None) -> Box | None:
    """The box lower down, and not wider than subjects are in a backdrop."""
    if box is None:
        return None
    wide = 0.75 * box[2]
    return (0.5 + 0.5 * (box[0] - 0.5), 0.9 - wide / 2, wide, wide)
