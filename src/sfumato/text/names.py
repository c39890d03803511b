"""What a model calls the things that it was shown, and which of these names a prompt has.

A small model paints a thing best by the name that it mostly went by. Where a prompt calls it
otherwise, the model may say which name comes nearest, and read that before the prompt's own words.
The trainer writes the names into the header of the models that it makes.
"""

from collections.abc import Mapping, Sequence

from sfumato.text.words import forms, words_in

__all__ = ["HEADER", "Names", "header", "names"]

HEADER = "names"  # the row of a file's header
_ARTICLES = ("a", "an", "the")


def header(some: Sequence[str]) -> dict[str, str]:
    """The row of a file's header that says what a model calls things."""
    return {HEADER: "\n".join(some)} if some else {}


def names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The names of a file's header, each with its article; none for a model that does not say."""
    said = metadata.get(HEADER) or metadata.get(f"text/{HEADER}")
    return tuple(said.split("\n")) if said else ()


class Names:
    """Names as they are found in prompts: with any article, and in the plural too."""

    def __init__(self, some: Sequence[str]) -> None:
        self._by_first: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for place, name in enumerate(some):
            words = tuple(words_in(name))
            bare = words[1:] if words[:1] and words[0] in _ARTICLES else words
            if bare:
                self._by_first.setdefault(bare[0], []).append((place, bare))

    def mentioned(self, prompt: str) -> frozenset[int]:
        """The places of the names that a prompt has, their words side by side."""
        heard = [forms(word) for word in words_in(prompt)]
        return frozenset(
            place
            for start, some in enumerate(heard)
            for first in some
            for place, name in self._by_first.get(first, ())
            if len(name) <= len(heard) - start
            and all(word in heard[start + i] for i, word in enumerate(name))
        )
