"""How fast pictures come: the time that is left, and what previews may cost."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from sfumato.effort import calls_a_step
from sfumato.request import Request

__all__ = ["Pace", "Seldom", "Speeds"]

PREVIEW_SHARE = 0.05  # of the time that painting takes
RECENT = 9  # steps whose median is the speed
REMEMBERED = 32  # kinds of request whose speeds are kept

_Kind = tuple[object, ...]


@dataclass
class Speed:
    """Seconds that one kind of request takes; None for what was never measured."""

    call: float | None = None  # of the network, on one picture: a step is so many of them
    finish: float | None = None  # what the last step takes beyond a step: the decoding
    preview: float | None = None


class Speeds:
    """What was measured so far, by models and size; the oldest kinds are forgotten.

    Of two requests that differ by their sampler or their guidance, one tells of the other: both are
    measured by the calls of the network, which `calls_a_step` counts.
    """

    def __init__(self) -> None:
        self._speeds: dict[_Kind, Speed] = {}

    def of(self, request: Request) -> Speed:
        """The speed of a resolved request, to read and to set."""
        r = request
        kind = (r.model, r.refiner, r.width, r.height, r.mask is None, r.upscale)
        speed = self._speeds.pop(kind, None) or Speed()
        self._speeds[kind] = speed
        if len(self._speeds) > REMEMBERED:
            del self._speeds[next(iter(self._speeds))]
        return speed


class Seldom:
    """Says at most every so many ``seconds`` that it is time; asked the first time, it is."""

    def __init__(self, seconds: float, clock: Callable[[], float] = perf_counter) -> None:
        self._seconds, self._clock = seconds, clock
        self._last: float | None = None

    def due(self) -> bool:
        """Whether it is time; then it is not again for a while."""
        now = self._clock()
        if self._last is not None and now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Pace:
    """The times of one job, picture after picture; ``clock`` gives seconds and never goes back."""

    def __init__(self, speeds: Speeds, clock: Callable[[], float] = perf_counter) -> None:
        self._speeds, self._clock = speeds, clock
        self._speed, self._calls = Speed(), 1
        self._each: deque[float] = deque(maxlen=RECENT)  # seconds of a call, step by step
        self._begun = clock()
        self.painting = 0.0  # seconds that the painter took, of this job since it was claimed
        self.previewing = 0.0

    def begin(self, request: Request) -> None:
        """A picture of this resolved request begins, or goes on, now."""
        self._speed, self._calls = self._speeds.of(request), calls_a_step(request)
        self._begun = self._clock()

    def stepped(self, *, last: bool) -> None:
        """A step was made since `begin` or `resume`; the ``last`` one has decoded the picture."""
        seconds = self._clock() - self._begun
        self.painting += seconds
        if last:
            usual = self._step
            self._speed.finish = None if usual is None else max(seconds - usual, 0.0)
            return
        self._each.append(seconds / self._calls)
        self._speed.call = statistics.median(self._each)

    def resume(self) -> None:
        """All that is done beside a step is done; the next one begins."""
        self._begun = self._clock()

    def affords_preview(self) -> bool:
        """Whether one more full preview keeps all of them within their share of the time.

        Before one was made its price is taken to be that of decoding a finished picture; while
        that is not known either there is none.
        """
        known = self._speed.preview
        price = self._speed.finish if known is None else known
        return price is not None and self.previewing + price <= PREVIEW_SHARE * self.painting

    def previewed(self, seconds: float) -> None:
        """A full preview took ``seconds``."""
        self.previewing += seconds
        self._speed.preview = seconds

    def seconds_left(self, steps: int, pictures: int, each: int) -> float | None:
        """What ``steps`` of this picture, and ``pictures`` more of ``each`` steps, will take."""
        usual = self._step
        if usual is None:
            return None
        finishes = pictures + (steps > 0)
        return (steps + pictures * each) * usual + finishes * (self._speed.finish or 0.0)

    @property
    def _step(self) -> float | None:
        """What a step of this request takes, as far as it is known."""
        return None if self._speed.call is None else self._speed.call * self._calls
