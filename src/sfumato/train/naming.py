"""Training the reader to say which known name comes nearest to what a prompt calls otherwise.

A picture teaches the denoiser the name that its thing mostly goes by; the thousands of others that
there are for it are learnt here, in minutes, from words alone.
B captions, L tokens, D width of a token, N names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.bert import Adapter, Naming, run_layers
from sfumato.spec import BertConfig
from sfumato.text.words import words_in
from sfumato.train.captions import BACKDROPS, STYLES, Facts, Named, Subject
from sfumato.train.denoiser import said_whole
from sfumato.train.grammar import bare
from sfumato.train.loop import Losses, Modules, TrainingError
from sfumato.train.reader import Reader
from sfumato.train.scenes import Scenes
from sfumato.train.start import start

__all__ = ["NamingConfig", "NamingTask", "names_of"]

_JUDGED = 1200  # captions
_APART = 10**9  # scenes: those by which it is judged begin here
_LOOKED_THROUGH = 200  # scenes for each caption, at most
_AT_ONCE = 1024  # captions: the reader fills its batches with those of a length
_SMOOTHED = 0.05  # of a label: no name is ever quite sure
_HELD = 16  # one name of so many is never taught, and judged by


@dataclass(frozen=True)
class NamingConfig:
    """What is learnt from: ``captions`` of scenes, of which a step sees ``batch``.

    Each calls its thing by any of its names alike. Two things, a number of them, and a share of
    ``bare`` that says nothing but a look are to be called by no name. ``width`` is that of the
    layer between. At each step a share of ``deaf`` of all word pieces is not heard, and one of
    ``drop`` of what is made of the others. Without captions the model is left without names.
    """

    seed: int = 0
    captions: int = 120000
    batch: int = 256
    width: int = 96
    bare: float = 0.05
    deaf: float = 0.15
    drop: float = 0.5


def names_of(scenes: Scenes) -> tuple[str, ...]:
    """What the model is to call the subjects: the first name of each, in the order of codes."""
    return tuple(scenes.subjects[code].words[0] for code in sorted(scenes.subjects))


@dataclass(frozen=True)
class _Heard:
    """Captions as they were read once: states (L, 2 D), adapted and published, and what is meant.

    ``wanted`` (B,) are the places of names, N for none.
    """

    captions: Sequence[str]
    states: Sequence[Tensor]
    wanted: Tensor


class NamingTask:
    """The layers behind a frozen encoder and adapter, on captions of things that are not drawn."""

    def __init__(
        self,
        config: NamingConfig,
        text: BertConfig,
        scenes: Scenes,
        reader: Reader,
        adapter: Adapter,
    ) -> None:
        """``text`` has the names, in the order of `names_of`."""
        self.config, self.scenes, self.reader, self.adapter = config, scenes, reader, adapter
        self.places = {code: i for i, code in enumerate(sorted(scenes.subjects))}
        self.naming = Naming(text)
        start(self.naming, config.seed)
        self.naming.to(reader.device)
        taught = {code: _names(subject, held=False) for code, subject in scenes.subjects.items()}
        kept = {code: _names(subject, held=True) for code, subject in scenes.subjects.items()}
        self.seen = self._heard(taught, taught, 0, config.captions)
        self.judged = {
            "held": self._heard(kept, taught, _APART, _JUDGED),
            "taught": self._heard(taught, taught, 2 * _APART, _JUDGED),
        }

    @property
    def modules(self) -> Modules:
        return {"naming": self.naming}

    def losses(self, step: int) -> Losses:
        c, rng = self.config, np.random.default_rng([self.config.seed, 1, step])
        rows = rng.integers(len(self.seen.states), size=c.batch)
        heard, mask = self._together([self.seen.states[int(i)] for i in rows])
        kept = torch.from_numpy(rng.random(mask.shape) >= c.deaf).to(mask.device)
        kept[:, 0] = True  # the mark for begin: nobody hears nothing
        share = torch.from_numpy(rng.random((c.batch, 1, heard.shape[-1])) >= c.drop)
        heard = heard * share.to(heard) / max(1 - c.drop, 1e-6)
        scores = _scores(self.naming, heard, mask & kept)
        wanted = self.seen.wanted[rows].to(scores.device)
        return {"loss": F.cross_entropy(scores, wanted, label_smoothing=_SMOOTHED)}

    def _together(self, some: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """States (B, L, 2 D), padded, and the mask (B, L), true where a token is."""
        lengths = torch.tensor([len(each) for each in some])
        heard = nn.utils.rnn.pad_sequence(list(some), batch_first=True).float()
        mask = torch.arange(heard.shape[1]) < lengths[:, None]
        return heard.to(self.reader.device), mask.to(self.reader.device)

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """The shares that are called by the right name: of names never taught, and taught ones."""
        naming = modules["naming"]
        assert isinstance(naming, Naming)
        figures: dict[str, float] = {}
        for name, some in self.judged.items():
            if len(some.states):
                best = _scores(naming, *self._together(some.states)).argmax(1).cpu()
                figures[f"{name}_right"] = (best == some.wanted).float().mean().item()
        return figures

    def _heard(
        self,
        names: Mapping[str, Sequence[str]],
        beside: Mapping[str, Sequence[str]],
        first: int,
        size: int,
    ) -> _Heard:
        """Captions of the scenes from ``first`` on, by these names; several things by ``beside``.

        There are none where nothing has such a name. Raises TrainingError where the scenes show
        too few.
        """
        rng = np.random.default_rng([self.config.seed, 0, first])
        captions: list[str] = []
        wanted: list[int] = []
        limit = first + _LOOKED_THROUGH * size if any(names.values()) else first
        for facts in map(self.scenes.facts, range(first, limit)):
            if len(captions) == size:
                break
            several = facts.relation is not None or facts.count > 1
            bare = not several and rng.random() < self.config.bare
            own = names[facts.subject]
            if not (several or bare or own):
                continue
            if bare:
                captions.append(_bare(facts, rng))
            elif several:
                captions.append(self._said(facts, beside, rng))
            else:
                name = own[int(rng.random() * len(own))]
                captions.append(self._said(facts, {facts.subject: (name,)}, rng))
            none = several or bare
            wanted.append(len(self.places) if none else self.places[facts.subject])
        if limit > first and len(captions) < size:
            raise TrainingError(
                f"Of {limit - first:,} scenes only {len(captions)} say what the names are learnt "
                f"from, and {size} are wanted.\n  Train with fewer naming_scenes.relations and "
                "counts, or without names: naming.captions = 0."
            )
        return _Heard(captions, self._read(captions), torch.tensor(wanted))

    def _said(
        self, facts: Facts, names: Mapping[str, Sequence[str]], rng: np.random.Generator
    ) -> str:
        """The facts in words, by some of these names alone."""
        codes = [facts.subject, *([] if facts.relation is None else [facts.relation[1]])]
        some = {
            code: replace(self.scenes.subjects[code], words=tuple(names[code]), wider=(), kinds=())
            for code in codes
        }
        return said_whole(Named(some), facts, rng, 0.0, self.reader)

    @torch.no_grad()
    def _read(self, captions: Sequence[str]) -> list[Tensor]:
        """Adapted and published states of each caption, (L, 2 D) float16, read once."""
        made: list[Tensor] = []
        for first in range(0, len(captions), _AT_ONCE):
            read = self.reader.read(captions[first : first + _AT_ONCE])
            context = run_layers(self.adapter.layers, read.states, read.mask)
            both = torch.cat([context, read.states], dim=-1).half().cpu()
            made += [row[heard].clone() for row, heard in zip(both, read.mask.cpu(), strict=True)]
        return made


def _scores(naming: Naming, heard: Tensor, mask: Tensor) -> Tensor:
    context, states = heard.chunk(2, dim=-1)
    return naming(states, context, mask)


def _bare(facts: Facts, rng: np.random.Generator) -> str:
    """A look, and perhaps where it is, without a thing."""
    looks = (facts.style, *STYLES[facts.style].after)
    look = looks[int(rng.random() * len(looks))]
    if facts.background is None or rng.random() < 0.3:
        return look
    places = BACKDROPS.get(facts.background, (f"on a {facts.background} background",))
    return f"{look} {places[int(rng.random() * len(places))]}"


def _names(subject: Subject, *, held: bool) -> tuple[str, ...]:
    """The names that are taught, the first always among them, or those that are not."""
    label, *others = (*subject.words, *subject.wider, *subject.kinds)
    some = [name for name in others if _is_held(name) == held]
    return tuple(some) if held else (label, *some)


def _is_held(name: str) -> bool:
    said = " ".join(words_in(bare(name.lower())))  # "heart-eyes" and "the heart eyes" go together
    return int(sha256(said.encode()).hexdigest(), 16) % _HELD == 0
