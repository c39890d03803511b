"""Where guidance is applied: away from the negative prompt, towards the positive one.

B batch, C channels, H W latent height and width. The rules themselves are in
`sfumato.diffusion.combine`; here is what is asked of the network for them, and in which order they
act: the difference of the two prompts, a perturbed network's, rescaling, x0, and thresholds.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from sfumato.diffusion.combine import clipped, fitted, guided, mimicked, projected, rescaled
from sfumato.diffusion.denoiser import Denoiser, times
from sfumato.diffusion.process import Process

Conditioning = TypeVar("Conditioning")


@dataclass(frozen=True)
class ZeroStar:
    """CFG-Zero*: scale the negative output to fit the positive one; for flows.

    still: at this level and above the output is 0, so that x stays where it is: the paper's
        zero-init, which is for the first 4 % of the steps. None for nowhere.
    """

    still: float | None = None


@dataclass(frozen=True)
class Projected:
    """APG: less saturation under strong guidance.

    along: 0 to 1, how much is left of the difference along the picture itself.
    longest: the greatest length of the difference of a picture's estimates, 0 for any.
    """

    along: float = 0.0
    longest: float = 15.0


@dataclass(frozen=True)
class Clipped:
    """Imagen's dynamic threshold. limit: how large a latent may be."""

    quantile: float = 0.995
    limit: float = 1.0


@dataclass(frozen=True)
class Mimicked:
    """Keep the range that gentler guidance would give. scale: that guidance, 7 as a rule."""

    scale: float = 7.0
    quantile: float = 1.0


@dataclass(frozen=True)
class Guidance:
    """How strongly, where and by which rules.

    scale: 1 follows the positive prompt as it is; 0 the negative one.
    rescale: 0 to 1, the share of `combine.rescaled` in the result; 0.7 in the paper.
    interval: (low, high): guidance only at levels with low < sigma <= high, elsewhere the positive
        prompt alone, at half the cost. Kynkäänniemi et al. 2024 (arXiv:2404.07724), eq. 5; for
        SDXL they take 0.28 to 5.42.
    """

    scale: float
    rescale: float = 0.0
    interval: tuple[float, float] | None = None
    rule: ZeroStar | Projected | None = None
    threshold: Clipped | Mimicked | None = None


@dataclass(frozen=True)
class Perturbed(Generic[Conditioning]):
    """A network made worse on purpose, to be led away from: PAG and skip-layer guidance.

    PAG (Ahn et al. 2024, arXiv:2403.17377, eq. 13) replaces self-attention in some layers by the
    identity; skip-layer guidance (Stability AI 2024, for SD 3.5 medium; Hyung et al. 2024,
    arXiv:2411.18664) leaves whole layers out. Both add scale (positive - perturbed).

    network: as for `Denoiser`; the same weights, run with the perturbation.
    scale: 3 for PAG, 2.8 for skip-layer guidance in their papers.
    interval: (low, high) as for `Guidance`.
    """

    network: Callable[[Tensor, Tensor, Conditioning], Tensor]
    scale: float
    interval: tuple[float, float] | None = None


@final
class Guided(Generic[Conditioning]):
    """A denoiser under a positive and a negative conditioning: one network call on 2B pictures.

    network: as for `Denoiser`.
    join: (positive, negative) -> the conditioning of a batch of 2B, the positive half first.
    guidance: a number alone is its scale, with `rescale` beside it. Where its scale is 1, and
        outside its interval, the positive half runs alone.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor, Conditioning], Tensor],
        process: Process,
        positive: Conditioning,
        negative: Conditioning,
        join: Callable[[Conditioning, Conditioning], Conditioning],
        guidance: float | Guidance,
        rescale: float = 0.0,
    ) -> None:
        given = isinstance(guidance, Guidance)
        self._guidance = guidance if given else Guidance(guidance, rescale)
        self._network = network
        self._process = process
        self._positive = positive
        self._alone = Denoiser(network, process, positive)
        self._both = join(positive, negative) if self._guidance.scale != 1 else positive
        self._perturbed: tuple[Perturbed[Conditioning], ...] = ()

    def away_from(self, *perturbed: Perturbed[Conditioning]) -> "Guided[Conditioning]":
        """The same denoiser, led away from these networks too: a call on B pictures for each."""
        other = copy(self)
        other._perturbed = (*self._perturbed, *perturbed)
        return other

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The guided clean estimate (B, C, H, W) of x at the level sigma."""
        asked = self._guidance
        still = asked.rule.still if isinstance(asked.rule, ZeroStar) else None
        if still is not None and sigma >= still:
            return self._process.x0(torch.zeros_like(x), x, sigma)
        worse = [each for each in self._perturbed if _within(sigma, each.interval)]
        two = asked.scale != 1 and _within(sigma, asked.interval)
        if not two and not worse:
            return self._alone(x, sigma)
        if two:
            positive, negative = self._run(self._network, x, sigma, self._both, 2).chunk(2)
        else:
            positive = negative = self._run(self._network, x, sigma, self._positive, 1)
        output = self._combined(positive, negative, x, sigma)
        for each in worse:
            bad = self._run(each.network, x, sigma, self._positive, 1)
            output = output + each.scale * (positive - bad)
        if asked.rescale > 0:
            output = torch.lerp(output, rescaled(output, positive), asked.rescale)
        x0 = self._process.x0(output, x, sigma)
        if isinstance(asked.threshold, Clipped):
            return clipped(x0, asked.threshold.quantile, asked.threshold.limit)
        if isinstance(asked.threshold, Mimicked):
            gentle = guided(positive, negative, asked.threshold.scale)
            model = self._process.x0(gentle, x, sigma)
            return mimicked(x0, model, asked.threshold.quantile)
        return x0

    def _run(
        self,
        network: Callable[[Tensor, Tensor, Conditioning], Tensor],
        x: Tensor,
        sigma: float,
        conditioning: Conditioning,
        times_over: int,
    ) -> Tensor:
        """The network's output for x, repeated as often as the conditioning has it."""
        seen = self._process.model_input(x, sigma)
        seen = seen.repeat(times_over, *(1 for _ in x.shape[1:]))  # (2B, C, H, W) or (B, C, H, W)
        return network(seen, times(self._process, sigma, seen), conditioning).to(x.dtype)

    def _combined(self, positive: Tensor, negative: Tensor, x: Tensor, sigma: float) -> Tensor:
        """The output under both prompts, by the rule that was asked for."""
        scale, rule, process = self._guidance.scale, self._guidance.rule, self._process
        if positive is negative:
            return positive
        if isinstance(rule, Projected):
            # The rule acts on estimates; x0 is affine in the output, with this slope.
            slope = process.x0(torch.ones_like(x[:1, :1, :1, :1]), torch.zeros_like(x[:1]), sigma)
            plus, minus = process.x0(positive, x, sigma), process.x0(negative, x, sigma)
            change = projected(plus, minus, rule.along, rule.longest)
            return positive + (scale - 1) * change / slope.flatten()[0]
        if isinstance(rule, ZeroStar):
            negative = fitted(negative, positive)
        return guided(positive, negative, scale)


def _within(sigma: float, interval: tuple[float, float] | None) -> bool:
    return interval is None or interval[0] < sigma <= interval[1]
