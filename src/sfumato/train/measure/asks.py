"""What is asked of a model: prompts whose every word can be checked, each with a seed of its own.

Asks come in groups, and in each group the strata (subjects, cells, numbers, places) take turns, so
that the first so many of a group are drawn alike from all of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, cast

import numpy as np

from sfumato.train.captions import BACKDROPS, Facts, plain
from sfumato.train.drawings import Cell, held_cells
from sfumato.train.measure.reals import RELATIONS
from sfumato.train.scenes import GROUNDS, Scenes
from sfumato.train.stylize import DERIVED

__all__ = ["GROUPS", "Ask", "Size", "asks", "table"]


@dataclass(frozen=True)
class Size:
    """How many of a group are asked at once, and how many at the very most."""

    round: int
    most: int


# At most so many that shares not far from one half are sure to three points or four. A round holds
# each subject of the bundled model, and each of those that have another name, twice: what varies
# within a subject tells how sure a figure is.
GROUPS: Mapping[str, Size] = {
    "seen": Size(442, 1105),
    "ground": Size(112, 672),
    "backdrop": Size(120, 600),
    "held cells": Size(144, 576),
    "held subjects": Size(96, 96),
    "label": Size(222, 777),
    "paraphrase": Size(222, 777),
    "count": Size(150, 900),
    "relation": Size(200, 1000),
    "colour": Size(150, 600),
}


@dataclass(frozen=True)
class Ask:
    """One prompt and seed, and what is true of the picture if the model did as it was told."""

    group: str
    facts: Facts
    prompt: str
    seed: int
    stratum: str


Made = Iterator[tuple[str, Facts, str]]  # stratum, facts, prompt


def asks(scenes: Scenes, everything: Scenes, portion: float = 1.0) -> dict[str, list[Ask]]:
    """All that may be asked of a model trained on ``scenes``, by group.

    ``everything`` are the same drawings with those held out; at most ``portion`` of what `GROUPS`
    says is asked, at least one of each that there is.
    """
    makers: Mapping[str, Callable[[], Made]] = {
        "seen": lambda: _seen(scenes),
        "ground": lambda: _grounds(scenes),
        "backdrop": lambda: _backdrops(scenes),
        "held cells": lambda: _cells(scenes, scenes.held_back()),
        "held subjects": lambda: _cells(everything, _held_subjects(scenes, everything)),
        "label": lambda: _paraphrased(scenes, in_other_words=False),
        "paraphrase": lambda: _paraphrased(scenes, in_other_words=True),
        "count": lambda: _counts(scenes),
        "relation": lambda: _relations(scenes),
        "colour": lambda: _colours(scenes),
    }
    return {
        group: [
            Ask(group, facts, prompt, seed, stratum)
            for seed, (stratum, facts, prompt) in zip(
                range(1, 1 + max(1, round(size.most * portion))), makers[group](), strict=False
            )
        ]
        for group, size in GROUPS.items()
    }


def _turns(scenes: Scenes, cells: Sequence[Cell], number: int) -> Iterator[list[Cell]]:
    """Rounds without end: in each, a cell of every subject, in an order of its own."""
    by_subject: dict[str, list[Cell]] = {}
    for cell in cells:
        by_subject.setdefault(cell[0], []).append(cell)
    rng = np.random.default_rng([21, number])
    for own in by_subject.values():
        own[:] = [own[int(i)] for i in rng.permutation(len(own))]
    turn = 0
    while by_subject:
        order = rng.permutation(len(by_subject))
        groups = list(by_subject.values())
        yield [groups[int(i)][turn % len(groups[int(i)])] for i in order]
        turn += 1


def _seen(scenes: Scenes) -> Made:
    """Every subject in one look after the other, half of those that may on a coloured ground."""
    rng = np.random.default_rng([22])
    for cells in _turns(scenes, scenes.cells(), 0):
        for code, style in cells:
            facts = scenes.told(code, style)
            grounds = scenes.grounds(facts)
            if grounds and rng.random() < 0.5:
                facts = replace(facts, background=grounds[int(rng.random() * len(grounds))])
            yield code, facts, plain(facts, scenes.subjects)


def _grounds(scenes: Scenes) -> Made:
    """Subjects on each of the coloured grounds in turn, where they stand out from it."""
    free = {cell: scenes.grounds(scenes.told(*cell)) for cell in scenes.cells()}
    turns = _turns(scenes, [cell for cell, names in free.items() if names], 5)
    for cells in turns:
        for i, (code, style) in enumerate(cells):
            ground = list(GROUNDS)[i % len(GROUNDS)]
            if ground in free[(code, style)]:
                facts = replace(scenes.told(code, style), background=ground)
                yield ground, facts, plain(facts, scenes.subjects)


def _backdrops(scenes: Scenes) -> Made:
    """Subjects in each of the backdrops in turn, where they stand out from it."""
    free = {cell: scenes.backdrops(scenes.told(*cell)) for cell in scenes.cells()}
    for turn in _turns(scenes, [cell for cell, names in free.items() if names], 6):
        for i, (code, style) in enumerate(turn):
            name = list(BACKDROPS)[i % len(BACKDROPS)]
            if name in free[(code, style)]:
                facts = replace(scenes.told(code, style), background=name)
                yield name, facts, plain(facts, scenes.subjects)


def _cells(scenes: Scenes, cells: Sequence[Cell]) -> Made:
    """Every cell alone and plain, round after round."""
    rng = np.random.default_rng([23])
    while cells:
        for i in rng.permutation(len(cells)):
            code, style = cells[int(i)]
            facts = scenes.told(code, style)
            yield f"{code} {style}", facts, plain(facts, scenes.subjects)


def _held_subjects(scenes: Scenes, everything: Scenes) -> list[Cell]:
    """The cells of subjects that are held out whole, in the looks that the model was shown."""
    _, held = held_cells()
    shown = {style for _, style in scenes.cells()}
    return [
        (code, style)
        for code, style in everything.cells()
        if code in held and style in shown and style not in DERIVED
    ]


def table() -> Mapping[str, Any]:
    """Names of subjects, sentences and wordings of styles that no caption of the training has."""
    text = resources.files("sfumato.train").joinpath("data/paraphrases.json").read_text("utf-8")
    return cast(Mapping[str, Any], json.loads(text))


def _paraphrased(scenes: Scenes, *, in_other_words: bool) -> Made:
    """Subjects by a name and in a sentence that no caption of the training had, or by their label.

    Both kinds ask for the same pictures in the same order.
    """
    told = table()
    names = cast(Mapping[str, str], told["subjects"])
    sentences = cast(Sequence[str], told["sentences"])
    styles = cast(Mapping[str, Sequence[str]], told["styles"])
    cells = [c for c in scenes.cells() if c[0] in names and c[1] in styles]
    rng = np.random.default_rng([24])
    for turn in _turns(scenes, cells, 1):
        for code, style in turn:
            facts = scenes.told(code, style)
            sentence = sentences[int(rng.random() * len(sentences))]
            words = styles[style][int(rng.random() * len(styles[style]))]
            prompt = plain(facts, scenes.subjects)
            if in_other_words:
                prompt = sentence.replace("SUBJECT", names[code]).replace("STYLE", words)
            yield code, facts, prompt


def _counts(scenes: Scenes) -> Made:
    """Two, three and four of everything that can be counted, in the drawn looks."""
    cells = [
        (code, style)
        for code, style in scenes.cells()
        if style not in DERIVED and scenes.subjects[code].countable
    ]
    for turn in _turns(scenes, cells, 2):
        for i, (code, style) in enumerate(turn):
            facts = replace(scenes.told(code, style), count=2 + i % 3)
            yield str(facts.count), facts, plain(facts, scenes.subjects)


def _relations(scenes: Scenes) -> Made:
    """Two subjects in one look, each in turn on every side of another."""
    cells = [(code, style) for code, style in scenes.cells() if style not in DERIVED]
    known = set(cells)
    rng = np.random.default_rng([25])
    codes = list(dict.fromkeys(code for code, _ in cells))
    for turn in _turns(scenes, cells, 3):
        for i, (code, style) in enumerate(turn):
            others = [c for c in codes if c != code and (c, style) in known]
            if not others:
                continue
            where = RELATIONS[i % len(RELATIONS)]
            other = others[int(rng.random() * len(others))]
            facts = Facts(code, style, relation=(where, other))
            yield where, facts, plain(facts, scenes.subjects)


def _colours(scenes: Scenes) -> Made:
    """Subjects of one clear colour, in another."""
    cells = [cell for cell in scenes.cells() if scenes.colours(*cell)]
    rng = np.random.default_rng([26])
    for turn in _turns(scenes, cells, 4):
        for code, style in turn:
            colours = scenes.colours(code, style)
            colour = colours[int(rng.random() * len(colours))]
            facts = replace(scenes.told(code, style), colour=colour, recoloured=True)
            yield colour, facts, plain(facts, scenes.subjects)
