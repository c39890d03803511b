"""What a network predicts, and in which coordinates: x = alpha(sigma) * x0 + sigma * noise.

B batch, C channels, H W latent height and width. A sigma is a noise level: one float for the
whole batch, or a (B,) tensor with one level per picture, as training needs it.

Samplers see only `alpha`; the trainer sees only `mix` and `target`; the denoiser sees the rest.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from copy import copy
from typing import TypeVar, final

import torch
from torch import Tensor

from sfumato.diffusion.shift import shifted

S = TypeVar("S", float, Tensor)
Level = TypeVar("Level", float, Tensor, float | Tensor)


class Process(ABC):
    """A family of distributions from clean (sigma = 0) to noise (sigma = sigma_max).

    table: (N,) float64 CPU tensor, strictly ascending: the discrete levels of training or, for a
    continuous process, the levels on which the field's discrete schedules are defined.
    """

    table: Tensor

    @property
    def sigma_min(self) -> float:
        """The lowest level of the table; schedules go on from it to exactly 0."""
        return float(self.table[0])

    @property
    def sigma_max(self) -> float:
        """The level of pure noise, where pictures from text begin."""
        return float(self.table[-1])

    @abstractmethod
    def alpha(self, sigma: Level) -> Level:
        """How much of x0 is left at this level; the same type as sigma."""

    @abstractmethod
    def sigma_of(self, log_snr: float) -> float:
        """The level at which log(alpha / sigma) is `log_snr`."""

    @abstractmethod
    def model_input(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """x (B, C, H, W), scaled as the network saw it in training."""

    @abstractmethod
    def time(self, sigma: S) -> S:
        """The network's time input in 0 ... 1000 for this level; the same type as sigma.

        Levels outside the table get the time of its nearest end, because no network has seen
        another.
        """

    @abstractmethod
    def sigma_at(self, time: float) -> float:
        """The level at a network time, on which the field's schedules `normal` and `sgm_uniform`
        are built."""

    @abstractmethod
    def sigma_for(self, time: float) -> float:
        """The level whose network time this is: the inverse of `time` within the table."""

    @abstractmethod
    def x0(self, output: Tensor, x: Tensor, sigma: float | Tensor) -> Tensor:
        """The clean estimate (B, C, H, W) from the network's output at x. Affine in `output`."""

    @abstractmethod
    def target(self, x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        """What the network should output, (B, C, H, W), at mix(x0, noise, sigma)."""

    def with_whole_times(self) -> "Process":
        """The same, with a network that hears the nearest whole time, where time has a table."""
        return self

    def mix(self, x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        """x0 and unit noise, both (B, C, H, W), mixed to the level sigma."""
        sigma = spread(sigma, x0)
        return self.alpha(sigma) * x0 + sigma * noise


class _Table(Process):
    """A network trained on the discrete levels of DDPM (Ho et al. 2020, arXiv:2006.11239).

    The coordinates are those of Karras et al. 2022 (arXiv:2206.00364) and k-diffusion: the DDPM
    variable divided by sqrt(abar), so that alpha = 1 and sigma = sqrt((1 - abar) / abar).

    alphas_cumprod: abar, (N,) strictly descending in (0, 1); the default is `scaled_linear()`.
    zero_terminal: change them by `zero_terminal_snr`, for models trained or tuned so.
    whole_times: tell the network the nearest whole time, as ComfyUI and some of diffusers'
        schedulers do; else the time between two entries of the table.
    """

    def __init__(
        self,
        alphas_cumprod: Tensor | None = None,
        zero_terminal: bool = False,
        whole_times: bool = False,
    ) -> None:
        kept = scaled_linear() if alphas_cumprod is None else alphas_cumprod.detach().cpu().double()
        kept = zero_terminal_snr(kept) if zero_terminal else kept
        self.table = ((1 - kept) / kept).sqrt()
        self._sigmas = [float(sigma) for sigma in self.table]
        self._whole = whole_times
        self._logs = [math.log(sigma) for sigma in self._sigmas]
        self._log_table = torch.tensor(self._logs, dtype=torch.float64)

    def with_whole_times(self) -> "Process":
        other = copy(self)
        other._whole = True
        return other

    def alpha(self, sigma: Level) -> Level:
        return sigma**0  # 1, as a float or as a tensor of sigma's shape

    def sigma_of(self, log_snr: float) -> float:
        return math.exp(-log_snr)

    def model_input(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x / (1 + spread(sigma, x) ** 2) ** 0.5

    def time(self, sigma: S) -> S:
        """The position of sigma in the table, linear in log sigma between its entries.

        k-diffusion's and diffusers' rule; an entry of the table itself gives a whole number.
        """
        top = len(self._logs) - 1
        if isinstance(sigma, Tensor):
            logs = self._log_table.to(sigma)
            log = sigma.log()
            high = torch.searchsorted(logs, log.contiguous()).clamp(1, top)
            low = high - 1
            part = (log - logs[low]) / (logs[high] - logs[low])
            time = low + part.clamp(0, 1)
            return time.round() if self._whole else time
        if sigma <= self._sigmas[0]:
            return 0.0
        log = math.log(sigma)
        high = min(max(bisect_left(self._logs, log), 1), top)
        part = (log - self._logs[high - 1]) / (self._logs[high] - self._logs[high - 1])
        time = high - 1 + min(max(part, 0.0), 1.0)
        return float(round(time)) if self._whole else time

    def sigma_at(self, time: float) -> float:
        """The inverse of `time`; whole numbers give the table's entries to the bit."""
        low = math.floor(time)
        part = time - low
        if part == 0:
            return self._sigmas[low]
        return math.exp((1 - part) * self._logs[low] + part * self._logs[low + 1])

    def sigma_for(self, time: float) -> float:
        return self.sigma_at(time)


@final
class Eps(_Table):
    """The network predicts the noise (Ho et al. 2020, eq. 14): SD 1.x, SD 2 base, SDXL."""

    def x0(self, output: Tensor, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x - spread(sigma, x) * output

    def target(self, x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        return noise


@final
class V(_Table):
    """The network predicts the velocity sqrt(abar) noise - sqrt(1 - abar) x0.

    Salimans and Ho 2022 (arXiv:2202.00512), appendix D; SD 2.x-v and the v models of SDXL.
    In these coordinates sqrt(abar) = 1 / sqrt(1 + sigma^2).
    """

    def x0(self, output: Tensor, x: Tensor, sigma: float | Tensor) -> Tensor:
        sigma = spread(sigma, x)
        total = 1 + sigma**2
        return x / total - output * (sigma / total**0.5)

    def target(self, x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        sigma = spread(sigma, x0)
        return (noise - sigma * x0) / (1 + sigma**2) ** 0.5


@final
class Flow(Process):
    """Rectified flow: a straight line from x0 to noise, alpha = 1 - sigma; SD 3.x, Flux.

    Esser et al. 2024 (arXiv:2403.03206), eq. 13; the network predicts noise - x0, the velocity
    along that line, at time 1000 sigma.

    shift: their eq. 23, sigma -> shift sigma / (1 + (shift - 1) sigma), applied to the levels of
    schedules: 3 for SD3; exp(mu) of the picture's size for Flux.
    """

    def __init__(self, shift: float = 1.0) -> None:
        self.shift = shift
        self.table = torch.tensor([self.sigma_at(i) for i in range(1, 1001)], dtype=torch.float64)

    def alpha(self, sigma: Level) -> Level:
        return 1 - sigma

    def sigma_of(self, log_snr: float) -> float:
        return 1 / (1 + math.exp(log_snr))

    def model_input(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x

    def time(self, sigma: S) -> S:
        return 1000 * sigma

    def sigma_at(self, time: float) -> float:
        """The shifted level of an unshifted time; the inverse of `time` for shift 1 only.

        The SD3 reference and diffusers build their schedules so: the line from time(sigma_max) to
        time(sigma_min), shifted afterwards.
        """
        return shifted(time / 1000, self.shift)

    def sigma_for(self, time: float) -> float:
        return time / 1000

    def x0(self, output: Tensor, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x - spread(sigma, x) * output

    def target(self, x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        return noise - x0


def spread(sigma: Level, like: Tensor) -> Level:
    """A (B,) sigma as (B, 1, 1, 1), so that it broadcasts over `like`; a float as it came."""
    if isinstance(sigma, Tensor) and sigma.ndim == 1:
        return sigma.view(-1, *(1 for _ in like.shape[1:]))
    return sigma


def scaled_linear(start: float = 0.00085, end: float = 0.012, count: int = 1000) -> Tensor:
    """abar of Stable Diffusion: betas linear in their square root. (count,) float64.

    Rombach et al. 2022 (arXiv:2112.10752), with the constants of the published SD 1 and 2 files.
    """
    root = torch.linspace(start**0.5, end**0.5, count, dtype=torch.float64)
    return (1 - root**2).cumprod(0)


def zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """abar, shifted and scaled so that the last level is pure noise. (N,) -> (N,) float64.

    Lin et al. 2023 (arXiv:2305.08891), algorithm 1. The last entry would be 0 and its sigma
    infinite; it is 2^-24, as in diffusers, hence sigma_max = 4096.
    """
    root = alphas_cumprod.double().sqrt()
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    kept = root**2
    kept[-1] = 2.0**-24
    return kept
