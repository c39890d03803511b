"""Finished pictures made larger by a network, tile by tile, so that memory is bounded.

H W height and width of a picture in pixels, s how many times larger the network makes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sfumato.errors import PictureError, RequestError
from sfumato.images import fault
from sfumato.nn.upscaler import Upscaler
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest
from sfumato.weights.layouts import upscaler as layouts
from sfumato.weights.load import load_part

__all__ = ["TILE", "Enlargement", "Enlarger", "open_enlarger"]

# Pixels along the side of a tile. At 256 a tile needs some 70 MB, and its margins a third of the
# work at the most.
TILE = 256


@dataclass(frozen=True)
class Enlarger:
    """An upscaler in memory: what a recipe calls it, the hash of its file, and its network.

    ``reach``: from how many pixels away a pixel is influenced at the most. The network computes in
    float32 on every device: it is small, and its pictures are the same under every --precision.
    """

    name: str
    sha256: str
    network: Upscaler
    reach: int
    device: torch.device

    def check(self, factor: int) -> None:
        """Raises RequestError for a factor that this network does not make."""
        if self.network.scale % factor:
            raise RequestError(
                f"upscale is {factor}, and {self.name} makes pictures {self.network.scale} times "
                "as large; take that, or another upscaler."
            )


def open_enlarger(path: Path, name: str, device: torch.device) -> Enlarger:
    """The upscaler in a file, strictly: ours, or one in the layout of Real-ESRGAN.

    Raises WeightsError for what is none, or does not fit to the last tensor.
    """
    weights = open_weights(path)
    config = layouts.config_of(weights)
    table = layouts.table(weights, config)
    network = load_part(Upscaler, config, weights, table, torch.float32)
    network = network.to(device)
    for parameter in network.parameters():  # as convolutions on the CPU are fastest
        if parameter.ndim == 4:
            parameter.data = parameter.contiguous(memory_format=torch.channels_last)
    return Enlarger(name, digest(weights), network, config.reach, device)


class Enlargement:
    """One RGB picture on its way to ``factor`` times its size: iterate its tiles, then take it.

    Each tile is computed with a margin of `Enlarger.reach`, so every pixel sees what it would in
    the whole picture: the result depends on the size of tiles by rounding alone, a level at most.
    Raises RequestError for a factor that the network does not make.
    """

    def __init__(
        self, enlarger: Enlarger, image: Image.Image, factor: int, *, tile: int = TILE
    ) -> None:
        enlarger.check(factor)
        assert image.mode == "RGB"
        self._enlarger, self._image, self._factor = enlarger, image, factor
        width, height = image.size
        self._boxes = [
            (left, top, min(left + tile, width), min(top + tile, height))
            for top in range(0, height, tile)
            for left in range(0, width, tile)
        ]
        self._sheet = Image.new("RGB", (width * factor, height * factor))
        self._done = 0

    @property
    def name(self) -> str:
        """What a recipe calls the upscaler."""
        return self._enlarger.name

    @property
    def sha256(self) -> str:
        """That of the upscaler's file."""
        return self._enlarger.sha256

    @property
    def total(self) -> int:
        """How many tiles there are."""
        return len(self._boxes)

    def __iter__(self) -> Iterator[int]:
        """Makes the next tile, and says how many are made."""
        while self._done < self.total:
            left, top, right, bottom = box = self._boxes[self._done]
            tile = self._tile(box)
            assert tile.size == ((right - left) * self._factor, (bottom - top) * self._factor)
            self._sheet.paste(tile, (left * self._factor, top * self._factor))
            self._done += 1
            yield self._done

    def picture(self) -> Image.Image:
        """The finished picture; makes what is not made yet."""
        for _ in self:
            pass
        return self._sheet

    @torch.no_grad()
    def _tile(self, box: tuple[int, int, int, int]) -> Image.Image:
        reach, network = self._enlarger.reach, self._enlarger.network
        left, top = max(box[0] - reach, 0), max(box[1] - reach, 0)
        right = min(box[2] + reach, self._image.width)
        bottom = min(box[3] + reach, self._image.height)
        y = network(_pixels(self._image.crop((left, top, right, bottom)), self._enlarger.device))
        s = network.scale
        y = y[:, :, s * (box[1] - top) : s * (box[3] - top), s * (box[0] - left) :]
        y = y[..., : s * (box[2] - box[0])]
        # It adds to the small picture, whose pixels may be all alike.
        if wrong := fault(2 * y - 1, flat=True):
            raise PictureError(f"{self._enlarger.name} gave {wrong}; take another upscaler.")
        # Twice is four times with the mean of each square of pixels: no edge overshoots.
        y = F.avg_pool2d(y.clamp(0, 1), s // self._factor)  # (1, 3, factor H, factor W)
        levels = (y[0] * 255).round().byte().permute(1, 2, 0).contiguous().cpu()
        return Image.fromarray(levels.numpy())


def _pixels(image: Image.Image, device: torch.device) -> Tensor:
    """Float32 (1, 3, H, W) in [0, 1], as its memory lies fastest for convolutions."""
    raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    levels = raw.view(1, image.height, image.width, 3).to(device).permute(0, 3, 1, 2)
    return (levels.float() / 255).contiguous(memory_format=torch.channels_last)
