"""The layers that several networks share: normalisation, attention, and moving between scales.

B batch, C channels, H W height and width, L tokens, D width of a token.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Attention", "Downsample", "FeedForward", "Upsample", "attend", "time_embedding"]


def time_embedding(time: Tensor, width: int) -> Tensor:
    """Sines and cosines of the time at frequencies from 1 down to 1/10000 (Ho et al. 2020).

    ``time`` (B,) in 0 ... 1000; returns (B, width) float32, the cosines first.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=time.device) / half
    angles = time.float()[:, None] * torch.exp(-math.log(10000) * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Attention of q (B, L, D) over k and v (B, M, D), split into heads; returns (B, L, D)."""
    q, k, v = (t.view(*t.shape[:2], heads, -1).transpose(1, 2) for t in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, heads, L, D / heads)
    return y.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Attention of x over a context, or over itself.

    ``extra`` is a second pair of keys and values (IP-Adapter, Ye et al. 2023): the same queries
    attend to them apart, and what they bring is added. An adapter computes them with weights of
    its own and scales the values by its strength. ``blind``: every position sees itself alone, for
    the map of the attention is the identity (PAG, Ahn et al. 2024, arXiv:2403.17377, eq. 12).
    """

    def __init__(self, width: int, heads: int, context: int | None = None) -> None:
        super().__init__()
        source = width if context is None else context
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(source, width, bias=False)
        self.v = nn.Linear(source, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        extra: tuple[Tensor, Tensor] | None = None,
        *,
        blind: bool = False,
    ) -> Tensor:
        if blind:
            assert context is None, "only what attends to itself can be blind to the rest"
            return self.out(self.v(x))
        source = x if context is None else context
        q = self.q(x)
        y = attend(q, self.k(source), self.v(source), self.heads, mask)
        if extra is not None:
            y = y + attend(q, *extra, self.heads)
        return self.out(y)


class FeedForward(nn.Module):
    """A gated feed-forward layer, GEGLU (Shazeer 2020)."""

    def __init__(self, width: int, expand: int = 4) -> None:
        super().__init__()
        self.into = nn.Linear(width, 2 * expand * width)
        self.out = nn.Linear(expand * width, width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.into(x).chunk(2, dim=-1)
        return self.out(value * F.gelu(gate))


class Upsample(nn.Module):
    """Twice the height and width: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """To ``size`` where given: the U-Net's skip may be one row short of twice."""
        height, width = x.shape[2:]
        if size is None or size == (2 * height, 2 * width):
            # Not F.interpolate: torch 2.13's compiler loses its gradient on the CPU in bf16.
            x = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).flatten(4).flatten(2, 3)
        else:
            x = F.interpolate(x, size=size, mode="nearest")
        return self.conv(x)  # (B, C, 2H, 2W)


class Downsample(nn.Module):
    """Half the height and width by a convolution of stride 2.

    ``lopsided`` pads at the right and the bottom alone, as the autoencoder's encoder does.
    """

    def __init__(self, channels: int, *, lopsided: bool = False) -> None:
        super().__init__()
        self.lopsided = lopsided
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if lopsided else 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.lopsided:
            x = F.pad(x, (0, 1, 0, 1))
        return self.conv(x)  # (B, C, H/2, W/2)
