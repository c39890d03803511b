"""The whole measure of a model: what it is asked, what the judges say, and how sure they are.

Every figure is a share in percent with half its 95 % interval in points, beside the judge's ceiling
on real drawings that it never saw, and chance.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sfumato.train.measure.asks import Ask, asks
from sfumato.train.measure.features import Eye, Looked
from sfumato.train.measure.figures import (
    Share,
    difference,
    frechet,
    kernel_distance,
    nearest,
    pairwise,
    share,
)
from sfumato.train.measure.judges import Judges, placed
from sfumato.train.measure.paint import Settings
from sfumato.train.scenes import Scenes
from sfumato.train.stylize import Picture

__all__ = ["Evaluation", "Painter", "Row", "evaluate"]

STEPS = 10  # of the pictures judged; the curve says what more steps bring
GUIDANCES = (1.0, 2.0, 3.0, 4.0, 6.0)
STEP_COUNTS = (4, 6, 10, 20)
_CURVE = 96  # prompts of each point of the curve
Painter = Callable[[Sequence[Ask], Settings], Picture]  # a picture for every ask


@dataclass(frozen=True)
class Row:
    """One figure: the model's, the judge's on real drawings that it did not see, and chance's."""

    name: str
    value: Share
    ceiling: Share | None
    chance: float | None  # in percent

    def as_dict(self) -> Mapping[str, object]:
        return {
            "name": self.name,
            **self.value.as_dict(),
            "ceiling": None if self.ceiling is None else round(self.ceiling.percent, 2),
            "chance": None if self.chance is None else round(self.chance, 2),
        }


@dataclass(frozen=True)
class Evaluation:
    """All figures of a model, and some of the pictures that they are of."""

    settings: Settings
    portion: float
    rows: Sequence[Row]
    fidelity: Mapping[str, float]
    memory: Sequence[Row]
    diversity: Mapping[str, float]
    curve: Sequence[Mapping[str, float]]
    seconds: Mapping[str, float]
    samples: Sequence[tuple[Ask, Picture, bool]] = field(default=(), compare=False)

    def as_json(self) -> str:
        """The report, without its pictures."""
        table: dict[str, Any] = {
            "settings": {"steps": self.settings.steps, "guidance": self.settings.guidance},
            "portion": self.portion,
            "figures": [row.as_dict() for row in self.rows],
            "memory": [row.as_dict() for row in self.memory],
            "fidelity": _rounded(self.fidelity),
            "diversity": _rounded(self.diversity),
            "curve": [_rounded(point) for point in self.curve],
            "seconds": _rounded(self.seconds),
        }
        return json.dumps(table, indent=1) + "\n"


@dataclass(frozen=True)
class _Painted:
    """The asks of all groups, what was painted for them, and what the eye saw."""

    asks: Sequence[Ask]
    pictures: Picture
    looked: Looked

    def of(self, group: str) -> list[int]:
        """The places of a group's asks."""
        return [i for i, ask in enumerate(self.asks) if ask.group == group]


def evaluate(
    painted: Painter,
    guidance: float,
    scenes: Scenes,
    everything: Scenes,
    judges: Judges,
    eye: Eye,
    *,
    portion: float = 1.0,
) -> Evaluation:
    """Asks, has it ``painted``, looks and judges; ``scenes`` are those of the model's training.

    ``everything`` are the same drawings with those held out; ``guidance`` is the model's usual one.

    ``portion`` scales how much is asked: intervals widen as its root. The same model, portion and
    machine give the same figures.
    """
    begun = time.monotonic()
    settings = Settings(STEPS, guidance)
    wanted = asks(scenes, everything, portion)
    pictures = painted(wanted, settings)
    seconds = {"painting": time.monotonic() - begun}
    found = _Painted(wanted, pictures, eye.look(pictures))
    right = judges.subject.place(found.looked.shown, _subjects(wanted, judges))
    rows = _rows(found, judges, right, eye)
    begun = time.monotonic()
    plain = [ask for ask in wanted if ask.group == "label"]
    plain = plain[: max(2, round(_CURVE * portion))]
    curve = _curve(plain, painted, judges, eye, settings)
    seconds["curve"] = time.monotonic() - begun
    return Evaluation(
        settings,
        portion,
        rows,
        _fidelity(found, judges),
        _memory(found, judges, scenes),
        _diversity(found, judges),
        curve,
        seconds,
        _samples(found, right),
    )


