"""Stable Diffusion 1 and 2: CLIP reads the prompt, in chunks of 75 tokens where it is long."""

import torch
from torch import Tensor

from sfumato.families.base import Conditioning, Family
from sfumato.families.emphasis import emphasised, read_weights
from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import ClipConfig, ModelSpec
from sfumato.text.clip import Chunk, ClipTokenizer

__all__ = ["StableDiffusion"]


class StableDiffusion(Family):
    """One text encoder, its context alone."""

    def __init__(self, spec: ModelSpec, unet: UNet, vae: Vae, text: ClipText) -> None:
        super().__init__(spec, unet, vae)
        assert isinstance(spec.text, ClipConfig)
        self.text, self.length = text, spec.text.length
        self.tokenizer = ClipTokenizer(spec.text.pad)

    def encode(
        self, prompt: str, negative: str, size: tuple[int, int], weighting: str = "a1111"
    ) -> tuple[Conditioning, Conditioning]:
        """Both prompts, the shorter one followed by empty chunks."""
        chunks = [
            list(self.tokenizer.weighted(read_weights(text, weighting), self.length))
            for text in (prompt, negative)
        ]
        longest = max(len(rows) for rows in chunks)
        (empty,) = self.tokenizer.weighted(((),), self.length)
        positive, other = (
            Conditioning(self._context(rows + [empty] * (longest - len(rows)), weighting))
            for rows in chunks
        )
        return positive, other

    @torch.no_grad()
    def _context(self, rows: list[Chunk], weighting: str) -> Tensor:
        states, _ = self._read(rows)  # (N, 77, D)
        weights = [row.weights for row in rows]
        context = emphasised(states, weights, weighting, self._silence)
        return context.flatten(0, 1)[None]  # (1, 77 N, D)

    def _read(self, rows: list[Chunk]) -> tuple[Tensor, Tensor]:
        return self.text(torch.tensor([row.ids for row in rows], device=self.device))

    def _silence(self) -> Tensor:
        """What an empty prompt is to the reader: (77, D)."""
        return self._read(list(self.tokenizer.weighted(((),), self.length)))[0][0]
