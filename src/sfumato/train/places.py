"""What stands where, told from the words alone: a second lesson for the reader's adapter.

The picture's own error hardly teaches that "a cat above a dog" is not "a dog above a cat": both
have the same words, and either picture is right in half of all cases. So the adapter must also
answer for it in words, and the denoiser reads the states by which it does.
B captions, L tokens, D width of a token, P places, N names.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.train.captions import ENDS, Facts
from sfumato.train.denoiser import Lesson

__all__ = ["PLACES", "Places", "standing"]

PLACES = ("middle", "top", "bottom", "left", "right")


class Places(Lesson[Facts]):
    """Asks for the subject in each place as the denoiser does: by attention to the tokens."""

    def __init__(self, width: int, subjects: Sequence[str], share: float) -> None:
        """``subjects`` are the code points that there are, in any order that stays."""
        super().__init__(share)
        self.subjects = {code: i for i, code in enumerate(subjects)}
        self.query = nn.Parameter(torch.zeros(len(PLACES), width))
        self.name = nn.Linear(width, len(subjects))

    def forward(self, context: Tensor, mask: Tensor) -> Tensor:
        """Adapted states (B, L, D) and mask (B, L), true where real, to scores (B, P, N)."""
        near = context @ self.query.T / context.shape[-1] ** 0.5  # (B, L, P)
        weight = near.masked_fill(~mask[:, :, None], float("-inf")).softmax(1)
        return self.name(weight.mT @ context)

    def loss(self, context: Tensor, mask: Tensor, some: Sequence[Facts]) -> Tensor:
        """Cross entropy of the subjects in the places where some stand; 0 where none is told."""
        asked = [
            (row, PLACES.index(place), self.subjects[code])
            for row, facts in enumerate(some)
            for place, code in standing(facts).items()
        ]
        if not asked:
            return 0 * self(context, mask).sum()  # every weight still has its gradient
        rows, places, wanted = torch.tensor(asked, device=context.device).T
        return F.cross_entropy(self(context, mask)[rows, places], wanted)

    def right(self, context: Tensor, mask: Tensor, some: Sequence[Facts]) -> list[bool]:
        """Of each picture, whether every subject is answered for in the place where it stands."""
        best = self(context, mask).argmax(-1).tolist()
        return [
            all(best[row][PLACES.index(at)] == self.subjects[code] for at, code in told.items())
            for row, told in enumerate(map(standing, some))
        ]


def standing(facts: Facts) -> Mapping[str, str]:
    """The subject in every place that the words tell of; "next to" does not tell the sides."""
    if facts.relation is None:
        return {"middle": facts.subject}
    where, other = facts.relation
    if where not in ENDS:
        return {}
    first, second = ENDS[where]
    return {first: facts.subject, second: other}
