"""The bundled model's family: BERT's token states, and one vector for the whole prompt."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.errors import PromptError
from sfumato.families.base import USUAL, Conditioning, Reading, UNetFamily
from sfumato.families.emphasis import emphasised
from sfumato.nn.bert import TextTower
from sfumato.shipped import shipped
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.prompt import read_weights
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.weights.load import Parts

__all__ = ["Mini"]


class Mini(UNetFamily):
    """A reader of short prompts; what does not fit, or cannot be read, is named and refused."""

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        (part,), (text,) = spec.texts, parts.texts
        assert isinstance(part.config, BertConfig)
        assert isinstance(text, TextTower)
        self.text = text
        words = shipped("mini/vocabulary.txt").read_text("utf-8").splitlines()
        self.tokenizer = WordPieceTokenizer(words, part.config.length)

    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """Each prompt by itself, read at once.

        Raises PromptError for one that is too long, or holds a word of which no piece is known.
        """
        return (
            [self._read(prompt, "prompt", reading.weighting) for prompt in prompts],
            self._read(negative, "negative prompt", reading.weighting),
        )

    def _require_known(self, prompt: str, what: str) -> None:
        lost = self.tokenizer.unreadable(prompt)
        if lost:
            raise PromptError(
                f"The {what} holds what this model cannot read: {', '.join(lost)}.\n"
                "It reads plain English words; say it in those, or leave it out."
            )

    @torch.no_grad()
    def _read(self, prompt: str, what: str, weighting: str) -> Conditioning:
        """The prompt's states, weighed. The model reads one chunk, so that BREAK is a comma."""
        tokens, each = self.tokenizer.weighted(read_weights(prompt, weighting))
        self._require_known(tokens.prompt, what)
        states, mask, pooled = self._states(tokens.prompt, what)
        rest = [1.0] * (self.tokenizer.length - 1 - len(each))
        weights = (1.0, *each, *rest)
        context = emphasised(states, [weights], weighting, lambda: self._states("", what)[0][0])
        return Conditioning(context, mask[:, None, None], pooled)

    def _states(self, text: str, what: str) -> tuple[Tensor, Tensor, Tensor]:
        """Token states (1, L, D), which of them are real (1, L), and the pooled vector (1, D)."""
        ids = torch.tensor([self.tokenizer.encode(text, what)], device=self.device)
        mask = ids != self.tokenizer.pad
        context, pooled = self.text(ids, mask)
        return context, mask, pooled
