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
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from sfumato.families.base import process_of
from sfumato.nn.bert import Adapter, TextTower
from sfumato.nn.unet import ResBlock, SpatialTransformer, UNet
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig, ModelSpec, UNetConfig
from sfumato.train.ahead import Ahead
from sfumato.train.autoencoder import to_unit
from sfumato.train.captions import Facts
from sfumato.train.loop import Losses, Modules, TrainingError
from sfumato.train.machine import Machine
from sfumato.train.precision import multiplying
from sfumato.train.reader import Pieces, Reader
from sfumato.train.scenes import Example, Scenes, drawn
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
class Sight(Generic[Fact]):
    """All that a step sees: pictures by their places in the bank, captions, and noise."""

    chosen: NDArray[np.int64]  # (B,)
    facts: tuple[Fact | None, ...]  # None where the caption is empty
    pieces: Pieces  # (B, L)
    sigma: NDArray[np.float32]  # (B,), 0 to 1
    noise: NDArray[np.float32]  # (B, Z, H, W)


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


def draw_bank(
    vae: Vae, scenes: Scenes, size: int, device: torch.device, *, workers: int = 0
) -> Bank[Facts]:
    """The first ``size`` scenes as a bank, drawn and encoded a few hundred at a time."""
    latents: list[Tensor] = []
    facts: list[Facts] = []
    for pictures, told in drawn(scenes, size, workers):
        latents.append(latents_of(vae, pictures, device))
        facts += told
    return Bank(torch.cat(latents), tuple(facts))


class DenoiserTask(Generic[Fact]):
    """The U-Net and the adapter on the bank ``train``; judged by every other bank, by its name."""

    def __init__(
        self,
        spec: ModelSpec,
        config: DenoiserConfig,
        reader: Reader,
        words: Words[Fact],
        banks: Mapping[str, Bank[Fact]],
        machine: Machine,
        *,
        lesson: Lesson[Fact] | None = None,
    ) -> None:
        """The machine's workers put pictures into words and draw noise, ahead of their step."""
        text, unet = spec.texts[0].config, spec.denoiser
        assert isinstance(text, BertConfig)
        assert isinstance(unet, UNetConfig)
        self.config, self.process = config, process_of(spec.process)
        self.reader, self.words = reader, words
        self.machine, self.device = machine, machine.device
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
        self._unet: Callable[..., Tensor] = (
            torch.compile(self.unet) if machine.compiled else self.unet
        )
        self._ahead = Ahead(self._sight, machine.workers)

    @property
    def modules(self) -> Modules:
        both: dict[str, nn.Module] = {"unet": self.unet, "adapter": self.adapter}
        return both if self.lesson is None else both | {"lesson": self.lesson}

    def close(self) -> None:
        """Ends the other processes."""
        self._ahead.close()

    def take(self, parts: Parts) -> None:
        """Begin from the weights of a model of the same make."""
        (tower,) = parts.texts
        assert isinstance(tower, TextTower)
        self.unet.load_state_dict(parts.denoiser.state_dict())
        self.adapter.load_state_dict(tower.adapter.state_dict())

    def losses(self, step: int) -> Losses:
        sight = self._ahead(step)
        x0 = self.banks["train"].latents[torch.from_numpy(sight.chosen).to(self.device)]
        told = self._read(self.adapter, sight.pieces)
        error = self._error(self._unet, told, x0, sight.sigma, sight.noise)
        if self.lesson is None:
            return {"loss": error}
        said = [i for i, facts in enumerate(sight.facts) if facts is not None]
        context, mask = told.context[said].float(), told.mask[said]
        lesson = self.lesson.loss(context, mask, [f for f in sight.facts if f is not None])
        return {"loss": error, "lesson": self.lesson.share * lesson}

    def _sight(self, step: int) -> Sight[Fact]:
        """What a step sees, a function of its number alone; made without the device."""
        c, bank = self.config, self.banks["train"]
        rng = np.random.default_rng([c.seed, step])
        chosen = rng.integers(len(bank.facts), size=c.batch)
        facts = [bank.facts[int(i)] for i in chosen]
        captions = [said_whole(self.words, f, rng, c.drop, self.reader) for f in facts]
        told = tuple(f if said else None for f, said in zip(facts, captions, strict=True))
        sigma, noise = self._noise(rng, (c.batch, *bank.latents.shape[1:]))
        return Sight(chosen, told, self.reader.pieces(captions), sigma, noise)

    def _noise(
        self, rng: np.random.Generator, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Noise levels (B,), and noise of this shape (B, Z, H, W)."""
        c = self.config
        logit = c.centre + c.spread * rng.standard_normal(shape[0], dtype=np.float32)
        sigma = (1 / (1 + np.exp(-logit))).astype(np.float32)
        return sigma, rng.standard_normal(shape, dtype=np.float32)

    def _read(self, adapter: nn.Module, pieces: Pieces) -> Told:
        read = self.reader.states(pieces)
        with multiplying(self.machine.precision, self.device):
            context, pooled = adapter(read.states, read.mask)
        return Told(context, pooled, read.mask)

    def _error(
        self,
        unet: Callable[..., Tensor],
        told: Told,
        latents: Tensor,
        levels: NDArray[np.float32],
        noises: NDArray[np.float32],
    ) -> Tensor:
        x0 = latents.float()
        x0 = x0.contiguous(memory_format=torch.channels_last)  # (B, Z, H, W)
        sigma = torch.from_numpy(levels).to(self.device)
        noise = torch.from_numpy(noises).to(self.device)
        noise = noise.contiguous(memory_format=torch.channels_last)
        x = self.process.mix(x0, noise, sigma)
        with multiplying(self.machine.precision, self.device):
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
                pieces = self.reader.pieces([self.words.plain(f) for f in facts])
                x0 = bank.latents[first : first + self.config.batch]
                told, noise = self._read(modules["adapter"], pieces), self._noise(rng, x0.shape)
                error = self._error(modules["unet"], told, x0, *noise)
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
