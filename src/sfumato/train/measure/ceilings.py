"""What the judges make of real drawings that they never saw: as drawn, and after an autoencoder.

A model paints through its autoencoder: what that loses of a drawing, the model cannot show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sfumato.train.measure.asks import Ask
from sfumato.train.measure.features import Eye
from sfumato.train.measure.hands import FOLDS
from sfumato.train.measure.judges import Judges
from sfumato.train.measure.reals import Real, Reals
from sfumato.train.measure.rows import Told
from sfumato.train.measure.verdicts import Verdict, verdicts
from sfumato.train.stylize import Picture

__all__ = ["Through", "unseen"]

Through = Callable[[Picture], Picture]  # pictures (N, S, S, 3), encoded and decoded again
# Of how many asks of a group the real drawings are judged. What is asked in other words is drawn as
# what is asked by its label.
_COUNTS: Mapping[str, int] = {
    "seen": 300,
    "ground": 112,
    "backdrop": 90,
    "held cells": 72,
    "held subjects": 48,
    "label": 133,
    "count": 150,
    "relation": 120,
    "colour": 150,
}


def unseen(
    asked: Mapping[str, Sequence[Ask]],
    reals: Reals,
    judges: Judges,
    eye: Eye,
    through: Through,
    portion: float,
) -> tuple[Told, Told]:
    """Verdicts on the drawings of some asks, as drawn and after ``through``.

    Each is judged by those who never saw that drawing, in any look. Of pairs are judged those whose
    two drawings were kept from the same judges.
    """
    some: list[tuple[Ask, Real]] = []
    for group, count in _COUNTS.items():
        drawn = [(ask, reals.asked(ask.facts)) for ask in asked[group]]
        usable = [(ask, real) for ask, real in drawn if reals.together(ask.facts)]
        some += usable[: max(5, round(count * portion))]
    plain: dict[int, Verdict] = {}
    after: dict[int, Verdict] = {}
    for fold in range(FOLDS):
        own = [i for i, (_, real) in enumerate(some) if real.fold == fold]
        if not own:
            continue
        facts = [some[i][0].facts for i in own]
        pictures = np.stack([reals.draw(some[i][1]) for i in own])
        panel = judges.without[fold]
        for found, shown in ((plain, pictures), (after, through(pictures))):
            told = verdicts(facts, shown, eye.look(shown), eye, panel)
            found.update(zip(own, told, strict=True))
    first, second = ([(some[i][0], found[i]) for i in sorted(found)] for found in (plain, after))
    return _otherwise(first), _otherwise(second)


def _otherwise(told: Told) -> Told:
    """The verdicts, and those of labels once more for the same pictures in other words."""
    return [
        *told,
        *((replace(a, group="paraphrase"), verdict) for a, verdict in told if a.group == "label"),
    ]
