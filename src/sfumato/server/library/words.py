"""Full text: what of a picture's texts is indexed, and how a query finds it, in every script.

The words are cut here and not by the database, so that SQLite and PostgreSQL find the same, and so
that nothing a user types can be a syntax error there. What a database sees are tokens of the
letters a-z and digits alone, which both cut at the blanks and nowhere else.

- Case, accents and width do not count: Café is cafe, ＦＯＸ is fox.
- A script without blanks between its words (Chinese, Japanese, Thai …) is cut into its characters,
  and a run of them is found as a phrase: 赤い狐 within 森の赤い狐. So are emoji.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from sfumato.parameters import split_parameters

__all__ = ["Phrase", "Query", "indexed", "parse", "tokens"]

# Beyond these nothing is indexed or asked for; a whole prompt still fits as a query.
_MOST_TEXT, _MOST_TOKENS, _LONGEST = 100_000, 10_000, 64
_MOST_ASKED = 256
_TYPED = 10  # beginnings of words cost much more to look for than whole ones

# Settings whose names stand under nearly every picture: to find them all is to find nothing.
_COMMON = frozenset(
    (
        *("steps", "sampler", "schedule type", "cfg scale", "seed", "size", "model hash", "model"),
        *("rng", "version"),
    )
)

# Han, kana, bopomofo and their extensions; Thai, Lao, Burmese, Khmer; pictographs.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029"
    "\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
# A vowel sign of Hindi is a mark, no letter, and yet a part of its word.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0951-\u0dff"
)
_TOKEN = re.compile(rf"[{_UNSPACED}]|(?:[^\W_{_UNSPACED}]|[{_MARKS}])+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_QUOTES = str.maketrans("“”„«»＂", '""""""')
# A word or a quoted phrase (which may lack its end), with a minus before it or not.
_PART = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')


def tokens(text: str) -> list[str]:
    """The words of a text as the index holds them: ASCII letters and digits, in their order."""
    folded = unicodedata.normalize("NFKD", text[:_MOST_TEXT]).casefold()
    # Kana voicing marks and Hangul are put together again; only accents go.
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", folded))
    return [_written(match[:_LONGEST]) for match in _TOKEN.findall(plain)]


def _written(word: str) -> str:
    """w and the word itself; x and the code points of what ASCII lacks.

    The leading letter keeps both kinds apart, and keeps PostgreSQL from reading 1e5 as a number.
    """
    if word.isascii():
        return "w" + word
    return "x" + "".join(c if c.isascii() else f"u{ord(c):05x}" for c in word)


def indexed(prompt: str, negative: str, parameters: str, tags: tuple[str, ...] = ()) -> str:
    """What the index holds of a picture: prompts, tags, and the settings with their values."""
    parts = [prompt, negative, *tags]
    text, _, settings = split_parameters(parameters) if parameters else ("", "", {})
    if settings:
        parts += settings.values()
        parts += [key for key in settings if key.lower() not in _COMMON]
    elif text not in (prompt, ""):
        parts.append(parameters)
    # A mark between two parts: the end of one and the beginning of the next are no phrase.
    found: list[str] = []
    for part in parts:
        found += [*tokens(part), "y"]
    return " ".join(found[:_MOST_TOKENS])


@dataclass(frozen=True)
class Phrase:
    """Tokens that follow one another; with ``prefix`` the last need only begin so."""

    tokens: tuple[str, ...]
    prefix: bool


@dataclass(frozen=True)
class Query:
    """What must be found, all of it, and what must not, none of it."""

    wanted: tuple[Phrase, ...] = ()
    unwanted: tuple[Phrase, ...] = ()


def parse(text: str) -> Query:
    """Read what a user typed; nothing is an error.

    Words are found by their beginnings, in any order: `fo sno` finds "a fox in snow". Words in
    quotes are found as they stand: `"red fox"`. A minus before either excludes: `fox -snow`. A
    word with signs in it is found with anything in their place: `sci-fi`. Signs alone, and
    what comes after the first 256 words, are passed over. Of more than 10 words, which are pasted
    rather than typed, only the last need not be whole.
    """
    wanted: list[Phrase] = []
    unwanted: list[Phrase] = []
    left = _MOST_ASKED
    for minus, quoted, word in _PART.findall(text[:_MOST_TEXT].translate(_QUOTES)):
        found = tuple(tokens(quoted or word)[:left])
        if found:
            left -= len(found)
            (unwanted if minus else wanted).append(Phrase(found, prefix=not quoted))
    if len(wanted) > _TYPED:
        wanted = [replace(phrase, prefix=False) for phrase in wanted[:-1]] + wanted[-1:]
    return Query(tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(unwanted)))


def fts5(phrases: tuple[Phrase, ...], *, every: bool) -> str:
    """The phrases in SQLite's language: all of them, or any."""
    return (" AND " if every else " OR ").join(
        f'"{" ".join(phrase.tokens)}"{" *" if phrase.prefix else ""}' for phrase in phrases
    )


def tsquery(phrases: tuple[Phrase, ...], *, every: bool) -> str:
    """The phrases in PostgreSQL's language: all of them, or any."""
    return (" & " if every else " | ").join(
        f"({' <-> '.join(phrase.tokens)}{':*' if phrase.prefix else ''})" for phrase in phrases
    )
