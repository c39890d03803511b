"""What is indexed of a text and what a query asks for: pure functions, so that databases agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.server.library.words import Phrase, fts5, indexed, parse, tokens, tsquery


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Café", "cafe"),
        ("ＦＯＸ　２", "fox 2"),
        ("STRASSE", "straße"),
        ("Ёлка", "елка"),
        ("ｶﾞﾗｽ", "ガラス"),
        ("한국", "한국".encode().decode()),
    ],
)
def test_case_accents_and_width_do_not_count(text: str, same: str):
    assert tokens(text) == tokens(same) != []


def test_voicing_marks_of_kana_do_count():
    assert tokens("かき") != tokens("がき")


@pytest.mark.parametrize("text", ["赤い狐", "ไทย", "မြန်", "🦊❤"])
def test_a_script_without_blanks_is_cut_into_its_characters(text: str):
    assert len(tokens(text)) == len(text)


@pytest.mark.parametrize("word", ["हिन्दी", "лиса", "한국어", "ελληνικά", "العربية", "v1", "1girl"])
def test_a_word_of_any_other_script_is_one_token(word: str):
    assert len(tokens(word)) == 1


def test_signs_part_words():
    assert tokens("(fox:1.2), sci-fi_art") == ["wfox", "w1", "w2", "wsci", "wfi", "wart"]


@given(st.text(max_size=200))
def test_tokens_hold_nothing_but_letters_and_digits_of_ascii(text: str):
    for token in tokens(text):
        assert token.isascii()
        assert token.isalnum()
        assert token == token.lower()


def test_only_what_is_worth_finding_is_indexed():
    text = "fox\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 64x64, Model: dream, Hires upscaler: x"
    words = indexed("fox", "", text, ("mine",)).split()
    assert {"wfox", "wmine", "weuler", "wdream", "whires", "w7"} <= set(words)
    assert not {"wsteps", "wsampler", "wseed", "wmodel"} & set(words)


def test_the_end_of_the_prompt_and_the_beginning_of_the_negative_are_no_phrase():
    assert "wfox wdog" not in indexed("fox", "dog", "")
    assert "wfox wdog" in indexed("fox dog", "", "")


def test_an_index_has_a_bound():
    assert len(indexed("fox " * 100_000, "", "").split()) <= 10_000
    assert tokens("a" * 1000) == ["w" + "a" * 64]


@pytest.mark.parametrize(
    ("typed", "wanted", "unwanted"),
    [
        ("fo sno", [(("wfo",), True), (("wsno",), True)], []),
        ('"red fox" s', [(("wred", "wfox"), False), (("ws",), True)], []),
        (
            "fox -snow -“deep ice”",
            [(("wfox",), True)],
            [(("wsnow",), True), (("wdeep", "wice"), False)],
        ),
        ("sci-fi", [(("wsci", "wfi"), True)], []),
        ('"red fo', [(("wred", "wfo"), False)], []),
        ('"" - -- !!! " ', [], []),
        ("", [], []),
    ],
)
def test_a_query_reads_as_people_write(typed: str, wanted: list, unwanted: list):
    query = parse(typed)
    assert query.wanted == tuple(Phrase(*each) for each in wanted)
    assert query.unwanted == tuple(Phrase(*each) for each in unwanted)


def test_a_long_query_has_a_bound():
    words = " ".join(f"fox{i}" for i in range(1000))
    for text in (words, f'"{words}"', f"-{words}", f"dog {words} cat"):
        query = parse(text)
        assert sum(len(phrase.tokens) for phrase in query.wanted + query.unwanted) == 256


def test_a_pasted_prompt_is_read_by_whole_words():
    query = parse("a b c d e f g h i j k, k")
    assert [phrase.prefix for phrase in query.wanted] == [False] * 11 + [True]
    assert [phrase.prefix for phrase in parse("a b c a b").wanted] == [True] * 3


def test_both_databases_are_asked_the_same():
    phrases = parse('"red fox" sno').wanted
    assert fts5(phrases, every=True) == '"wred wfox" AND "wsno" *'
    assert fts5(phrases, every=False) == '"wred wfox" OR "wsno" *'
    assert tsquery(phrases, every=True) == "(wred <-> wfox) & (wsno:*)"
    assert tsquery(phrases, every=False) == "(wred <-> wfox) | (wsno:*)"
