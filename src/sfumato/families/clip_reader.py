"""A prompt read by one CLIP encoder: cut into chunks, read, and heard as much as it is weighed.

L text tokens, N chunks of L, D width of a token, P of the pooled state.
"""

from typing import TypeAlias

import torch
from torch import Tensor

from sfumato.families.emphasis import emphasised
from sfumato.nn.clip import ClipText
from sfumato.text.clip import Chunk, ClipTokenizer
from sfumato.text.prompt import Fragment

__all__ = ["ClipReader", "Text"]

Text: TypeAlias = tuple[tuple[Fragment, ...], ...]  # a prompt, weighed; a group for each BREAK


class ClipReader:
    """An encoder and the tokenizer that cuts prompts for it."""

    def __init__(self, encoder: ClipText) -> None:
        self.encoder = encoder
        self.tokenizer = ClipTokenizer(encoder.config.pad)

    def count(self, text: Text) -> int:
        """How many chunks a prompt takes."""
        return len(self._chunks(text))

    @torch.no_grad()
    def read(self, text: Text, count: int, weighting: str) -> tuple[Tensor, Tensor]:
        """The states (1, N L, D) of ``count`` chunks, the last ones empty where the prompt is
        shorter, and the first chunk's pooled state (1, P).
        """
        empty = self._chunks(((),))
        rows = self._chunks(text)
        rows += empty * (count - len(rows))
        states, pooled = self._states(rows)  # (N, L, D), (N, P)
        weights = [row.weights for row in rows]
        states = emphasised(states, weights, weighting, lambda: self._states(empty)[0][0])
        return states.flatten(0, 1)[None], pooled[:1]

    def _chunks(self, text: Text) -> list[Chunk]:
        return list(self.tokenizer.weighted(text, self.encoder.config.length))

    def _states(self, rows: list[Chunk]) -> tuple[Tensor, Tensor]:
        device = self.encoder.token.weight.device
        return self.encoder(torch.tensor([row.ids for row in rows], device=device))
