"""The figures: what counts as right of which asks, and how often it was.

The same verdicts are counted of a model's pictures, of real drawings, and of real drawings that
went through the model's autoencoder.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sfumato.train.measure.asks import Ask
from sfumato.train.measure.figures import Share, difference, share
from sfumato.train.measure.judges import Panel
from sfumato.train.measure.verdicts import Verdict

__all__ = ["ALIKE", "Row", "Told", "beside", "mistaken", "rows", "unsure"]

ALIKE = ("flat", "cartoon", "sticker")  # coloured drawings without shading, by three hands
Told = Sequence[tuple[Ask, Verdict]]
_Right = Callable[[Ask, Verdict], bool]


@dataclass(frozen=True)
class Row:
    """A figure of the model, the same of real drawings as they are and after its autoencoder.

    ``chance`` is what guessing would give, in percent. ``groups`` are those of which more asks make
    the figure surer; there are none where it need not be as sure as the others.
    """

    name: str
    value: Share
    chance: float | None
    groups: tuple[str, ...] = ()
    ceiling: Share | None = None
    after: Share | None = None

    def as_dict(self) -> Mapping[str, object]:
        """The row as it stands in the report."""
        more = {"ceiling": self.ceiling, "after its autoencoder": self.after}
        return {
            "name": self.name,
            **self.value.as_dict(),
            **{name: None if it is None else it.as_dict() for name, it in more.items()},
            "chance": None if self.chance is None else round(self.chance, 2),
        }


@dataclass(frozen=True)
class _Figure:
    """What is counted: those of a group's asks that are right, and what a guess would give."""

    name: str
    group: str
    right: _Right
    chance: Callable[[Panel], float]
    strata: Callable[[Ask], str] | None = lambda ask: ask.stratum
    sought: bool = True  # as sure as is wanted
    of: Callable[[Ask], bool] = lambda ask: True


def _known(top: int) -> _Right:
    return lambda ask, told: told.subject <= top


def _style(ask: Ask, told: Verdict) -> bool:
    return told.style == ask.facts.style


def _look(ask: Ask, told: Verdict) -> bool:
    return _style(ask, told) or (ask.facts.style in ALIKE and told.style in ALIKE)


def _ground(ask: Ask, told: Verdict) -> bool:
    return told.background == ask.facts.background


def _colour(ask: Ask, told: Verdict) -> bool:
    return told.colour == ask.facts.colour


def _count(ask: Ask, told: Verdict) -> bool:
    return told.count == str(ask.facts.count)


def _standing(ask: Ask, told: Verdict) -> bool:
    return ask.facts.relation is not None and told.relation == ask.facts.relation[0]


def _both(ask: Ask, told: Verdict) -> bool:
    return told.both is not None and told.both <= 5


def _of_style(ask: Ask) -> str:
    return ask.facts.style


def _guess(kind: str, times: int = 1) -> Callable[[Panel], float]:
    return lambda panel: 100 * times / len(getattr(panel, kind).names)


def _guess_look(panel: Panel) -> float:
    styles = panel.style.names
    alike = sum(style in ALIKE for style in styles)
    return 100 * (len(styles) - alike + alike**2) / len(styles) ** 2


def _subject(name: str, group: str, *, sought: bool = True) -> list[_Figure]:
    one, five = (f"{name}: subject, top {top}" for top in (1, 5))
    return [
        _Figure(one, group, _known(1), _guess("subject"), sought=sought),
        _Figure(five, group, _known(5), _guess("subject", 5), sought=False),
    ]


_ONE_LOOK = f"style, {ALIKE[0]}, {ALIKE[1]} and {ALIKE[2]} as one"
_FIGURES = (
    *_subject("seen cells", "seen"),
    *_subject("held-out cells", "held cells"),
    *_subject("held-out subjects", "held subjects", sought=False),
    _Figure("seen cells: style", "seen", _style, _guess("style"), _of_style),
    _Figure(f"seen cells: {_ONE_LOOK}", "seen", _look, _guess_look, _of_style),
    _Figure("held-out cells: style", "held cells", _style, _guess("style"), sought=False),
    _Figure(f"held-out cells: {_ONE_LOOK}", "held cells", _look, _guess_look, sought=False),
    _Figure("background, named", "ground", _ground, _guess("background")),
    _Figure(
        "background, white where none is named",
        "label",
        _ground,
        _guess("background"),
        None,
        sought=False,
        of=lambda ask: ask.facts.background == "white",
    ),
    _Figure("backdrop, named", "backdrop", _ground, _guess("background")),
    *_subject("in a backdrop", "backdrop", sought=False),
    _Figure("colour", "colour", _colour, _guess("colour"), None),
    _Figure("count", "count", _count, _guess("count")),
    _Figure(
        "count: one of them known, top 1",
        "count",
        lambda ask, told: told.one == 1,
        _guess("subject"),
        sought=False,
    ),
    _Figure("relation", "relation", _standing, lambda panel: 25.0),
    _Figure(
        "relation: both subjects, each in the top 5 in its place",
        "relation",
        _both,
        lambda panel: _guess("subject", 5)(panel) ** 2 / 100,
        sought=False,
    ),
    _Figure("subject by its label", "label", _known(1), _guess("subject"), sought=False),
    _Figure("subject in other words", "paraphrase", _known(1), _guess("subject"), sought=False),
)


def rows(told: Told, panel: Panel) -> list[Row]:
    """Every figure of these verdicts."""
    made: list[Row] = []
    for figure in _FIGURES:
        some = [(a, v) for a, v in told if a.group == figure.group and figure.of(a)]
        if not some:
            continue
        strata = None if figure.strata is None else [figure.strata(ask) for ask, _ in some]
        value = share([figure.right(ask, verdict) for ask, verdict in some], strata)
        groups = (figure.group,) if figure.sought else ()
        made.append(Row(figure.name, value, figure.chance(panel), groups))
    label, other = ([(a, v) for a, v in told if a.group == g] for g in ("label", "paraphrase"))
    if label and len(label) == len(other):
        gap = difference(
            [verdict.subject == 1 for _, verdict in other],
            [verdict.subject == 1 for _, verdict in label],
            [ask.stratum for ask, _ in label],
        )
        made.append(Row("other words less label", gap, 0.0, ("label", "paraphrase")))
    return made


def beside(made: Sequence[Row], real: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """The figures of a model beside those of real drawings and of such after its autoencoder."""
    drawn, through = ({row.name: row.value for row in some} for some in (real, after))
    return [replace(row, ceiling=drawn.get(row.name), after=through.get(row.name)) for row in made]


def unsure(made: Sequence[Row], within: float) -> set[str]:
    """The groups of which more must be asked until every figure is sure to so many points."""
    return {group for row in made if row.value.within > within for group in row.groups}


def mistaken(told: Told, least: int = 5) -> list[tuple[str, int, Share, list[tuple[str, float]]]]:
    """Of each style that was asked for: how often, and which others the judge named, in percent.

    Named are those that make up at least ``least`` percent, the most frequent first.
    """
    asked: dict[str, Counter[str]] = {}
    for ask, verdict in told:
        if ask.group == "seen":
            asked.setdefault(ask.facts.style, Counter())[verdict.style] += 1
    made: list[tuple[str, int, Share, list[tuple[str, float]]]] = []
    for style, named in asked.items():
        count = named.total()
        right = share([i < named[style] for i in range(count)])
        others = [(other, 100 * n / count) for other, n in named.most_common() if other != style]
        made.append((style, count, right, [(o, p) for o, p in others if p >= least]))
    return made
