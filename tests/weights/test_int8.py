"""Weights in one byte come back within half a step of each row."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.weights.int8 import pack_rows, unpack_rows


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_the_error_is_at_most_half_a_step_of_the_row(rows: int, columns: int, seed: int) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    packed, scale = pack_rows(weight)
    assert packed.dtype == torch.int8
    error = (unpack_rows(packed, scale, torch.float32) - weight).abs()
    assert (error <= scale[:, None] * 0.5001).all()


def test_packing_what_was_unpacked_changes_nothing() -> None:
    packed, scale = pack_rows(torch.randn(5, 7))
    again, _ = pack_rows(unpack_rows(packed, scale, torch.float32))
    assert torch.equal(again, packed)


def test_a_row_of_zeros_stays_zero() -> None:
    packed, scale = pack_rows(torch.zeros(2, 3))
    assert torch.equal(unpack_rows(packed, scale, torch.float32), torch.zeros(2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_convolution_s_rows_are_its_output_channels(dtype: torch.dtype) -> None:
    weight = torch.randn(4, 3, 3, 3)
    packed, scale = pack_rows(weight)
    assert scale.shape == (4,)
    back = unpack_rows(packed, scale, dtype)
    assert back.shape == weight.shape
    assert back.dtype == dtype
    torch.testing.assert_close(back.float(), weight, atol=0.02, rtol=0.02)
