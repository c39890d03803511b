"""The bundled model's family: BERT's token states, and one vector for the whole prompt."""

import unicodedata
from collections.abc import Sequence

import torch

from sfumato.errors import PromptError
from sfumato.families.base import Conditioning, Family
from sfumato.nn.bert import TextTower
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.wordpiece import WordPieceTokenizer

__all__ = ["Mini"]


class Mini(Family):
    """A reader of short prompts; what does not fit, or cannot be read, is named and refused."""

    def __init__(
        self, spec: ModelSpec, unet: UNet, vae: Vae, text: TextTower, vocabulary: Sequence[str]
    ) -> None:
        super().__init__(spec, unet, vae)
        assert isinstance(spec.text, BertConfig)
        self.text = text
        self.tokenizer = WordPieceTokenizer(vocabulary, spec.text.length)

    def encode(
        self, prompt: str, negative: str, size: tuple[int, int]
    ) -> tuple[Conditioning, Conditioning]:
        """Both prompts, each read at once.

        Raises PromptError for one that is too long, or holds a word of which no piece is known.
        """
        return self._read(prompt, "prompt"), self._read(negative, "negative prompt")

    def _require_known(self, prompt: str, what: str) -> None:
        # Marks alone change little ("a fox — at dusk…"); a word that is not read changes the wish.
        lost = [word for word in self.tokenizer.unknown(prompt) if not _is_mark(word)]
        if lost:
            raise PromptError(
                f"The {what} holds what this model cannot read: {', '.join(lost)}.\n"
                "It reads plain English words; say it in those, or leave it out."
            )

    @torch.no_grad()
    def _read(self, prompt: str, what: str) -> Conditioning:
        self._require_known(prompt, what)
        ids = torch.tensor([self.tokenizer.encode(prompt, what)], device=self.device)
        mask = ids != self.tokenizer.pad  # (1, L)
        context, pooled = self.text(ids, mask)
        return Conditioning(context, mask[:, None, None], pooled)


def _is_mark(word: str) -> bool:
    return all(unicodedata.category(letter).startswith("P") for letter in word)
