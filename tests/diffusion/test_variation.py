"""The first noise of a variation, and of a picture that keeps the composition of another size."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.variation import Beginning, set_in, slerp
from sfumato.errors import RequestError

SHAPE = (4, 16, 12)
STREAMS = ("cpu", "nv")


def noise(seed: int, shape: tuple[int, int, int] = SHAPE, stream: str = "cpu") -> Tensor:
    return Noise([seed], shape, stream=stream)(0)[0]  # type: ignore[arg-type]


def begun(seed: int, beginning: Beginning, stream: str = "cpu") -> Noise:
    return Noise([seed], SHAPE, stream=stream, beginning=beginning)  # type: ignore[arg-type]


def by_hand(strength: float, low: Tensor, high: Tensor) -> np.ndarray:
    """Shoemake's formula on each column of each channel, one after the other, in float64."""
    turned = np.empty(low.shape)
    for channel in range(low.shape[0]):
        for column in range(low.shape[2]):
            a = low[channel, :, column].double().numpy()
            b = high[channel, :, column].double().numpy()
            angle = math.acos(a @ b / math.sqrt((a @ a) * (b @ b)))
            stay, turn = math.sin((1 - strength) * angle), math.sin(strength * angle)
            turned[channel, :, column] = (stay * a + turn * b) / math.sin(angle)
    return turned


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("strength", [0.05, 0.3, 0.5, 0.99])
def test_a_variation_turns_each_column_of_the_noise_as_a1111_does(strength: float, stream: str):
    turned = begun(7, Beginning([8], strength), stream)(0)[0]
    expected = by_hand(strength, noise(7, stream=stream), noise(8, stream=stream))
    assert turned.numpy() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("stream", STREAMS)
def test_no_strength_is_the_seed_and_full_strength_the_other_seed_to_the_bit(stream: str):
    assert torch.equal(begun(7, Beginning([8], 0.0), stream)(0)[0], noise(7, stream=stream))
    assert torch.equal(begun(7, Beginning([8], 1.0), stream)(0)[0], noise(8, stream=stream))


def test_a_variation_by_the_same_seed_is_that_seed_to_the_bit():
    assert torch.equal(begun(7, Beginning([7], 0.4))(0)[0], noise(7))


def test_the_noise_of_the_steps_is_that_of_the_seed():
    plain = Noise([7], SHAPE)
    for beginning in (Beginning([8], 0.5), Beginning(shape=(4, 5, 9)), Beginning([8], 0.5, SHAPE)):
        draws = begun(7, beginning)
        assert all(torch.equal(draws(k), plain(k)) for k in (1, 2, 5, 2**32 + 3))


def test_turned_noise_is_as_normal_as_noise():
    turned = slerp(0.5, noise(1, (4, 128, 128)), noise(2, (4, 128, 128)))
    assert float(turned.mean()) == pytest.approx(0, abs=0.02)
    assert float(turned.std()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("strength", [0.0, 0.25, 0.5, 1.0])
def test_a_latent_of_one_row_has_an_answer_too(rows: int, strength: float):
    low, high = noise(1, (4, rows, 64)), noise(2, (4, rows, 64))
    turned = slerp(strength, low, high)
    assert torch.isfinite(turned).all()
    if rows == 1:
        same = (low * high) > 0
        right = math.cos(strength * math.pi / 2) * low + math.sin(strength * math.pi / 2) * high
        straight = (1 - strength) * low + strength * high
        assert torch.allclose(turned, torch.where(same, straight, right), atol=1e-6)


@pytest.mark.parametrize("inner", [(4, 8, 6), (4, 9, 7), (4, 16, 6), (4, 8, 12)])
def test_smaller_noise_lies_in_the_middle_of_the_larger(inner: tuple[int, int, int]):
    drawn, own, small = begun(7, Beginning(shape=inner))(0)[0], noise(7), noise(7, inner)
    top, left = (16 - inner[1]) // 2, (12 - inner[2]) // 2
    window = (slice(None), slice(top, top + inner[1]), slice(left, left + inner[2]))
    assert torch.equal(drawn[window], small)
    outside = torch.ones(SHAPE, dtype=torch.bool)
    outside[window] = False
    assert torch.equal(drawn[outside], own[outside])


def test_of_larger_noise_the_middle_is_seen():
    drawn = begun(7, Beginning(shape=(4, 20, 16)))(0)[0]
    assert torch.equal(drawn, noise(7, (4, 20, 16))[:, 2:18, 2:14])


def test_an_odd_difference_leaves_a_row_of_the_pictures_own_as_in_a1111():
    own, large = torch.zeros(1, 4, 4), torch.arange(1.0, 50.0).view(1, 7, 7)
    drawn = set_in(own, large)  # (4 - 7) // 2 is -2: of 7 rows those from 2 on, 7 - 2 * 2 of them
    assert torch.equal(drawn[:, :3, :3], large[:, 2:5, 2:5])
    assert not drawn[:, 3].any()
    assert not drawn[:, :, 3].any()
    assert not own.any()


def test_noise_of_the_pictures_own_size_changes_nothing():
    assert torch.equal(begun(7, Beginning(shape=SHAPE))(0)[0], noise(7))


def test_a_variation_of_another_size_is_turned_at_that_size():
    inner = (4, 8, 6)
    drawn = begun(7, Beginning([8], 0.5, inner))(0)[0]
    assert torch.equal(drawn[:, 4:12, 3:9], slerp(0.5, noise(7, inner), noise(8, inner)))


def test_each_picture_of_a_batch_has_a_variation_of_its_own():
    both = Noise([7, 7], SHAPE, beginning=Beginning([8, 9], 0.5))(0)
    for i, seed in enumerate((8, 9)):
        assert torch.equal(both[i], begun(7, Beginning([seed], 0.5))(0)[0])


def test_seeds_that_do_not_fit_are_refused():
    with pytest.raises(RequestError, match="2 variation seeds for 1 pictures"):
        Noise([7], SHAPE, beginning=Beginning([8, 9], 0.5))
    with pytest.raises(RequestError, match="seed -1 is out of range"):
        Noise([7], SHAPE, beginning=Beginning([-1], 0.5))
