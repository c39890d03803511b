"""CLIP's tokenizer gives the numbers that published models were trained on, and drops no word."""

import gzip
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from sfumato.errors import PromptError
from sfumato.text.clip import BEGIN, COMMA, END, ClipTokenizer

PIECES = [
    "a red fox", "I'm", "don't", "THEY'LL", "we've", "1234", "3d", "café", "naïve", "e\u0301",
    "日本語", "Привет", "ΟΔΟΣ", "🦊", "👩‍🚀", "🏳️‍🌈", "…", "--", "(((", "'s", "’s", "\t\n", "   ",
    "\u00a0", "\u200b", "ﬁ", "İ", "<|endoftext|>", "<|startoftext|>", "<|endoftext|", "_", "\x00",
    "supercalifragilistic", ",", "&amp;", "100%", "½", "x²",
]  # fmt: skip
PROMPTS = st.one_of(
    st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)
)


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


@pytest.fixture(scope="module")
def oracle() -> CLIPTokenizer:
    """Transformers' tokenizer, its vocabulary laid out here by the order that CLIP published."""
    packed = resources.files("sfumato").joinpath("assets/clip/merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    shown = [b for b in range(256) if chr(b).isprintable() and b not in (32, 127, 160, 173)]
    letters = [chr(b) for b in shown] + [chr(256 + n) for n in range(256 - len(shown))]
    words = letters + [c + "</w>" for c in letters] + [line.replace(" ", "") for line in lines]
    words += ["<|startoftext|>", "<|endoftext|>"]
    merges = [tuple(line.split(" ")) for line in lines]
    return CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=merges)


def test_a_known_sentence_has_its_published_numbers(tokenizer: ClipTokenizer) -> None:
    ids = tokenizer.encode("a photo of a cat", length=8)
    assert ids == (49406, 320, 1125, 539, 320, 2368, 49407, 49407)


@settings(max_examples=200, deadline=None)
@given(prompt=PROMPTS)
def test_numbers_equal_those_of_transformers(
    tokenizer: ClipTokenizer, oracle: CLIPTokenizer, prompt: str
) -> None:
    expected = oracle(prompt)["input_ids"]
    assert (BEGIN, *tokenizer.read(prompt).ids, END) == tuple(expected)


def test_every_token_of_the_vocabulary_is_reached_by_its_number(oracle: CLIPTokenizer) -> None:
    assert len(oracle) == 49408
    assert oracle.convert_tokens_to_ids(",</w>") == COMMA


def test_an_empty_prompt_is_begin_end_and_padding(tokenizer: ClipTokenizer) -> None:
    assert tokenizer.encode("", length=5) == (BEGIN, END, END, END, END)
    assert ClipTokenizer(pad=0).encode(" \n", length=5) == (BEGIN, END, 0, 0, 0)


def test_a_prompt_of_exactly_the_room_is_read(tokenizer: ClipTokenizer) -> None:
    ids = tokenizer.encode("cat " * 75)
    assert len(ids) == 77
    assert ids[-2:] == (2368, END)


def test_a_longer_prompt_is_refused_with_the_words_that_fall_off(tokenizer: ClipTokenizer) -> None:
    with pytest.raises(PromptError, match=r'77 tokens .* reads 75\.\n.*"red fox"'):
        tokenizer.encode("cat " * 75 + "red fox")


def test_a_word_that_fits_only_in_part_is_named_whole(tokenizer: ClipTokenizer) -> None:
    word = "zyxwvutsrqp"
    assert len(tokenizer.read(word).ids) > 1
    assert tokenizer.read("cat " * 74 + word).beyond(75) == word


def test_chunks_hold_every_token_in_order(tokenizer: ClipTokenizer) -> None:
    prompt = ", ".join(f"a thing numbered {n}" for n in range(60))
    chunks = tokenizer.chunks(prompt)
    assert all(len(chunk) == 77 and chunk[0] == BEGIN and END in chunk for chunk in chunks)
    inner = [chunk[1 : chunk.index(END)] for chunk in chunks]
    assert tuple(i for piece in inner for i in piece) == tokenizer.read(prompt).ids
    assert all(piece[-1] == COMMA for piece in inner[:-1])


def test_a_chunk_without_a_comma_in_reach_is_full(tokenizer: ClipTokenizer) -> None:
    first, second = tokenizer.chunks("dog, " + "cat " * 80)
    assert first.index(END) == 76
    assert second[: second.index(END)] == (BEGIN, *[2368] * 7)


def test_a_short_prompt_is_one_chunk_equal_to_encode(tokenizer: ClipTokenizer) -> None:
    assert tokenizer.chunks("a fox") == (tokenizer.encode("a fox"),)
    assert tokenizer.chunks("") == (tokenizer.encode(""),)


def test_half_a_surrogate_pair_is_refused(tokenizer: ClipTokenizer) -> None:
    with pytest.raises(PromptError, match="not valid Unicode text at character 7"):
        tokenizer.encode("a fox \udcff")
