"""The whole measure of a model: what it is asked, what the judges say, and how sure they are.

Every figure is a share in percent with half its 95 % interval in points, beside the same of real
drawings that the judge never saw, of such drawings after the model's own autoencoder, and chance.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sfumato.train.measure.asks import GROUPS, Ask, asks
from sfumato.train.measure.ceilings import Through, unseen
from sfumato.train.measure.features import Eye, Looked
from sfumato.train.measure.figures import frechet, kernel_distance, nearest, pairwise, share
from sfumato.train.measure.judges import Judges
from sfumato.train.measure.paint import Settings
from sfumato.train.measure.reals import Reals
from sfumato.train.measure.rows import Row, Told, beside, rows, unsure
from sfumato.train.measure.verdicts import Verdict, verdicts
from sfumato.train.scenes import Scenes
from sfumato.train.stylize import Floats, Picture

__all__ = ["WITHIN", "Bench", "Evaluation", "Measured", "Painter", "evaluate"]

WITHIN = 2.5  # points, at portion 1: so sure is every figure that is sought
STEPS = 6  # of the pictures judged; the curve says what more steps bring
GUIDANCES = (1.0, 2.0, 3.0, 4.0, 6.0)
STEP_COUNTS = (4, 20)
_AT_ONCE = 320  # pictures in memory
_CURVE = 64  # prompts of each point of the curve
_SHOWN = 12  # of each group, in the report
Painter = Callable[[Sequence[Ask], Settings], Picture]  # a picture for every ask


@dataclass(frozen=True)
class Measured:
    """A model as it is measured: how it paints, its usual guidance and its autoencoder."""

    paint: Painter
    guidance: float
    through: Through


@dataclass(frozen=True)
class Bench:
    """By what it is measured: real drawings, those who judge, and how they see."""

    reals: Reals
    judges: Judges
    eye: Eye


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
    told: Told = field(default=(), compare=False)
    samples: Sequence[tuple[Ask, Picture, Verdict]] = field(default=(), compare=False)

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


@dataclass
class _Found:
    """The asks painted so far, what the judges said, and what the eye saw as a whole."""

    asks: list[Ask] = field(default_factory=list[Ask])
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    parts: list[Floats] = field(default_factory=list[Floats])
    samples: list[tuple[Ask, Picture, Verdict]] = field(
        default_factory=list[tuple[Ask, Picture, Verdict]]
    )

    @property
    def told(self) -> Told:
        return list(zip(self.asks, self.verdicts, strict=True))

    @property
    def whole(self) -> Floats:
        return np.concatenate(self.parts)

    def of(self, group: str) -> list[int]:
        """The places of a group's asks."""
        return [i for i, ask in enumerate(self.asks) if ask.group == group]


def evaluate(model: Measured, scenes: Scenes, bench: Bench, *, portion: float = 1.0) -> Evaluation:
    """Asks, has it painted, looks and judges; ``scenes`` are those of the model's training.

    ``portion`` scales how much is asked: intervals widen as its root. The same model, portion and
    machine give the same figures.
    """
    judges, settings = bench.judges, Settings(STEPS, model.guidance)
    wanted = asks(scenes, bench.reals.scenes, portion)
    _require_known(wanted, judges)
    clock = _Clock()
    found = _asked(model, wanted, bench, settings, portion)
    clock.lap("painting and judging")
    real, after = unseen(wanted, bench.reals, judges, bench.eye, model.through, portion)
    clock.lap("real drawings")
    some = found.of("label")[: max(2, round(_CURVE * portion))]
    curve = _curve(found, some, model, bench, settings)
    clock.lap("curve")
    panel = judges.panel
    return Evaluation(
        settings,
        portion,
        beside(rows(found.told, panel), rows(real, panel), rows(after, panel)),
        _fidelity(found, judges),
        _memory(found, judges, scenes),
        _diversity(found, judges),
        curve,
        clock.seconds,
        found.told,
        found.samples,
    )