def _subjects(some: Sequence[Ask], judges: Judges) -> list[str]:
    missing = {ask.facts.subject for ask in some} - set(judges.subject.names)
    assert not missing, f"no judge knows {sorted(missing)}"
    return [ask.facts.subject for ask in some]


def _rows(found: _Painted, judges: Judges, right: NDArray[np.int64], eye: Eye) -> list[Row]:
    """Every figure of what was asked for."""
    rows: list[Row] = []
    ceilings, classes = judges.ceilings, len(judges.subject.names)

    def shown(name: str, group: str) -> None:
        at = found.of(group)
        strata = [found.asks[i].stratum for i in at]
        if not at:
            return
        for top, kind in ((1, "subject"), (5, "subject top 5")):
            told = f"{name}: subject, top {top}"
            rows.append(
                Row(told, share(right[at] <= top, strata), ceilings[kind], 100 * top / classes)
            )

    shown("seen cells", "seen")
    shown("held-out cells", "held cells")
    shown("held-out subjects", "held subjects")
    rows += _looks(found, judges)
    rows += _count(found, judges)
    rows += _relation(found, judges, eye)
    if not found.of("label"):
        return rows
    label, paraphrase = (right[found.of(group)] == 1 for group in ("label", "paraphrase"))
    for name, values in (("by its label", label), ("in other words", paraphrase)):
        rows.append(Row(f"subject {name}", share(values), ceilings["subject"], 100 / classes))
    rows.append(Row("other words less label", difference(paraphrase, label), None, 0.0))
    return rows


def _looks(found: _Painted, judges: Judges) -> list[Row]:
    """Style, background and colour."""
    drawn = found.looked.drawn
    rows: list[Row] = []
    for name, group in (("seen cells", "seen"), ("held-out cells", "held cells")):
        at = found.of(group)
        styles = [found.asks[i].facts.style for i in at]
        if not at:
            continue
        value = share(judges.style.place(drawn[at], styles) == 1, styles)
        chance = 100 / len(judges.style.names)
        rows.append(Row(f"{name}: style", value, judges.ceilings["style"], chance))
    ceiling, chance = judges.ceilings["background"], 100 / len(judges.background.names)
    for name, named in (("named", True), ("white where none is named", False)):
        at = [
            i
            for i in found.of("seen")
            if found.asks[i].facts.background is not None
            and (found.asks[i].facts.background != "white") == named
        ]
        grounds = [cast(str, found.asks[i].facts.background) for i in at]
        if not at:
            continue
        value = share(judges.background.place(drawn[at], grounds) == 1)
        rows.append(Row(f"background, {name}", value, ceiling, chance))
    at = found.of("colour")
    if not at:
        return rows
    colours = [cast(str, found.asks[i].facts.colour) for i in at]
    value = share(judges.colour.place(drawn[at], colours) == 1)
    rows.append(Row("colour", value, judges.ceilings["colour"], 100 / len(judges.colour.names)))
    return rows


def _count(found: _Painted, judges: Judges) -> list[Row]:
    at = found.of("count")
    if not at:
        return []
    counts = [str(found.asks[i].facts.count) for i in at]
    value = share(judges.count.place(found.looked.places[at], counts) == 1, counts)
    return [Row("count", value, judges.ceilings["count"], 100 / len(judges.count.names))]


def _relation(found: _Painted, judges: Judges, eye: Eye) -> list[Row]:
    """Which of the four places fits best, and whether both subjects are plainly there."""
    at = found.of("relation")
    if not at:
        return []
    right, both = placed(found.pictures[at], [found.asks[i].facts for i in at], judges.subject, eye)
    strata = [found.asks[i].stratum for i in at]
    top = 5 / len(judges.subject.names)
    return [
        Row("relation", share(right, strata), judges.ceilings.get("relation"), 25.0),
        Row(
            "relation: both subjects, each in the top 5 in its place",
            share(both, strata),
            judges.ceilings.get("relation: both"),
            100 * top * top,
        ),
    ]


