"""English for captions: articles by sound, plurals, noun phrases with adjectives and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = [
    "COLOURS",
    "COUNTS",
    "bare",
    "has_colour",
    "noun_phrase",
    "plural",
    "takes_adjective",
    "with_article",
]

COLOURS = frozenset(
    {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"}
    | {"grey", "golden", "gold"}
)
_SHADES = COLOURS | {"gray", "scarlet", "crimson", "navy", "silver", "ginger", "rosy", "violet"}
_BARE = frozenset(
    {"what", "where", "how", "when", "who", "someone", "somebody", "something", "some", "both"}
    | {"half", "all", "no", "that", "it", "they", "you", "we", "he", "she", "my", "your", "our"}
    | {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve"}
)
COUNTS: Mapping[int, str] = {1: "one", 2: "two", 3: "three", 4: "four"}
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
    """Whether a phrase names a colour: "a red rose", "a red-capped toadstool"."""
    return not _SHADES.isdisjoint(re.findall("[a-z]+", words.lower()))


def takes_adjective(words: str) -> bool:
    """Whether an adjective can stand before it: not before "what hens lay", "dad's chair"."""
    first = words.lower().split()[0]
    return first not in _BARE and not first.endswith("'s")


def noun_phrase(words: str, adjectives: Sequence[str] = (), count: int = 1) -> str:
    """`words` with adjectives before the noun and the right article or number."""
    if not adjectives and count == 1:
        return words
    core = bare(words)
    if count > 1:
        return " ".join([COUNTS[count], *adjectives, plural(core)])
    phrase = " ".join([*adjectives, core])
    article = words.partition(" ")[0]
    if article in ("a", "an"):
        return with_article(phrase)
    return f"the {phrase}" if article == "the" else phrase
