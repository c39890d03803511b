"""T5's encoder: token numbers to the long context that Stable Diffusion 3 and Flux attend to.

B batch, L tokens, D width, H heads, K width of a head.
Source: Raffel et al. 2020, Exploring the Limits of Transfer Learning (arXiv:1910.10683), in the
version 1.1 with a gated feed-forward layer (Shazeer 2020, arXiv:2002.05202).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.spec import T5Config

__all__ = ["T5Encoder"]


class T5Encoder(nn.Module):
    """Tokens that see one another whole; where they stand is told by a bias on the attention."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab, config.width)
        self.bias = nn.Embedding(config.buckets, config.heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=1e-6)

    def forward(self, ids: Tensor) -> Tensor:
        """`ids` (B, L) to the context (B, L, D). Padding is seen like any other token."""
        x = self.token(ids)  # (B, L, D)
        places = buckets(ids.shape[1], self.config.buckets, self.config.distance).to(ids.device)
        bias = self.bias(places).permute(2, 0, 1)[None]  # (1, H, L, L)
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)


class Block(nn.Module):
    """Attention, then a gated feed-forward layer; norms first, both residual, nothing biased."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm1 = nn.RMSNorm(config.width, eps=1e-6)
        self.q = nn.Linear(config.width, inner, bias=False)
        self.k = nn.Linear(config.width, inner, bias=False)
        self.v = nn.Linear(config.width, inner, bias=False)
        self.out = nn.Linear(inner, config.width, bias=False)
        self.norm2 = nn.RMSNorm(config.width, eps=1e-6)
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.value = nn.Linear(config.width, config.hidden, bias=False)
        self.hidden_out = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:  # (B, L, D), (1, H, L, L)
        y = self.norm1(x)
        q, k, v = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, L, K)
            for part in (self.q, self.k, self.v)
        )
        # T5 was trained without the usual division by the root of the head's width.
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.hidden_out(F.gelu(self.gate(y), approximate="tanh") * self.value(y))


def buckets(length: int, count: int, distance: int) -> Tensor:
    """The bucket (L, L) of each pair (query, key), by how far the key stands from the query.

    Half of the `count` buckets are for keys that come after; of each half one half is for single
    distances, the rest grow in width up to `distance`, beyond which all share the last.
    """
    places = torch.arange(length)
    apart = places[None, :] - places[:, None]  # key - query
    half, far = count // 2, apart.abs()
    exact = half // 2
    ratio = (far.clamp(min=1).float() / exact).log() / math.log(distance / exact)
    wide = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(far < exact, far, wide) + half * (apart > 0)
