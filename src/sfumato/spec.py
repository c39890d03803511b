"""What a model is made of: a frozen description for each part, from which its network is built."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sfumato.resolve import Defaults

__all__ = [
    "BertConfig",
    "ClipConfig",
    "DenoiserConfig",
    "FluxConfig",
    "MMDiTConfig",
    "ModelSpec",
    "ProcessConfig",
    "T5Config",
    "TextConfig",
    "TextPart",
    "UNetConfig",
    "UpscalerConfig",
    "UpscalerSpec",
    "VaeConfig",
]


@dataclass(frozen=True)
class ClipConfig:
    """A CLIP text transformer (Radford et al. 2021), as Stable Diffusion reads it.

    ``take`` is the hidden layer handed on, counted from the end: -1 the last, -2 the one before it.
    ``open_clip``: trained by OpenCLIP, whose names the original files keep.
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
    open_clip: bool = False
    half: bool = True

    @property
    def depth(self) -> int:
        """How many layers there are up to the one that is handed on."""
        return self.layers + 1 + self.take


@dataclass(frozen=True)
class BertConfig:
    """A BERT encoder (Devlin et al. 2019) followed by ``adapter`` layers of the same kind.

    The encoder stays as published; the adapter is trained together with the denoiser. ``names``
    are what the model calls the things that it was shown, and ``naming`` the width of the layers
    that say which of them a prompt means by another name.
    """

    vocab: int = 30522
    length: int = 32
    positions: int = 512
    layers: int = 6
    width: int = 384
    heads: int = 12
    hidden: int = 1536
    adapter: int = 2
    half: bool = True
    names: tuple[str, ...] = ()
    naming: int = 0


@dataclass(frozen=True)
class T5Config:
    """The encoder of T5 version 1.1 (Raffel et al. 2020); the defaults are those of its XXL.

    ``distance``: from how many tokens apart all places are alike. ``half``: see `VaeConfig`.
    """

    vocab: int = 32128
    layers: int = 24
    width: int = 4096
    heads: int = 64
    head_width: int = 64
    hidden: int = 10240
    buckets: int = 32
    distance: int = 128
    half: bool = False


@dataclass(frozen=True)
class MMDiTConfig:
    """The transformer of Stable Diffusion 3 (Esser et al. 2024); the defaults are 3 medium's.

    ``positions``  side of the square of learnt places, in patches
    ``pooled``     width of the pooled text
    ``qk_norm``    queries and keys are normalised (3.5)
    ``dual``       so many first blocks have a second attention of the picture alone (3.5 medium)
    """

    in_channels: int = 16
    out_channels: int = 16
    patch: int = 2
    width: int = 1536
    depth: int = 24
    heads: int = 24
    context: int = 4096
    pooled: int = 2048
    positions: int = 192
    qk_norm: bool = False
    dual: int = 0
    half: bool = False

    @property
    def widest(self) -> float:
        """Numbers alive at once for each element of the latent, at the least; both prompts."""
        return 2 * 6 * self.width / self.patch**2  # a token, normalised, and its hidden layer


@dataclass(frozen=True)
class FluxConfig:
    """The transformer of Flux.1 (Black Forest Labs 2024); the defaults are dev's.

    ``double``, ``single``  blocks of two streams, then of one
    ``axes``      how much of a head's width tells time, row and column; their sum is that width
    ``guidance``  whether the strength of guidance is an input (dev) or not (schnell)
    """

    in_channels: int = 16
    out_channels: int = 16
    width: int = 3072
    heads: int = 24
    double: int = 19
    single: int = 38
    context: int = 4096
    pooled: int = 768
    axes: tuple[int, int, int] = (16, 56, 56)
    guidance: bool = True
    patch: int = 2
    half: bool = False

    @property
    def widest(self) -> float:
        """Numbers alive at once for each element of the latent, at the least; one prompt."""
        return 14 * self.width / self.patch**2  # a token, normalised, and both sides of a block


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
    ``guided``      width of the embedding of the guidance that it was distilled with (LCM), or None
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
    guided: int | None = None
    scale_shift: bool = False
    groups: int = 32
    patch: int = 1
    half: bool = True

    @property
    def widest(self) -> float:
        """Numbers alive at once for each element of the latent, at the least; both prompts."""
        return 2 * 3 * sum(self.channels[:2])  # a block's input, its normalised copy, its output


