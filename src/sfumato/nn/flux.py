"""Flux's denoiser: blocks of two streams, then of one, over patches of the latent and the prompt.

B batch, C channels, H W latent height and width, N = H W / 4 picture tokens, L text tokens,
D width, A heads, K = D / A width of a head.
Source: black-forest-labs/flux, `src/flux/model.py` (Apache-2.0), whose state dict it fits; the
single-stream block is that of Dehghani et al. 2023 (arXiv:2302.05442).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.layers import time_embedding
from sfumato.nn.mmdit import modulated
from sfumato.spec import FluxConfig

__all__ = ["Flux"]

FREQUENCIES = 256  # width of the time's sines and cosines
PATCH = 2


class Flux(nn.Module):
    """A transformer that knows where a token stands by turning its queries and keys."""

    def __init__(self, config: FluxConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patches = nn.Linear(config.in_channels * PATCH**2, width)
        self.context_in = nn.Linear(config.context, width)
        self.time = Embedder(FREQUENCIES, width)
        self.pooled = Embedder(config.pooled, width)
        self.guidance = Embedder(FREQUENCIES, width) if config.guidance else None
        self.doubles = nn.ModuleList(DoubleBlock(config) for _ in range(config.double))
        self.singles = nn.ModuleList(SingleBlock(config) for _ in range(config.single))
        self.modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, config.out_channels * PATCH**2)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Tensor,
        added: Tensor,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """The velocity (B, C, H, W) of x (B, C, H, W) at time (B,) in 0 ... 1000.

        ``context`` (B, L, text width), ``added`` (B, pooled width). ``guidance`` (B,) is the
        strength that a distilled model (dev) was taught, and is given if and only if it was.
        """
        assert (guidance is None) == (self.guidance is None), "guidance where it is not known"
        height, width = (side // PATCH for side in x.shape[2:])
        picture = self.patches(patches(x))  # (B, N, D)
        text = self.context_in(context)  # (B, L, D)
        state = self.time(time_embedding(time, FREQUENCIES).to(x.dtype))
        if guidance is not None and self.guidance is not None:
            strength = time_embedding(guidance * 1000, FREQUENCIES)
            state = state + self.guidance(strength.to(x.dtype))
        mood = F.silu(state + self.pooled(added))[:, None]  # (B, 1, D)
        turns = rotations(text.shape[1], height, width, self.config.axes).to(x.device)
        for block in self.doubles:
            text, picture = block(text, picture, mood, turns)
        both = torch.cat([text, picture], dim=1)  # (B, L + N, D)
        for block in self.singles:
            both = block(both, mood, turns)
        shift, scale = self.modulation(mood).chunk(2, dim=-1)
        tokens = self.out(modulated(both[:, text.shape[1] :], shift, scale))
        return unpatched(tokens, height, width)


class Embedder(nn.Module):
    """A vector through two layers."""

    def __init__(self, source: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(source, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.silu(self.into(x)))


class DoubleBlock(nn.Module):
    """Text and picture by weights of their own, and one attention over all their tokens."""

    def __init__(self, config: FluxConfig) -> None:
        super().__init__()
        self.text = Stream(config)
        self.picture = Stream(config)

    def forward(
        self, text: Tensor, picture: Tensor, mood: Tensor, turns: Tensor
    ) -> tuple[Tensor, Tensor]:
        for_text, for_picture = self.text.moods(mood), self.picture.moods(mood)
        mine = self.text.share(text, for_text)
        other = self.picture.share(picture, for_picture)
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(mine, other, strict=True))
        y = turned_attention(q, k, v, turns)  # (B, L + N, D)
        length = text.shape[1]
        text = self.text(text, y[:, :length], for_text)
        return text, self.picture(picture, y[:, length:], for_picture)


class Stream(nn.Module):
    """One stream's half of a double block."""

    def __init__(self, config: FluxConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.norm_q = nn.RMSNorm(width // config.heads, eps=1e-6)
        self.norm_k = nn.RMSNorm(width // config.heads, eps=1e-6)
        self.attention_out = nn.Linear(width, width)
        self.hidden = nn.Linear(width, 4 * width)
        self.hidden_out = nn.Linear(4 * width, width)

    def moods(self, mood: Tensor) -> tuple[Tensor, ...]:
        """Shift, scale and gate (B, 1, D) of the attention, then of the feed-forward layer."""
        return self.modulation(mood).chunk(6, dim=-1)

    def share(self, x: Tensor, moods: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, A, L, K), not turned yet."""
        q, k, v = split_heads(self.qkv(modulated(x, moods[0], moods[1])), self.heads)
        return self.norm_q(q), self.norm_k(k), v

    def forward(self, x: Tensor, heard: Tensor, moods: tuple[Tensor, ...]) -> Tensor:
        x = x + moods[2] * self.attention_out(heard)
        y = self.hidden(modulated(x, moods[3], moods[4]))
        return x + moods[5] * self.hidden_out(F.gelu(y, approximate="tanh"))


class SingleBlock(nn.Module):
    """All tokens alike; attention and feed-forward layer side by side."""

    def __init__(self, config: FluxConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.modulation = nn.Linear(width, 3 * width)
        self.into = nn.Linear(width, 7 * width)  # queries, keys, values, and the hidden layer
        self.norm_q = nn.RMSNorm(width // config.heads, eps=1e-6)
        self.norm_k = nn.RMSNorm(width // config.heads, eps=1e-6)
        self.out = nn.Linear(5 * width, width)

    def forward(self, x: Tensor, mood: Tensor, turns: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(mood).chunk(3, dim=-1)
        y = self.into(modulated(x, shift, scale))  # (B, L, 7 D)
        attended = 3 * x.shape[-1]
        q, k, v = split_heads(y[..., :attended], self.heads)
        hidden = y[..., attended:]
        y = turned_attention(self.norm_q(q), self.norm_k(k), v, turns)
        return x + gate * self.out(torch.cat([y, F.gelu(hidden, approximate="tanh")], dim=-1))


def split_heads(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, 3 D) to queries, keys and values (B, A, L, K)."""
    every = qkv.view(*qkv.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)  # (3, B, A, L, K)
    return every[0], every[1], every[2]


def patches(x: Tensor) -> Tensor:
    """(B, C, H, W) as tokens (B, N, 4 C): each square of 2 x 2, its channel first."""
    x = x.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (B, C, H/2, W/2, 2, 2)
    return x.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def unpatched(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `patches`, for a latent of height x width squares."""
    x = tokens.view(len(tokens), height, width, -1, PATCH, PATCH)
    return x.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def rotations(text: int, height: int, width: int, axes: tuple[int, int, int]) -> Tensor:
    """Cosines and sines (2, L + N, K / 2) by which each token's pairs of numbers are turned.

    Rotary embedding (Su et al. 2021, arXiv:2104.09864) on three axes that share the head's width:
    the first is 0 everywhere, then the row and the column; the text stands at 0, 0, 0.
    """
    rows = torch.arange(height, dtype=torch.float64).repeat_interleave(width)
    columns = torch.arange(width, dtype=torch.float64).repeat(height)
    places = torch.stack([torch.zeros_like(rows), rows, columns])  # (3, N)
    places = torch.cat([places.new_zeros(3, text), places], dim=1)  # (3, L + N)
    angles = [
        place[:, None] * 10000.0 ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
        for place, size in zip(places, axes, strict=True)
    ]
    all_angles = torch.cat(angles, dim=1)  # (L + N, K / 2)
    return torch.stack([all_angles.cos(), all_angles.sin()]).float()


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """x (B, A, L, K) with each pair of neighbours turned by its token's angle, in float32."""
    cos, sin = turns[0], turns[1]  # (L, K / 2)
    pairs = x.float().view(*x.shape[:-1], -1, 2)  # (B, A, L, K / 2, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(3).to(x.dtype)


def turned_attention(q: Tensor, k: Tensor, v: Tensor, turns: Tensor) -> Tensor:
    """Attention over (B, A, L, K), queries and keys turned first; returns (B, L, D)."""
    y = F.scaled_dot_product_attention(turned(q, turns), turned(k, turns), v)
    return y.transpose(1, 2).flatten(2)
