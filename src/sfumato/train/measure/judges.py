"""Judges: linear classifiers on features of real drawings, and how well they do on unseen ones.

A judge is fitted in closed form (ridge regression on one-of-K labels, each class with the same
weight), so the same drawings give the same judge. Its ceiling is the share of right answers on real
drawings that were not seen: five judges, each fitted without a fifth of the drawings, are asked
about that fifth. One drawing in several looks, such as one vendor's 3D and flat, is one drawing.
N pictures, C features, K classes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.train import store
from sfumato.train.captions import Facts
from sfumato.train.measure.crowd import Crowd
from sfumato.train.measure.features import Eye, Looked
from sfumato.train.measure.figures import Share, share
from sfumato.train.measure.reals import FOLDS, RELATIONS, Real, Reals
from sfumato.train.stylize import Floats, Picture

__all__ = ["Fitted", "Judge", "Judges", "fit", "judges", "made_of", "placed"]

# Of each ridge, against the variance of a feature; chosen on the ceilings, of these and ten times
# as much and as little.
_STRENGTHS: Mapping[str, float] = {
    "subject": 0.03,
    "style": 0.01,
    "background": 0.01,
    "colour": 0.03,
    "count": 0.03,
}
_VERSION = "2"  # of all that decides what a judge says, beside the drawings
# Where the first and the second subject stand.
_ENDS: Mapping[str, tuple[str, str]] = {
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
    "to the left of": ("left", "right"),
    "to the right of": ("right", "left"),
}


@dataclass(frozen=True)
class Judge:
    """Names of classes, and the linear map from features to a score for each."""

    names: tuple[str, ...]
    weights: Floats  # (C + 1, K), the last row a constant

    def scores(self, features: Floats) -> Floats:
        """(N, K): the greatest is the judge's answer."""
        return cast(Floats, features @ self.weights[:-1] + self.weights[-1])

    def place(self, features: Floats, wanted: Sequence[str]) -> NDArray[np.int64]:
        """The rank (N,) of each picture's wanted class, from 1; ties are not in its favour.

        A class that the judge never saw comes behind all others.
        """
        found = self.scores(features)
        columns = {name: i for i, name in enumerate(self.names)}
        known = np.array([name in columns for name in wanted])
        column = np.array([columns.get(name, 0) for name in wanted])
        mine = found[np.arange(len(found)), column]
        return np.where(known, (found >= mine[:, None]).sum(axis=1), len(self.names) + 1)


@dataclass(frozen=True)
class Fitted:
    """A judge, those that never saw a fold each, and each picture's rank by the one without it."""

    judge: Judge
    without: Sequence[Judge]
    ranks: NDArray[np.int64]


@dataclass(frozen=True)
class Judges:
    """All judges, by what they judge, their ceilings on unseen drawings, and the drawings."""

    subject: Judge
    style: Judge
    background: Judge
    colour: Judge
    count: Judge
    ceilings: Mapping[str, Share]
    crowd: Crowd


def fit(
    features: Floats, labels: Sequence[str], folds: NDArray[np.int64], strength: float
) -> Fitted:
    """The judge of all pictures, those without each fold, and what these say of what is left out.

    ``folds`` (N,) says which pictures go out together; there are `FOLDS` of them. ``strength`` of
    the ridge is in units of a feature's variance.
    """
    names = tuple(sorted(set(labels)))
    column = np.array([names.index(label) for label in labels])
    each = 1 / np.bincount(column)[column]  # so that every class weighs the same
    each = each * (len(column) / each.sum())
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    x = np.hstack([(features - mean) / spread, np.ones((len(features), 1), np.float32)])
    y = np.zeros((len(column), len(names)), np.float32)
    y[np.arange(len(column)), column] = 1
    parts = [_moments(x[folds == k], y[folds == k], each[folds == k]) for k in range(FOLDS)]
    gram = np.sum([g for g, _ in parts], axis=0)
    cross = np.sum([c for _, c in parts], axis=0)

    def judge(gram: Floats, cross: Floats, count: int) -> Judge:
        solved = _solve(gram, cross, strength * count)
        weights = solved[:-1] / spread[:, None]
        constant = solved[-1] - mean @ weights
        return Judge(names, np.vstack([weights, constant]).astype(np.float32))

    ranks = np.zeros(len(column), np.int64)
    without: list[Judge] = []
    for k, (its_gram, its_cross) in enumerate(parts):
        out = folds == k
        without.append(judge(gram - its_gram, cross - its_cross, int((~out).sum())))
        ranks[out] = without[k].place(features[out], [labels[int(i)] for i in np.flatnonzero(out)])
    return Fitted(judge(gram, cross, len(column)), without, ranks)


def _moments(x: Floats, y: Floats, each: Floats) -> tuple[Floats, Floats]:
    weighed = (x * each[:, None]).astype(np.float32)
    return cast(Floats, weighed.T @ x), cast(Floats, weighed.T @ y)


def _solve(gram: Floats, cross: Floats, strength: float) -> Floats:
    ridge = np.full(len(gram), strength)
    ridge[-1] = 1e-4 * strength  # the constant is nearly free
    return np.linalg.solve(gram.astype(np.float64) + np.diag(ridge), cross)


