"""Judges: linear classifiers on features of real drawings, and others that never saw some of them.

A judge is fitted in closed form (ridge regression on one-of-K labels, each class with the same
weight), so the same drawings give the same judge. Beside it stand five, each fitted without a fifth
of the drawings: asked about that fifth, they say how well such a judge does on what it never saw.
One drawing in several looks, such as one vendor's 3D and flat, is one drawing.
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

from sfumato.train import store
from sfumato.train.measure.crowd import Crowd
from sfumato.train.measure.features import Eye, Looked
from sfumato.train.measure.hands import FOLDS
from sfumato.train.measure.reals import Real, Reals
from sfumato.train.stylize import Floats

__all__ = ["STRENGTHS", "Judge", "Judges", "Panel", "fit", "judges", "made_of"]

# Of each ridge, against the variance of a feature; chosen on real drawings that were not seen, of
# these and ten times as much and as little.
STRENGTHS: Mapping[str, float] = {
    "subject": 0.03,
    "style": 0.03,
    "background": 0.01,
    "colour": 0.03,
    "count": 0.03,
}
_VERSION = "6"  # of all that decides what a judge says, beside the drawings


@dataclass(frozen=True)
class Judge:
    """Names of classes, and the linear map from features to a score for each."""

    names: tuple[str, ...]
    weights: Floats  # (C + 1, K), the last row a constant

    def scores(self, features: Floats) -> Floats:
        """(N, K): the greatest is the judge's answer."""
        return cast(Floats, features @ self.weights[:-1] + self.weights[-1])

    def names_of(self, features: Floats) -> list[str]:
        """The answer for each picture."""
        return [self.names[int(i)] for i in self.scores(features).argmax(axis=1)]

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
class Panel:
    """A judge of each thing."""

    subject: Judge
    style: Judge
    background: Judge
    colour: Judge
    count: Judge


@dataclass(frozen=True)
class Judges:
    """The judges, those that never saw one fold of the drawings each, and the drawings."""

    panel: Panel
    without: Sequence[Panel]  # FOLDS of them
    crowd: Crowd


def fit(
    features: Floats, labels: Sequence[str], folds: NDArray[np.int64], strength: float
) -> list[Judge]:
    """The judge of all pictures, and behind it those without each fold.

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

    without = [
        judge(gram - its_gram, cross - its_cross, int((folds != k).sum()))
        for k, (its_gram, its_cross) in enumerate(parts)
    ]
    return [judge(gram, cross, len(column)), *without]


def _moments(x: Floats, y: Floats, each: Floats) -> tuple[Floats, Floats]:
    weighed = (x * each[:, None]).astype(np.float32)
    return cast(Floats, weighed.T @ x), cast(Floats, weighed.T @ y)


def _solve(gram: Floats, cross: Floats, strength: float) -> Floats:
    ridge = np.full(len(gram), strength)
    ridge[-1] = 1e-4 * strength  # the constant is nearly free
    return np.linalg.solve(gram.astype(np.float64) + np.diag(ridge), cross)


def judges(reals: Reals, eye: Eye, cache: Path) -> Judges:
    """The judges of these drawings: read from the folder ``cache``, or made once and kept there.

    Raises OutputError where the folder cannot be written.
    """
    key = hashlib.sha256(f"{_VERSION} {reals.digest}".encode()).hexdigest()[:16]
    path = cache / f"judges-{key}.safetensors"
    if path.exists():
        return _read(path)
    every = [*reals.singles(), *reals.several()]
    made = made_of(reals, every, reals.look(eye, every))
    _write(made, path)
    return made


def made_of(reals: Reals, every: Sequence[Real], looked: Looked) -> Judges:
    """The judges fitted to these pictures of real drawings, as the eye saw them."""
    single = np.array([real.facts.count == 1 for real in every])
    folds = np.array([real.fold for real in every])

    def judge(kind: str, features: Floats, labels: Sequence[str | None]) -> list[Judge]:
        known = np.array([label is not None for label in labels])
        asked = np.flatnonzero(known if kind == "count" else known & single)
        names = [cast(str, labels[int(i)]) for i in asked]
        return fit(features[asked], names, folds[asked], STRENGTHS[kind])

    fitted = (
        judge("subject", looked.shown, [real.facts.subject for real in every]),
        judge("style", looked.styled, [real.style for real in every]),
        judge("background", looked.drawn, [real.ground for real in every]),
        judge("colour", looked.drawn, [real.facts.colour for real in every]),
        judge("count", looked.places, [str(real.facts.count) for real in every]),
    )
    panel, *without = (Panel(*some) for some in zip(*fitted, strict=True))
    alone = [i for i, real in enumerate(every) if real.alone]
    cells = [(every[i].facts.subject, every[i].facts.style) for i in alone]
    return Judges(panel, without, Crowd(cells, looked.whole[alone], frozenset(reals.styles)))


_KINDS = ("subject", "style", "background", "colour", "count")


def _write(made: Judges, path: Path) -> None:
    words = {kind: json.dumps(cast(Judge, getattr(made.panel, kind)).names) for kind in _KINDS}
    words["cells"] = json.dumps(made.crowd.cells)
    words["styles"] = json.dumps(sorted(made.crowd.styles))
    tensors = {"crowd": torch.from_numpy(made.crowd.whole)}
    for kind in _KINDS:
        some = [cast(Judge, getattr(panel, kind)) for panel in (made.panel, *made.without)]
        tensors[kind] = torch.from_numpy(np.stack([judge.weights for judge in some]))
    store.write(tensors, path, words)


def _read(path: Path) -> Judges:
    tensors, words = store.read(path)
    names = {kind: tuple(cast(list[str], json.loads(words[kind]))) for kind in _KINDS}
    panel, *without = (
        Panel(*(Judge(names[kind], tensors[kind][i].numpy()) for kind in _KINDS))
        for i in range(1 + FOLDS)
    )
    cells = [(code, style) for code, style in json.loads(words["cells"])]
    styles = frozenset(cast(list[str], json.loads(words["styles"])))
    return Judges(panel, without, Crowd(cells, tensors["crowd"].numpy(), styles))