def _fidelity(found: _Painted, judges: Judges) -> dict[str, float]:
    """Distances of the painted crowd from the real one, beside those of as many real drawings.

    The real crowd are the plain cells that were not asked for; the floor are the real pictures of
    the very cells that were.
    """
    at = found.of("label")
    if len(at) < 2:
        return {}
    cells = {(found.asks[i].facts.subject, found.asks[i].facts.style) for i in at}
    crowd = judges.crowd
    asked = [crowd.place[cell] for cell in sorted(cells) if cell in crowd.place]
    rest = crowd.rows(lambda code, style: (code, style) not in cells and style in crowd.styles)
    whole, features = crowd.whole, found.looked.whole[at]
    return {
        "pictures": len(at),
        "real pictures": len(rest),
        "frechet": frechet(features, whole[rest]),
        "frechet floor": frechet(whole[asked], whole[rest]),
        "kernel": kernel_distance(features, whole[rest]),
        "kernel floor": kernel_distance(whole[asked], whole[rest]),
    }


def _memory(found: _Painted, judges: Judges, scenes: Scenes) -> list[Row]:
    """How many pictures are nearly a training picture.

    Near is what lies below the 1st percentile of the distances between drawings of one subject by
    different hands. For a held-out cell a second question is asked: is the picture nearer to some
    training picture than the real drawing of that cell is?
    """
    crowd, known = judges.crowd, set(scenes.cells())
    trained = crowd.whole[crowd.rows(lambda code, style: (code, style) in known)]
    near = crowd.near
    rows: list[Row] = []
    for name, group in (("held-out cells", "held cells"), ("seen cells", "label")):
        at = found.of(group)
        if not at:
            continue
        far = nearest(found.looked.whole[at], trained)
        strata = [found.asks[i].stratum for i in at]
        rows.append(Row(f"{name}: near-copies", share(far < near, strata), None, 1.0))
        if group == "held cells":
            cells = [(found.asks[i].facts.subject, found.asks[i].facts.style) for i in at]
            real = nearest(crowd.whole[[crowd.place[cell] for cell in cells]], trained)
            closer = share(far < np.minimum(real, near), strata)
            told = f"{name}: near-copies, nearer than the real drawing"
            rows.append(Row(told, closer, None, None))
    return rows


def _diversity(found: _Painted, judges: Judges) -> dict[str, float]:
    """How far apart the pictures of one prompt lie, and drawings of one subject by many hands."""
    groups: dict[str, list[int]] = {}
    for i in found.of("held cells"):
        groups.setdefault(found.asks[i].stratum, []).append(i)
    gaps = [
        pairwise(found.looked.whole[places], found.looked.whole[places])[
            np.triu_indices(len(places), 1)
        ]
        for places in groups.values()
        if len(places) > 1
    ]
    if not gaps:
        return {}
    every = np.concatenate(gaps)
    return {
        "between seeds": float(every.mean()),
        "between hands": judges.crowd.apart,
        "same picture": 100 * float((every < judges.crowd.near).mean()),
    }


def _curve(
    some: Sequence[Ask],
    painted: Painter,
    judges: Judges,
    eye: Eye,
    usual: Settings,
) -> list[dict[str, float]]:
    """The same prompts and seeds at other guidances and numbers of steps."""
    points = [(STEPS, guidance) for guidance in GUIDANCES]
    points += [(steps, usual.guidance) for steps in STEP_COUNTS if steps != usual.steps]
    made: list[dict[str, float]] = []
    for steps, guidance in points:
        looked = eye.look(painted(some, Settings(steps, guidance)))
        right = judges.subject.place(looked.shown, _subjects(some, judges)) == 1
        style = judges.style.place(looked.drawn, [ask.facts.style for ask in some]) == 1
        told, looks = share(right), share(style)
        made.append(
            {
                "steps": steps,
                "guidance": guidance,
                "subject": told.percent,
                "subject within": told.within,
                "style": looks.percent,
                "style within": looks.within,
            }
        )
    return made


def _samples(found: _Painted, right: NDArray[np.int64]) -> list[tuple[Ask, Picture, bool]]:
    """The first dozen of every group, with whether the judge of subjects knew it."""
    return [
        (found.asks[i], found.pictures[i], bool(right[i] == 1))
        for group in dict.fromkeys(ask.group for ask in found.asks)
        for i in found.of(group)[:12]
    ]


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in numbers.items()}
