"""Training the autoencoder: pictures through a narrow latent and back, as sharp as they came.

N pictures, B batch, S side of a crop in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from sfumato.nn.vae import Vae
from sfumato.spec import VaeConfig
from sfumato.train.loop import Losses, Modules, TrainingError
from sfumato.train.machine import Machine
from sfumato.train.precision import multiplying
from sfumato.train.start import start
from sfumato.train.stylize import Picture

__all__ = [
    "AutoencoderConfig",
    "AutoencoderTask",
    "reconstruction_loss",
    "require_crop",
    "to_unit",
    "whiten",
]


@dataclass(frozen=True)
class AutoencoderConfig:
    """What a step sees, and how strongly the latent is held near a unit Gaussian.

    ``seed`` gives the first weights and every crop. ``noise`` is the most that is laid on a latent
    beside its own, of its spread: what a denoiser paints is never quite a latent, and a decoder
    that knows the like makes smooth fills of it.
    """

    seed: int = 0
    batch: int = 32
    crop: int = 64
    kl: float = 1.5e-3
    noise: float = 0.0


def reconstruction_loss(got: Tensor, want: Tensor) -> Tensor:
    """Absolute error at full, half and quarter scale, and of the picture's gradients."""
    loss = torch.zeros((), device=got.device)
    for scale in (1, 2, 4):
        a, b = (F.avg_pool2d(t, scale) if scale > 1 else t for t in (got, want))
        loss = loss + (a - b).abs().mean()
        loss = loss + (a.diff(dim=2) - b.diff(dim=2)).abs().mean()
        loss = loss + (a.diff(dim=3) - b.diff(dim=3)).abs().mean()
    return loss


def require_crop(name: str, crop: int, factor: int, side: int) -> None:
    """Raises TrainingError where crops of so many pixels cannot be cut from pictures so wide."""
    if crop > side or crop % factor:
        raise TrainingError(
            f"{name}.crop is {crop}, but must be a multiple of {factor} and at most {side}, the "
            "side of the pictures.\n  Change it in the recipe."
        )


def to_unit(pictures: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 to (B, 3, S, S) in [-1, 1]."""
    return pictures.movedim(-1, 1).float().contiguous() / 127.5 - 1


class AutoencoderTask:
    """The autoencoder on random crops of ``pictures``, judged by ``held``: (N, H, W, 3) uint8."""

    def __init__(
        self,
        vae: VaeConfig,
        config: AutoencoderConfig,
        pictures: Picture,
        held: Picture,
        machine: Machine,
    ) -> None:
        require_crop("autoencoder", config.crop, vae.factor, min(pictures.shape[1:3]))
        self.config, self.machine, self.device = config, machine, machine.device
        self.pictures = torch.from_numpy(pictures).to(self.device)
        self.held = torch.from_numpy(held)
        self.vae = Vae(vae)
        start(self.vae, config.seed)
        _start_quietly(self.vae)
        self.vae = convert_conv2d_weight_memory_format(
            self.vae.to(self.device), torch.channels_last
        )
        self._encoder: Callable[[Tensor], tuple[Tensor, Tensor]] = self.vae.encoder
        self._decoder: Callable[[Tensor], Tensor] = self.vae.decoder
        if machine.compiled:
            self._encoder = torch.compile(self.vae.encoder)
            self._decoder = torch.compile(self.vae.decoder)

    @property
    def modules(self) -> Modules:
        return {"vae": self.vae}

    def losses(self, step: int) -> Losses:
        rng = np.random.default_rng([self.config.seed, step])
        picture = to_unit(self._crops(rng))
        picture = picture.contiguous(memory_format=torch.channels_last)
        with multiplying(self.machine.precision, self.device):
            mean, log_variance = self._encoder(picture)
            mean, log_variance = mean.float(), log_variance.float().clamp(-20, 10)
            noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
            spread = (0.5 * log_variance).exp()
            if self.config.noise:
                most = self.config.noise * mean.detach().std()
                share = torch.from_numpy(rng.random((len(mean), 1, 1, 1), dtype=np.float32))
                spread = (spread.square() + (most * share.to(self.device)).square()).sqrt()
            latent = mean + spread * noise.to(self.device)
            got = self._decoder(latent)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return {"loss": reconstruction_loss(got.float(), picture) + self.config.kl * kl}

    def _crops(self, rng: np.random.Generator) -> Tensor:
        batch, crop = self.config.batch, self.config.crop
        n, height, width, _ = self.pictures.shape
        corners = (
            rng.integers(n, size=batch),
            rng.integers(0, height - crop + 1, size=batch),
            rng.integers(0, width - crop + 1, size=batch),
        )
        which, top, left = (torch.from_numpy(c).to(self.device)[:, None, None] for c in corners)
        along = torch.arange(crop, device=self.device)
        return self.pictures[which, top + along[:, None], left + along]

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """Peak signal to noise in dB on whole pictures that are never trained on.

        Beside it the share of noise that the latent is trained with: its mean deviation over the
        spread of the means.
        """
        vae = modules["vae"]
        assert isinstance(vae, Vae)
        errors: list[Tensor] = []
        shares: list[Tensor] = []
        for first in range(0, len(self.held), 16):
            picture = to_unit(self.held[first : first + 16]).to(self.device)
            mean, log_variance = vae.encoder(picture)
            got = vae.decoder(mean).clamp(-1, 1)
            errors.append(((got - picture) / 2).square().mean(dim=(1, 2, 3)))
            shares.append((0.5 * log_variance).exp().mean() / mean.std())
        return {
            "held_psnr": (-10 * torch.cat(errors).log10()).mean().item(),
            "noise_share": torch.stack(shares).mean().item(),
        }


@torch.no_grad()
def _start_quietly(vae: Vae) -> None:
    """Begins with little noise on the latent: under much of it nothing is ever learnt."""
    bias = _with_bias(vae.encoder.quant)[1]
    bias[vae.config.latent_channels :] = -6.0


@torch.no_grad()
def whiten(vae: Vae, pictures: Tensor) -> None:
    """Makes each latent channel zero-mean and unit-variance over ``pictures`` (B, 3, H, W).

    The change is folded into the 1 x 1 convolutions on either side of the latent, so that the
    autoencoder gives the same pictures as before, and needs no scale of its own.
    """
    before, before_bias = _with_bias(vae.encoder.quant)
    after, after_bias = _with_bias(vae.decoder.quant)
    batches = (pictures[i : i + 32] for i in range(0, len(pictures), 32))
    means = torch.cat([vae.encoder(batch)[0] for batch in batches])
    centre, spread = means.mean(dim=(0, 2, 3)), means.std(dim=(0, 2, 3))
    channels = centre.numel()
    before[:channels] /= spread[:, None, None, None]
    before_bias[:channels] = (before_bias[:channels] - centre) / spread
    before_bias[channels:] -= 2 * spread.log()  # the variance follows
    after_bias += (after[:, :, 0, 0] @ centre[:, None])[:, 0]
    after *= spread[None, :, None, None]


def _with_bias(quant: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a 1 x 1 convolution beside the latent."""
    assert isinstance(quant, nn.Conv2d), "the autoencoder to be trained has a quant convolution"
    assert quant.bias is not None
    return quant.weight, quant.bias
