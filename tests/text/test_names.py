"""What a model calls things is found in prompts as people write them."""

import pytest

from sfumato.text.names import HEADER, Names, header, names

KNOWN = ("a dog", "a hot dog", "a slice of cake", "scissors", "the Moon", "an owl")


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a dog, 3d", {"a dog"}),
        ("Two DOGS on a beach", {"a dog"}),
        ("the dog's bone", {"a dog"}),
        ("hot dogs, flat", {"a dog", "a hot dog"}),
        ("slices of cake", {"a slice of cake"}),
        ("a slice of the cake", set()),
        ("moon", {"the Moon"}),
        ("a pair of scissors", {"scissors"}),
        ("a dogma", set()),
        ("howl", set()),
        ("", set()),
    ],
)
def test_a_name_is_found_with_any_article_and_in_the_plural(prompt: str, found: set[str]) -> None:
    assert {KNOWN[place] for place in Names(KNOWN).mentioned(prompt)} == found


def test_a_file_s_header_holds_the_names_in_their_order() -> None:
    assert names({"model": "mini", **header(KNOWN)}) == KNOWN
    assert names({"model": "mini"}) == ()
    assert HEADER not in header(())


def test_a_name_of_no_words_is_found_nowhere() -> None:
    assert Names(["", "a", "\u732b"]).mentioned("a the \u732b") == frozenset()