def placed(
    pictures: Picture, some: Sequence[Facts], judge: Judge, eye: Eye
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each picture's two subjects stand as its facts say, and whether both are seen there.

    The judge of subjects looks at the four places where a subject may stand; of the four ways in
    which the two may stand, that one counts as painted which fits best. Seen is what is among the
    judge's first five guesses.
    """
    side = pictures.shape[1]
    half, start = side // 2, side // 4
    middle, low, high = slice(start, start + half), slice(0, half), slice(side - half, side)
    crops = {
        "top": pictures[:, low, middle],
        "bottom": pictures[:, high, middle],
        "left": pictures[:, middle, low],
        "right": pictures[:, middle, high],
    }
    scores = {
        end: judge.scores(eye.look(np.ascontiguousarray(crop)).shown) for end, crop in crops.items()
    }
    right, both = np.zeros(len(some), bool), np.zeros(len(some), bool)
    for i, facts in enumerate(some):
        assert facts.relation is not None
        where, other = facts.relation
        codes = judge.names.index(facts.subject), judge.names.index(other)

        def fits(way: str, i: int = i, codes: tuple[int, int] = codes) -> float:
            return sum(float(scores[end][i, c]) for end, c in zip(_ENDS[way], codes, strict=True))

        right[i] = max(RELATIONS, key=fits) == where
        ranks = [
            int((scores[end][i] >= scores[end][i, code]).sum())
            for end, code in zip(_ENDS[where], codes, strict=True)
        ]
        both[i] = max(ranks) <= 5
    return right, both


def judges(reals: Reals, eye: Eye, cache: Path) -> Judges:
    """The judges of these drawings: read from the folder ``cache``, or made once and kept there.

    Raises OutputError where the folder cannot be written.
    """
    key = hashlib.sha256(f"{_VERSION} {reals.digest}".encode()).hexdigest()[:16]
    path = cache / f"judges-{key}.safetensors"
    if path.exists():
        return _read(path)
    every = [*reals.singles(), *reals.several()]
    made = made_of(reals, every, reals.look(eye, every), eye)
    _write(made, path)
    return made


def made_of(reals: Reals, every: Sequence[Real], looked: Looked, eye: Eye) -> Judges:
    """The judges fitted to these pictures of real drawings, as the eye saw them."""
    ceilings: dict[str, Share] = {}
    single = np.array([real.facts.count == 1 for real in every])
    plain = np.array([real.plain for real in every])
    folds = np.array([real.fold for real in every])

    def judge(kind: str, features: Floats, labels: Sequence[str | None]) -> Fitted:
        known = np.array([label is not None for label in labels])
        asked = np.flatnonzero(known if kind == "count" else known & single)
        names = [cast(str, labels[int(i)]) for i in asked]
        fitted = fit(features[asked], names, folds[asked], _STRENGTHS[kind])
        first = fitted.ranks[plain[asked]]
        ceilings[kind] = share(first == 1)
        if kind == "subject":
            ceilings["subject top 5"] = share(first <= 5)
        return fitted

    subject = judge("subject", looked.shown, [real.facts.subject for real in every])
    others = {
        "style": judge("style", looked.drawn, [real.style for real in every]),
        "background": judge("background", looked.drawn, [real.ground for real in every]),
        "colour": judge("colour", looked.drawn, [real.facts.colour for real in every]),
        "count": judge("count", looked.places, [str(real.facts.count) for real in every]),
    }
    _relation_ceilings(reals, subject, eye, ceilings)
    alone = [i for i, real in enumerate(every) if real.alone]
    cells = [(every[i].facts.subject, every[i].facts.style) for i in alone]
    crowd = Crowd(cells, looked.whole[alone], frozenset(reals.styles))
    return Judges(
        subject.judge,
        others["style"].judge,
        others["background"].judge,
        others["colour"].judge,
        others["count"].judge,
        ceilings,
        crowd,
    )


def _relation_ceilings(reals: Reals, subject: Fitted, eye: Eye, ceilings: dict[str, Share]) -> None:
    """Adds what the judges of subjects make of real pairs that they never saw."""
    pairs = reals.pairs()
    right: list[bool] = []
    both: list[bool] = []
    for fold, judge in enumerate(subject.without):
        own = [real for real in pairs if real.fold == fold]
        if own:
            drawn = np.stack([reals.draw(real) for real in own])
            one, two = placed(drawn, [real.facts for real in own], judge, eye)
            right += one.tolist()
            both += two.tolist()
    if right:
        ceilings["relation"], ceilings["relation: both"] = share(right), share(both)


_KINDS = ("subject", "style", "background", "colour", "count")


def _write(made: Judges, path: Path) -> None:
    tensors: dict[str, Tensor] = {}
    words: dict[str, str] = {
        "ceilings": json.dumps(
            {k: [s.percent, s.within, s.count] for k, s in made.ceilings.items()}
        )
    }
    for kind in _KINDS:
        one = cast(Judge, getattr(made, kind))
        tensors[kind] = torch.from_numpy(one.weights)
        words[kind] = json.dumps(one.names)
    words["cells"] = json.dumps(made.crowd.cells)
    words["styles"] = json.dumps(sorted(made.crowd.styles))
    tensors["crowd"] = torch.from_numpy(made.crowd.whole)
    store.write(tensors, path, words)


def _read(path: Path) -> Judges:
    tensors, words = store.read(path)
    found = {kind: Judge(tuple(json.loads(words[kind])), tensors[kind].numpy()) for kind in _KINDS}
    ceilings = {
        kind: Share(float(p), float(w), int(n))
        for kind, (p, w, n) in json.loads(words["ceilings"]).items()
    }
    return Judges(
        found["subject"],
        found["style"],
        found["background"],
        found["colour"],
        found["count"],
        ceilings,
        Crowd(
            [(code, style) for code, style in json.loads(words["cells"])],
            tensors["crowd"].numpy(),
            frozenset(json.loads(words["styles"])),
        ),
    )
