"""Training the denoiser and the reader's adapter: words and a noisy latent in, the picture out.

The loss is that of ``diffusion.process``, the same mathematics with which pictures are sampled.
N pictures in the bank, B batch, Z latent channels, H W latent height and width, L tokens, D width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from sfumato.families.base import process_of
from sfumato.nn.bert import Adapter, TextTower
from sfumato.nn.unet import ResBlock, SpatialTransformer, UNet
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig, ModelSpec, UNetConfig
from sfumato.train.autoencoder import to_unit
from sfumato.train.captions import Facts
from sfumato.train.loop import Losses, Modules, TrainingError
from sfumato.train.precision import multiplying
from sfumato.train.reader import Reader
from sfumato.train.scenes import Example, Scenes
from sfumato.train.start import start
from sfumato.train.stylize import Picture
from sfumato.weights.load import Parts

__all__ = [
    "Bank",
    "DenoiserConfig",
    "DenoiserTask",
    "Lesson",
    "Words",
    "draw_bank",
    "encode",
    "latents_of",
    "said_whole",
]


@dataclass(frozen=True)
class DenoiserConfig:
    """What a step sees.

    ``seed`` gives the first weights and every step's pictures, words and noise. ``centre`` and
    ``spread`` place the noise levels: sigma = sigmoid(centre + spread * normal), the logit-normal
    of Esser et al. 2024. ``drop`` is the share of empty captions, which guidance needs; ``bank``
    the number of scenes, and ``length`` that of the word pieces a caption may have, marks included.
    ``places`` is the weight of the adapter's second lesson, what stands where, in the loss.
    """

    seed: int = 0
    batch: int = 64
    centre: float = 0.0
    spread: float = 1.0
    drop: float = 0.1
    bank: int = 16000
    length: int = 24
    places: float = 0.0


Fact = TypeVar("Fact")  # what is known of a picture, and captions are made of
Known = TypeVar("Known", contravariant=True)


class Words(Protocol[Known]):
    """How a picture is put into words."""

    def said(self, facts: Known, rng: np.random.Generator, drop: float) -> str:
        """One wording of perhaps many, or "" with probability `drop`."""
        ...

    def plain(self, facts: Known) -> str:
        """The wording by which the picture is judged."""
        ...

    def words(self, some: Iterable[Known]) -> frozenset[str]:
        """Every word that may be said of such pictures."""
        ...


class Lesson(nn.Module, ABC, Generic[Fact]):
    """What else the adapter learns, from words alone; it is left out of the model's file.

    ``share`` is its weight beside the picture's error.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    @abstractmethod
    def loss(self, context: Tensor, mask: Tensor, some: Sequence[Fact]) -> Tensor:
        """A scalar, from adapted states (B, L, D), (B, L) true where real, and the facts."""


@dataclass(frozen=True)
class Told:
    """Captions as the denoiser reads them: (B, L, D), (B, D), and (B, L) true where real."""

    context: Tensor
    pooled: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Bank(Generic[Fact]):
    """Pictures as latents, encoded once, and the facts that captions are made of."""

    latents: Tensor  # (N, Z, H, W) float16
    facts: tuple[Fact, ...]


def said_whole(
    words: Words[Fact], facts: Fact, rng: np.random.Generator, drop: float, reader: Reader
) -> str:
    """A wording that can be read whole: a few of those with two long names cannot.

    Raises TrainingError where none of twenty can.
    """
    for _ in range(20):
        caption = words.said(facts, rng, drop)
        if reader.fits(caption):
            return caption
    raise TrainingError(
        f"A caption of {reader.tokenizer.length} word pieces has no room for "
        f"{words.plain(facts)!r}; train with a greater denoiser.length."
    )


@torch.no_grad()
def latents_of(vae: Vae, pictures: Picture, device: torch.device) -> Tensor:
    """The latents (N, Z, H, W), float16, of pictures (N, S, S, 3) uint8, in batches of 32."""
    latents: list[Tensor] = []
    for first in range(0, len(pictures), 32):
        picture = to_unit(torch.from_numpy(pictures[first : first + 32])).to(device)
        picture = picture.contiguous(memory_format=torch.channels_last)
        latents.append(vae.encode(picture).to("cpu", torch.float16))
    return torch.cat(latents).contiguous()


def encode(vae: Vae, examples: Sequence[Example], device: torch.device) -> Bank[Facts]:
    """The bank of some examples."""
    latents = latents_of(vae, np.stack([e.picture for e in examples]), device)
    return Bank(latents, tuple(e.facts for e in examples))


def draw_bank(vae: Vae, scenes: Scenes, size: int, device: torch.device) -> Bank[Facts]:
    """The first ``size`` scenes as a bank, drawn and encoded a few hundred at a time."""
    parts = [
        encode(vae, [scenes.draw(i) for i in range(first, min(first + 256, size))], device)
        for first in range(0, size, 256)
    ]
    return Bank(torch.cat([p.latents for p in parts]), tuple(f for p in parts for f in p.facts))


