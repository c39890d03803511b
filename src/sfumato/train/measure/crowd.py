"""The real drawings as a crowd: every cell plain, once, and how far apart they lie.

N cells, C features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sfumato.train.drawings import Cell
from sfumato.train.measure.figures import pairwise
from sfumato.train.measure.hands import HANDS
from sfumato.train.stylize import Floats

__all__ = ["Crowd"]


@dataclass(frozen=True)
class Crowd:
    """The features (N, C) of every cell, held-out ones included, and the styles of a model."""

    cells: Sequence[Cell]
    whole: Floats
    styles: frozenset[str]

    @cached_property
    def place(self) -> Mapping[Cell, int]:
        """Each cell's row."""
        return {cell: i for i, cell in enumerate(self.cells)}

    def rows(self, wanted: Callable[[str, str], bool]) -> NDArray[np.int64]:
        """The rows of the cells, by code point and style, that are wanted."""
        return np.array([i for i, cell in enumerate(self.cells) if wanted(*cell)], np.int64)

    @cached_property
    def _gaps(self) -> Floats:
        """Cosine distances between the drawings of one subject by different hands."""
        subjects: dict[str, list[int]] = {}
        for i, (code, style) in enumerate(self.cells):
            if style in HANDS:
                subjects.setdefault(code, []).append(i)
        gaps = [
            pairwise(self.whole[[i]], self.whole[[j]])[0, 0]
            for rows in subjects.values()
            for n, i in enumerate(rows)
            for j in rows[n + 1 :]
            if HANDS[self.cells[i][1]] != HANDS[self.cells[j][1]]
        ]
        assert gaps, "no subject was drawn by two hands"
        return np.asarray(gaps)

    @property
    def near(self) -> float:
        """Nearer than this lie 1 % of such pairs: what is nearer is nearly the same picture."""
        return float(np.percentile(self._gaps, 1))

    @property
    def apart(self) -> float:
        """The mean distance of such pairs."""
        return float(self._gaps.mean())
