"""A prompt read by T5: as one text, padded, and heard as much as it is weighed.

L text tokens, D width of a token.
"""

import torch
from torch import Tensor

from sfumato.families.clip_reader import Text
from sfumato.families.emphasis import emphasised
from sfumato.nn.t5 import T5Encoder
from sfumato.text.t5 import T5Tokenizer

__all__ = ["T5Reader"]


class T5Reader:
    """An encoder and its tokenizer."""

    def __init__(self, encoder: T5Encoder, tokenizer: T5Tokenizer) -> None:
        self.encoder, self.tokenizer = encoder, tokenizer

    def count(self, text: Text, least: int) -> int:
        """How many tokens a prompt's context has: ``least``, by padding, or as many as it needs."""
        return max(least, len(self.tokenizer.weighted(text)[0]))

    @torch.no_grad()
    def read(self, text: Text, count: int, weighting: str) -> Tensor:
        """The states (1, L, D) of a prompt of at most ``count`` tokens, padded to so many."""
        ids, weights = self.tokenizer.weighted(text)
        rest = count - len(ids)
        states = self._states([*ids, *[self.tokenizer.pad] * rest])
        return emphasised(
            states, [[*weights, *[1.0] * rest]], weighting, lambda: self._silence(count)
        )

    def _silence(self, count: int) -> Tensor:
        ids = [self.tokenizer.end, *[self.tokenizer.pad] * (count - 1)]
        return self._states(ids)[0]

    def _states(self, ids: list[int]) -> Tensor:
        return self.encoder(torch.tensor([ids], device=self.encoder.token.weight.device))