@dataclass(frozen=True)
class VaeConfig:
    """The autoencoder between pictures and latents.

    ``scale`` and ``shift``: the denoiser sees ``(latent - shift) * scale``.
    ``patch`` folds squares of pixels into channels at both ends; 1 for Stable Diffusion.
    ``quant`` a 1 x 1 convolution on either side of the latent (not in SD 3 and Flux).
    ``half``: its values stay within float16, which those of SDXL's do not.
    ``sketch``: nearly the colours, in [-1, 1], of what one element of the latent becomes: a row
    (red, green, blue) for each channel as the denoiser sees it, and a last one that is added.
    """

    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    blocks: int = 2
    scale: float = 0.18215
    shift: float = 0.0
    quant: bool = True
    patch: int = 1
    groups: int = 32
    half: bool = True
    sketch: tuple[tuple[float, float, float], ...] = ()

    @property
    def factor(self) -> int:
        """Pixels along the side of one latent element."""
        return self.patch * 2 ** (len(self.channels) - 1)


@dataclass(frozen=True)
class UpscalerConfig:
    """The compact upscaling network of Real-ESRGAN (Wang et al. 2021).

    ``layers`` convolutions of ``channels`` between the first one and the last.
    """

    channels: int = 64
    layers: int = 16
    scale: int = 4

    @property
    def reach(self) -> int:
        """From how many pixels away (of the small picture) a pixel is influenced at the most."""
        return self.layers + 2


@dataclass(frozen=True)
class UpscalerSpec:
    """An upscaler that comes with sfumato; ``title`` is what other programs call it."""

    name: str
    title: str
    config: UpscalerConfig
    asset: str


@dataclass(frozen=True)
class ProcessConfig:
    """What the denoiser predicts, and for flow models how far the noise levels are shifted.

    ``zero_snr``: the last level of training was noise alone (Lin et al. 2023, arXiv:2305.08891).
    ``by_size``: the levels are shifted by the number of tokens, as Flux dev's are; ``shift`` is 1.
    """

    kind: Literal["eps", "v", "flow"] = "eps"
    shift: float = 1.0
    zero_snr: bool = False
    by_size: bool = False


TextConfig: TypeAlias = ClipConfig | BertConfig | T5Config
DenoiserConfig: TypeAlias = UNetConfig | MMDiTConfig | FluxConfig


@dataclass(frozen=True)
class TextPart:
    """One of a model's text encoders.

    ``name`` is what it is called beside the model's other parts: the name of its folder where
    diffusers saves the model. ``optional``: the model paints without it as well. ``pooled``: it
    hears the pooled state alone, which of a long prompt is that of the first chunk.
    """

    config: TextConfig
    name: str = "text_encoder"
    optional: bool = False
    pooled: bool = False


# What an embedding's file calls the encoders of a model that has several.
_LEARNT: Mapping[str, str] = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}


@dataclass(frozen=True)
class ModelSpec:
    """One model of the catalog: its parts, and what a request gets when it does not say.

    ``family`` is the name under which the engine knows how it is used. ``sibling`` is the row of
    the same shapes that predicts otherwise: which of the two a file holds, no key of it tells.
    """

    name: str
    title: str
    family: str
    texts: tuple[TextPart, ...]
    denoiser: DenoiserConfig
    vae: VaeConfig
    process: ProcessConfig
    defaults: Defaults
    asset: str | None = None
    sibling: str | None = None

    @property
    def embeds(self) -> Mapping[str, int]:
        """The width of the words that an embedding's file must have for each CLIP encoder.

        By the name that such a file gives the encoder: none for the only one of a model. Beside a
        T5, which no such file has words for, none is taken.
        """
        if any(isinstance(part.config, T5Config) for part in self.texts):
            return {}
        alone = [part.name for part in self.texts] == ["text_encoder"]
        return {
            "" if alone else _LEARNT[part.name]: part.config.width
            for part in self.texts
            if isinstance(part.config, ClipConfig)
        }

    @property
    def parts(self) -> Mapping[str, TextConfig | DenoiserConfig | VaeConfig]:
        """What the model is made of: "denoiser", "vae", and the text encoders by their names."""
        texts = {part.name: part.config for part in self.texts}
        return {"denoiser": self.denoiser, "vae": self.vae, **texts}
