"""A prompt read by one CLIP encoder: cut into chunks, read, and heard as much as it is weighed.

L text tokens, N chunks of L, D width of a token, P of the pooled state.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from sfumato.families.base import Reading
from sfumato.families.emphasis import emphasised
from sfumato.nn.clip import ClipText
from sfumato.text.clip import Chunk, ClipTokenizer
from sfumato.text.prompt import Fragment
from sfumato.weights.learnt import Learnt
from sfumato.weights.reader import Reader

__all__ = ["ClipReader", "Text"]

Text: TypeAlias = tuple[tuple[Fragment, ...], ...]  # a prompt, weighed; a group for each BREAK


class ClipReader:
    """An encoder and the tokenizer that cuts prompts for it.

    ``part`` is what an embedding's file calls the vectors for this encoder.
    """

    def __init__(self, encoder: ClipText, part: str = "") -> None:
        self.encoder, self.part = encoder, part
        self.tokenizer = ClipTokenizer(encoder.config.pad)

    def count(self, text: Text, learnt: Sequence[Learnt] = ()) -> int:
        """How many chunks a prompt takes."""
        return len(self._chunks(text, learnt))

    @torch.no_grad()
    def read(self, text: Text, count: int, reading: Reading) -> tuple[Tensor, Tensor]:
        """The states (1, N L, D) of ``count`` chunks, the last ones empty where the prompt is
        shorter, and the first chunk's pooled state (1, P).
        """
        empty = self._chunks(((),))
        rows = self._chunks(text, reading.learnt)
        rows += empty * (count - len(rows))
        states, pooled = self._states(rows, reading.skip, reading.learnt)  # (N, L, D), (N, P)
        weights = [row.weights for row in rows]
        states = emphasised(
            states,
            weights,
            reading.weighting,
            lambda: self._states(empty, reading.skip)[0][0],
        )
        return states.flatten(0, 1)[None], pooled[:1]

    def _chunks(self, text: Text, learnt: Sequence[Learnt] = ()) -> list[Chunk]:
        counts = {word.name: word.count for word in learnt}
        return list(self.tokenizer.weighted(text, self.encoder.config.length, counts))

    def _states(
        self, rows: list[Chunk], skip: int, learnt: Sequence[Learnt] = ()
    ) -> tuple[Tensor, Tensor]:
        own = self.encoder.token.weight
        ids = torch.tensor([row.ids for row in rows], device=own.device)
        if not learnt:
            return self.encoder(ids, skip=skip)
        reader = Reader()
        parts = (reader.read(word.parts[self.part], own.dtype) for word in learnt)
        vectors = torch.cat([part.view(-1, own.shape[1]) for part in parts])  # (V, D)
        return self.encoder(ids, vectors.to(own.device), skip)
