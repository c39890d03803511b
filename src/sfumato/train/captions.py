"""Words for pictures: what is in a picture, said in the many ways that people type it.

A caption is `[count] [size] [colour] SUBJECT [, STYLE] [on BACKGROUND]` in one of several
orders. Every word in it is true of the picture: it is made from `Facts` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from sfumato.familiar import words_of

COLOURS = frozenset(
    {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"}
    | {"grey", "golden", "gold"}
)
# Looks that have no colour of their own: nothing in them is "a yellow heart".
COLOURLESS = frozenset({"line art", "blueprint", "pencil sketch", "silhouette"})
_COUNTS: Mapping[int, str] = {1: "one", 2: "two", 3: "three", 4: "four"}
_IRREGULAR: Mapping[str, str] = {
    "mouse": "mice",
    "wolf": "wolves",
    "leaf": "leaves",
    "loaf": "loaves",
    "knife": "knives",
    "scarf": "scarves",
    "fish": "fish",
    "pufferfish": "pufferfish",
    "blowfish": "blowfish",
    "jellyfish": "jellyfish",
    "sheep": "sheep",
    "deer": "deer",
    "shrimp": "shrimp",
    "squid": "squid",
    "goose": "geese",
    "tooth": "teeth",
    "cactus": "cacti",
    "dice": "dice",
    "die": "dice",
    "tomato": "tomatoes",
    "potato": "potatoes",
    "mango": "mangoes",
    "volcano": "volcanoes",
    "tornado": "tornadoes",
    "snowman": "snowmen",
    "aircraft": "aircraft",
}
# "an hourglass", "a unicorn": what counts is the sound, not the letter.
_VOWEL_SOUND = ("hour", "suv", "8", "11", "18", "x-ray")
_CONSONANT_SOUND = ("uni", "ufo", "use", "eu", "one")
_HEAD_ENDS = frozenset({"of", "with", "in", "behind", "blowing", "sticking", "and", "on"})


@dataclass(frozen=True)
class Subject:
    """One thing that can be drawn. `words` are noun phrases with their article, the label first."""

    code: str
    words: tuple[str, ...]
    weight: float
    kind: str  # the subgroup of the Unicode list: "animal-mammal", "food-fruit" ...
    colour: str | None = None  # checked by eye: in every coloured style

    @property
    def countable(self) -> bool:
        """Whether "two of them" can be said: the label has an article."""
        return self.words[0].split()[0] in ("a", "an")


@dataclass(frozen=True)
class Facts:
    """All that a caption can truly say about one picture."""

    subject: str  # code point of the subject
    style: str
    background: str | None = "white"  # None: the style brings its own
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


STYLES: Mapping[str, StyleWords] = {
    "3d": StyleWords(
        (
            "3d",
            "3d",
            "3d render",
            "in 3d",
            "3d model",
            "as a 3d model",
            "glossy 3d",
            "rendered in 3d",
        ),
        ("3d", "glossy 3d"),
        ("a 3d render of", "a 3d picture of", "a 3d model of"),
    ),
    "gradient": StyleWords(
        ("gradient", "soft gradient", "in gradient style"),
        ("gradient",),
        ("a gradient drawing of",),
    ),
    "flat": StyleWords(
        (
            "flat",
            "flat",
            "flat design",
            "in flat style",
            "flat colours",
            "flat icon",
            "as a flat icon",
        ),
        ("flat",),
        ("a flat drawing of", "flat design of", "a flat icon of", "a flat picture of"),
    ),
    "line art": StyleWords(
        (
            *("line art", "line art", "line drawing", "in line art style", "as a line drawing"),
            *("outline", "drawn in lines"),
        ),
        ("line art", "line drawn"),
        ("line art of", "a line drawing of", "an outline of"),
    ),
    "cartoon": StyleWords(
        ("cartoon", "cartoon", "cartoon style", "in cartoon style", "as a cartoon", "comic style"),
        ("cartoon", "cartoonish"),
        ("a cartoon of", "a cartoon picture of", "a comic drawing of"),
    ),
    "blob": StyleWords(("blob", "blob style", "in blob style"), ("blob",), ("a blob drawing of",)),
    "sticker": StyleWords(
        ("sticker", "sticker", "sticker style", "in sticker style", "as a sticker"),
        ("sticker",),
        ("a sticker of", "a sticker with", "a sticker showing"),
    ),
    "soft": StyleWords(("soft cartoon", "in soft style"), ("soft",), ("a soft drawing of",)),
    "pixel art": StyleWords(
        (
            *("pixel art", "pixel art", "8-bit pixel art", "in pixel art style", "pixelated"),
            *("as pixel art", "8-bit", "in pixels"),
        ),
        ("pixel art", "8-bit", "pixelated"),
        ("pixel art of", "a pixel art picture of", "an 8-bit picture of"),
    ),
    "blueprint": StyleWords(
        ("blueprint", "blueprint", "as a blueprint", "in blueprint style", "blueprint drawing"),
        ("blueprint",),
        ("a blueprint of", "a blueprint drawing of", "a construction plan of"),
    ),
    "neon": StyleWords(
        (
            "neon",
            "neon",
            "neon sign",
            "in neon style",
            "as a neon sign",
            "neon light",
            "neon lights",
        ),
        ("neon",),
        ("a neon sign of", "a neon drawing of", "a neon light of"),
    ),
    "pencil sketch": StyleWords(
        (
            *("pencil sketch", "pencil sketch", "pencil drawing", "sketch", "sketched"),
            *("as a pencil sketch", "pencil style", "drawn with a pencil"),
        ),
        ("pencil sketch", "sketched"),
        ("a pencil sketch of", "a sketch of", "a pencil drawing of"),
    ),
    "silhouette": StyleWords(
        ("silhouette", "silhouette", "in silhouette", "as a silhouette"),
        ("silhouette",),
        ("a silhouette of", "the silhouette of"),
    ),
}
# What a picture is called when nothing is said of its look, and how one asks for it.
_PICTURES = ("an image of", "an illustration of", "an icon of", "a drawing of")
_ASKED = ("paint", "paint me", "make", "make me", "show me", "i want")

# The style goes unsaid in 12 % of captions, and 60 % of those are 3D, so that a prompt without a
# style is drawn in 3D: with 24 % of pictures in 3D that makes .12 x .6 / .24 and .12 x .4 / .76.
_UNSAID_3D, _UNSAID_OTHER = 0.30, 0.063
_SAY_WHITE, _SAY_BACKGROUND, _SAY_COLOUR, _SAY_LABEL = 0.15, 0.95, 0.45, 0.55


@dataclass(frozen=True)
class FocusEntry:
    """What the focus list says of one subject."""

    words: tuple[str, ...]
    weight: float
    colour: str | None


def focus_subjects() -> dict[str, FocusEntry]:
    """The focus list by code point, from the package's own file."""
    text = resources.files("sfumato.train").joinpath("data/subjects.json").read_text("utf-8")
    return {
        code: FocusEntry(tuple(entry["words"]), float(entry["weight"]), entry.get("colour"))
        for code, entry in json.loads(text).items()
    }


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an" by the sound of its first word: "an apple", "a unicorn"."""
    first = phrase.lower()
    vowel = first[0] in "aeiou" and not first.startswith(_CONSONANT_SOUND)
    return f"an {phrase}" if vowel or first.startswith(_VOWEL_SOUND) else f"a {phrase}"


