"""Training the autoencoder: pictures through a narrow latent and back, as sharp as they came.

B batch, S side of a crop in pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.vae import Vae
from sfumato.spec import VaeConfig
from sfumato.train.loop import Modules

__all__ = ["AutoencoderConfig", "AutoencoderTask", "reconstruction_loss", "whiten"]


@dataclass(frozen=True)
class AutoencoderConfig:
    """What a step sees, and how strongly the latent is held near a unit Gaussian."""

    seed: int = 0
    batch: int = 32
    crop: int = 64
    kl: float = 1e-4
    encoder: bool = True


def reconstruction_loss(got: Tensor, want: Tensor) -> Tensor:
    """Absolute error at full, half and quarter scale, and of the picture's gradients."""
    loss = torch.zeros((), device=got.device)
    for scale in (1, 2, 4):
        a, b = (F.avg_pool2d(t, scale) if scale > 1 else t for t in (got, want))
        loss = loss + (a - b).abs().mean()
        loss = loss + (a.diff(dim=2) - b.diff(dim=2)).abs().mean()
        loss = loss + (a.diff(dim=3) - b.diff(dim=3)).abs().mean()
    return loss


def to_unit(pictures: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 to (B, 3, S, S) in [-1, 1]."""
    return pictures.movedim(-1, 1).float().contiguous() / 127.5 - 1


class AutoencoderTask:
    """The autoencoder on random crops of ``pictures`` (N, H, W, 3) uint8."""

    def __init__(
        self,
        vae: VaeConfig,
        config: AutoencoderConfig,
        pictures: np.ndarray,
        held: np.ndarray,
        device: torch.device,
        *,
        compiled: bool = False,
    ) -> None:
        self.config, self.device = config, device
        self.pictures = torch.from_numpy(pictures)
        self.held = torch.from_numpy(held)
        self.vae = Vae(vae).to(device, memory_format=torch.channels_last)
        _start_quietly(self.vae)
        self.vae.encoder.requires_grad_(config.encoder)
        self.encoder = torch.compile(self.vae.encoder) if compiled else self.vae.encoder
        self.decoder = torch.compile(self.vae.decoder) if compiled else self.vae.decoder

    @property
    def modules(self) -> Modules:
        return {"vae": self.vae}

    def loss(self, step: int) -> Tensor:
        c = self.config
        rng = np.random.default_rng([c.seed, step])
        n, height, width, _ = self.pictures.shape
        crops = [
            self.pictures[i, y : y + c.crop, x : x + c.crop]
            for i, y, x in zip(
                rng.integers(n, size=c.batch),
                rng.integers(0, height - c.crop + 1, size=c.batch),
                rng.integers(0, width - c.crop + 1, size=c.batch),
                strict=True,
            )
        ]
        picture = to_unit(torch.stack(crops)).to(self.device)
        picture = picture.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            mean, log_variance = self.encoder(picture)
            mean, log_variance = mean.float(), log_variance.float().clamp(-20, 10)
            noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
            latent = mean + (0.5 * log_variance).exp() * noise.to(self.device)
            got = self.decoder(latent)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return reconstruction_loss(got.float(), picture) + c.kl * kl

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """Peak signal to noise in dB on whole pictures that are never trained on."""
        vae = modules["vae"]
        assert isinstance(vae, Vae)
        errors: list[Tensor] = []
        spread: list[Tensor] = []
        for pictures in self.held.split(16):
            picture = to_unit(pictures).to(self.device)
            mean, log_variance = vae.encoder(picture)
            got = vae.decoder(mean).clamp(-1, 1)
            errors.append(((got - picture) / 2).square().mean(dim=(1, 2, 3)))
            spread.append((0.5 * log_variance).exp().mean() / mean.std())
        return {
            "held_psnr": (-10 * torch.cat(errors).log10()).mean().item(),
            "noise_share": torch.stack(spread).mean().item(),
        }


@torch.no_grad()
def _start_quietly(vae: Vae) -> None:
    """Begins with little noise on the latent: under much of it nothing is ever learnt."""
    quant = vae.encoder.quant
    assert isinstance(quant, nn.Conv2d) and quant.bias is not None
    quant.bias[vae.config.latent_channels :] = -6.0


@torch.no_grad()
def whiten(vae: Vae, pictures: Tensor) -> None:
    """Makes each latent channel zero-mean and unit-variance over ``pictures`` (B, 3, H, W).

    The change is folded into the 1 x 1 convolutions on either side of the latent, so that the
    autoencoder gives the same pictures as before, and needs no scale of its own.
    """
    before, after = vae.encoder.quant, vae.decoder.quant
    assert isinstance(before, nn.Conv2d) and isinstance(after, nn.Conv2d)
    means = torch.cat([vae.encoder(batch)[0] for batch in pictures.split(32)])
    centre, spread = means.mean(dim=(0, 2, 3)), means.std(dim=(0, 2, 3))
    channels = centre.numel()
    assert before.bias is not None and after.bias is not None
    before.weight[:channels] /= spread[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - centre) / spread
    before.bias[channels:] -= 2 * spread.log()  # the variance follows
    after.bias += (after.weight[:, :, 0, 0] @ centre[:, None])[:, 0]
    after.weight *= spread[None, :, None, None]
