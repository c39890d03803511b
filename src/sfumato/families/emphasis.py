"""How much each word is heard: weights of a prompt applied to what the text encoder made of it.

N chunks, L tokens, D width of a token.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sfumato.numerics import CHOICES

__all__ = ["emphasised"]


def emphasised(
    states: Tensor,
    weights: Sequence[Sequence[float]],
    weighting: str,
    silence: Callable[[], Tensor],
) -> Tensor:
    """States (N, L, D) with the weights (N, L) of their tokens.

    "a1111": each token's state times its weight, then each chunk brought back to the mean it had.
    "comfy": each token's state led away, in proportion, from that of an empty prompt, which
    ``silence`` reads: (L, D). Both leave a prompt without weights as it is, to the bit.
    """
    assert weighting in CHOICES["weighting"], weighting
    if all(weight == 1 for row in weights for weight in row):
        return states
    factor = torch.tensor(weights, dtype=states.dtype, device=states.device)[:, :, None]
    if weighting == "comfy":
        empty = silence()
        return empty + (states - empty) * factor
    weighed = states * factor
    means = states.float().mean((1, 2), True) / weighed.float().mean((1, 2), True)
    plain = torch.tensor([all(w == 1 for w in row) for row in weights], device=states.device)
    return torch.where(plain[:, None, None], states, weighed * means.to(states.dtype))
