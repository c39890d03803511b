"""Stable Diffusion 3 and 3.5: two CLIPs side by side, then T5, and a transformer over patches.

L text tokens, N chunks of 77, D width of a token. Source: Esser et al. 2024 (arXiv:2403.03206),
figure 2 and section 5.3, where each reader was left out in training so that T5 need not be there.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.families.base import USUAL, Conditioning, Family, Reading, Spoiling
from sfumato.families.clip_reader import ClipReader, Text
from sfumato.families.t5_reader import T5Reader
from sfumato.nn.clip import ClipText
from sfumato.nn.mmdit import MMDiT
from sfumato.nn.t5 import T5Encoder
from sfumato.spec import ModelSpec
from sfumato.text.prompt import read_weights
from sfumato.weights.load import Parts

__all__ = ["StableDiffusion3"]

# Tokens of T5: as in training (Esser et al., section 5.3), and as many as one chunk of CLIP.
LEAST, SHORT = 256, 77


class StableDiffusion3(Family):
    """Context: the CLIPs' states side by side, T5's behind them. Pooled: that of both CLIPs."""

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        first, second, third = parts.texts
        assert isinstance(parts.denoiser, MMDiT)
        assert isinstance(first, ClipText)
        assert isinstance(second, ClipText)
        self.mmdit = parts.denoiser
        self.layers = parts.denoiser.config.depth
        self.clips = (ClipReader(first), ClipReader(second))
        self.t5: T5Reader | None = None
        if third is not None:
            assert isinstance(third, T5Encoder)
            assert parts.t5 is not None
            self.t5 = T5Reader(third, parts.t5)

    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """All prompts, the shorter ones followed by empty chunks for CLIP and padding for T5.

        Where T5 is not there zeros stand in its place, or nothing where the padding is short.
        """
        texts = [read_weights(text, reading.weighting) for text in (*prompts, negative)]
        chunks = max(map(self.clips[0].count, texts))
        least = {"long": LEAST, "clip": SHORT * chunks, "short": SHORT}[reading.t5_padding]
        if self.t5 is not None:
            tokens = max(self.t5.count(text, least) for text in texts)
        else:
            tokens = 0 if reading.t5_padding == "short" else least
        *heard, other = (self._read(text, chunks, tokens, reading) for text in texts)
        return heard, other

    def _read(self, text: Text, chunks: int, tokens: int, reading: Reading) -> Conditioning:
        read = [reader.read(text, chunks, reading) for reader in self.clips]
        states = torch.cat([context for context, _ in read], dim=2)  # (1, 77 N, D)
        width = self.mmdit.config.context
        states = F.pad(states, (0, width - states.shape[2]))
        if self.t5 is None:
            rest = torch.zeros(1, tokens, width, dtype=states.dtype, device=states.device)
        else:
            rest = self.t5.read(text, tokens, reading.weighting).to(states.dtype)
        pooled = torch.cat([pooled for _, pooled in read], dim=1)
        return Conditioning(torch.cat([states, rest], dim=1), added=pooled)

    def output(
        self, x: Tensor, time: Tensor, conditioning: Conditioning, spoiling: Spoiling
    ) -> Tensor:
        added = conditioning.added
        assert added is not None
        return self.mmdit(
            x,
            time,
            conditioning.context.to(x.dtype),
            added.to(x.dtype),
            blind=spoiling.blind,
            skipped=spoiling.skipped,
        )
