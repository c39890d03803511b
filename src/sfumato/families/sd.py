"""Stable Diffusion 1 and 2: CLIP reads the prompt, in chunks of 75 tokens where it is long."""

import torch
from torch import Tensor

from sfumato.families.base import Conditioning, Family
from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import ClipConfig, ModelSpec
from sfumato.text.clip import ClipTokenizer

__all__ = ["StableDiffusion"]


class StableDiffusion(Family):
    """One text encoder, its context alone."""

    def __init__(self, spec: ModelSpec, unet: UNet, vae: Vae, text: ClipText) -> None:
        super().__init__(spec, unet, vae)
        assert isinstance(spec.text, ClipConfig)
        self.text, self.length = text, spec.text.length
        self.tokenizer = ClipTokenizer(spec.text.pad)

    def encode(
        self, prompt: str, negative: str, size: tuple[int, int]
    ) -> tuple[Conditioning, Conditioning]:
        """Both prompts, the shorter one followed by empty chunks."""
        chunks = [list(self.tokenizer.chunks(text, self.length)) for text in (prompt, negative)]
        longest = max(len(rows) for rows in chunks)
        empty = self.tokenizer.encode("", self.length)
        positive, other = (rows + [empty] * (longest - len(rows)) for rows in chunks)
        return Conditioning(self._context(positive)), Conditioning(self._context(other))

    @torch.no_grad()
    def _context(self, rows: list[tuple[int, ...]]) -> Tensor:
        context, _ = self.text(torch.tensor(rows, device=self.device))  # (N, 77, D)
        return context.flatten(0, 1)[None]  # (1, 77 N, D)
