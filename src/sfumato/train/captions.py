"""Words for pictures: what is in a picture, said in the many ways that people type it.

A caption is `[count] [size] [colour] SUBJECT [, STYLE] [on BACKGROUND]` in one of many orders and
sentences. Every word in it is true of the picture: it is made from `Facts` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from sfumato.familiar import words_of
from sfumato.train.grammar import (
    COLOURS,
    COUNTS,
    bare,
    has_colour,
    noun_phrase,
    takes_adjective,
    with_article,
)

__all__ = [
    "BACKDROPS",
    "COLOURLESS",
    "ENDS",
    "FRAMES",
    "ORDERS",
    "STYLES",
    "Facts",
    "FocusEntry",
    "Named",
    "StyleWords",
    "Subject",
    "caption",
    "focus_subjects",
    "other_subjects",
    "plain",
]

# Looks that have no colour of their own: nothing in them is "a yellow heart".
COLOURLESS = frozenset({"line art", "blueprint", "pencil sketch", "silhouette"})


@dataclass(frozen=True)
class Subject:
    """One thing that can be drawn. `words` are noun phrases with their article, the label first.

    `wider` are the names by which it goes too, but less closely, and what it looks like or is for
    ("an animal with a long trunk"); `kinds` are names of its kinds ("a terrier"), after WordNet.
    """

    code: str
    words: tuple[str, ...]
    weight: float
    kind: str  # the subgroup of the Unicode list: "animal-mammal", "food-fruit" ...
    colour: str | None = None  # checked by eye: in every coloured style
    wider: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def countable(self) -> bool:
        """Whether "two of them" can be said: the label has an article."""
        return self.words[0].split()[0] in ("a", "an")


@dataclass(frozen=True)
class Facts:
    """All that a caption can truly say about one picture."""

    subject: str  # code point of the subject
    style: str
    background: str | None = "white"  # a colour or a backdrop; None: the style brings its own
    colour: str | None = None  # of a drawing with one clear colour
    recoloured: bool = False
    count: int = 1
    relation: tuple[str, str] | None = None  # ("above", code point of the other subject)
    size: str | None = None  # "small", "big"


@dataclass(frozen=True)
class StyleWords:
    """Wordings of one look: after the noun, before it, and as what the picture is "of"."""

    after: tuple[str, ...]
    before: tuple[str, ...]
    of: tuple[str, ...]


@dataclass(frozen=True)
class FocusEntry:
    """What the lists of subjects say of one."""

    words: tuple[str, ...]
    weight: float
    colour: str | None
    wider: tuple[str, ...]
    kinds: tuple[str, ...]


def _data(name: str) -> Any:
    return json.loads(resources.files("sfumato.train").joinpath(f"data/{name}").read_text("utf-8"))


def focus_subjects() -> dict[str, FocusEntry]:
    """The focus list by code point, from the package's own files."""
    kinds = _data("kinds.json")
    return {
        code: _entry(entry, tuple(kinds.get(code, ())))
        for code, entry in _data("subjects.json").items()
    }


def other_subjects() -> dict[str, FocusEntry]:
    """Those beside the focus list that can be told apart in a small picture, likewise."""
    return {code: _entry(entry, ()) for code, entry in _data("others.json").items()}


def _entry(entry: Mapping[str, Any], kinds: tuple[str, ...]) -> FocusEntry:
    words, wider = tuple(entry["words"]), tuple(entry.get("wider", ()))
    return FocusEntry(words, float(entry["weight"]), entry.get("colour"), wider, kinds)


_WORDINGS = _data("wordings.json")
STYLES: Mapping[str, StyleWords] = {
    style: StyleWords(tuple(words["after"]), tuple(words["before"]), tuple(words["of"]))
    for style, words in _WORDINGS["styles"].items()
}
# Whole sentences, in which {phrase} is the noun phrase with its background, {style} one of `after`.
FRAMES: tuple[str, ...] = tuple(_WORDINGS["frames"])
# Where a thing is, in words that follow its name; the first is the plainest.
BACKDROPS: Mapping[str, tuple[str, ...]] = {
    name: tuple(words) for name, words in _WORDINGS["backdrops"].items()
}
# What a picture is called when nothing is said of its look, and how one asks for it.
_PICTURES = ("an image of", "an illustration of", "an icon of", "a drawing of")
_ASKED = ("paint", "paint me", "make", "make me", "show me", "i want")
_RELATIONS: Mapping[str, tuple[str, ...]] = {
    "above": ("over", "on top of", "higher than"),
    "below": ("under", "beneath", "underneath"),
    "to the left of": ("left of", "on the left of", "on the left side of"),
    "to the right of": ("right of", "on the right of", "on the right side of"),
    "next to": ("beside", "and", "with", "side by side with"),
}
# Where the first and the second of two subjects stand; "next to" does not say.
ENDS: Mapping[str, tuple[str, str]] = {
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
    "to the left of": ("left", "right"),
    "to the right of": ("right", "left"),
}

