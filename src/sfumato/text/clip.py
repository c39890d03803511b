"""CLIP's tokenizer: byte pairs as Stable Diffusion 1, 2 and XL read them.

The vocabulary follows from the 48,894 merges of the public CLIP release: 256 bytes, the same at a
word's end, one token for each merge, and the two marks for begin and end. The rules are those of
Radford et al. 2021 (CLIP); numbers equal those of Hugging Face's `CLIPTokenizer`.
"""

import gzip
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import accumulate
from types import MappingProxyType

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from sfumato.errors import PromptError
from sfumato.text.learnt import mentions
from sfumato.text.prompt import Fragment
from sfumato.text.tokens import Tokens, require_text

BEGIN, END = 49406, 49407
COMMA = 267
MARKS = ("<|startoftext|>", "<|endoftext|>")
WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
# How far back from a full chunk a comma may lie for the break to move there: the number that
# web-ui's users know.
COMMA_REACH = 20
_PRINTS = (*range(33, 127), *range(161, 173), *range(174, 256))
_BYTES = (*_PRINTS, *(byte for byte in range(256) if byte not in _PRINTS))
NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the encoder reads at once: token numbers, framed and padded, and each one's weight.

    ``count`` of them, behind the first, are the prompt's.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    count: int


class ClipTokenizer:
    """Prompt to token numbers, padded, or in chunks for prompts longer than the model reads.

    `pad` is the number that fills up a short prompt: 49407 (END) for Stable Diffusion 1.x and the
    first encoder of XL, 0 for Stable Diffusion 2.x and the second encoder of XL.
    """

    def __init__(self, pad: int = END) -> None:
        self.pad = pad
        self._tokenizer = _build()

    def read(self, prompt: str) -> Tokens:
        """All tokens of a prompt, however many, without marks. PromptError if it is not text."""
        require_text(prompt)
        found = self._tokenizer.encode(prompt, add_special_tokens=False)
        return Tokens(prompt, tuple(found.ids), tuple(start for start, _ in found.offsets))

    def encode(self, prompt: str, length: int = 77) -> tuple[int, ...]:
        """`length` numbers: begin, the prompt, end, padding.

        Raises PromptError with the words that fall off where the prompt has more than
        `length` - 2 tokens.
        """
        tokens = self.read(prompt)
        tokens.require(length - 2)
        return self._frame(tokens.ids, length)

    def chunks(self, prompt: str, length: int = 77) -> tuple[tuple[int, ...], ...]:
        """The whole prompt in one or more pieces of `length` numbers, each framed like `encode`.

        The encoder reads each piece by itself and the contexts are concatenated along the token
        axis. A full piece ends after its last comma where that is at most 20 tokens back, so that
        a phrase is not torn (the convention of Stable Diffusion web-ui).
        """
        return tuple(
            self._frame(piece, length) for piece in _pieces(self.read(prompt).ids, length - 2)
        )

    def weighted(
        self,
        groups: Sequence[Sequence[Fragment]],
        length: int = 77,
        learnt: Mapping[str, int] = NONE,
    ) -> tuple[Chunk, ...]:
        """Fragments of text as chunks of `length` numbers; each group begins a new one.

        Fragments are read one by one, so that a weight never tears a token; marks and padding
        weigh 1. ``learnt`` holds the embeddings that are heard, and how many vectors each has:
        their numbers go on behind the vocabulary's, in this order, and one that does not fit into
        the rest of a chunk begins the next, as in web-ui. Raises PromptError for one that is longer
        than a chunk.
        """
        chunks: list[Chunk] = []
        for group in groups:
            row = _Row()
            for fragment in group:
                self._read_into(row, fragment, learnt)
            start = 0
            for piece in _pieces(row.ids, length - 2, row.torn):
                stop = start + len(piece)
                rest = [1.0] * (length - 1 - len(piece))
                weights = (1.0, *row.weights[start:stop], *rest)
                chunks.append(Chunk(self._frame(piece, length), weights, len(piece)))
                start = stop
        return tuple(chunks)

    def _read_into(self, row: "_Row", fragment: Fragment, learnt: Mapping[str, int]) -> None:
        """Put a fragment's tokens, and the vectors of the embeddings in it, behind a row."""
        numbers = dict(zip(learnt, accumulate(learnt.values(), initial=END + 1), strict=False))
        text, last = fragment.text, 0
        for mention in mentions(text, learnt) if learnt else ():
            if mention.name is None:
                continue
            row.add(self.read(text[last : mention.first]).ids, fragment.weight)
            begin = numbers[mention.name]
            row.add(range(begin, begin + learnt[mention.name]), fragment.weight, whole=True)
            last = mention.last
        row.add(self.read(text[last:]).ids, fragment.weight)

    def word(self, number: int) -> tuple[str, bool]:
        """What a number stands for, as text, and whether a word ends with it."""
        letters = str(self._tokenizer.id_to_token(number))
        bare = letters.removesuffix("</w>")
        if bare in MARKS:
            return bare, True
        return _as_text(bare), letters.endswith("</w>")

    def _frame(self, ids: tuple[int, ...], length: int) -> tuple[int, ...]:
        return (BEGIN, *ids, END, *[self.pad] * (length - 2 - len(ids)))


