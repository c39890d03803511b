"""Figures that say how sure they are: shares with 95 % intervals, and distances between crowds.

N and M pictures, C features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sfumato.train.stylize import Floats

__all__ = [
    "Share",
    "difference",
    "frechet",
    "kernel_distance",
    "nearest",
    "pairwise",
    "share",
]

_Z = 1.959964  # of the normal distribution: 95 % lie within so many deviations


@dataclass(frozen=True)
class Share:
    """A share of ``count`` trials in percent, and half the width of its 95 % interval in points."""

    percent: float
    within: float
    count: int

    def as_dict(self) -> Mapping[str, float]:
        return {
            "percent": round(self.percent, 2),
            "within": round(self.within, 2),
            "count": self.count,
        }


def share(right: Sequence[bool] | NDArray[np.bool_], strata: Sequence[str] | None = None) -> Share:
    """The share of true ones; with ``strata``, the mean over trials drawn alike from each group.

    Every group was chosen, not drawn, and within it trials are independent, so only what varies
    within the groups is chance (Cochran 1977, *Sampling Techniques*, eq. 5.13). Without groups, or
    where one has a single trial, that is the plain binomial. Agresti and Coull's (1998) two and two
    trials more keep the interval from closing at 0 and 100 %.
    """
    values = np.asarray(right, dtype=np.float64)
    n = len(values)
    assert n, "a share of nothing"
    adjusted = (values.sum() + 2) / (n + 4)
    variance = adjusted * (1 - adjusted) / (n + 4)
    if strata is not None:
        variance = min(variance, _within(values, strata))
    return Share(100 * float(values.mean()), 100 * _Z * float(np.sqrt(variance)), n)


def _within(values: Floats, strata: Sequence[str]) -> float:
    """The variance of the mean, from what varies within the groups; infinite for lone trials."""
    # Half a right and half a wrong answer for the whole, so that no variance is ever nought.
    return (0.25 + _spread(values, strata)) / len(values) ** 2


def _spread(values: Floats, strata: Sequence[str]) -> float:
    """The sum over groups of their size times their variance; infinite where a trial is alone."""
    groups: dict[str, list[float]] = {}
    for value, name in zip(values, strata, strict=True):
        groups.setdefault(name, []).append(float(value))
    if min(len(group) for group in groups.values()) < 2:
        return float("inf")
    return sum(len(g) * float(np.var(g, ddof=1)) for g in groups.values())


def difference(
    first: Sequence[bool], second: Sequence[bool], strata: Sequence[str] | None = None
) -> Share:
    """How much greater the first share is than the second, trial for trial of the same pairs.

    ``strata`` as in `share`.
    """
    gaps = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    n = len(gaps)
    assert n == len(second), "pairs of trials"
    spread = float(np.square(gaps - gaps.mean()).sum())
    if strata is not None:
        spread = min(spread, _spread(gaps, strata))
    # One pair for either side beyond what was seen, as in `share`.
    variance = (spread + 2) / (n + 2) ** 2
    return Share(100 * float(gaps.mean()), 100 * _Z * float(np.sqrt(variance)), n)


def frechet(first: Floats, second: Floats, directions: int = 64) -> float:
    """The Fréchet distance of two crowds of features (N, C) and (M, C) as if both were Gaussian.

    Heusel et al. 2017, "GANs trained by a two time-scale update rule". Seen along the directions in
    which the second crowd, the real one, varies most, for a covariance of more directions than
    pictures says little.
    """
    centre = second.mean(axis=0)
    _, _, axes = np.linalg.svd(second - centre, full_matrices=False)
    some = axes[: min(directions, len(axes))].T
    one, two = ((crowd - centre) @ some for crowd in (first, second))
    a, b = (np.cov(crowd, rowvar=False) for crowd in (one, two))
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
    gap = np.square(one.mean(axis=0) - two.mean(axis=0)).sum()
    return float(gap + np.trace(a) + np.trace(b) - 2 * cross)


def kernel_distance(first: Floats, second: Floats) -> float:
    """The squared maximum mean discrepancy, unbiased, of two crowds (N, C) and (M, C).

    With the kernel (x y / C + 1)^3 of Binkowski et al. 2018, "Demystifying MMD GANs". Times 1,000.
    """

    def kernel(a: Floats, b: Floats) -> Floats:
        return cast(Floats, (a @ b.T / a.shape[1] + 1) ** 3)

    one, two = first.astype(np.float64), second.astype(np.float64)
    n, m = len(one), len(two)
    a, b = kernel(one, one), kernel(two, two)
    inner = (a.sum() - np.trace(a)) / (n * (n - 1)) + (b.sum() - np.trace(b)) / (m * (m - 1))
    return float(1000 * (inner - 2 * kernel(one, two).mean()))


def pairwise(first: Floats, second: Floats) -> Floats:
    """Cosine distances (N, M), from 0 for the same direction to 2."""

    def unit(x: Floats) -> Floats:
        return cast(Floats, x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12))

    return cast(Floats, 1 - unit(first) @ unit(second).T)


def nearest(pictures: Floats, others: Floats) -> Floats:
    """Each picture's distance (N,) to the nearest of the others, in blocks that fit memory."""
    parts = [
        pairwise(pictures[i : i + 256], others).min(axis=1) for i in range(0, len(pictures), 256)
    ]
    return cast(Floats, np.concatenate(parts))
