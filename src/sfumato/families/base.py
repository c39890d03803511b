"""What every family offers the pipeline, and the conditioning that passes between them.

B batch, C latent channels, H W latent height and width, L text tokens, D width of a token.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sfumato.diffusion.process import Eps, Flow, Process, V
from sfumato.nn.unet import UNet
from sfumato.spec import ModelSpec, ProcessConfig
from sfumato.weights.learnt import Learnt
from sfumato.weights.load import Parts

__all__ = [
    "USUAL",
    "WHOLE",
    "Conditioning",
    "Family",
    "Framing",
    "Ground",
    "Reading",
    "Spoiling",
    "UNetFamily",
    "process_of",
]


@dataclass(frozen=True)
class Conditioning:
    """What the network hears beside the noisy latent: the fields of its `forward`, and `concat`.

    Each network knows some of them; what it does not know stays None.
    """

    context: Tensor  # (B, L, D)
    mask: Tensor | None = None  # (B, 1, 1, L)
    added: Tensor | None = None  # (B, A)
    residuals: Sequence[Tensor] | None = None
    extra: Sequence[tuple[Tensor, Tensor]] | None = None
    concat: Tensor | None = None  # (B, Z, H, W), behind the channels of the noisy latent
    guidance: Tensor | None = None  # (B,), the strength that a distilled model was taught

    @staticmethod
    def join(first: "Conditioning", second: "Conditioning") -> "Conditioning":
        """One conditioning for both batches, the first one's pictures first.

        Both have the same fields, so that nothing of one is lost beside the other.
        """
        for field in fields(Conditioning):
            one, two = getattr(first, field.name), getattr(second, field.name)
            assert (one is None) == (two is None), f"{field.name} in one conditioning alone"
        extra = None
        if first.extra is not None and second.extra is not None:
            pairs = zip(first.extra, second.extra, strict=True)
            extra = [(torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])) for a, b in pairs]
        residuals = None
        if first.residuals is not None and second.residuals is not None:
            both = zip(first.residuals, second.residuals, strict=True)
            residuals = [torch.cat(pair) for pair in both]
        return Conditioning(
            torch.cat([first.context, second.context]),
            _joined(first.mask, second.mask),
            _joined(first.added, second.added),
            residuals,
            extra,
            _joined(first.concat, second.concat),
            _joined(first.guidance, second.guidance),
        )


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


@dataclass(frozen=True)
class Ground:
    """A picture that is painted upon, as the networks see it: one, on the model's device.

    ``mask`` is true where it is painted, None where that is everywhere; ``masked`` the picture in
    [-1, 1] with 0, a grey, in place of what is painted.
    """

    latent: Tensor  # (1, C, H, W) of the picture
    start: Tensor  # (1, C, H, W) from which painting begins
    mask: Tensor | None = None  # (1, 1, H, W) bool
    masked: Tensor | None = None  # (1, 3, height, width)


@dataclass(frozen=True)
class Framing:
    """What SDXL is told of a picture beside its prompt: pixels, and how much it was liked.

    Podell et al. 2023 (arXiv:2307.01952), section 2.2. ``original`` and ``target`` are (width,
    height), ``crop`` is (left, top), ``liked`` 0 to 10.
    """

    original: tuple[int, int]
    crop: tuple[int, int]
    target: tuple[int, int]
    liked: float


@dataclass(frozen=True)
class Reading:
    """How prompts are read, and what is told beside them.

    ``weighting`` is one of `numerics.CHOICES`. ``learnt`` are the embeddings that are heard where
    their names stand; each fits `ModelSpec.embeds`. ``skip`` is `Request.clip_skip`, at most
    `Family.deepest`. ``empty_negative`` and ``t5_padding`` are of `numerics.CHOICES` too.
    ``framings`` are what is told beside the prompts and beside the negative one;
    None is the size of what is painted, uncut.
    """

    weighting: str = "a1111"
    learnt: tuple[Learnt, ...] = ()
    skip: int = 1
    empty_negative: str = "zeros"
    t5_padding: str = "long"
    framings: tuple[Framing, Framing] | None = None


USUAL = Reading()


@dataclass(frozen=True)
class Spoiling:
    """What of a network is made worse on purpose, so that guidance can lead away from it.

    Layers are counted from 0 in the order in which they run: a U-Net's spatial transformers, a
    transformer's blocks. In those that are ``blind`` no place of the picture sees another (PAG);
    those that are ``skipped`` are left out (skip-layer guidance).
    """

    blind: frozenset[int] = frozenset()
    skipped: frozenset[int] = frozenset()


WHOLE = Spoiling()


class Family(ABC):
    """A loaded model: its networks, on one device, behind the few doors that the pipeline uses.

    A new one is a class of this kind and a row in `opening.FAMILIES`. ``deepest`` is the largest
    `Reading.skip` that its `encode` follows: 1 where only the usual layer is heard. ``layers`` is
    how many there are that a `Spoiling` may name. ``hears`` are the fields of a `Framing` that it
    is told.
    """

    hears = frozenset[str]()
    deepest = 1
    layers = 0

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        self.spec, self.denoiser, self.vae = spec, parts.denoiser, parts.vae
        self._process = process_of(spec.process)
        self._first = next(parts.denoiser.parameters())  # on whose device and in whose type all is

    @abstractmethod
    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """The prompts, and the negative one, as conditionings of batch 1, all of equal length.

        ``size`` is width and height in pixels of what is painted, of which some families are told.
        Raises PromptError where a prompt cannot be read whole.
        """

    def taken(self, prompt: str, weighting: str) -> str | None:
        """What the model takes a prompt for, where it calls that otherwise and reads it before
        the prompt's own words; None where it reads these alone.
        """
        return None

    @abstractmethod
    def output(
        self, x: Tensor, time: Tensor, conditioning: Conditioning, spoiling: Spoiling
    ) -> Tensor:
        """The denoiser's output for x (B, C + Z, H, W), in its own precision, at time (B,).

        ``spoiling`` is none but for what the model's `Defaults` have layers of.
        """

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self._first.device

    def process(self, width: int, height: int) -> Process:
        """The process of pictures of this size in pixels, which for some models depends on it."""
        return self._process

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(C, H, W) of one picture's latent, for its size in pixels."""
        factor = self.spec.vae.factor
        return self.spec.vae.latent_channels, height // factor, width // factor

    def network(
        self, x: Tensor, time: Tensor, conditioning: Conditioning, spoiling: Spoiling = WHOLE
    ) -> Tensor:
        """The denoiser's output for x (B, C, H, W) at time (B,), in the denoiser's own precision.

        Laid in memory as torch lays a new tensor, whatever a kernel made of it: how a tensor lies
        chooses the next kernel and so the last bits, and a stored step does not know how it lay.
        """
        concat = conditioning.concat
        x = x if concat is None else torch.cat([x, concat], dim=1)
        return self.output(x.to(self._first.dtype), time, conditioning, spoiling).contiguous()

    def told_of(self, ground: Ground | None, shape: tuple[int, int, int]) -> Tensor | None:
        """What an inpainting model is told: mask and masked picture, (1, 1 + C, H, W).

        For `Conditioning.concat`; ``shape`` is (C, H, W). None for a network that takes nothing of
        the kind, which is then held to the picture from outside (`diffusion.inpaint`). Without a
        mask the model is told that all is to be painted, as AUTOMATIC1111 does, and paints like any
        other.
        """
        channels, height, width = shape
        if self.spec.denoiser.in_channels == channels:
            return None
        mask = torch.ones(1, 1, height, width, device=self.device)
        masked = torch.zeros(1, 3, *(side * self.spec.vae.factor for side in (height, width)))
        if ground is not None and ground.mask is not None and ground.masked is not None:
            mask, masked = ground.mask.float(), ground.masked
        return torch.cat([mask, self.encode_picture(masked)], dim=1)

    @torch.no_grad()
    def encode_picture(self, picture: Tensor) -> Tensor:
        """The latents (B, C, H, W), float32, of pictures (B, 3, height, width) in [-1, 1].

        The mean of the encoder's distribution, with nothing drawn: one picture has one latent. Laid
        in memory like what `network` gives.
        """
        return self.vae.encode(picture.to(self.vae.encoder.conv_in.weight)).float().contiguous()

    @torch.no_grad()
    def sketch(self, latent: Tensor) -> Tensor:
        """Nearly the picture of latents (B, C, H, W), a pixel for each element: (B, 3, H, W).

        In about [-1, 1], by the linear map of `VaeConfig.sketch`; costs next to nothing.
        """
        rows = self.spec.vae.sketch
        assert rows, f"{self.spec.name} has no sketch"
        table = torch.tensor(rows, device=latent.device)  # (C + 1, 3)
        colours = torch.einsum("bchw,ck->bkhw", latent.float(), table[:-1])
        return colours + table[-1][:, None, None]

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Pictures (B, 3, height, width) in about [-1, 1] of latents (B, C, H, W)."""
        return self.vae.decode(latent.to(self.vae.decoder.conv_in.weight.dtype)).float()


class UNetFamily(Family):
    """What the families around a U-Net have in common."""

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        assert isinstance(parts.denoiser, UNet)
        self.unet = parts.denoiser
        self.layers = self.unet.transformers

    def output(
        self, x: Tensor, time: Tensor, conditioning: Conditioning, spoiling: Spoiling
    ) -> Tensor:
        assert not spoiling.skipped, "a U-Net has no layers that can be left out"
        c = conditioning
        return self.unet(
            x,
            time,
            c.context,
            mask=c.mask,
            added=c.added,
            guidance=None if self.unet.config.guided is None else c.guidance,
            residuals=c.residuals,
            extra=c.extra,
            blind=spoiling.blind,
        )


def process_of(config: ProcessConfig) -> Process:
    """The process that a spec names."""
    if config.kind == "flow":
        return Flow(config.shift)
    kind = Eps if config.kind == "eps" else V
    return kind(zero_terminal=config.zero_snr)
