"""Two conditionings become one batch, and nothing of either is lost."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from sfumato.families.base import Conditioning


def full(value: float) -> Conditioning:
    """A conditioning of batch 1 with every field filled."""

    def of(*shape: int) -> Tensor:
        return torch.full((1, *shape), value)

    return Conditioning(
        of(3, 4),
        of(1, 1, 3) > 1,
        of(5),
        [of(2, 8, 8), of(4, 4, 4)],
        [(of(2, 6), of(2, 6))],
        of(5, 8, 8),
        torch.full((1,), value),
    )


def test_the_first_one_s_half_comes_first_in_every_field() -> None:
    both = Conditioning.join(full(1.0), full(2.0))
    assert both.mask is not None
    assert both.added is not None
    assert both.residuals is not None
    assert both.extra is not None
    assert both.concat is not None
    assert both.guidance is not None
    tensors = [both.context, both.mask, both.added, *both.residuals, *both.extra[0], both.concat]
    tensors.append(both.guidance)
    assert len(tensors) == 9
    for tensor in tensors:
        assert len(tensor) == 2
        assert bool((tensor[0] == (tensor.dtype != torch.bool)).all())
        assert bool((tensor[1] == (2 if tensor.dtype != torch.bool else 1)).all())


def test_what_neither_has_the_batch_has_not() -> None:
    bare = Conditioning(torch.zeros(1, 3, 4))
    both = Conditioning.join(bare, bare)
    assert [getattr(both, field.name) for field in fields(both)[1:]] == [None] * 6


@pytest.mark.parametrize("name", ["mask", "added", "residuals", "extra", "concat", "guidance"])
def test_what_one_has_alone_is_not_dropped_in_silence(name: str) -> None:
    for pair in ((full(1.0), replace(full(2.0), **{name: None})),):
        for first, second in (pair, pair[::-1]):
            with pytest.raises(AssertionError, match=f"{name} in one conditioning alone"):
                Conditioning.join(first, second)
