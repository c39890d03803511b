"""BERT's tokenizer: words in pieces, lower case, accents stripped, from a list of pieces."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from sfumato.errors import WeightsError
from sfumato.text.prompt import Fragment
from sfumato.text.tokens import Tokens, require_text

UNKNOWN, BEGIN, END, PAD = "[UNK]", "[CLS]", "[SEP]", "[PAD]"


class WordPieceTokenizer:
    """Prompt to `length` numbers: begin, the prompt's pieces, end, padding.

    `vocabulary` is a file with one piece a line, or those lines; a piece's number is its line,
    from 0. The rules are those of `bert-base-uncased` (Devlin et al. 2019). `pad` is the number
    that fills up a short prompt: the encoder masks it.
    """

    def __init__(self, vocabulary: Path | Sequence[str], length: int) -> None:
        lines = (
            vocabulary.read_text("utf-8").removesuffix("\n").split("\n")
            if isinstance(vocabulary, Path)
            else list(vocabulary)
        )
        numbers = {piece: number for number, piece in enumerate(lines)}
        missing = [mark for mark in (UNKNOWN, BEGIN, END, PAD) if mark not in numbers]
        if missing or len(numbers) != len(lines):
            raise WeightsError(
                f"A word-piece vocabulary of {len(lines)} lines is not usable: it must hold "
                f"[UNK], [CLS], [SEP], [PAD] and no line twice; "
                f"missing {missing}, repeated {len(lines) - len(numbers)}."
            )
        self.length = length
        self.pad = numbers[PAD]
        self._begin, self._end, self._unknown = (numbers[m] for m in (BEGIN, END, UNKNOWN))
        self._tokenizer = Tokenizer(WordPiece(numbers, unk_token=UNKNOWN))
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def read(self, prompt: str) -> Tokens:
        """All pieces of a prompt, however many, without marks. PromptError if it is not text."""
        require_text(prompt)
        found = self._tokenizer.encode(prompt, add_special_tokens=False)
        return Tokens(prompt, tuple(found.ids), tuple(start for start, _ in found.offsets))

    def encode(self, prompt: str, what: str = "prompt") -> tuple[int, ...]:
        """`length` numbers. Raises PromptError with the words that fall off if there are more.

        `what` is what the message calls it: prompt, or negative prompt.
        """
        tokens = self.read(prompt)
        tokens.require(self.length - 2, what)
        spare = self.length - 2 - len(tokens.ids)
        return (self._begin, *tokens.ids, self._end, *[self.pad] * spare)

    def weighted(self, groups: Sequence[Sequence[Fragment]]) -> tuple[Tokens, tuple[float, ...]]:
        """All pieces of a weighed prompt, and each one's weight. A comma stands between groups."""
        row = [piece for group in groups for piece in (Fragment(", "), *group)][1:]
        tokens = self.read("".join(piece.text for piece in row))
        each = [piece.weight for piece in row for _ in piece.text]  # of every character
        return tokens, tuple(each[start] for start in tokens.starts)

    def word(self, number: int) -> str:
        """The piece of a number; one that goes on a word begins with ##."""
        return str(self._tokenizer.id_to_token(number))

    def unreadable(self, prompt: str) -> tuple[str, ...]:
        """The words for which there are no pieces at all, but for mere marks.

        Marks alone change little ("a fox — at dusk…"); a word that is not read changes the wish.
        """
        return tuple(word for word in self.unknown(prompt) if not _is_mark(word))

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The words of a prompt for which the vocabulary has no pieces at all, in order."""
        found = self._tokenizer.encode(prompt, add_special_tokens=False)
        return tuple(
            prompt[start:stop]
            for number, (start, stop) in zip(found.ids, found.offsets, strict=True)
            if number == self._unknown
        )


def _is_mark(word: str) -> bool:
    return all(unicodedata.category(letter).startswith("P") for letter in word)
