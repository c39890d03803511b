"""The seed's noise: one number per (seed, draw, element), whatever else changes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.diffusion.noise import FAR, Noise, philox
from sfumato.errors import RequestError

STREAMS = ("cpu", "nv")
ODD = (3, 5, 7)  # 105 elements: not a multiple of 16, where torch's own batched draws change

# The first three elements of draw 0 and the last two of draw 2, for the shape (1, 3, 5).
GOLDEN = {
    ("cpu", 0): ([1.5409961, -0.2934289, -2.1787894], [-0.9144955, -1.0885837]),
    ("cpu", 7): ([-0.1467951, 0.7861413, 0.9468216], [0.9062282, 0.1072415]),
    ("cpu", 2**32 + 1): ([0.6613522, 0.2669241, 0.0616773], [0.8794753, -0.6841782]),
    ("cpu", 2**64 - 1): ([1.2197630, -0.3929795, 1.0230751], [0.4182615, 1.8472264]),
    ("nv", 0): ([-0.9246624, -0.4253440, -2.6438458], [-0.0908178, 2.0639067]),
    ("nv", 7): ([-0.3048470, 1.0453334, -0.2785641], [-0.2510633, -1.0338085]),
    ("nv", 2**32 + 1): ([0.8548940, -0.1142024, -1.0717551], [-0.0749759, -0.9803725]),
    ("nv", 2**64 - 1): ([0.6323023, 0.0335010, 0.8390877], [-0.8052919, 0.7778290]),
}


@pytest.mark.parametrize(("stream", "seed"), GOLDEN)
def test_a_seed_gives_the_same_numbers_as_ever(stream, seed):
    noise = Noise([seed], (1, 3, 5), stream=stream)
    first, second = GOLDEN[stream, seed]
    assert noise(0).flatten()[:3].tolist() == pytest.approx(first, abs=1e-6)
    assert noise(2).flatten()[-2:].tolist() == pytest.approx(second, abs=1e-6)


def test_the_cpu_stream_is_that_of_torch():
    generator = torch.Generator("cpu").manual_seed(7)
    drawn = [torch.randn(1, *ODD, generator=generator) for _ in range(3)]
    noise = Noise([7], ODD)
    assert all(torch.equal(noise(k), drawn[k]) for k in range(3))


def test_the_cpu_stream_reads_32_bits_of_the_seed_and_the_nv_stream_64():
    for stream, same in (("cpu", True), ("nv", False)):
        one, other = (Noise([seed], ODD, stream=stream)(0) for seed in (1, 2**32 + 1))
        assert torch.equal(one, other) is same


def test_the_nv_stream_is_the_example_that_a1111_publishes():
    # The published code has 2 pi / 2^32 in float32; the published example is nearer to exact.
    expected = [
        [-0.92466259, -0.42534415, -2.6438457, 0.14518388],
        [-0.12086647, -0.57972564, -0.62285122, -0.32838709],
        [-1.07454231, -0.36314407, -1.67105067, 2.26550497],
    ]
    drawn = Noise([0], (1, 3, 4), stream="nv")(0)[0, 0]
    assert torch.allclose(drawn, torch.tensor(expected), rtol=0, atol=3e-7)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000",
         "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
         "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)  # fmt: skip
def test_philox_gives_the_known_answers_of_its_authors(counter, key, expected):
    def words(text):
        return [int(word, 16) for word in text.split()]

    four = tuple(np.array([word, word], dtype=np.uint64) for word in words(counter))
    drawn = philox(four, np.array(words(key), dtype=np.uint64))
    assert [int(word[0]) for word in drawn] == words(expected)
    assert [int(word[1]) for word in drawn] == words(expected)


def test_the_nv_stream_is_box_muller_of_philox_in_double_precision():
    unit = float(np.float32(2.3283064e-10))
    turn = float(np.float32(2.3283064e-10 * 6.2831855))
    drawn = Noise([2**32 + 1], ODD, stream="nv")(3).flatten()
    for element in (0, 1, 50, 104):
        counter = tuple(np.array([word], dtype=np.uint64) for word in (3, 0, element, 0))
        x, y, *_ = (int(word[0]) for word in philox(counter, np.array([1, 1], dtype=np.uint64)))
        radius = math.sqrt(-2 * math.log(x * unit + unit / 2))
        assert float(drawn[element]) == np.float32(radius * math.sin(y * turn + turn / 2))


@pytest.mark.parametrize("stream", STREAMS)
def test_a_batch_is_its_pictures_to_the_bit(stream):
    seeds = [0, 7, 8, 2**63, 2**64 - 1]
    batch = Noise(seeds, ODD, stream=stream)
    for k in (0, 1, 5):
        for picture, seed in zip(batch(k), seeds, strict=True):
            assert torch.equal(picture, Noise([seed], ODD, stream=stream)(k)[0])


@pytest.mark.parametrize("stream", STREAMS)
@settings(deadline=None, derandomize=True, max_examples=30)
@given(order=st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_a_draw_does_not_depend_on_those_before_it(stream, order):
    noise = Noise([3, 4], (1, 3, 3), stream=stream)
    for k in order:
        assert torch.equal(noise(k), Noise([3, 4], (1, 3, 3), stream=stream)(k))


@pytest.mark.parametrize("stream", STREAMS)
def test_threads_change_nothing(stream):
    before = torch.get_num_threads()
    try:
        drawn = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            drawn.append(Noise([5], (4, 96, 95), stream=stream)(1))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("stream", STREAMS)
def test_wandering_keeps_the_first_draw_and_changes_the_others(stream):
    straight = Noise([1, 2], ODD, stream=stream)
    wander = Noise([1, 2], ODD, stream=stream, wander=[9, 2])
    assert torch.equal(wander(0), straight(0))
    assert not torch.equal(wander(1)[0], straight(1)[0])
    assert torch.equal(wander(1)[0], Noise([9], ODD, stream=stream)(1)[0])
    assert torch.equal(wander(1)[1], straight(1)[1])  # its own seed: nothing changes
    assert torch.equal(wander(0), straight(0))  # and draw 0 is still to be had


@pytest.mark.parametrize("stream", STREAMS)
def test_the_noise_is_unit_normal_and_uncorrelated(stream):
    noise = Noise([0, 1], (4, 64, 64), stream=stream)
    zero, one = noise(0).double(), noise(1).double()
    count = zero.numel()
    assert zero.dtype == torch.float64
    assert noise(0).dtype == torch.float32
    assert abs(zero.mean()) < 4 / count**0.5
    assert abs(zero.var() - 1) < 4 * (2 / count) ** 0.5
    assert abs((zero**4).mean() - 3) < 4 * (96 / count) ** 0.5
    assert abs((zero * one).mean()) < 4 / count**0.5
    assert abs((zero[0] * zero[1]).mean()) < 4 / (count / 2) ** 0.5


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused_by_name(seed):
    with pytest.raises(RequestError, match=f"seed {seed} is out of range"):
        Noise([0, seed], ODD)
    with pytest.raises(RequestError, match="out of range"):
        Noise([0], ODD, wander=[seed])


def test_an_unknown_stream_and_missing_wander_seeds_are_refused():
    with pytest.raises(RequestError, match="unknown noise stream 'gpu'"):
        Noise([0], ODD, stream="gpu")
    with pytest.raises(RequestError, match="1 wander seeds for 2 pictures"):
        Noise([0, 1], ODD, wander=[3])


@pytest.mark.parametrize("stream", STREAMS)
def test_a_far_draw_costs_no_more_than_a_near_one_and_changes_nothing_after_it(stream):
    noise, far = Noise([3, 4], ODD, stream=stream), Noise([3, 4], ODD, stream=stream)
    assert far(FAR + 2**40).shape == (2, *ODD)  # a stream that went there would never arrive
    assert torch.equal(noise(1), far(1))


@pytest.mark.parametrize("stream", STREAMS)
def test_far_draws_differ_from_one_another_from_near_ones_and_between_seeds(stream):
    noise = Noise([0, 1], (1, 32, 32), stream=stream)
    draws = [
        noise(k)[i].flatten() for k in (0, 1, FAR, FAR + 1, 2 * FAR, 2 * FAR + 1) for i in (0, 1)
    ]
    alike = torch.corrcoef(torch.stack(draws)) - torch.eye(len(draws))
    assert float(alike.abs().max()) < 5 / 32
    assert all(abs(float(one.var()) - 1) < 0.25 for one in draws)


def test_far_draws_of_the_cpu_stream_are_the_same_as_ever():
    assert Noise([7], (1, 1, 3))(FAR + 5).flatten().tolist() == pytest.approx(
        [-0.0747186, 0.7658185, -1.6397642], abs=1e-6
    )


def test_far_draws_follow_the_wander_seed_as_the_steps_do():
    wandering = Noise([1], ODD, wander=[2])
    assert torch.equal(wandering(FAR + 3), Noise([2], ODD)(FAR + 3))


def test_own_steps_are_the_stream_of_the_next_seed_from_its_first_draw():
    noise, next_one = Noise([7], ODD, own_steps=True), Noise([8], ODD)
    assert torch.equal(noise(0), Noise([7], ODD)(0))
    assert [torch.equal(noise(k), next_one(k - 1)) for k in (1, 2, 5)] == [True] * 3
    assert torch.equal(noise(0), Noise([7], ODD)(0))
    wandering = Noise([7], ODD, wander=[3], own_steps=True)
    assert torch.equal(wandering(1), Noise([4], ODD)(0))
    assert Noise([2**64 - 1], ODD, stream="nv", own_steps=True)(1).isfinite().all()
