"""Words as a small model's reader has them: small letters, without accents, in any number."""

import re
import unicodedata

__all__ = ["forms", "words_in"]

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def words_in(text: str) -> list[str]:
    """The words of a text in their order."""
    apart = unicodedata.normalize(
        "NFD", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return _WORD.findall("".join(c for c in apart if not unicodedata.combining(c)))


def forms(word: str) -> tuple[str, ...]:
    """A word, and what it may be the plural or the genitive of."""
    bare = word.removesuffix("'s")
    return (word, bare, bare.removesuffix("s"), bare.removesuffix("es"))
