"""Prompts are read as AUTOMATIC1111 reads them, and nothing that was written is lost."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import PromptError
from sfumato.text.prompt import Cycle, Fragment, Network, Swap, fragments, parse


def weights(text: str) -> list[tuple[str, float]]:
    (group,) = fragments(text)
    return [(piece.text, round(piece.weight, 6)) for piece in group]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", 1)]),
        ("a (red) cat", [("a ", 1), ("red", 1.1), (" cat", 1)]),
        ("a (red:1.3) cat", [("a ", 1), ("red", 1.3), (" cat", 1)]),
        ("(red: .5 )", [("red", 0.5)]),
        ("(red:-1)", [("red", -1)]),
        ("[dog] park", [("dog", 0.909091), (" park", 1)]),
        ("((a))((b))", [("ab", 1.21)]),
        ("(a (b:2) c)", [("a ", 1.1), ("b", 2.2), (" c", 1.1)]),
        ("open (to the end", [("open ", 1), ("to the end", 1.1)]),
        ("closed) only", [("closed) only", 1)]),
        (r"\(literal\] and \\", [("(literal] and \\", 1)]),
        ("(word:much)", [("word:much", 1.1)]),
        ("ratio 16:9", [("ratio 16:9", 1)]),
        ("(1.2.3:1.2.3)", [("1.2.3:1.2.3", 1.1)]),
        ("", []),
        ("(a [b)c]", [("a ", 1.1), ("b", 1.0), ("c", 0.909091)]),
        ("BREAKfast", [("BREAKfast", 1)]),
    ],
)
def test_brackets_weigh(text: str, expected: list[tuple[str, float]]) -> None:
    assert weights(text) == expected


def test_break_begins_a_new_chunk_and_keeps_the_weight() -> None:
    one, two, three = fragments("(a BREAK b) BREAK c")
    assert one == (Fragment("a", 1.1),)
    assert two == (Fragment("b", 1.1),)
    assert three == (Fragment("c"),)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("a [cat:dog:3]", ["a cat"] * 3 + ["a dog"] * 7),
        ("a [cat:dog:0.3]", ["a cat"] * 3 + ["a dog"] * 7),
        ("a [hat:.5]", ["a"] * 5 + ["a hat"] * 5),
        ("a [hat::4]", ["a hat"] * 4 + ["a"] * 6),
        ("a [cat : dog : 2] sat", ["a cat  sat"] * 2 + ["a  dog  sat"] * 8),
        ("a [x:y:1.0]", ["a x"] * 10),
        ("a [x:y:0]", ["a y"] * 10),
        ("a [x:y:-1]", ["a y"] * 10),
        ("a [x:y:99]", ["a x"] * 10),
        ("[one|two]", ["one", "two"] * 5),
        ("[a|b|]c", ["ac", "bc", "c"] * 3 + ["ac"]),
        ("[p:[q:r:4]:2]", ["p"] * 2 + ["q"] * 2 + ["r"] * 6),
        ("([a:b:5]:1.3)", ["(a:1.3)"] * 5 + ["(b:1.3)"] * 5),
        ("[[deep]:2]", [""] * 2 + ["[deep]"] * 8),
        ("[{x|y:.5]", [""] * 5 + ["{x|y"] * 5),
        ("a [not:closed", ["a [not:closed"] * 10),
        ("[no:number]", ["[no:number]"] * 10),
        (r"\[a:b:3]", [r"\[a:b:3]"] * 10),
        ("<lora:x:0.5>a fox", ["a fox"] * 10),
    ],
)
def test_what_is_heard_changes_on_the_way(text: str, heard: list[str]) -> None:
    prompt = parse(text)
    assert [prompt.at(step, 10) for step in range(1, 11)] == [((h, 1.0),) for h in heard]


def test_the_steps_of_change_are_told() -> None:
    assert parse("a cat").changes(20) == (1,)
    assert parse("[a:b:5] [c:d:0.5]").changes(20) == (1, 6, 11)
    assert parse("[a|b]").changes(4) == (1, 2, 3, 4)


def test_and_joins_prompts_with_weights_of_their_own() -> None:
    assert parse("a cat AND a dog:0.5 AND rain : -1").at(1, 1) == (
        ("a cat", 1.0),
        ("a dog", 0.5),
        ("rain", -1.0),
    )
    assert parse("SAND and LAND").at(1, 1) == (("SAND and LAND", 1.0),)
    # AUTOMATIC1111 would take the 30 for a weight even here, where nothing is joined.
    assert parse("a clock at 12:30").at(1, 1) == (("a clock at 12:30", 1.0),)


def test_networks_are_named_and_not_heard() -> None:
    prompt = parse("a fox <lora:ink wash:0.8:1> ([x:<lora:late>:3])")
    assert prompt.networks == (
        Network("lora", ("ink wash", "0.8", "1")),
        Network("lora", ("late",)),
    )
    assert prompt.networks[0].name == "ink wash"
    assert prompt.at(9, 10) == (("a fox  ()", 1.0),)
    assert parse("3 < 4 and <3:x").networks == ()


def test_the_tree_says_what_was_written() -> None:
    (branch,) = parse("[a|b] [c:d: 4]").branches
    assert branch.nodes == (Cycle((("a",), ("b",))), " ", Swap(("c",), ("d",), " 4"))


@given(st.text(st.sampled_from("ab ()[]:|\\<>.15,\nAND"), max_size=60))
def test_parse_and_print_are_inverse(text: str) -> None:
    assert str(parse(text)) == text
    assert str(parse(str(parse(text)))) == text


NOTATION = ("(", ")", "[", "]", ":", "|", "0.5", "3", "\\", "AND", "BREAK", "a", " ", ", ")
NAMED = (
    "<embedding:ink>",
    "<embedding:",
    "embedding:ink",
    "<lora:x:1>",
    "<",
    ">",
    ":1.2)",
    ":0.5]",
)


@given(st.lists(st.sampled_from(NOTATION + NAMED), max_size=30).map("".join))
def test_parse_and_print_are_inverse_for_every_notation_in_any_order(text: str) -> None:
    prompt = parse(text)
    assert str(prompt) == text
    for step in prompt.changes(7):
        for heard, _ in prompt.at(step, 7):
            assert "<lora:x:1>" not in heard
            fragments(heard)


@given(st.text(max_size=80))
def test_any_text_is_a_prompt(text: str) -> None:
    prompt = parse(text)
    assert str(prompt) == text
    for heard, _ in prompt.at(1, 7):
        fragments(heard)


@given(st.text(st.sampled_from("ab (),:1.")))
def test_no_word_is_lost_by_weighing(text: str) -> None:
    heard = "".join(piece.text for group in fragments(text) for piece in group)
    assert [c for c in heard if c in "ab"] == [c for c in text if c in "ab"]


def test_a_number_of_any_length_is_no_number_but_text() -> None:
    nines = "9" * 400
    assert weights(f"(a:{nines})") == [(f"a:{nines}", 1.1)]
    for text in (f"[a:b:{nines}]", f"[a:b:{nines}.5]", f"a:{nines}"):
        assert parse(f"{text} AND b").at(1, 7) == ((text, 1.0), ("b", 1.0))


def test_each_of_several_breaks_in_a_row_begins_a_chunk() -> None:
    assert fragments("a BREAK BREAK\nBREAKb BREAK") == (
        (Fragment("a"),),
        (),
        (Fragment("BREAKb"),),
        (),
    )


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4000,
        "[" * 4000 + "]" * 4000,
        "[a:" * 3000,
        "<a:" * 4000,
        "()" * 20_000,
        "a" + " " * 100_000 + "b",
        "a AND b" + " " * 100_000 + "c",
        "(a:" + "1" * 100_000 + "x) [a:b:" + "1" * 100_000 + "x]",
    ],
)
def test_a_hostile_prompt_neither_crashes_nor_hangs(text: str) -> None:
    begun = time.process_time()
    prompt = parse(text)
    assert str(prompt) == text
    fragments(prompt.at(1, 20)[0][0])
    assert time.process_time() - begun < 30  # quadratic at worst, never exponential


@pytest.mark.parametrize("text", ["(" * 100_000, "([" * 50_000, ")" * 300_000, "<lora:" * 50_000])
def test_signs_without_words_between_cost_no_more_than_letters(text: str) -> None:
    """Each of these once took the square of its length: 14 s and more."""
    assert str(parse(text)) == text
    heard = "".join(piece.text for group in fragments(text) for piece in group)
    assert heard == ("" if text[0] in "([" else text)


@pytest.mark.parametrize(
    "text", ["[a:" * 50_000, "(a" * 50_000 + ")" * 50_000, "(" * 50_000 + "a" + ")" * 50_000]
)
def test_brackets_around_the_same_words_have_a_bound_and_are_refused_by_it(text: str) -> None:
    """The first of these once took the square of its length: 12 s."""
    assert str(parse(text)) == text
    with pytest.raises(PromptError, match="50,000 brackets are around the same words, and 10,000"):
        fragments(text)


def test_as_many_brackets_as_the_bound_are_weighed_each() -> None:
    ((piece,),) = fragments("[" * 5000 + "a" + "]" * 5000)
    assert piece.weight == pytest.approx(1.1**-5000)
    with pytest.raises(PromptError, match="10,001 brackets"):
        fragments("[" * 10_001 + "a")
    ((least,),) = fragments("[" * 10_000 + "a")
    assert (least.text, 0 <= least.weight < 1e-300) == ("a", True)
    many = fragments("[a]" * 20_000 + "(b)" * 20_000)
    assert [round(piece.weight, 6) for piece in many[0]] == [0.909091, 1.1]
