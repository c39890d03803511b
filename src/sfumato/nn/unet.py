"""The U-Net that looks at a noisy latent, a time and a text, and says what is noise.

It is the network of Stable Diffusion 1, 2 and XL by configuration.
B batch, C channels, H W latent height and width, L text tokens, D width of a token.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.layers import Attention, Downsample, FeedForward, Upsample, time_embedding
from sfumato.spec import UNetConfig

__all__ = ["ResBlock", "SpatialTransformer", "UNet"]

Extra = tuple[Tensor, Tensor]  # keys and values of a second source, (B, M, C) each


class ResBlock(nn.Module):
    """Two convolutions around the time embedding, residual."""

    def __init__(self, into: int, out: int, time: int, config: UNetConfig) -> None:
        super().__init__()
        self.scale_shift = config.scale_shift
        self.norm1 = nn.GroupNorm(config.groups, into)
        self.conv1 = nn.Conv2d(into, out, 3, padding=1)
        self.time = nn.Linear(time, 2 * out if config.scale_shift else out)
        self.norm2 = nn.GroupNorm(config.groups, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:  # (B, C, H, W), (B, T)
        h = self.conv1(F.silu(self.norm1(x)))
        t = self.time(F.silu(time))[:, :, None, None]
        if self.scale_shift:
            scale, shift = t.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + t)
        return self.skip(x) + self.conv2(F.silu(h))


class TransformerBlock(nn.Module):
    """Every position attends to the others, then to the text, then thinks for itself."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.self_attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.cross_attention = Attention(width, heads, context)
        self.norm3 = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(
        self, x: Tensor, context: Tensor, mask: Tensor | None, extra: Extra | None, *, blind: bool
    ) -> Tensor:  # (B, HW, C)
        x = x + self.self_attention(self.norm1(x), blind=blind)
        x = x + self.cross_attention(self.norm2(x), context, mask, extra)
        return x + self.feed_forward(self.norm3(x))


class SpatialTransformer(nn.Module):
    """Transformer blocks over the positions of a feature map, residual."""

    def __init__(self, channels: int, depth: int, config: UNetConfig) -> None:
        super().__init__()
        heads = _heads(channels, config)
        self.linear = config.linear_projection
        self.norm = nn.GroupNorm(config.groups, channels, eps=1e-6)
        self.into = _projection(channels, linear=self.linear)
        self.blocks = nn.ModuleList(
            TransformerBlock(channels, heads, config.context) for _ in range(depth)
        )
        self.out = _projection(channels, linear=self.linear)

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        mask: Tensor | None,
        extra: Iterator[Extra] | None,
        blind: Iterator[bool],
    ) -> Tensor:  # (B, C, H, W)
        sees_itself_alone = next(blind)
        size = x.shape[2:]
        y = self.norm(x)
        if not self.linear:
            y = self.into(y)
        y = y.flatten(2).mT  # (B, HW, C)
        if self.linear:
            y = self.into(y)
        for block in self.blocks:
            pair = None if extra is None else next(extra)
            y = block(y, context, mask, pair, blind=sees_itself_alone)
        if self.linear:
            y = self.out(y)
        y = y.mT.unflatten(2, size)  # (B, C, H, W)
        if not self.linear:
            y = self.out(y)
        return x + y


def _projection(channels: int, *, linear: bool) -> nn.Module:
    return nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)


def _heads(channels: int, config: UNetConfig) -> int:
    if config.heads is not None:
        return config.heads
    assert config.head_width is not None, "a UNetConfig names its heads or their width"
    return channels // config.head_width


class Level(nn.Module):
    """The blocks of one resolution, and the step to the next one.

    ``attention[i]`` belongs to ``res[i]``; a level without transformers has none.
    """

    def __init__(
        self,
        widths: Sequence[tuple[int, int]],
        depth: int,
        time: int,
        config: UNetConfig,
        sample: nn.Module | None,
    ) -> None:
        super().__init__()
        self.res = nn.ModuleList(ResBlock(into, out, time, config) for into, out in widths)
        self.attention = nn.ModuleList(
            SpatialTransformer(out, depth, config) for _, out in widths if depth
        )
        self.sample = sample

    def block(
        self,
        i: int,
        x: Tensor,
        time: Tensor,
        text: tuple[Tensor, Tensor | None],
        extra: Iterator[Extra] | None,
        blind: Iterator[bool],
    ) -> Tensor:
        x = self.res[i](x, time)
        return self.attention[i](x, *text, extra, blind) if self.attention else x


