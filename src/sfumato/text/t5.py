"""T5's tokenizer: words as their likeliest pieces, by the vocabulary that comes with a checkpoint.

sfumato has no vocabulary of T5 of its own. Both forms in which it is published are read:
`tokenizer.json` of the tokenizers library, and `spiece.model` of SentencePiece, whose format is
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto. Of either the
pieces and the table of letters are taken; the rules are those of Raffel et al. 2020.
"""

import base64
import binascii
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from sfumato.errors import WeightsError
from sfumato.text.prompt import Fragment
from sfumato.text.tokens import require_text

__all__ = ["FILES", "T5Tokenizer"]

FILES = ("tokenizer.json", "spiece.model")  # by which the vocabulary goes, the better known first
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
LIMIT = 2**26  # bytes of a vocabulary; that of T5 has 0.8 MB, or 2.4 MB as JSON
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """Pieces and their log likelihoods, and the table by which letters are made alike."""

    pieces: list[tuple[str, float]]
    letters: bytes


class T5Tokenizer:
    """Prompt to token numbers, the end mark last. ``path`` is the vocabulary's file.

    Raises WeightsError where it is no vocabulary of T5.
    """

    def __init__(self, path: Path) -> None:
        found = _vocabulary(path)
        numbers = {piece: number for number, (piece, _) in enumerate(found.pieces)}
        missing = [mark for mark in (PAD, END, UNKNOWN) if mark not in numbers]
        if missing:
            _refuse(path, f"it has no {' and no '.join(missing)}")
        self.size = len(found.pieces)
        self.pad, self.end = numbers[PAD], numbers[END]
        self._tokenizer = Tokenizer(Unigram(found.pieces, numbers[UNKNOWN], byte_fallback=False))
        if found.letters:
            self._tokenizer.normalizer = normalizers.Precompiled(found.letters)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", "always")]
        )

    def weighted(self, groups: Sequence[Sequence[Fragment]]) -> tuple[list[int], list[float]]:
        """All token numbers of a prompt, the end mark last, and the weight of each.

        The text is read as one, so that a weight moves no border between tokens; a token weighs
        what its last letter weighs, for its first may be the space before it. T5 reads no chunks:
        a new group (BREAK) is a space.
        """
        pieces = [piece for group in groups for piece in (Fragment(" "), *group)][1:]
        text = "".join(piece.text for piece in pieces)
        require_text(text)
        found = self._tokenizer.encode(text, add_special_tokens=False)
        each = [piece.weight for piece in pieces for _ in piece.text]
        weights = [each[max(stop - 1, 0)] for _, stop in found.offsets]
        return [*found.ids, self.end], [*weights, 1.0]


def _refuse(path: Path, why: str) -> NoReturn:
    raise WeightsError(
        f"{path.name} is no vocabulary of T5: {why}. Expected {' or '.join(FILES)}, as it comes "
        "with the model."
    )


def _vocabulary(path: Path) -> _Vocabulary:
    try:
        if path.stat().st_size > LIMIT:
            _refuse(path, f"it has {path.stat().st_size:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    found = _from_json(path, data) if data[:1] == b"{" else _from_spiece(path, data)
    if not found.pieces:
        _refuse(path, "it holds no pieces")
    _check_letters(path, found.letters)
    return found


def _check_letters(path: Path, letters: bytes) -> None:
    """That the table is whole: its length, so many bytes of a trie, then the texts of letters."""
    if not letters:
        return
    length = int.from_bytes(letters[:4], "little")
    if len(letters) < 4 or length % 4 or 4 + length > len(letters):
        _refuse(path, "its table of letters is cut short")
    try:
        letters[4 + length :].decode("utf-8")
    except UnicodeDecodeError:
        _refuse(path, "its table of letters is damaged")


# ---- tokenizer.json -------------------------------------------------------------------------


def _from_json(path: Path, data: bytes) -> _Vocabulary:
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError):
        _refuse(path, "it is not JSON")
    model = _table(path, _table(path, found).get("model"))
    rows = model.get("vocab")
    if model.get("type", "Unigram") != "Unigram" or not isinstance(rows, list):
        _refuse(path, f"its model is {model.get('type')!r:.40}, expected Unigram")
    pieces: list[tuple[str, float]] = []
    for row in cast(list[object], rows):
        match row:
            case [str(piece), int(score) | float(score)]:
                pieces.append((piece, float(score)))
            case _:
                _refuse(path, f"a piece is {row!r:.40}")
    return _Vocabulary(pieces, _letters(path, _table(path, found).get("normalizer")))


def _table(path: Path, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        _refuse(path, "it is laid out otherwise")
    return cast(dict[str, object], value)


def _letters(path: Path, normalizer: object) -> bytes:
    """The table of letters of a normalizer, or of the first of several that has one."""
    if normalizer is None:
        return b""
    settings = _table(path, normalizer)
    several = settings.get("normalizers")
    rows = cast(list[object], several) if isinstance(several, list) else [settings]
    for row in rows:
        packed = _table(path, row).get("precompiled_charsmap")
        if isinstance(packed, str):
            try:
                return base64.b64decode(packed, validate=True)
            except binascii.Error:
                _refuse(path, "its table of letters is damaged")
    return b""


# ---- spiece.model ---------------------------------------------------------------------------


def _from_spiece(path: Path, data: bytes) -> _Vocabulary:
    """ModelProto: field 1 the pieces (1 text, 2 score), field 2 the trainer (3 its model's kind),
    field 3 the normalizer (2 its table of letters).
    """
    pieces: list[tuple[str, float]] = []
    letters, kind = b"", 1
    for number, value in _fields(path, data):
        if not isinstance(value, bytes):
            continue
        inner = dict(_fields(path, value)) if number in (1, 2, 3) else {}
        if number == 1:
            text, score = inner.get(1), inner.get(2, 0.0)
            if not isinstance(text, bytes) or not isinstance(score, float):
                _refuse(path, "a piece has no text or no score")
            try:
                pieces.append((text.decode("utf-8"), score))
            except UnicodeDecodeError:
                _refuse(path, "a piece is not UTF-8")
        elif number == 2:
            told = inner.get(3, 1)
            kind = told if isinstance(told, int) else 0
        elif number == 3 and isinstance(table := inner.get(2, b""), bytes):
            letters = table
    if kind != 1:
        _refuse(path, f"its model is of kind {kind}, expected 1, Unigram")
    return _Vocabulary(pieces, letters)


def _fields(path: Path, data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The numbered fields of a message of protocol buffers; 64-bit ones are left out."""
    at = 0
    while at < len(data):
        tag, at = _varint(path, data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(path, data, at)
            yield number, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(wire)
        if wire == LENGTH:
            length, at = _varint(path, data, at)
        if length is None or at + length > len(data):
            _refuse(path, "it is not a SentencePiece model, or is cut short")
        piece, at = data[at : at + length], at + length
        if wire == LENGTH:
            yield number, piece
        elif wire == FIXED32:
            yield number, float(struct.unpack("<f", piece)[0])


def _varint(path: Path, data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            _refuse(path, "it is not a SentencePiece model, or is cut short")
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    _refuse(path, "it is not a SentencePiece model")
