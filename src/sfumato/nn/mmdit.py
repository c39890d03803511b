"""Stable Diffusion 3's denoiser: picture and text as two streams that attend to each other.

B batch, C channels, H W latent height and width, P patch side, N = H W / P^2 picture tokens,
L text tokens, D width.
Source: Esser et al. 2024, Scaling Rectified Flow Transformers (arXiv:2403.03206), figure 2; the
second attention of 3.5 medium as in its published weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.layers import time_embedding
from sfumato.spec import MMDiTConfig

__all__ = ["MMDiT"]

FREQUENCIES = 256  # width of the time's sines and cosines


class MMDiT(nn.Module):
    """A transformer over patches of the latent beside the tokens of the prompt."""

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch
        self.patches = nn.Conv2d(config.in_channels, width, patch, stride=patch)
        self.positions = nn.Parameter(torch.zeros(1, config.positions**2, width))
        self.time_in = nn.Linear(FREQUENCIES, width)
        self.time_out = nn.Linear(width, width)
        self.pooled_in = nn.Linear(config.pooled, width)
        self.pooled_out = nn.Linear(width, width)
        self.context_in = nn.Linear(config.context, width)
        self.blocks = nn.ModuleList(
            JointBlock(config, dual=i < config.dual, last=i == config.depth - 1)
            for i in range(config.depth)
        )
        self.modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, patch**2 * config.out_channels)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Tensor,
        added: Tensor,
        *,
        blind: frozenset[int] = frozenset(),
        skipped: frozenset[int] = frozenset(),
    ) -> Tensor:
        """The velocity (B, C, H, W) of x (B, C, H, W) at time (B,) in 0 ... 1000.

        ``context`` (B, L, text width), ``added`` (B, pooled width). Of the blocks, counted from 0,
        ``skipped`` are left out, and in those that are ``blind`` no patch sees another.
        """
        height, width = (side // self.config.patch for side in x.shape[2:])
        tokens = self.patches(x).flatten(2).mT + self._positions(height, width)  # (B, N, D)
        time = time_embedding(time, FREQUENCIES).to(x.dtype)
        state = self.time_out(F.silu(self.time_in(time)))
        state = state + self.pooled_out(F.silu(self.pooled_in(added)))  # (B, D)
        mood = F.silu(state)[:, None]  # (B, 1, D): what every modulation reads
        text = self.context_in(context)  # (B, L, D)
        for i, block in enumerate(self.blocks):
            if i not in skipped:
                text, tokens = block(text, tokens, mood, blind=i in blind)
        shift, scale = self.modulation(mood).chunk(2, dim=-1)
        return self._picture(self.out(modulated(tokens, shift, scale)), height, width)

    def _positions(self, height: int, width: int) -> Tensor:
        """The middle (1, height x width, D) of the square of positions."""
        side, depth = self.config.positions, self.positions.shape[-1]
        top, left = (side - height) // 2, (side - width) // 2
        square = self.positions.view(1, side, side, depth)
        return square[:, top : top + height, left : left + width].flatten(1, 2)

    def _picture(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Tokens (B, N, P P C) laid out as (B, C, H, W)."""
        patch = self.config.patch
        x = tokens.view(len(tokens), height, width, patch, patch, self.config.out_channels)
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


class JointBlock(nn.Module):
    """Both streams by weights of their own, and one attention over all their tokens."""

    def __init__(self, config: MMDiTConfig, *, dual: bool, last: bool) -> None:
        super().__init__()
        self.heads = config.heads
        # The last block's text is read by nobody: it only lends its keys and values.
        self.text = Stream(config, whole=not last)
        self.picture = Stream(config, dual=dual)

    def forward(
        self, text: Tensor, picture: Tensor, mood: Tensor, *, blind: bool
    ) -> tuple[Tensor, Tensor]:
        for_text, for_picture = self.text.moods(mood), self.picture.moods(mood)
        mine = self.text.attention(modulated(text, *for_text[:2]))
        other = self.picture.attention(modulated(picture, *for_picture[:2]))
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(mine, other, strict=True))
        length = text.shape[1]
        seen = _itself_and_text(length, picture.shape[1], q.device) if blind else None
        y = F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2)  # (B, L+N, D)
        if self.text.whole:
            text = self.text(text, y[:, :length], for_text)
        return text, self.picture(picture, y[:, length:], for_picture, blind=blind)


def _itself_and_text(length: int, patches: int, device: torch.device) -> Tensor:
    """What may be seen where no patch sees another: (L + N, L + N), true for the text and itself.

    PAG (Ahn et al. 2024, arXiv:2403.17377, eq. 12), as diffusers takes it to two streams.
    """
    seen = torch.ones(length + patches, length + patches, dtype=torch.bool, device=device)
    seen[length:, length:] = torch.eye(patches, dtype=torch.bool, device=device)
    return seen


class Stream(nn.Module):
    """One stream's half of a block: its share of the attention, then its feed-forward layer."""

    def __init__(self, config: MMDiTConfig, *, dual: bool = False, whole: bool = True) -> None:
        super().__init__()
        self.whole, self.dual = whole, dual
        parts = (9 if dual else 6) if whole else 2
        self.parts = parts
        self.modulation = nn.Linear(config.width, parts * config.width)
        self.attention = Attention(config, out=whole)
        self.attention2 = Attention(config) if dual else None
        self.hidden = nn.Linear(config.width, 4 * config.width) if whole else None
        self.hidden_out = nn.Linear(4 * config.width, config.width) if whole else None

    def moods(self, mood: Tensor) -> tuple[Tensor, ...]:
        """Shift, scale and gate (B, 1, D) of the attention, the feed-forward, and attention 2."""
        return self.modulation(mood).chunk(self.parts, dim=-1)

    def forward(
        self, x: Tensor, heard: Tensor, moods: tuple[Tensor, ...], *, blind: bool = False
    ) -> Tensor:
        assert self.hidden is not None
        assert self.hidden_out is not None
        assert self.attention.out is not None
        before = x
        x = x + moods[2] * self.attention.out(heard)
        if self.attention2 is not None:
            x = x + moods[8] * self.attention2.alone(
                modulated(before, moods[6], moods[7]), blind=blind
            )
        y = self.hidden(modulated(x, moods[3], moods[4]))
        return x + moods[5] * self.hidden_out(F.gelu(y, approximate="tanh"))


class Attention(nn.Module):
    """Queries, keys and values of one stream, normalised a head where the model is of 3.5."""

    def __init__(self, config: MMDiTConfig, *, out: bool = True) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.qkv = nn.Linear(width, 3 * width)
        head = width // config.heads
        self.norm_q = nn.RMSNorm(head, eps=1e-6) if config.qk_norm else None
        self.norm_k = nn.RMSNorm(head, eps=1e-6) if config.qk_norm else None
        self.out = nn.Linear(width, width) if out else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, L, D)
        """Each (B, heads, L, D / heads)."""
        every = self.qkv(x).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = every[0], every[1], every[2]
        if self.norm_q is not None and self.norm_k is not None:
            q, k = self.norm_q(q), self.norm_k(k)
        return q, k, v

    def alone(self, x: Tensor, *, blind: bool = False) -> Tensor:
        """Attention of a stream to itself, or of each of its tokens to itself alone: (B, N, D)."""
        assert self.out is not None
        q, k, v = self(x)
        y = v if blind else F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (B, L, D) normalised, then scaled and shifted by (B, 1, D) (Peebles and Xie 2023)."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
