"""Training the reader's adapter alone: it learns what stands where from words, before any picture.

Beside the picture's error the lesson does not begin: half of all answers are right by chance, and
the way to the rest leads over a plateau. Alone, on ever new pairs, it takes minutes.
B captions, L tokens, D width of a token.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import nn

from sfumato.nn.bert import Adapter, run_layers
from sfumato.train.ahead import Ahead
from sfumato.train.captions import Facts, Named
from sfumato.train.denoiser import said_whole
from sfumato.train.loop import Losses, Modules, TrainingError
from sfumato.train.places import Places, standing
from sfumato.train.reader import Pieces, Reader
from sfumato.train.scenes import Scenes

__all__ = ["AdapterConfig", "AdapterTask"]

_FIRST = frozenset({"top", "left"})  # where the first named of an ordered pair stands
_YIELD = 60  # steps in which what is simple gives way
_ALWAYS_PLAIN = 0.15  # of pairs, to the end
_PAIRS_HELD = 0.3  # of how strongly the others are: pairs have something to learn
_ASIDE = 10**9  # from this scene on all are new: no bank reaches it
_LOOKED_THROUGH = 200_000  # scenes in a step, at most
_JUDGED = 200  # pairs


@dataclass(frozen=True)
class AdapterConfig:
    """What a step sees: ``pairs`` of which it is told where both stand, and ``others``, all new.

    In the first ``ordered`` steps the first named always stands above or to the left, and in the
    first ``plainly`` steps pairs are put in the plainest words, so that the lesson begins at all.
    After ``free`` steps the states are held near those from before the training, by ``hold`` times
    their mean square difference, so that a denoiser that knows them goes on reading them. An
    adapter that begins from nothing is never held.
    """

    seed: int = 0
    pairs: int = 80
    others: int = 24
    ordered: int = 300
    plainly: int = 450
    free: int = 700
    hold: float = 3.0


class AdapterTask:
    """The adapter's layers and the lesson, on captions of scenes that need not be painted."""

    def __init__(
        self,
        config: AdapterConfig,
        scenes: Scenes,
        reader: Reader,
        adapter: Adapter,
        lesson: Places,
        *,
        hold: bool,
        workers: int = 0,
    ) -> None:
        """``adapter`` and ``lesson`` are trained in place; ``hold`` as the configuration says.

        ``workers`` processes look for scenes and put them into words, ahead of their step.
        """
        self.config, self.scenes, self.reader = config, scenes, reader
        self.words = Named(scenes.subjects)
        self.layers, self.lesson = adapter.layers, lesson
        self._before = deepcopy(adapter.layers).requires_grad_(False) if hold else None
        self._ahead = Ahead(self._sight, workers)

    @property
    def modules(self) -> Modules:
        return {"layers": self.layers, "lesson": self.lesson}

    def close(self) -> None:
        """Ends the other processes."""
        self._ahead.close()

    def losses(self, step: int) -> Losses:
        c = self.config
        seen, pieces = self._ahead(step)
        read = self.reader.states(pieces)
        states = run_layers(self.layers, read.states, read.mask)
        losses = {"loss": self.lesson.loss(states, read.mask, seen)}
        if self._before is None:
            return losses
        if step <= c.free:
            return losses | {"moved": states.new_zeros(())}
        before = run_layers(self._before, read.states, read.mask)
        moved = (states - before).square().mean(-1) * read.mask  # (B, L)
        moved = torch.cat([_PAIRS_HELD * moved[: c.pairs], moved[c.pairs :]])
        return losses | {"moved": c.hold * moved.sum() / read.mask.sum()}

    def _sight(self, step: int) -> tuple[list[Facts], Pieces]:
        """Pairs, then others, and their captions: a function of the step's number alone."""
        c, rng = self.config, np.random.default_rng([self.config.seed, step])
        scenes = self._scenes(_ASIDE + step * _LOOKED_THROUGH)
        loose = round(c.pairs * _after(step, c.ordered))
        pairs = _some(scenes, c.pairs - loose, _in_order) + _some(scenes, loose, _is_pair)
        others = _some(scenes, c.others, _is_alone)
        plainly = max(_ALWAYS_PLAIN, 1 - _after(step, c.plainly))
        captions = [self._caption(f, rng, plain=rng.random() < plainly) for f in pairs]
        captions += [self._caption(f, rng, plain=False) for f in others]
        return [*pairs, *others], self.reader.pieces(captions)

    def _scenes(self, first: int) -> Iterator[Facts]:
        return map(self.scenes.facts, range(first, first + _LOOKED_THROUGH))

    def _caption(self, facts: Facts, rng: np.random.Generator, *, plain: bool) -> str:
        plainest = self.words.plain(facts)
        if plain and self.reader.fits(plainest):
            return plainest
        return said_whole(self.words, facts, rng, 0.0, self.reader)

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """The share of new pairs of which both are answered for in their places.

        ``plain_right`` of the plainest words, ``said_right`` of any.
        """
        layers, lesson = modules["layers"], modules["lesson"]
        assert isinstance(layers, nn.ModuleList)
        assert isinstance(lesson, Places)
        rng = np.random.default_rng([self.config.seed, 0])
        pairs = _some(self._scenes(_ASIDE), _JUDGED, _is_pair)
        figures: dict[str, float] = {}
        for name, plain in (("plain_right", True), ("said_right", False)):
            read = self.reader.read([self._caption(f, rng, plain=plain) for f in pairs])
            right = lesson.right(run_layers(layers, read.states, read.mask), read.mask, pairs)
            figures[name] = sum(right) / len(right)
        return figures


def _after(step: int, simple: int) -> float:
    """0 in the first ``simple`` steps, then rising to 1."""
    return min(1.0, max(0.0, (step - simple) / _YIELD))


def _some(scenes: Iterator[Facts], count: int, wanted: Callable[[Facts], bool]) -> list[Facts]:
    """The next scenes of a kind."""
    found = list(islice(filter(wanted, scenes), count))
    if len(found) < count:
        raise TrainingError(
            f"Of {_LOOKED_THROUGH:,} scenes only {len(found)} are of a kind that the adapter "
            f"learns from, and {count} are wanted.\n  Train with a scenes.relations between 0 and "
            "1 and a drawn look in scenes.styles, or without the lesson: denoiser.places = 0."
        )
    return found


def _is_alone(facts: Facts) -> bool:
    return facts.relation is None


def _is_pair(facts: Facts) -> bool:
    return len(standing(facts)) == 2


def _in_order(facts: Facts) -> bool:
    return _is_pair(facts) and next(iter(standing(facts))) in _FIRST
