"""The word-piece tokenizer follows bert-base-uncased, and drops no word."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from sfumato.errors import PromptError, WeightsError
from sfumato.text.wordpiece import WordPieceTokenizer

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LETTERS = [chr(c) for c in range(33, 127)]
VOCABULARY = [
    *MARKS, *LETTERS, *(f"##{c}" for c in LETTERS),
    "red", "fox", "cafe", "pain", "##ting", "un", "##able", "日",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer(VOCABULARY, length=16)


@settings(max_examples=100, deadline=None)
@given(
    prompt=st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from(["Red", "CAFÉ", "paintings", "unable", "日本", "it's", "🦊"])).map(
            " ".join
        ),
    )
)
def test_pieces_equal_those_of_transformers(tokenizer: WordPieceTokenizer, prompt: str) -> None:
    oracle = BertTokenizer(vocab={piece: n for n, piece in enumerate(VOCABULARY)})
    assert tokenizer.read(prompt).ids == tuple(oracle(prompt, add_special_tokens=False).input_ids)


def test_a_prompt_is_framed_and_padded(tokenizer: WordPieceTokenizer) -> None:
    pieces = [VOCABULARY[i] for i in tokenizer.encode("A Café painting")]
    assert pieces == ["[CLS]", "a", "cafe", "pain", "##ting", "[SEP]", *["[PAD]"] * 10]


def test_a_long_prompt_is_refused_with_the_words_that_fall_off(
    tokenizer: WordPieceTokenizer,
) -> None:
    with pytest.raises(PromptError, match=r'15 tokens .* reads 14\.\n.*"fox"'):
        tokenizer.encode("red " * 14 + "fox")


def test_words_without_pieces_are_named(tokenizer: WordPieceTokenizer) -> None:
    assert tokenizer.unknown("a red 狐 and 日") == ("狐",)


def test_a_vocabulary_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.txt"
    file.write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    assert WordPieceTokenizer(file, 4).encode("fox") == (2, VOCABULARY.index("fox"), 3, 0)


@pytest.mark.parametrize("lines", [VOCABULARY[1:], [*VOCABULARY, "fox"]])
def test_a_vocabulary_without_its_marks_or_with_a_line_twice_is_refused(lines: list[str]) -> None:
    with pytest.raises(WeightsError, match="vocabulary"):
        WordPieceTokenizer(lines, 8)
