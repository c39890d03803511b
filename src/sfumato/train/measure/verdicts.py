"""What the judges say of one picture, of whatever hand: a model's, or a real drawing.

N pictures, S their side in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sfumato.train.captions import ENDS, Facts
from sfumato.train.measure.features import Eye, Looked
from sfumato.train.measure.judges import Judge, Panel
from sfumato.train.measure.reals import RELATIONS
from sfumato.train.stylize import Picture

__all__ = ["Verdict", "verdicts"]

_MIDDLES: Mapping[str, tuple[float, float]] = {  # of a place half as wide as the picture: x and y
    "top": (0.5, 0.25),
    "bottom": (0.5, 0.75),
    "left": (0.25, 0.5),
    "right": (0.75, 0.5),
    "corner": (0.25, 0.25),
}
_FIRST: Mapping[int, str] = {2: "left", 3: "top", 4: "corner"}  # of so many, where one stands


@dataclass(frozen=True)
class Verdict:
    """What the judges make of a picture; the rank of a right answer is 1."""

    subject: int  # the rank of the subject that was asked for
    style: str
    background: str
    colour: str
    count: str
    one: int | None = None  # of several: the rank of the subject where one of them must stand
    relation: str | None = None  # of two subjects: how they stand
    both: int | None = None  # of two subjects: the worse of their ranks, each in its place


def verdicts(
    some: Sequence[Facts], pictures: Picture, looked: Looked, eye: Eye, panel: Panel
) -> list[Verdict]:
    """A verdict on each of the pictures (N, S, S, 3), which ``eye`` saw as ``looked``."""
    subjects = panel.subject.place(looked.shown, [facts.subject for facts in some])
    answers = zip(
        panel.style.names_of(looked.styled),
        panel.background.names_of(looked.drawn),
        panel.colour.names_of(looked.drawn),
        panel.count.names_of(looked.places),
        strict=True,
    )
    made = [Verdict(int(i), *told) for i, told in zip(subjects, answers, strict=True)]
    several = [i for i, facts in enumerate(some) if facts.count > 1]
    for i, rank in zip(several, _ones(some, pictures, several, eye, panel.subject), strict=True):
        made[i] = replace(made[i], one=rank)
    pairs = [i for i, facts in enumerate(some) if facts.relation is not None]
    if pairs:
        told = [some[i] for i in pairs]
        for i, (relation, both) in zip(
            pairs, _placed(told, pictures[pairs], eye, panel.subject), strict=True
        ):
            made[i] = replace(made[i], relation=relation, both=both)
    return made


def _crop(pictures: Picture, place: str) -> Picture:
    """Half as wide and as high, around the middle of a place: (N, S / 2, S / 2, 3)."""
    side = pictures.shape[1]
    x, y = (round((at - 0.25) * side) for at in _MIDDLES[place])
    return np.ascontiguousarray(pictures[:, y : y + side // 2, x : x + side // 2])


def _ones(
    some: Sequence[Facts], pictures: Picture, several: Sequence[int], eye: Eye, judge: Judge
) -> list[int]:
    """The ranks of the subjects of pictures of several, where one of them must stand."""
    if not several:
        return []
    crops = [_crop(pictures[i : i + 1], _FIRST[some[i].count]) for i in several]
    seen = eye.look(np.concatenate(crops)).shown
    return [int(rank) for rank in judge.place(seen, [some[i].subject for i in several])]


def _placed(
    some: Sequence[Facts], pictures: Picture, eye: Eye, judge: Judge
) -> list[tuple[str, int]]:
    """How the two subjects stand, and the worse of their ranks where they ought to.

    The judge of subjects looks at the four places where a subject may stand; of the four ways in
    which the two may stand, that one counts as painted which fits best.
    """
    scores = {
        end: judge.scores(eye.look(_crop(pictures, end)).shown)
        for end in ("top", "bottom", "left", "right")
    }
    made: list[tuple[str, int]] = []
    for i, facts in enumerate(some):
        assert facts.relation is not None
        where, other = facts.relation
        codes = judge.names.index(facts.subject), judge.names.index(other)

        def fits(way: str, i: int = i, codes: tuple[int, int] = codes) -> float:
            return sum(float(scores[end][i, c]) for end, c in zip(ENDS[way], codes, strict=True))

        ranks = [
            int((scores[end][i] >= scores[end][i, code]).sum())
            for end, code in zip(ENDS[where], codes, strict=True)
        ]
        made.append((max(RELATIONS, key=fits), max(ranks)))
    return made
