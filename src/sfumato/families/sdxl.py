"""Stable Diffusion XL: two readers side by side, and a vector that tells text, size and crop.

L text tokens, N chunks of 77, D width. Source: Podell et al. 2023 (arXiv:2307.01952), section 2.2;
what stands where in the vector is that of the published weights.
"""

from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from sfumato.families.base import Conditioning, Family
from sfumato.families.emphasis import emphasised, read_weights
from sfumato.nn.clip import ClipText
from sfumato.nn.layers import time_embedding
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import ClipConfig, ModelSpec
from sfumato.text.clip import Chunk, ClipTokenizer
from sfumato.text.prompt import Fragment

__all__ = ["StableDiffusionXL"]

FREQUENCIES = 256  # width of each number's sines and cosines
Text: TypeAlias = tuple[tuple[Fragment, ...], ...]  # a prompt, weighed; a group for each BREAK
# What the refiner is told that a picture was liked, from 0 to 10, by either prompt.
LIKED, DISLIKED = 6.0, 2.5


class StableDiffusionXL(Family):
    """The base, which reads with both encoders, or the refiner, which has the second alone."""

    def __init__(
        self, spec: ModelSpec, unet: UNet, vae: Vae, text: ClipText, text2: ClipText | None
    ) -> None:
        super().__init__(spec, unet, vae)
        assert isinstance(spec.text, ClipConfig)
        self.length = spec.text.length
        self.readers = [(text, ClipTokenizer(spec.text.pad))]
        if text2 is not None:
            assert spec.text2 is not None
            self.readers.append((text2, ClipTokenizer(spec.text2.pad)))
        self.refines = text2 is None

    def encode(
        self, prompt: str, negative: str, size: tuple[int, int], weighting: str = "a1111"
    ) -> tuple[Conditioning, Conditioning]:
        """Both prompts, the shorter one followed by empty chunks, for pictures of ``size``.

        The base was trained with nothing at all in place of no text, so an empty negative prompt is
        heard as zeros (as in AUTOMATIC1111 and diffusers).
        """
        heard, unheard = (read_weights(text, weighting) for text in (prompt, negative))
        count = max(len(self._chunks(text, 1)) for text in (heard, unheard))
        positive = self._read(heard, count, self._told(size, LIKED), weighting)
        other = self._read(unheard, count, self._told(size, DISLIKED), weighting)
        if not negative.strip() and not self.refines:
            silent = torch.zeros_like(other.context)
            added = torch.cat([torch.zeros_like(self._pooled(other)), self._told(size, 0)], dim=1)
            other = Conditioning(silent, added=added)
        return positive, other

    def _chunks(self, text: Text, count: int, reader: int = 0) -> list[Chunk]:
        tokenizer = self.readers[reader][1]
        rows = list(tokenizer.weighted(text, self.length))
        return rows + list(tokenizer.weighted(((),), self.length)) * (count - len(rows))

    @torch.no_grad()
    def _read(self, text: Text, count: int, told: Tensor, weighting: str) -> Conditioning:
        """The states of both readers side by side, and the last one's pooled first chunk."""
        contexts: list[Tensor] = []
        pooled = told
        for i in range(len(self.readers)):
            rows = self._chunks(text, count, i)
            states, pooled = self._states(rows, i)  # (N, 77, D), (N, P)
            weights = [row.weights for row in rows]
            states = emphasised(states, weights, weighting, partial(self._silence, i))
            contexts.append(states.flatten(0, 1)[None])  # (1, 77 N, D)
        added = torch.cat([pooled[:1].float(), told], dim=1)  # (1, P + told)
        return Conditioning(torch.cat(contexts, dim=2), added=added)

    def _states(self, rows: list[Chunk], reader: int) -> tuple[Tensor, Tensor]:
        ids = torch.tensor([row.ids for row in rows], device=self.device)
        return self.readers[reader][0](ids)

    def _silence(self, reader: int) -> Tensor:
        """What an empty prompt is to a reader: (77, D)."""
        return self._states(self._chunks(((),), 1, reader), reader)[0][0]

    def _pooled(self, conditioning: Conditioning) -> Tensor:
        assert conditioning.added is not None
        return conditioning.added[:, : -self._numbers * FREQUENCIES]

    @property
    def _numbers(self) -> int:
        return 5 if self.refines else 6

    def _told(self, size: tuple[int, int], liked: float) -> Tensor:
        """Original height and width, top and left of the crop, and for the base the height and
        width that are wanted, for the refiner how much it is liked: (1, 256 a number).
        """
        width, height = size
        last = [liked] if self.refines else [height, width]
        numbers = torch.tensor([height, width, 0, 0, *last], dtype=torch.float32)
        return time_embedding(numbers, FREQUENCIES).flatten()[None].to(self.device)
