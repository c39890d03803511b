"""CLIP's tokenizer: byte pairs as Stable Diffusion 1, 2 and XL read them.

The vocabulary follows from the 48,894 merges of the public CLIP release: 256 bytes, the same at a
word's end, one token for each merge, and the two marks for begin and end. The rules are those of
Radford et al. 2021 (CLIP); numbers equal those of Hugging Face's `CLIPTokenizer`.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

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


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the encoder reads at once: token numbers, framed and padded, and each one's weight."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


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

    def weighted(self, groups: Sequence[Sequence[Fragment]], length: int = 77) -> tuple[Chunk, ...]:
        """Fragments of text as chunks of `length` numbers; each group begins a new one.

        Fragments are read one by one, so that a weight never tears a token; marks and padding
        weigh 1.
        """
        chunks: list[Chunk] = []
        for group in groups:
            ids: list[int] = []
            weights: list[float] = []
            for fragment in group:
                read = self.read(fragment.text).ids
                ids += read
                weights += [fragment.weight] * len(read)
            start = 0
            for piece in _pieces(tuple(ids), length - 2):
                stop = start + len(piece)
                rest = [1.0] * (length - 1 - len(piece))
                chunks.append(Chunk(self._frame(piece, length), (1.0, *weights[start:stop], *rest)))
                start = stop
        return tuple(chunks)

    def _frame(self, ids: tuple[int, ...], length: int) -> tuple[int, ...]:
        return (BEGIN, *ids, END, *[self.pad] * (length - 2 - len(ids)))


def _pieces(ids: tuple[int, ...], room: int) -> list[tuple[int, ...]]:
    """Cut a row of tokens into rows of at most `room`; an empty prompt is one empty row."""
    pieces: list[tuple[int, ...]] = []
    start = 0
    while len(ids) - start > room:
        stop = start + room
        for comma in range(stop - 1, max(start, stop - COMMA_REACH) - 1, -1):
            if ids[comma] == COMMA:
                stop = comma + 1
                break
        pieces.append(ids[start:stop])
        start = stop
    pieces.append(ids[start:])
    return pieces


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


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in CLIP's order: those that print first, then the rest."""
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in prints]
    return [chr(byte) for byte in prints] + [chr(256 + i) for i in range(len(others))]
