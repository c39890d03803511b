"""The autoencoder: pictures to latents and back (Kingma and Welling 2014; Rombach et al. 2022).

B batch, C channels, H W height and width, Z latent channels.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.layers import Downsample, Upsample
from sfumato.spec import VaeConfig

__all__ = ["Decoder", "Encoder", "Vae"]


class ResBlock(nn.Module):
    """Two convolutions, residual."""

    def __init__(self, into: int, out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, into, eps=1e-6)
        self.conv1 = nn.Conv2d(into, out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out, eps=1e-6)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class PixelAttention(nn.Module):
    """Every position attends to every other; one head, residual."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        h = self.norm(x).flatten(2).mT[:, None]  # (B, 1, HW, C)
        y = F.scaled_dot_product_attention(self.q(h), self.k(h), self.v(h))
        return x + self.out(y)[:, 0].mT.unflatten(2, x.shape[2:])  # (B, C, H, W)


class Level(nn.Module):
    """The blocks of one resolution, and the step to the next one."""

    def __init__(self, into: int, out: int, blocks: int, groups: int, sample: nn.Module) -> None:
        super().__init__()
        widths = [into] + [out] * blocks
        self.res = nn.ModuleList(ResBlock(a, b, groups) for a, b in pairwise(widths))
        self.sample = sample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.res:
            x = block(x)
        return self.sample(x)


def _middle(channels: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        ResBlock(channels, channels, groups),
        PixelAttention(channels, groups),
        ResBlock(channels, channels, groups),
    )


class Encoder(nn.Module):
    """A picture to the mean and log-variance of its latent."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        channels, groups = config.channels, config.groups
        self.patch = config.patch
        self.conv_in = nn.Conv2d(3 * config.patch**2, channels[0], 3, padding=1)
        self.down = nn.Sequential()
        width = channels[0]
        for i, out in enumerate(channels):
            last = i == len(channels) - 1
            sample = nn.Identity() if last else Downsample(out, lopsided=True)
            self.down.append(Level(width, out, config.blocks, groups, sample))
            width = out
        self.middle = _middle(width, groups)
        self.norm_out = nn.GroupNorm(groups, width, eps=1e-6)
        self.conv_out = nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1)
        moments = 2 * config.latent_channels
        self.quant = nn.Conv2d(moments, moments, 1) if config.quant else nn.Identity()

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:  # (B, 3, H, W)
        x = self.conv_in(F.pixel_unshuffle(picture, self.patch))
        x = self.middle(self.down(x))
        moments = self.quant(self.conv_out(F.silu(self.norm_out(x))))
        mean, log_variance = moments.chunk(2, dim=1)  # (B, Z, H/f, W/f)
        return mean, log_variance


class Decoder(nn.Module):
    """A latent to a picture."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        groups, latent = config.groups, config.latent_channels
        self.patch = config.patch
        self.quant = nn.Conv2d(latent, latent, 1) if config.quant else nn.Identity()
        width = config.channels[-1]
        self.conv_in = nn.Conv2d(latent, width, 3, padding=1)
        self.middle = _middle(width, groups)
        self.up = nn.Sequential()
        for i, out in reversed(list(enumerate(config.channels))):
            sample = nn.Identity() if i == 0 else Upsample(out)
            self.up.append(Level(width, out, config.blocks + 1, groups, sample))
            width = out
        self.norm_out = nn.GroupNorm(groups, width, eps=1e-6)
        self.conv_out = nn.Conv2d(width, 3 * config.patch**2, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:  # (B, Z, H, W)
        x = self.up(self.middle(self.conv_in(self.quant(latent))))
        x = self.conv_out(F.silu(self.norm_out(x)))
        return F.pixel_shuffle(x, self.patch)  # (B, 3, fH, fW)


class Vae(nn.Module):
    """Both halves; pictures lie in [-1, 1], latents as the denoiser sees them."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, picture: Tensor) -> Tensor:
        """The mean latent of a picture: (B, 3, fH, fW) in [-1, 1] to (B, Z, H, W)."""
        mean, _ = self.encoder(picture)
        return (mean - self.config.shift) * self.config.scale

    def decode(self, latent: Tensor) -> Tensor:
        """The picture of a latent: (B, Z, H, W) to (B, 3, fH, fW), about [-1, 1], not clamped."""
        return self.decoder(latent / self.config.scale + self.config.shift)
