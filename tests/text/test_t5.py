"""T5's tokenizer gives the numbers of transformers' own, from either form of the vocabulary."""

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import T5TokenizerFast

from sfumato.errors import WeightsError
from sfumato.text.prompt import fragments
from sfumato.text.t5 import T5Tokenizer
from tests.parity.transformed import pieces


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def spiece(rows: list[tuple[str, float]], kind: int = 1) -> bytes:
    """A SentencePiece model as protocol buffers."""
    model = b"".join(
        field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score))
        for text, score in rows
    )
    return model + field(2, b"\x18" + varint(kind))


@pytest.fixture(params=["tokenizer.json", "spiece.model"])
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> T5Tokenizer:
    if request.param == "tokenizer.json":
        T5TokenizerFast(vocab=pieces()).save_pretrained(tmp_path)
    else:
        (tmp_path / request.param).write_bytes(spiece(pieces()))
    return T5Tokenizer(tmp_path / request.param)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a red fox",
        "a  red   fox ",
        " in the snow",
        "unknown words, and marks. 7!",
        "a\nred fox",
    ],
)
def test_the_numbers_are_those_of_transformers(tokenizer: T5Tokenizer, prompt: str) -> None:
    theirs = T5TokenizerFast(vocab=pieces())
    ids, weights = tokenizer.weighted(fragments(prompt))
    assert ids == theirs(prompt).input_ids
    assert set(weights) == {1.0}


def test_a_word_s_weight_is_that_of_its_tokens_and_moves_no_border(tokenizer: T5Tokenizer) -> None:
    plain, _ = tokenizer.weighted(fragments("a red fox, in the snow"))
    ids, weights = tokenizer.weighted(fragments("a red (fox:1.5), in the (snow:0.5)"))
    assert ids == plain
    heavy = {tokenizer._tokenizer.id_to_token(n): w for n, w in zip(ids, weights, strict=True)}
    assert (heavy["▁fox"], heavy["▁snow"], heavy["▁red"], heavy[","]) == (1.5, 0.5, 1.0, 1.0)


def test_break_is_a_space(tokenizer: T5Tokenizer) -> None:
    assert (
        tokenizer.weighted(fragments("a red BREAK fox"))[0]
        == (tokenizer.weighted(fragments("a red fox"))[0])
    )


def as_json(change: Callable[[dict[str, object]], object]) -> bytes:
    found: dict[str, object] = {
        "model": {"type": "Unigram", "vocab": [list(row) for row in pieces()]},
        "normalizer": None,
    }
    return json.dumps(change(found)).encode()


def charsmap(data: bytes) -> dict[str, object]:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


HOSTILE = {
    "empty": (b"", "holds no pieces"),
    "not JSON": (b"{", "not JSON"),
    "JSON of other things": (b'{"a": 1}', "laid out otherwise"),
    "BPE": (as_json(lambda f: {"model": {"type": "BPE", "vocab": {}}}), "is 'BPE'"),
    "a piece that is none": (
        as_json(lambda f: {"model": {"type": "Unigram", "vocab": [["a"]]}}),
        r"a piece is \['a'\]",
    ),
    "no marks": (
        as_json(lambda f: {"model": {"type": "Unigram", "vocab": [["a", -1.0]]}}),
        "no <pad> and no </s>",
    ),
    "letters cut short": (
        as_json(lambda f: f | {"normalizer": charsmap(b"\xff\0\0\0abc")}),
        "table of letters is cut short",
    ),
    "letters damaged": (
        as_json(lambda f: f | {"normalizer": charsmap(b"\0\0\0\0\xff\xfe")}),
        "table of letters is damaged",
    ),
    "spiece cut short": (spiece(pieces())[:-40], "cut short"),
    "a SentencePiece model of pairs": (spiece(pieces(), kind=2), "of kind 2"),
    "noise": (bytes(range(1, 200)), "SentencePiece model"),
    "lengths without end": (b"\x0a" + b"\xff" * 12, "SentencePiece model"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_vocabulary_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    data, words = HOSTILE[case]
    path = tmp_path / "spiece.model"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=words):
        T5Tokenizer(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        T5Tokenizer(tmp_path / "spiece.model")
