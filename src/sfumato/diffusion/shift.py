"""How far rectified flows move their noise levels towards noise; needs no torch."""

import math

__all__ = ["shift_of_flux", "shifted"]


def shifted(sigma: float, shift: float) -> float:
    """A level of rectified flow moved towards noise, which larger pictures need more of.

    Esser et al. 2024 (arXiv:2403.03206), eq. 23: it divides the signal-to-noise ratio
    (1 - sigma) / sigma by `shift`; 0 and 1 stay.
    """
    return shift * sigma / (1 + (shift - 1) * sigma)


def shift_of_flux(tokens: float, low: float = 0.5, high: float = 1.15) -> float:
    """Flux's shift exp(mu) for a latent of this many tokens of 16 x 16 pixels.

    mu is a line through `low` at 256 tokens and `high` at 4096 (black-forest-labs/flux,
    sampling.py, `get_schedule`; diffusers' `base_shift` and `max_shift`). Flux schnell has the
    shift 1.
    """
    return math.exp(low + (high - low) * (tokens - 256) / (4096 - 256))