# Joined in one of these orders, each by its weight; the rest of them are sentences.
ORDERS = (
    ("{phrase}, {style}{ground}", 0.22),
    ("{bare}, {style}{ground}", 0.07),
    ("{bare} {style}{ground}", 0.06),
    ("{phrase}{ground}, {style}", 0.07),
    ("{style}, {phrase}{ground}", 0.05),
    ("{picture} {phrase}{ground}, {style}", 0.05),
    ("{asked} {of} {phrase}{ground}", 0.04),
    ("{asked} {phrase}{ground}, {style}", 0.04),
    ("{of} {phrase}{ground}", 0.08),
)
_GROUNDS = (
    " on {article} background",
    " on {article} background",
    ", {ground} background",
    " on {ground}",
    " against {article} background",
    " with {article} background",
)

# The style goes unsaid in 12 % of captions, and 60 % of those are 3D, so that a prompt without a
# style is drawn in 3D: with 15 % in 3D (docs/model/recipe.toml): .12 x .6 / .15 and .12 x .4 / .85.
_UNSAID_3D, _UNSAID_OTHER = 0.48, 0.056
_SAY_WHITE, _SAY_BACKGROUND, _SAY_COLOUR = 0.15, 0.95, 0.45
# Of names: the first, one of the less close ones, one of a kind.
_SAY_LABEL, _SAY_WIDER, _SAY_KIND = 0.32, 0.42, 0.10
_SAY_STYLE = 0.35  # the look by its own name
_SAY_PLAIN_RELATION = 0.5
_SAY_PLAIN_BACKDROP = 0.35


def _background(facts: Facts) -> str | None:
    return None if facts.background in (None, "white") else facts.background


def plain(facts: Facts, subjects: Mapping[str, Subject]) -> str:
    """The canonical wording: "a red apple, 3d", "three strawberries, flat on a teal background".

    A colour is said only where the drawing was recoloured: the label stands for the usual one.
    """
    words = subjects[facts.subject].words[0]
    adjectives = [facts.size] if facts.size is not None else []
    if facts.recoloured and facts.colour is not None:
        adjectives.append(facts.colour)
    text = noun_phrase(words, adjectives, facts.count)
    if facts.relation is not None:
        where, other = facts.relation
        text = f"{text} {where} {subjects[other].words[0]}"
    ground = _background(facts)
    if ground is None:
        return f"{text}, {facts.style}"
    if ground in BACKDROPS:
        return f"{text} {BACKDROPS[ground][0]}, {facts.style}"
    return f"{text}, {facts.style} on {with_article(ground)} background"


@dataclass(frozen=True)
class Named:
    """The words of scenes: what `Facts` say, with the names of these subjects."""

    subjects: Mapping[str, Subject]

    def said(self, facts: Facts, rng: np.random.Generator, drop: float) -> str:
        """One wording of many, or "" with probability `drop`."""
        return caption(facts, self.subjects, rng, drop)

    def plain(self, facts: Facts) -> str:
        """The canonical wording."""
        return plain(facts, self.subjects)

    def words(self, some: Iterable[Facts]) -> frozenset[str]:
        """Every word that may be said of such pictures."""
        return words_of([*self._wordings(), *(self.plain(facts) for facts in some)])

    def _wordings(self) -> Iterator[str]:
        for subject in self.subjects.values():
            yield from (*subject.words, *subject.wider, *subject.kinds)
            if subject.countable:
                yield from (noun_phrase(words, count=2) for words in subject.words)
        for style in STYLES.values():
            yield from (*style.after, *style.before, *style.of)
        for others in (*_RELATIONS.values(), *BACKDROPS.values()):
            yield from others
        yield from (frame.format(phrase="", style="") for frame in FRAMES)
        yield from (form.format(article="a", ground="") for form in _GROUNDS)
        yield from (*_PICTURES, *_ASKED, *COLOURS, *COUNTS.values())