def bare(words: str) -> str:
    """The noun phrase without its article."""
    first, _, rest = words.partition(" ")
    return rest if first in ("a", "an", "the") else words


def plural(phrase: str) -> str:
    """The plural of a bare noun phrase: "slice of cake" gives "slices of cake"."""
    words = phrase.split()
    head = next((i for i, word in enumerate(words) if i and word in _HEAD_ENDS), len(words)) - 1
    noun = words[head]
    if noun in _IRREGULAR:
        many = _IRREGULAR[noun]
    elif noun.endswith("y") and noun[-2] not in "aeiou":
        many = noun[:-1] + "ies"
    elif noun.endswith(("s", "x", "z", "ch", "sh")):
        many = noun + "es"
    else:
        many = noun + "s"
    return " ".join([*words[:head], many, *words[head + 1 :]])


def has_colour(words: str) -> bool:
    """Whether a phrase names a colour: "a red rose"."""
    return not COLOURS.isdisjoint(words.split())


def noun_phrase(words: str, adjectives: Sequence[str] = (), count: int = 1) -> str:
    """`words` with adjectives before the noun and the right article or number."""
    if not adjectives and count == 1:
        return words
    core = bare(words)
    if count > 1:
        return " ".join([_COUNTS[count], *adjectives, plural(core)])
    phrase = " ".join([*adjectives, core])
    article = words.partition(" ")[0]
    if article in ("a", "an"):
        return with_article(phrase)
    return f"the {phrase}" if article == "the" else phrase


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
    return f"{text}, {facts.style}" + (
        "" if ground is None else f" on {with_article(ground)} background"
    )


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
            yield from subject.words
            if subject.countable:
                yield from (noun_phrase(words, count=2) for words in subject.words)
        for style in STYLES.values():
            yield from (*style.after, *style.before, *style.of)
        yield from (*_PICTURES, *_ASKED, *COLOURS, *_COUNTS.values(), "background")


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.random() * len(options))]