class DenoiserTask(Generic[Fact]):
    """The U-Net and the adapter on the bank ``train``; judged by every other bank, by its name."""

    def __init__(
        self,
        spec: ModelSpec,
        config: DenoiserConfig,
        reader: Reader,
        words: Words[Fact],
        banks: Mapping[str, Bank[Fact]],
        *,
        lesson: Lesson[Fact] | None = None,
        precision: torch.dtype = torch.bfloat16,
        compiled: bool = False,
    ) -> None:
        text, unet = spec.texts[0].config, spec.denoiser
        assert isinstance(text, BertConfig)
        assert isinstance(unet, UNetConfig)
        self.config, self.process = config, process_of(spec.process)
        self.reader, self.device = reader, reader.device
        self.words, self.precision = words, precision
        # On the device: a step then moves a few numbers there, and no pictures.
        self.banks = {
            name: Bank(bank.latents.to(self.device), bank.facts) for name, bank in banks.items()
        }
        self.unet, self.adapter = UNet(unet), Adapter(text)
        start(self.unet, config.seed)
        start(self.adapter, config.seed + 1)
        _start_as_zero(self.unet)
        self.unet = convert_conv2d_weight_memory_format(
            self.unet.to(self.device), torch.channels_last
        )
        self.adapter = self.adapter.to(self.device)
        self.lesson = None if lesson is None else lesson.to(self.device)
        self._unet: Callable[..., Tensor] = torch.compile(self.unet) if compiled else self.unet

    @property
    def modules(self) -> Modules:
        both: dict[str, nn.Module] = {"unet": self.unet, "adapter": self.adapter}
        return both if self.lesson is None else both | {"lesson": self.lesson}

    def take(self, parts: Parts) -> None:
        """Begin from the weights of a model of the same make."""
        (tower,) = parts.texts
        assert isinstance(tower, TextTower)
        self.unet.load_state_dict(parts.denoiser.state_dict())
        self.adapter.load_state_dict(tower.adapter.state_dict())

    def losses(self, step: int) -> Losses:
        bank = self.banks["train"]
        rng = np.random.default_rng([self.config.seed, step])
        chosen = rng.integers(len(bank.facts), size=self.config.batch)
        facts = [bank.facts[int(i)] for i in chosen]
        captions = [said_whole(self.words, f, rng, self.config.drop, self.reader) for f in facts]
        x0 = bank.latents[torch.from_numpy(chosen).to(self.device)]
        told = self._read(self.adapter, captions)
        error = self._error(self._unet, told, x0, rng)
        if self.lesson is None:
            return {"loss": error}
        said = [i for i, caption in enumerate(captions) if caption]
        context, mask = told.context[said].float(), told.mask[said]
        lesson = self.lesson.loss(context, mask, [facts[i] for i in said])
        return {"loss": error, "lesson": self.lesson.share * lesson}

    def _read(self, adapter: nn.Module, captions: Sequence[str]) -> Told:
        read = self.reader.read(captions)
        with multiplying(self.precision, self.device):
            context, pooled = adapter(read.states, read.mask)
        return Told(context, pooled, read.mask)

    def _error(
        self,
        unet: Callable[..., Tensor],
        told: Told,
        latents: Tensor,
        rng: np.random.Generator,
    ) -> Tensor:
        c = self.config
        x0 = latents.float()
        x0 = x0.contiguous(memory_format=torch.channels_last)  # (B, Z, H, W)
        logit = c.centre + c.spread * rng.standard_normal(len(x0), dtype=np.float32)
        sigma = torch.from_numpy(logit).sigmoid().to(self.device)
        noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32)).to(self.device)
        noise = noise.contiguous(memory_format=torch.channels_last)
        x = self.process.mix(x0, noise, sigma)
        with multiplying(self.precision, self.device):
            output = unet(
                self.process.model_input(x, sigma),
                self.process.time(sigma),
                told.context,
                mask=told.mask[:, None, None],
                added=told.pooled,
            )
        return (output.float() - self.process.target(x0, noise, sigma)).square().mean()

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """The loss with fixed noise and canonical captions, of each bank that is not trained on."""
        figures: dict[str, float] = {}
        for name, bank in self.banks.items():
            if name == "train":
                continue
            rng = np.random.default_rng([self.config.seed, 0])
            losses: list[float] = []
            for first in range(0, len(bank.facts), self.config.batch):
                facts = bank.facts[first : first + self.config.batch]
                words = [self.words.plain(f) for f in facts]
                x0 = bank.latents[first : first + self.config.batch]
                error = self._error(modules["unet"], self._read(modules["adapter"], words), x0, rng)
                losses += [error.item()] * len(facts)
            figures[f"{name}_loss"] = float(np.mean(losses))
        return figures


@torch.no_grad()
def _start_as_zero(unet: UNet) -> None:
    """Every residual branch begins as nothing, so that the deep network begins as a shallow one."""
    unet.conv_out.weight.zero_()
    for module in unet.modules():
        if isinstance(module, ResBlock):
            module.conv2.weight.zero_()
        elif isinstance(module, SpatialTransformer):
            assert isinstance(module.out, nn.Linear | nn.Conv2d)
            module.out.weight.zero_()