def _alone(facts: Facts) -> bool:
    return facts.count == 1 and facts.relation is None


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.random() * len(options))]


def _wording(
    subject: Subject,
    rng: np.random.Generator,
    *,
    colourless: bool = False,
    counted: bool = False,
    wider: bool = False,
) -> str:
    """The label, or another name that holds for this picture.

    ``colourless``: no name that holds a colour ("a red rose" is not blue, nor drawn in ink);
    ``counted``: only what has a plural; ``wider``: the less close names too.
    """
    label, *others = subject.words
    far, kinds = (subject.wider, subject.kinds) if wider else ((), ())
    if colourless:
        others, far, kinds = (
            [name for name in names if not has_colour(name)] for names in (others, far, kinds)
        )
    if counted:
        others = [words for words in others if words.split()[0] in ("a", "an")]
    u = rng.random()
    if far and u < _SAY_WIDER:
        return _pick(far, rng)
    if kinds and _SAY_WIDER <= u < _SAY_WIDER + _SAY_KIND:
        return _pick(kinds, rng)
    if others and u < 1 - _SAY_LABEL:
        return _pick(others, rng)
    return label


def _ground_words(facts: Facts, rng: np.random.Generator) -> str:
    ground, chance = facts.background, rng.random()
    if ground is None or chance >= (_SAY_WHITE if ground == "white" else _SAY_BACKGROUND):
        return ""
    if ground in BACKDROPS:
        place, *others = BACKDROPS[ground]
        return f" {place if rng.random() < _SAY_PLAIN_BACKDROP else _pick(others, rng)}"
    return _pick(_GROUNDS, rng).format(article=with_article(ground), ground=ground)


def _relation_words(facts: Facts, subjects: Mapping[str, Subject], rng: np.random.Generator) -> str:
    """Where the other subject stands, and its name; "" where there is no other."""
    if facts.relation is None:
        return ""
    where, other = facts.relation
    said = where if rng.random() < _SAY_PLAIN_RELATION else _pick(_RELATIONS[where], rng)
    name = _wording(subjects[other], rng, colourless=facts.style in COLOURLESS)
    return f" {said} {name}"


def _ordered(phrase: str, style: str, ground: str, rng: np.random.Generator) -> str:
    """Noun phrase, style and background joined in one of the usual orders, or in a sentence."""
    words, form = STYLES[style], rng.random()
    after = style if rng.random() < _SAY_STYLE else _pick(words.after, rng)
    for order, weight in ORDERS:
        form -= weight
        if form < 0:
            return order.format(
                phrase=phrase,
                bare=bare(phrase),
                ground=ground,
                style=after,
                of=_pick(words.of, rng),
                picture=_pick(_PICTURES, rng),
                asked=_pick(_ASKED, rng),
            )
    return _pick(FRAMES, rng).format(phrase=phrase + ground, style=after)


def caption(
    facts: Facts,
    subjects: Mapping[str, Subject],
    rng: np.random.Generator,
    drop: float = 0.1,
) -> str:
    """One way of saying the facts, chosen by `rng`; "" with probability `drop`."""
    if rng.random() < drop:
        return ""
    words = _wording(
        subjects[facts.subject],
        rng,
        colourless=facts.recoloured or facts.style in COLOURLESS,
        counted=facts.count > 1 or facts.size is not None,
        wider=_alone(facts) and facts.size is None and not facts.recoloured,
    )
    described = takes_adjective(words)
    adjectives = [facts.size] if facts.size is not None else []
    say = facts.recoloured or rng.random() < _SAY_COLOUR
    if facts.colour is not None and say and described and not has_colour(words):
        adjectives.append(facts.colour)
    ground = _ground_words(facts, rng)
    unsaid = rng.random() < (_UNSAID_3D if facts.style == "3d" else _UNSAID_OTHER)
    style = STYLES[facts.style]
    if _alone(facts) and described and not unsaid and rng.random() < 0.15:
        phrase = noun_phrase(words, [*adjectives, _pick(style.before, rng)])
        return (phrase if rng.random() < 0.5 else bare(phrase)) + ground
    phrase = noun_phrase(words, adjectives, facts.count)
    phrase += _relation_words(facts, subjects, rng)
    if unsaid:
        form = rng.random()
        lead = "" if form < 0.8 else _pick(_PICTURES if form < 0.9 else _ASKED, rng) + " "
        return (f"{lead}{phrase}" if form > 0.24 else bare(phrase)) + ground
    return _ordered(phrase, facts.style, ground, rng)
