"""The optimiser: Muon for matrices, AdamW for everything else.

Muon (Jordan et al. 2024) replaces each matrix's momentum by the nearest orthogonal matrix, so that
all directions learn at the same speed; a convolution counts as a matrix (out, in * kh * kw).
"""

# The list operations of torch are documented, and public but for their names:
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Muon", "MuonConfig", "orthogonal"]

# The quintic's coefficients of Jordan et al.; after five rounds all singular values lie in 0.7-1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest orthogonal matrices, roughly, by Newton-Schulz iteration.

    ``matrices`` (N, rows, columns); returns the same shape with singular values near 1. Every round
    multiplies by a polynomial in ``x @ x.mT``, and those commute: so the rounds are run on that
    square alone, which is small where a matrix is wide, and the wide one is multiplied once. In
    float32, for a square doubles the digits that a small singular value needs; good for 7 rounds,
    after which the rounding of a matrix of low rank outgrows it.
    """
    x = matrices.float()
    x = x / (x.square().sum(dim=(-2, -1), keepdim=True).sqrt() + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    square = x @ x.mT
    one = torch.eye(square.shape[-1], device=x.device)
    turn = one.expand_as(square)
    for _ in range(rounds):
        step = _A * one + _B * square + _C * square @ square
        square = step @ square @ step
        turn = step @ turn
    x = turn @ x
    return (x.mT if tall else x).to(matrices.dtype)


@dataclass(frozen=True)
class MuonConfig:
    """Learning rates are those after warm-up; ``rate`` is for matrices, ``adam`` for the rest."""

    rate: float = 0.01
    momentum: float = 0.95
    decay: float = 0.01
    adam: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    rounds: int = 5


class Muon:
    """Both optimisers over one set of named parameters, with a state that is plain tensors.

    Embeddings and the first and last convolutions are left to AdamW (``plain`` names them by a part
    of their name), as are vectors.
    """

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        config: MuonConfig,
        plain: tuple[str, ...] = (),
    ) -> None:
        self.config = config
        self.parameters = dict(parameters)
        self.groups: dict[tuple[int, int], list[str]] = defaultdict(list)
        self.vectors: list[str] = []
        for name, p in self.parameters.items():
            if p.ndim >= 2 and not any(part in name for part in plain):
                self.groups[p.shape[0], p[0].numel()].append(name)
            else:
                self.vectors.append(name)
        self.first = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.second = {name: torch.zeros_like(self.parameters[name]) for name in self.vectors}

    @torch.no_grad()
    def step(self, number: int, factor: float) -> None:
        """One update; ``number`` counts from 1, ``factor`` scales every learning rate."""
        for shape, names in self.groups.items():
            self._matrices(shape, names, factor)
        self._vectors(number, factor)
        for p in self.parameters.values():
            p.grad = None

    # All parameters of a kind in one call: on a GPU a step would else be thousands of small ones.
    def _matrices(self, shape: tuple[int, int], names: list[str], factor: float) -> None:
        c = self.config
        gradients = [self._gradient(name) for name in names]
        first = [self.first[name] for name in names]
        here: list[Tensor] = [self.parameters[name] for name in names]
        torch._foreach_lerp_(first, gradients, 1 - c.momentum)
        ahead = torch._foreach_lerp(gradients, first, c.momentum)
        updates = orthogonal(torch.stack([a.reshape(shape) for a in ahead]), c.rounds)
        scale = max(1.0, shape[0] / shape[1]) ** 0.5
        shaped = [update.view(p.shape) for update, p in zip(updates, here, strict=True)]
        torch._foreach_mul_(here, 1 - factor * c.rate * c.decay)
        torch._foreach_add_(here, shaped, alpha=-factor * c.rate * scale)

    def _vectors(self, number: int, factor: float) -> None:
        if not self.vectors:
            return
        c = self.config
        slow, fast = 1 - c.betas[0] ** number, 1 - c.betas[1] ** number
        gradients = [self._gradient(name) for name in self.vectors]
        first = [self.first[name] for name in self.vectors]
        second = [self.second[name] for name in self.vectors]
        torch._foreach_lerp_(first, gradients, 1 - c.betas[0])
        torch._foreach_lerp_(second, torch._foreach_mul(gradients, gradients), 1 - c.betas[1])
        spread = torch._foreach_sqrt(torch._foreach_div(second, fast))
        torch._foreach_add_(spread, 1e-8)
        updates = torch._foreach_div(torch._foreach_div(first, slow), spread)
        here: list[Tensor] = [self.parameters[name] for name in self.vectors]
        torch._foreach_add_(here, updates, alpha=-factor * c.adam)

    def _gradient(self, name: str) -> Tensor:
        g = self.parameters[name].grad
        assert g is not None, f"{name} took no part in the loss"
        return g

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step needs, by name: copy a stored state into these tensors."""
        first = {f"first.{name}": t for name, t in self.first.items()}
        return first | {f"second.{name}": t for name, t in self.second.items()}