@dataclass
class _Row:
    """Tokens and their weights; ``torn`` holds the places at which no chunk may end."""

    ids: list[int] = field(default_factory=list[int])
    weights: list[float] = field(default_factory=list[float])
    torn: set[int] = field(default_factory=set[int])

    def add(self, ids: Sequence[int], weight: float, *, whole: bool = False) -> None:
        if whole:
            self.torn.update(range(len(self.ids) + 1, len(self.ids) + len(ids)))
        self.ids += ids
        self.weights += [weight] * len(ids)


def _pieces(ids: Sequence[int], room: int, torn: Collection[int] = ()) -> list[tuple[int, ...]]:
    """Cut a row of tokens into rows of at most `room`; an empty prompt is one empty row.

    Never at a place that is in ``torn``.
    """
    pieces: list[tuple[int, ...]] = []
    start = 0
    while len(ids) - start > room:
        stop = _stop(ids, start, room, torn)
        pieces.append(tuple(ids[start:stop]))
        start = stop
    pieces.append(tuple(ids[start:]))
    return pieces


def _stop(ids: Sequence[int], start: int, room: int, torn: Collection[int]) -> int:
    """Where the row that begins at ``start`` ends: behind a comma near its end, if there is one."""
    stop = start + room
    if stop in torn:
        while stop in torn:
            stop -= 1
        if stop <= start:
            raise PromptError(
                f"An embedding in the prompt has more than {room} vectors, which is more than a "
                "model reads at once. Leave it out."
            )
        return stop
    for comma in range(stop - 1, max(start, stop - COMMA_REACH) - 1, -1):
        if ids[comma] == COMMA:
            return comma + 1
    return stop


def _build() -> Tokenizer:
    """The tokenizer of the `tokenizers` library, from the merges that ship with the package."""
    packed = resources.files("sfumato").joinpath("assets/clip/merges.txt.gz").read_bytes()
    merges = [
        (left, right)
        for left, _, right in (
            line.partition(" ") for line in gzip.decompress(packed).decode().splitlines()
        )
    ]
    letters = _byte_letters()
    words = [*letters, *(f"{c}</w>" for c in letters), *(a + b for a, b in merges), *MARKS]
    tokenizer = Tokenizer(
        BPE(
            vocab={word: number for number, word in enumerate(words)},
            merges=merges,
            unk_token=MARKS[1],
            end_of_word_suffix="</w>",
            continuing_subword_prefix="",
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    marks = [AddedToken(mark, special=True) for mark in MARKS]
    tokenizer.add_special_tokens(marks)  # pyright: ignore[reportUnknownMemberType] bare list
    return tokenizer


def _as_text(letters: str) -> str:
    """The text of a piece; a part of a character is written out."""
    bytes_of = {letter: byte for byte, letter in zip(_BYTES, _byte_letters(), strict=True)}
    return bytes(bytes_of[letter] for letter in letters).decode(errors="backslashreplace")


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in CLIP's order: those that print first, then the rest."""
    return [chr(byte) for byte in _PRINTS] + [chr(256 + i) for i in range(256 - len(_PRINTS))]