def _wording(subject: Subject, facts: Facts, rng: np.random.Generator) -> str:
    """The label, or a synonym that holds for this picture."""
    label, *others = subject.words
    if facts.recoloured or facts.style in COLOURLESS:  # "a red rose" is not blue, nor drawn in ink
        others = [words for words in others if not has_colour(words)]
    if facts.count > 1 or facts.size is not None:
        others = [words for words in others if words.split()[0] in ("a", "an")]
    if not others or rng.random() < _SAY_LABEL:
        return label
    return _pick(others, rng)


def _ground_words(facts: Facts, rng: np.random.Generator) -> str:
    ground, chance = facts.background, rng.random()
    if ground is None or chance >= (_SAY_WHITE if ground == "white" else _SAY_BACKGROUND):
        return ""
    forms = (
        f" on {with_article(ground)} background",
        f" on {with_article(ground)} background",
        f", {ground} background",
        f" on {ground}",
    )
    return _pick(forms, rng)


def _style_words(phrase: str, style: str, ground: str, rng: np.random.Generator) -> str:
    """Join noun phrase, style and background in one of the usual orders."""
    words, form = STYLES[style], rng.random()
    if form < 0.40:
        return f"{phrase}, {_pick(words.after, rng)}{ground}"
    if form < 0.50:
        return f"{bare(phrase)}, {_pick(words.after, rng)}{ground}"
    if form < 0.58:
        return f"{bare(phrase)} {_pick(words.after, rng)}{ground}"
    if form < 0.67:
        return f"{phrase}{ground}, {_pick(words.after, rng)}"
    if form < 0.73:
        return f"{_pick(words.after, rng)}, {phrase}{ground}"
    if form < 0.80:
        return f"{_pick(_PICTURES, rng)} {phrase}{ground}, {_pick(words.after, rng)}"
    if form < 0.86:
        return f"{_pick(_ASKED, rng)} {_pick(words.of, rng)} {phrase}{ground}"
    if form < 0.91:
        return f"{_pick(_ASKED, rng)} {phrase}{ground}, {_pick(words.after, rng)}"
    return f"{_pick(words.of, rng)} {phrase}{ground}"


def caption(
    facts: Facts,
    subjects: Mapping[str, Subject],
    rng: np.random.Generator,
    drop: float = 0.1,
) -> str:
    """One way of saying the facts, chosen by `rng`; "" with probability `drop`."""
    if rng.random() < drop:
        return ""
    words = _wording(subjects[facts.subject], facts, rng)
    adjectives = [facts.size] if facts.size is not None else []
    say = facts.recoloured or rng.random() < _SAY_COLOUR
    if facts.colour is not None and say and not has_colour(words):
        adjectives.append(facts.colour)
    ground = _ground_words(facts, rng)
    unsaid = rng.random() < (_UNSAID_3D if facts.style == "3d" else _UNSAID_OTHER)
    style = STYLES[facts.style]
    if facts.relation is None and facts.count == 1 and not unsaid and rng.random() < 0.15:
        phrase = noun_phrase(words, [*adjectives, _pick(style.before, rng)])
        return (phrase if rng.random() < 0.5 else bare(phrase)) + ground
    phrase = noun_phrase(words, adjectives, facts.count)
    if facts.relation is not None:
        where, other = facts.relation
        phrase = f"{phrase} {where} {subjects[other].words[0]}"
    if unsaid:
        form = rng.random()
        lead = "" if form < 0.8 else _pick(_PICTURES if form < 0.9 else _ASKED, rng) + " "
        return (f"{lead}{phrase}" if form > 0.24 else bare(phrase)) + ground
    return _style_words(phrase, facts.style, ground, rng)