def guidance_embedding(guidance: Tensor, width: int) -> Tensor:
    """Sines and cosines of the guidance less 1, which is how much the negative prompt counts.

    ``guidance`` (B,); returns (B, width) float32, the sines first. Luo et al. 2023
    (arXiv:2310.04378), appendix F, with the numbers of the published weights (diffusers'
    pipeline_latent_consistency_text2img.py).
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=guidance.device) / (half - 1)
    angles = 1000 * (guidance.float() - 1)[:, None] * torch.exp(-math.log(10000) * steps)
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, width % 2))


class UNet(nn.Module):
    """The denoiser of Stable Diffusion 1, 2 and XL."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, time = config.channels, 4 * config.channels[0]
        self.time_in = nn.Linear(channels[0], time)
        self.time_out = nn.Linear(time, time)
        if config.added is not None:
            self.added_in = nn.Linear(config.added, time)
            self.added_out = nn.Linear(time, time)
        if config.guided is not None:
            self.guidance_in = nn.Linear(config.guided, channels[0], bias=False)
        self.conv_in = nn.Conv2d(config.in_channels, channels[0], 3, padding=1)

        skips, width = [channels[0]], channels[0]
        self.down = nn.ModuleList()
        for i, out in enumerate(channels):
            last = i == len(channels) - 1
            widths = [(width, out)] + [(out, out)] * (config.blocks - 1)
            sample = None if last else Downsample(out)
            self.down.append(Level(widths, config.depth[i], time, config, sample))
            skips += [out] * (config.blocks if last else config.blocks + 1)
            width = out

        self.middle = Level([(width, width)] * 2, 0, time, config, None)
        self.middle_attention = (
            SpatialTransformer(width, config.middle, config) if config.middle else None
        )

        self.up = nn.ModuleList()
        for i, out in reversed(list(enumerate(channels))):
            widths: list[tuple[int, int]] = []
            for _ in range(config.blocks + 1):
                widths.append((width + skips.pop(), out))
                width = out
            sample = None if i == 0 else Upsample(out)
            self.up.append(Level(widths, config.depth[i], time, config, sample))

        self.transformers = sum(isinstance(each, SpatialTransformer) for each in self.modules())
        self.norm_out = nn.GroupNorm(config.groups, width)
        self.conv_out = nn.Conv2d(width, config.out_channels, 3, padding=1)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Tensor,
        *,
        mask: Tensor | None = None,
        added: Tensor | None = None,
        guidance: Tensor | None = None,
        residuals: Sequence[Tensor] | None = None,
        extra: Sequence[Extra] | None = None,
        blind: frozenset[int] = frozenset(),
    ) -> Tensor:
        """The network's prediction for a noisy latent.

        ``x`` (B, in_channels, H, W); ``time`` (B,) in 0 ... 1000; ``context`` (B, L, D);
        ``mask`` (B, 1, 1, L) true where a token counts; ``added`` (B, config.added);
        ``guidance`` (B,) the strength that a distilled model imitates, given if and only if it
        takes one;
        ``residuals`` a ControlNet's outputs, one for each skip and the last for the middle
        (Zhang et al. 2023); ``extra`` a second (key, value) pair for each transformer block, in
        the order in which they run; ``blind`` the spatial transformers, counted from 0 in that
        order, in which no position sees another (`Attention`). Returns (B, out_channels, H, W).
        """
        t = self.time(time, added, guidance, x.dtype)
        text = (context, mask)
        pairs = None if extra is None else iter(extra)
        blinds = iter([place in blind for place in range(self.transformers)])

        x = self.conv_in(x)
        skips = [x]
        for level in cast("Iterable[Level]", self.down):
            for i in range(len(level.res)):
                x = level.block(i, x, t, text, pairs, blinds)
                skips.append(x)
            if level.sample is not None:
                x = level.sample(x)
                skips.append(x)

        x = self.middle.res[0](x, t)
        if self.middle_attention is not None:
            x = self.middle_attention(x, *text, pairs, blinds)
        x = self.middle.res[1](x, t)

        if residuals is not None:
            *at_skips, at_middle = residuals
            skips = [skip + r for skip, r in zip(skips, at_skips, strict=True)]
            x = x + at_middle

        for level in cast("Iterable[Level]", self.up):
            for i in range(len(level.res)):
                x = level.block(i, torch.cat([x, skips.pop()], dim=1), t, text, pairs, blinds)
            if level.sample is not None:
                height, width = skips[-1].shape[2:]
                x = level.sample(x, (height, width))
        assert pairs is None or next(pairs, None) is None, (
            "more extra pairs than transformer blocks"
        )
        return self.conv_out(F.silu(self.norm_out(x)))

    def time(
        self, time: Tensor, added: Tensor | None, guidance: Tensor | None, dtype: torch.dtype
    ) -> Tensor:  # (B, T)
        """The embedding of the time, and of what else the model takes beside the text."""
        t = time_embedding(time, self.config.channels[0]).to(dtype)
        assert (guidance is None) == (self.config.guided is None), "guidance, where it is taken"
        if guidance is not None and self.config.guided is not None:
            t = t + self.guidance_in(guidance_embedding(guidance, self.config.guided).to(dtype))
        t = self.time_out(F.silu(self.time_in(t)))
        assert self.config.added is not None or added is None, "this U-Net takes nothing added"
        if self.config.added is not None:
            assert added is not None, "this U-Net takes added conditioning"
            t = t + self.added_out(F.silu(self.added_in(added.to(dtype))))
        return t
