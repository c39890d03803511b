"""The words that a model was trained with, and those of a prompt that it never met.

A small model knows few things and paints something else where it is asked for another. That is no
error, and is told. The trainer writes the words into the header of the models that it makes.
"""

import re
from collections.abc import Iterable, Mapping

from sfumato.request import Request
from sfumato.text.words import forms, words_in

__all__ = ["HEADER", "familiar", "header", "spoken", "strange", "words_of"]

HEADER = "words"  # the row of a file's header
_NETWORK = re.compile(r"<[^<>]*>")
_NOTATION = re.compile(r"\b(?:AND|BREAK)\b")
# Words that hold a sentence together and name nothing that could be drawn.
_SMALL = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "has", "have"),
        *("her", "his", "i", "in", "into", "is", "it", "its", "like", "me", "my", "of", "on", "or"),
        *("our", "please", "she", "he", "so", "some", "that", "the", "their", "them", "there"),
        *("these", "they", "this", "to", "up", "us", "very", "was", "we", "were", "with", "you"),
        "your",
    )
)


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """The words of some captions, small letters throughout."""
    return frozenset(word for text in texts for word in words_in(text))


def header(words: frozenset[str]) -> dict[str, str]:
    """The row of a file's header that says with which words a model was trained."""
    return {HEADER: " ".join(sorted(words))}


def familiar(metadata: Mapping[str, str]) -> frozenset[str] | None:
    """The words of a file's header; None for a model that does not say."""
    return frozenset(metadata[HEADER].split()) if HEADER in metadata else None


def strange(request: Request, known: frozenset[str] | None) -> tuple[str, ...]:
    """The words of a request's prompt that its model never met, in their order, each once.

    A plural of a word is known as the word is. Embeddings are words of their own, and known.
    """
    if known is None:
        return ()
    own = words_of(embedding.name for embedding in request.embeddings or ())
    met = known | _SMALL | own
    found = dict.fromkeys(words_in(spoken(request)))
    return tuple(word for word in found if met.isdisjoint(forms(word)))


def spoken(request: Request) -> str:
    """A request's prompt without what is no word in it: networks, AND and BREAK."""
    text = _NETWORK.sub(" ", request.prompt)
    return text if request.brackets == "plain" else _NOTATION.sub(" ", text)
