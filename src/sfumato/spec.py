"""What a model is made of: a frozen description for each part, from which its network is built."""

from dataclasses import dataclass
from typing import Literal

from sfumato.request import Defaults

__all__ = [
    "BertConfig",
    "ClipConfig",
    "ModelSpec",
    "ProcessConfig",
    "UNetConfig",
    "VaeConfig",
]


@dataclass(frozen=True)
class ClipConfig:
    """A CLIP text transformer (Radford et al. 2021), as Stable Diffusion reads it.

    ``take`` is the hidden layer handed on, counted from the end: -1 the last, -2 the one before it.
    """

    vocab: int = 49408
    length: int = 77
    layers: int = 12
    width: int = 768
    heads: int = 12
    hidden: int = 3072
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    take: int = -1
    final_norm: bool = True
    projection: int | None = None
    pad: int = 49407


@dataclass(frozen=True)
class BertConfig:
    """A BERT encoder (Devlin et al. 2019) followed by ``adapter`` layers of the same kind.

    The encoder stays as published; the adapter is trained together with the denoiser.
    """

    vocab: int = 30522
    length: int = 32
    positions: int = 512
    layers: int = 6
    width: int = 384
    heads: int = 12
    hidden: int = 1536
    adapter: int = 2


@dataclass(frozen=True)
class UNetConfig:
    """The U-Net of Stable Diffusion 1, 2 and XL (Rombach et al. 2022; Podell et al. 2023).

    ``channels``    width of each level, from the finest down
    ``blocks``      residual blocks a level on the way down; one more on the way up
    ``depth``       transformer blocks behind each residual block of a level; 0 for none
    ``middle``      transformer blocks in the middle
    ``heads``       number of attention heads (SD 1), or
    ``head_width``  channels a head (SD 2, XL); exactly one of the two is given
    ``added``       width of the added conditioning (SDXL: pooled text, size and crop), or None
    ``scale_shift`` the time scales and shifts (Dhariwal and Nichol 2021) instead of adding
    """

    in_channels: int = 4
    out_channels: int = 4
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    blocks: int = 2
    depth: tuple[int, ...] = (1, 1, 1, 0)
    middle: int = 1
    heads: int | None = 8
    head_width: int | None = None
    context: int = 768
    linear_projection: bool = False
    added: int | None = None
    scale_shift: bool = False
    groups: int = 32


@dataclass(frozen=True)
class VaeConfig:
    """The autoencoder between pictures and latents.

    ``scale`` and ``shift``: the denoiser sees ``(latent - shift) * scale``.
    ``patch`` folds squares of pixels into channels at both ends; 1 for Stable Diffusion.
    ``quant`` a 1 x 1 convolution on either side of the latent (not in SD 3 and Flux).
    """

    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    blocks: int = 2
    scale: float = 0.18215
    shift: float = 0.0
    quant: bool = True
    patch: int = 1
    groups: int = 32

    @property
    def factor(self) -> int:
        """Pixels along the side of one latent element."""
        return self.patch * 2 ** (len(self.channels) - 1)


@dataclass(frozen=True)
class ProcessConfig:
    """What the denoiser predicts, and for flow models how far the noise levels are shifted."""

    kind: Literal["eps", "v", "flow"] = "eps"
    shift: float = 1.0


@dataclass(frozen=True)
class ModelSpec:
    """One model of the catalog: its parts, and what a request gets when it does not say."""

    name: str
    title: str
    family: Literal["sd", "mini"]
    text: ClipConfig | BertConfig
    unet: UNetConfig
    vae: VaeConfig
    process: ProcessConfig
    defaults: Defaults
    asset: str | None = None
