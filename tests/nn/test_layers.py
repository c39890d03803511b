"""The shared layers: time, attention, and moving between scales."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.nn.layers import Attention, Downsample, FeedForward, Upsample, attend, time_embedding


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_time_is_cosines_then_sines_of_falling_frequencies() -> None:
    got = time_embedding(torch.tensor([0.0, 250.0]), 8)
    assert got.shape == (2, 8)
    assert got[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    for i in range(4):
        angle = 250 * 10000 ** (-i / 4)
        assert got[1, i].item() == pytest.approx(math.cos(angle), abs=1e-4)
        assert got[1, 4 + i].item() == pytest.approx(math.sin(angle), abs=1e-4)


def test_attention_is_the_softmax_written_out() -> None:
    q, k, v = draw(2, 3, 8), draw(2, 5, 8, seed=1), draw(2, 5, 8, seed=2)
    got = attend(q, k, v, heads=2)
    for head in (slice(0, 4), slice(4, 8)):
        weights = (q[..., head] @ k[..., head].mT / 2).softmax(-1)
        torch.testing.assert_close(got[..., head], weights @ v[..., head])


def test_what_is_masked_has_no_part() -> None:
    q, k, v = draw(1, 3, 8), draw(1, 5, 8, seed=1), draw(1, 5, 8, seed=2)
    mask = torch.tensor([True, True, False, True, False]).view(1, 1, 1, 5)
    kept = torch.tensor([0, 1, 3])
    torch.testing.assert_close(attend(q, k, v, 2, mask), attend(q, k[:, kept], v[:, kept], 2))


def test_attention_to_itself_is_attention_to_x() -> None:
    attention, x = Attention(8, 2), draw(2, 4, 8)
    assert torch.equal(attention(x), attention(x, x))


def test_a_second_pair_of_values_is_added() -> None:
    attention, x, context = Attention(8, 2, context=6), draw(2, 4, 8), draw(2, 5, 6, seed=1)
    extra = (draw(2, 3, 8, seed=2), draw(2, 3, 8, seed=3))
    plain = attention(x, context)
    more = attention(x, context, extra=extra)
    alone = attend(attention.q(x), *extra, 2)
    torch.testing.assert_close(more - plain, alone @ attention.out.weight.T, atol=1e-5, rtol=1e-4)


def test_the_gate_can_close() -> None:
    layer, x = FeedForward(4), draw(2, 3, 4)
    with torch.no_grad():
        layer.into.bias[16:] = -1e4  # gelu of it is nothing
    assert layer.out.bias is not None
    torch.testing.assert_close(layer(x), layer.out.bias.expand(2, 3, 4))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8)])
def test_upsampling_is_nearest_neighbour_and_a_convolution(size: tuple[int, int]) -> None:
    layer, x = Upsample(4), draw(2, 4, *size)
    want = layer.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    assert torch.equal(layer(x), want)
    assert torch.equal(layer(x, (2 * size[0], 2 * size[1])), want)


def test_upsampling_to_a_size_one_short_of_twice() -> None:
    layer, x = Upsample(4), draw(2, 4, 3, 5)
    want = layer.conv(F.interpolate(x, size=(5, 9), mode="nearest"))
    assert torch.equal(layer(x, (5, 9)), want)


def test_the_gradient_of_upsampling_is_that_of_interpolate() -> None:
    layer, x = Upsample(4), draw(2, 4, 3, 5).requires_grad_()
    other = x.detach().clone().requires_grad_()
    weight = draw(2, 4, 6, 10, seed=1)
    (layer(x) * weight).sum().backward()
    (layer.conv(F.interpolate(other, scale_factor=2.0)) * weight).sum().backward()
    assert x.grad is not None
    assert other.grad is not None
    assert x.grad.abs().max() > 0
    torch.testing.assert_close(x.grad, other.grad)


def test_downsampling_pads_on_all_sides_or_at_the_end_alone() -> None:
    x = draw(1, 2, 6, 8)
    even, lopsided = Downsample(2), Downsample(2, lopsided=True)
    lopsided.load_state_dict(even.state_dict())
    assert torch.equal(even(x), F.conv2d(x, even.conv.weight, even.conv.bias, 2, 1))
    padded = F.conv2d(F.pad(x, (0, 1, 0, 1)), even.conv.weight, even.conv.bias, 2)
    assert torch.equal(lopsided(x), padded)
    assert even(x).shape == lopsided(x).shape == (1, 2, 3, 4)
