"""A denoiser that hears another prompt from a noise level on.

B batch, C channels, H W latent height and width.
"""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from sfumato.diffusion.samplers.step import Denoise

__all__ = ["Switched"]


@final
class Switched:
    """One of several denoisers, by the step that a noise level lies in.

    sigmas: (N + 1,) the levels of the run; step i goes from sigmas[i] to sigmas[i + 1].
    stages: (first step, denoiser) in the order of their steps, the first one's step being 0. A
        level between two of the run belongs to the step that crosses it, its lower end to the next.
    """

    def __init__(self, sigmas: Tensor, stages: Sequence[tuple[int, Denoise]]) -> None:
        assert stages[0][0] == 0, "the first stage begins with the first step"
        self._from = [(float(sigmas[step]), denoise) for step, denoise in stages]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The clean estimate (B, C, H, W) of x at the level sigma, by the stage that it is in."""
        heard = self._from[0][1]
        for begins, denoise in self._from:
            if sigma <= begins:
                heard = denoise
        return heard(x, sigma)