class _Clock:
    """Seconds from lap to lap, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self._last = now - self._last, now


def _require_known(wanted: Mapping[str, Sequence[Ask]], judges: Judges) -> None:
    asked = {ask.facts.subject for some in wanted.values() for ask in some}
    missing = asked - set(judges.panel.subject.names)
    assert not missing, f"no judge knows {sorted(missing)}"


def _asked(
    model: Measured,
    wanted: Mapping[str, Sequence[Ask]],
    bench: Bench,
    settings: Settings,
    portion: float,
) -> _Found:
    """Round after round of every group, until its figures are as sure as is sought or it is out.

    To stop by the width of the interval is the sequential plan of Chow and Robbins 1965, "On the
    asymptotic theory of fixed-width sequential confidence intervals for the mean".
    """
    found = _Found()
    begun = dict.fromkeys(wanted, 0)
    going = set(wanted)
    while going:
        new: list[Ask] = []
        for group in wanted:
            if group in going:
                more = max(1, round(GROUPS[group].round * portion))
                new += wanted[group][begun[group] : begun[group] + more]
                begun[group] += more
        for first in range(0, len(new), _AT_ONCE):
            _judge(found, new[first : first + _AT_ONCE], model, bench, settings)
        going = unsure(rows(found.told, bench.judges.panel), WITHIN / portion**0.5)
        going = {group for group in going if begun[group] < len(wanted[group])}
    return found


def _judge(
    found: _Found, some: Sequence[Ask], model: Measured, bench: Bench, settings: Settings
) -> None:
    """Adds these asks, painted and judged."""
    pictures = model.paint(some, settings)
    looked = bench.eye.look(pictures)
    told = _verdicts(some, pictures, looked, bench)
    for ask, picture, verdict in zip(some, pictures, told, strict=True):
        if sum(known.group == ask.group for known, _, _ in found.samples) < _SHOWN:
            found.samples.append((ask, picture, verdict))
    found.asks += some
    found.verdicts += told
    found.parts.append(looked.whole)


def _verdicts(
    some: Sequence[Ask], pictures: Picture, looked: Looked, bench: Bench
) -> list[Verdict]:
    """What the judges of the measure say of what was painted for these asks."""
    facts = [ask.facts for ask in some]
    return verdicts(facts, pictures, looked, bench.eye, bench.judges.panel)


def _fidelity(found: _Found, judges: Judges) -> dict[str, float]:
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
    whole, features = crowd.whole, found.whole[at]
    return {
        "pictures": len(at),
        "real pictures": len(rest),
        "frechet": frechet(features, whole[rest]),
        "frechet floor": frechet(whole[asked], whole[rest]),
        "kernel": kernel_distance(features, whole[rest]),
        "kernel floor": kernel_distance(whole[asked], whole[rest]),
    }


def _memory(found: _Found, judges: Judges, scenes: Scenes) -> list[Row]:
    """How many pictures are nearly a training picture.

    Near is what lies below the 1st percentile of the distances between drawings of one subject by
    different hands. For a held-out cell a second question is asked: is the picture nearer to some
    training picture than the real drawing of that cell is?
    """
    crowd, known = judges.crowd, set(scenes.cells())
    trained = crowd.whole[crowd.rows(lambda code, style: (code, style) in known)]
    near = crowd.near
    made: list[Row] = []
    for name, group in (("held-out cells", "held cells"), ("seen cells", "label")):
        at = found.of(group)
        if not at:
            continue
        far = nearest(found.whole[at], trained)
        strata = [found.asks[i].stratum for i in at]
        made.append(Row(f"{name}: near-copies", share(far < near, strata), 1.0))
        if group == "held cells":
            cells = [(found.asks[i].facts.subject, found.asks[i].facts.style) for i in at]
            real = nearest(crowd.whole[[crowd.place[cell] for cell in cells]], trained)
            closer = share(far < np.minimum(real, near), strata)
            told = f"{name}: near-copies, nearer than the real drawing"
            made.append(Row(told, closer, None))
    return made


def _diversity(found: _Found, judges: Judges) -> dict[str, float]:
    """How far apart the pictures of one prompt lie, and drawings of one subject by many hands."""
    groups: dict[str, list[int]] = {}
    for i in found.of("held cells"):
        groups.setdefault(found.asks[i].stratum, []).append(i)
    gaps = [
        pairwise(found.whole[places], found.whole[places])[np.triu_indices(len(places), 1)]
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
    found: _Found, some: Sequence[int], model: Measured, bench: Bench, usual: Settings
) -> list[dict[str, float]]:
    """The same prompts and seeds at other guidances and numbers of steps, and at the usual ones."""
    wanted = [found.asks[i] for i in some]
    made = [_point(wanted, [found.verdicts[i] for i in some], usual)]
    points = [Settings(usual.steps, guidance) for guidance in GUIDANCES]
    points += [Settings(steps, usual.guidance) for steps in STEP_COUNTS]
    for settings in points:
        if settings != usual:
            pictures = model.paint(wanted, settings)
            told = _verdicts(wanted, pictures, bench.eye.look(pictures), bench)
            made.append(_point(wanted, told, settings))
    return made


def _point(some: Sequence[Ask], told: Sequence[Verdict], settings: Settings) -> dict[str, float]:
    subject = share([verdict.subject == 1 for verdict in told])
    right = [v.style == ask.facts.style for ask, v in zip(some, told, strict=True)]
    style = share(right)
    return {
        "steps": settings.steps,
        "guidance": settings.guidance,
        "subject": subject.percent,
        "subject within": subject.within,
        "style": style.percent,
        "style within": style.within,
    }


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in numbers.items()}
