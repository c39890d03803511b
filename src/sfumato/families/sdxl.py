"""Stable Diffusion XL: two readers side by side, and a vector that tells text, size and crop.

L text tokens, N chunks of 77, D width. Source: Podell et al. 2023 (arXiv:2307.01952), section 2.2;
what stands where in the vector is that of the published weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.families.base import USUAL, Conditioning, Framing, Reading, UNetFamily
from sfumato.families.clip_reader import ClipReader, Text
from sfumato.nn.clip import ClipText
from sfumato.nn.layers import time_embedding
from sfumato.spec import ModelSpec
from sfumato.text.prompt import read_weights
from sfumato.weights.load import Parts

__all__ = ["StableDiffusionXL"]

FREQUENCIES = 256  # width of each number's sines and cosines
# What the refiner is told that a picture was liked, from 0 to 10, by either prompt.
LIKED, DISLIKED = 6.0, 2.5


class StableDiffusionXL(UNetFamily):
    """The base, which reads with both encoders, or the refiner, which has the second alone.

    Neither hears another layer than its usual one: what clip skip 2 is to them, no two programs
    agree on (the layer before for diffusers, the usual one for ComfyUI, nothing for A1111).
    """

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        encoders = [text for text in parts.texts if isinstance(text, ClipText)]
        self.refines = len(encoders) == 1
        self.hears = frozenset({"original", "crop", "liked" if self.refines else "target"})
        self.readers = list(map(ClipReader, encoders, spec.embeds))

    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """All prompts, the shorter ones followed by empty chunks, for pictures of ``size``.

        The base was trained with nothing at all in place of no text, so an empty negative prompt is
        heard as zeros, unless the reading says otherwise.
        """
        texts = [read_weights(text, reading.weighting) for text in (*prompts, negative)]
        count = max(self.readers[0].count(text, reading.learnt) for text in texts)
        *read, (other, unpooled) = (self._read(text, count, reading) for text in texts)
        zeros = {"zeros": not self.refines, "all_zeros": True, "words": False}
        if not negative.strip() and zeros[reading.empty_negative]:
            other, unpooled = torch.zeros_like(other), torch.zeros_like(unpooled)
        usual = (Framing(size, (0, 0), size, LIKED), Framing(size, (0, 0), size, DISLIKED))
        told, against = map(self._told, reading.framings or usual)
        return (
            [Conditioning(c, added=torch.cat([pooled, told], dim=1)) for c, pooled in read],
            Conditioning(other, added=torch.cat([unpooled, against], dim=1)),
        )

    def _read(self, text: Text, count: int, reading: Reading) -> tuple[Tensor, Tensor]:
        """The states of both readers side by side (1, 77 N, D), the last one's pooled (1, P)."""
        read = [reader.read(text, count, reading) for reader in self.readers]
        return torch.cat([context for context, _ in read], dim=2), read[-1][1].float()

    def _told(self, framing: Framing) -> Tensor:
        """Original height and width, top and left of the crop, and for the base the height and
        width that are wanted, for the refiner how much it is liked: (1, 256 a number).
        """
        first = [*reversed(framing.original), *reversed(framing.crop)]
        last = [framing.liked] if self.refines else [*reversed(framing.target)]
        numbers = torch.tensor([*first, *last], dtype=torch.float32)
        return time_embedding(numbers, FREQUENCIES).flatten()[None].to(self.device)
