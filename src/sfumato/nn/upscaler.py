"""The network that makes a picture larger: convolutions at the small size, then pixels spread out.

B pictures, H W their height and width in pixels, C channels, s how many times larger they become.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.spec import UpscalerConfig

__all__ = ["Layer", "Upscaler"]


class Upscaler(nn.Module):
    """The compact network of Real-ESRGAN, SRVGGNetCompact (Wang et al. 2021, arXiv:2107.10833).

    Pictures (B, 3, H, W) in [0, 1] become (B, 3, s H, s W), nearly in [0, 1]. All convolutions are
    3 x 3 and see zeros beyond the edge, so a pixel of the result depends on what lies within
    ``UpscalerConfig.reach`` pixels of its place, and on no other.
    """

    def __init__(self, config: UpscalerConfig) -> None:
        super().__init__()
        width, self.scale = config.channels, config.scale
        self.into = Layer(3, width)
        self.body = nn.ModuleList(Layer(width, width) for _ in range(config.layers))
        self.out = nn.Conv2d(width, 3 * self.scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.into(x)  # (B, C, H, W)
        for layer in self.body:
            y = layer(y)
        detail = F.pixel_shuffle(self.out(y), self.scale)  # (B, 3, s H, s W)
        return detail + F.interpolate(x, scale_factor=self.scale, mode="nearest")


class Layer(nn.Module):
    """A convolution, and a slope of its own for what is negative in each channel (PReLU)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.act = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))  # (B, width, H, W)
