"""One random path per seed: noise that depends on the noise levels alone, not on the steps.

Samplers of the reverse SDE then walk the same path with 20 steps as with 40, so that more steps
refine a picture rather than make another one. k-diffusion has this from torchsde's Brownian tree;
here it is a tree of numbered draws, without state.

The clock is the signal-to-noise ratio exp(2 lambda) = (alpha / sigma)^2. In it the noise of
dpmpp's SDE steps is a Brownian motion W, exactly: the step from lambda to lambda' adds
sigma' sqrt(1 - exp(-2h)) z with z = (W(c') - W(c)) / sqrt(c' - c). Pure noise is at c = 0.
"""

import math
from typing import final

from torch import Tensor

from sfumato.diffusion.noise import FAR
from sfumato.diffusion.samplers.step import Draw, Level

# lambda from -16 to 16 in 2^18 cells: levels nearer to each other than 0.00012 share one.
_REACH = 16.0
_DEPTH = 18
_CELLS = 2**_DEPTH


@final
class Brownian:
    """The unit noise of a step between any two levels, from draws `FAR` and on.

    Steps that do not overlap have independent noise, and that of a step is the sum of its parts',
    weighted by the roots of their shares of the clock, whatever the parts are.
    """

    def __init__(self, noise: Draw) -> None:
        self._noise = noise

    def __call__(self, now: Level, after: Level) -> Tensor:
        """(B, C, H, W) of variance 1, for the step from `now` down to `after`."""
        begin = min(_cell(now.snr), _CELLS - 1)
        end = max(_cell(after.snr), begin + 1)
        return (self._at(end) - self._at(begin)) / (_clock(end) - _clock(begin)) ** 0.5

    def _at(self, cell: int) -> Tensor:
        """W at a cell: Lévy's construction, from the two ends by halves."""
        left, right = 0, _CELLS
        at_right = _clock(right) ** 0.5 * self._noise(FAR)
        at_left = 0 * at_right
        node = 1
        while cell not in (left, right):
            middle = (left + right) // 2
            low, mid, high = _clock(left), _clock(middle), _clock(right)
            share = (mid - low) / (high - low)
            spread = (share * (high - mid)) ** 0.5
            bent = at_left + share * (at_right - at_left) + spread * self._noise(FAR + node)
            if cell < middle:
                right, at_right, node = middle, bent, 2 * node
            else:
                left, at_left, node = middle, bent, 2 * node + 1
        return at_left if cell == left else at_right


def _cell(snr: float) -> int:
    """The number of the cell nearest to lambda: 0 is pure noise."""
    part = (min(max(snr, -_REACH), _REACH) + _REACH) / (2 * _REACH)
    return round(part * _CELLS)


def _clock(cell: int) -> float:
    """The signal-to-noise ratio at a cell, 0 at cell 0."""
    return math.exp(2 * _REACH * (2 * cell / _CELLS - 1)) if cell else 0.0
