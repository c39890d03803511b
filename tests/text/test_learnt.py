"""Embeddings are named bare, as ComfyUI has it, or in angle brackets; never within other words."""

import time

import pytest

from sfumato.errors import PromptError
from sfumato.text.clip import BEGIN, COMMA, END, ClipTokenizer
from sfumato.text.learnt import mentions, unescaped
from sfumato.text.prompt import Fragment, Network, fragments, parse

NAMES = ["EasyNegative", "easynegative v2", "<cat-toy>", "bad-hands-5", "style (v2)"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ugly, easynegative, blurry", ["EasyNegative"]),
        ("EASYNEGATIVE", ["EasyNegative"]),
        ("uneasynegative easynegatives easynegative_2 easynegative3", []),
        ("easynegative  v2", ["easynegative v2"]),
        ("easynegative-v2", ["EasyNegative"]),
        ("a <cat-toy> on a shelf", ["<cat-toy>"]),
        ("bad-hands-5,bad-hands-55", ["bad-hands-5"]),
        ("style (v2)", ["style (v2)"]),
        ("embedding:easynegative", ["EasyNegative"]),
        ("embedding:EasyNegative.safetensors, embedding:bad-hands-5.pt", NAMES[:4:3]),
        ("<embedding: easynegative v2 >", ["easynegative v2"]),
        ("an embedding: easynegative", ["EasyNegative"]),
        ("word embedding", []),
        ("", []),
    ],
)
def test_a_name_is_heard_as_a_whole_word(text: str, names: list[str]) -> None:
    assert [mention.name for mention in mentions(text, NAMES)] == names


def test_what_is_asked_for_and_not_known_is_told_as_it_was_written() -> None:
    (one, two) = mentions("embedding:nobody.pt, <embedding:no one>", NAMES)
    assert (one.name, one.wanted) == (None, "nobody.pt")
    assert (two.name, two.wanted) == (None, "no one")
    assert mentions("a cat", []) == []


def test_in_a_prompt_it_is_text_and_no_network_to_attach() -> None:
    prompt = parse("a (<embedding:ink>:1.2) [<embedding:late>:3] <lora:x:1>")
    assert prompt.networks == (Network("lora", ("x", "1")),)
    assert prompt.at(1, 10)[0][0] == "a (<embedding:ink>:1.2)"
    assert prompt.at(9, 10)[0][0] == "a (<embedding:ink>:1.2) <embedding:late>"
    assert Fragment("<embedding:ink>", 1.2) in fragments(prompt.at(1, 10)[0][0])[0]
    heard = [text for text in prompt.texts if text.strip()]
    assert heard == ["a ", "<embedding:ink>", ":1.2", "<embedding:late>"]
    assert unescaped(r"style \(v2\)") == "style (v2)"


def test_a_thousand_names_and_a_long_prompt_are_read_at_once() -> None:
    begun = time.process_time()
    assert mentions("embedding:" * 1000 + "<embedding:" * 1000 + " a" * 5000, NAMES * 200)
    assert time.process_time() - begun < 10


def ids(text: str, **learnt: int) -> list[tuple[int, ...]]:
    tokenizer = ClipTokenizer()
    return [chunk.ids for chunk in tokenizer.weighted(fragments(text), 12, learnt)]


def test_an_embedding_has_the_numbers_behind_the_vocabulary() -> None:
    (chunk,) = ids("a cat, ink", ink=3)
    cat = ClipTokenizer().read("a cat,").ids
    assert chunk[:7] == (BEGIN, *cat, END + 1, END + 2, END + 3)
    (chunk,) = ids("wash ink", ink=3, wash=2)
    assert chunk[:6] == (BEGIN, END + 4, END + 5, END + 1, END + 2, END + 3)


def test_its_weight_is_that_of_the_brackets_around_it() -> None:
    (chunk,) = ClipTokenizer().weighted(fragments("a (ink:1.3)"), 12, {"ink": 2})
    assert chunk.weights[:5] == (1.0, 1.0, 1.3, 1.3, 1.0)


def test_one_that_does_not_fit_begins_the_next_chunk() -> None:
    first, second = ids("a b c d e f g h ink", ink=3)  # room for ten
    assert first[9:] == (END, END, END)
    assert second[1:5] == (END + 1, END + 2, END + 3, END)
    first, second = ids("ink ink ink ink", ink=3)
    assert [n for n in first if n > END] == [END + 1, END + 2, END + 3] * 3
    assert second[1:5] == (END + 1, END + 2, END + 3, END)


def test_a_comma_near_the_end_still_draws_the_break() -> None:
    first, second = ids("ink, a b c d e f g h i", ink=2)
    assert first[1:4] == (END + 1, END + 2, COMMA)
    assert first[4] == END
    assert len([n for n in second if n < BEGIN]) == 9


def test_one_longer_than_a_chunk_is_refused() -> None:
    with pytest.raises(PromptError, match="more than 10 vectors"):
        ids("a cat, ink", ink=11)
    assert len(ids("a cat, ink", ink=10)) == 2
