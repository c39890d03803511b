"""Training the decoder once more, on latents as a denoiser paints them.

An autoencoder learns to decode its encoder's latents, and a denoiser never paints quite such a one:
what it leaves out or overdoes comes out as smeared edges and mottled fills. The decoder alone,
shown the denoiser's own guesses at latents beside the pictures that they are of, learns to see past
that.
N pictures, S their side, B batch, Z latent channels, H W latent height and width, F the factor
between them.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from sfumato.diffusion.combine import guided
from sfumato.diffusion.process import Process
from sfumato.nn.vae import Vae
from sfumato.train.autoencoder import reconstruction_loss, require_crop, to_unit
from sfumato.train.loop import Losses, Modules, Stop, never
from sfumato.train.machine import Machine
from sfumato.train.precision import multiplying
from sfumato.train.reader import Reader
from sfumato.train.stylize import Picture

__all__ = ["DecoderConfig", "DecoderTask", "Guesser", "Painted"]

_AT_ONCE = 64  # pictures
_JUDGED = 16  # pictures at once


@dataclass(frozen=True)
class DecoderConfig:
    """What a step sees: crops of latents, and of the pictures that they are of.

    A share of ``guessed`` are the denoiser's guesses, under ``guidance``, from noise levels between
    ``low`` and ``high``; a share of ``noisy`` are latents with up to ``noise`` of noise on them,
    and the rest latents as they are. ``scenes`` is the number of pictures; with 0 the decoder stays
    as it is.
    """

    seed: int = 0
    scenes: int = 6000
    batch: int = 24
    crop: int = 64
    guessed: float = 0.7
    noisy: float = 0.15
    noise: float = 0.25
    low: float = 0.08
    high: float = 0.5
    guidance: float = 3.0


@dataclass(frozen=True)
class Painted:
    """Pictures (N, S, S, 3) uint8, their latents and the guesses at these (N, Z, H, W) float16."""

    pictures: Picture
    latents: Tensor
    guesses: Tensor


class Guesser:
    """A trained denoiser and the reader before it: a noisy latent and words in, a guess out."""

    def __init__(
        self, unet: nn.Module, adapter: nn.Module, reader: Reader, process: Process
    ) -> None:
        self.unet, self.adapter, self.reader = unet, adapter, reader
        self.process, self.device = process, reader.device

    @torch.no_grad()
    def guesses(
        self,
        latents: Tensor,
        captions: Sequence[str],
        config: DecoderConfig,
        stop: Stop = never,
    ) -> Tensor:
        """A guess (N, Z, H, W), float16, at every latent, from noise that the seed decides.

        Raises KeyboardInterrupt when ``stop`` says so.
        """
        made: list[Tensor] = []
        for first in range(0, len(latents), _AT_ONCE):
            if stop():
                raise KeyboardInterrupt
            rng = np.random.default_rng([config.seed, first])
            x0 = latents[first : first + _AT_ONCE].float().to(self.device)
            share = torch.from_numpy(rng.random(len(x0), dtype=np.float32))
            sigma = (config.low + (config.high - config.low) * share).to(self.device)
            noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32))
            x = self.process.mix(x0, noise.to(self.device), sigma)
            part = captions[first : first + _AT_ONCE]
            guess = self.process.x0(self._guided(x, sigma, part, config.guidance), x, sigma)
            made.append(guess.to("cpu", torch.float16))
        return torch.cat(made)

    def _guided(self, x: Tensor, sigma: Tensor, captions: Sequence[str], scale: float) -> Tensor:
        read = self.reader.read([*captions, *("" for _ in captions)])
        context, pooled = self.adapter(read.states, read.mask)
        both, levels = x.repeat(2, 1, 1, 1), sigma.repeat(2)
        output = self.unet(
            self.process.model_input(both, levels),
            self.process.time(levels),
            context,
            mask=read.mask[:, None, None],
            added=pooled,
        )
        positive, negative = output.float().chunk(2)
        return guided(positive, negative, scale)


class DecoderTask:
    """The decoder of an autoencoder on crops of ``seen``, judged by ``held``."""

    def __init__(
        self,
        vae: Vae,
        config: DecoderConfig,
        seen: Painted,
        held: Painted,
        machine: Machine,
    ) -> None:
        require_crop("decoder", config.crop, vae.config.factor, seen.pictures.shape[1])
        self.config, self.machine, self.device = config, machine, machine.device
        self.seen, self.held, self.factor = seen, held, vae.config.factor
        self.scale, self.shift = vae.config.scale, vae.config.shift
        self.decoder = convert_conv2d_weight_memory_format(
            deepcopy(vae.decoder).to(self.device).requires_grad_(True), torch.channels_last
        )

    @property
    def modules(self) -> Modules:
        return {"decoder": self.decoder}

    def losses(self, step: int) -> Losses:
        latents, pictures = self._crops(np.random.default_rng([self.config.seed, step]))
        latents = latents.to(self.device).contiguous(memory_format=torch.channels_last)
        with multiplying(self.machine.precision, self.device):
            got = self._decode(self.decoder, latents)
        return {"loss": reconstruction_loss(got.float(), to_unit(pictures.to(self.device)))}

    def _decode(self, decoder: nn.Module, latents: Tensor) -> Tensor:
        return decoder(latents / self.scale + self.shift)

    def _crops(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Latents (B, Z, c, c) and pictures (B, F c, F c, 3) of the same places."""
        config, seen = self.config, self.seen
        side = config.crop // self.factor
        rows = rng.integers(len(seen.pictures), size=config.batch)
        most = seen.latents.shape[-1] - side + 1
        kinds = rng.random(config.batch)
        latents: list[Tensor] = []
        pictures: list[Tensor] = []
        for row, kind in zip(rows, kinds, strict=True):
            top, left = (int(v) for v in rng.integers(most, size=2))
            source = seen.guesses if kind < config.guessed else seen.latents
            crop = source[row, :, top : top + side, left : left + side].float()
            if config.guessed <= kind < config.guessed + config.noisy:
                noise = rng.standard_normal(crop.shape, dtype=np.float32)
                crop = crop + float(config.noise * rng.random()) * torch.from_numpy(noise)
            latents.append(crop)
            y, x, wide = self.factor * top, self.factor * left, self.factor * side
            pictures.append(torch.from_numpy(seen.pictures[row, y : y + wide, x : x + wide]))
        return torch.stack(latents), torch.stack(pictures)

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """Peak signal to noise in dB of pictures not trained on.

        ``held_psnr`` from their latents, ``guess_psnr`` from the denoiser's guesses at them.
        """
        decoder, held = modules["decoder"], self.held
        figures: dict[str, float] = {}
        for name, latents in (("held_psnr", held.latents), ("guess_psnr", held.guesses)):
            found: list[Tensor] = []
            for first in range(0, len(latents), _JUDGED):
                rows = slice(first, first + _JUDGED)
                want = to_unit(torch.from_numpy(held.pictures[rows])).to(self.device)
                got = self._decode(decoder, latents[rows].float().to(self.device)).clamp(-1, 1)
                found.append(((got - want) / 2).square().mean(dim=(1, 2, 3)))
            figures[name] = (-10 * torch.cat(found).log10()).mean().item()
        return figures
