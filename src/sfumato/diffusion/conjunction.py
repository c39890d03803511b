"""Several prompts heard at once, each with a weight: what AND means between them.

Liu et al. 2022 (arXiv:2206.01714), eq. 11: from the answer to the origin, which is the negative
prompt, each prompt leads away by its weight. Guidance then acts on the sum as on one prompt's
answer, as in AUTOMATIC1111: origin + guidance * sum of weight * (answer - origin).

B pictures, R rows, C channels, H W latent height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Conjunction", "conjoined"]

Conditioning = TypeVar("Conditioning")


@dataclass(frozen=True)
class Conjunction(Generic[Conditioning]):
    """What is heard for each row of a batch: (conditioning, weight) in order, from one origin.

    A row without any is the origin itself.
    """

    origin: Conditioning
    rows: tuple[tuple[tuple[Conditioning, float], ...], ...]

    @staticmethod
    def join(
        first: Conjunction[Conditioning], second: Conjunction[Conditioning]
    ) -> Conjunction[Conditioning]:
        """One for both batches, the first one's rows first; both are measured from one origin."""
        assert first.origin is second.origin, "two conjunctions of one batch have one origin"
        return Conjunction(first.origin, first.rows + second.rows)


def conjoined(
    network: Callable[[Tensor, Tensor, Conditioning], Tensor],
) -> Callable[[Tensor, Tensor, Conjunction[Conditioning]], Tensor]:
    """The same network for conjunctions; its R rows are of the same B pictures at the same time.

    Each conditioning is one call on B pictures: so an answer does not depend, in its last bits, on
    how many others are asked for, nor does the memory, and their lengths may differ.
    """

    def answers(x: Tensor, time: Tensor, heard: Conjunction[Conditioning]) -> Tensor:
        pictures = len(x) // len(heard.rows)
        x, time = x[:pictures], time[:pictures]  # (B, C, H, W), (B,)
        origin = network(x, time, heard.origin).to(x.dtype)
        found: list[Tensor] = []
        for row in heard.rows:
            answer = origin
            for conditioning, weight in row:
                answer = answer + weight * (network(x, time, conditioning).to(x.dtype) - origin)
            found.append(answer)
        return torch.cat(found)  # (R B, C, H, W)

    return answers
