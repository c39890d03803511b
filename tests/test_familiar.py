"""What a model was never shown is told, and what it was is not, however it is written."""

import pytest

from sfumato.embedding import Embedding
from sfumato.familiar import familiar, header, strange, words_of
from sfumato.request import Request

KNOWN = words_of(["a red fox, 3d", "three foxes on a teal background", "a t-shirt", "a bull's eye"])


def test_words_are_small_letters_without_marks() -> None:
    assert words_of(["A Red fox, 3d!"]) == {"a", "red", "fox", "d"}


def test_a_header_holds_the_words_and_gives_them_back() -> None:
    assert familiar(header(KNOWN)) == KNOWN


def test_a_model_that_does_not_say_finds_nothing_strange() -> None:
    assert familiar({"model": "x"}) is None
    assert strange(Request("a submarine"), None) == ()


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a red fox",
        "The FOX, and my foxes!",
        "a fox's background",
        "a fox\N{RIGHT SINGLE QUOTATION MARK}s background",
        "a réd föx",
        "(a red fox:1.4) AND [a fox] BREAK teal",
        "a t-shirt, 4k",
        "a fox <lora:glitter:0.8>",
    ],
)
def test_what_was_shown_is_not_strange(prompt: str) -> None:
    assert strange(Request(prompt), KNOWN | {"k"}) == ()


def test_what_was_not_is_told_once_in_its_order() -> None:
    assert strange(Request("a café fox"), KNOWN) == ("cafe",)
    asked = Request("a submarine above a fox, (submarine:1.2) and zebras")
    assert strange(asked, KNOWN) == ("submarine", "above", "zebras")


def test_where_brackets_are_letters_so_are_the_words_in_capitals() -> None:
    assert strange(Request("a fox BREAK fox", weighting="plain"), KNOWN) == ("break",)
    assert strange(Request("a fox BREAK fox"), KNOWN) == ()


def test_an_embedding_s_name_is_known() -> None:
    heard = (Embedding("glitter", "ab" * 32),)
    assert strange(Request("a fox in glitter", embeddings=heard), KNOWN) == ()
    assert strange(Request("a fox in glitter"), KNOWN) == ("glitter",)
