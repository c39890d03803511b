"""Backdrops: those that captions can name, each painted anew by every generator."""

import numpy as np
import pytest

from sfumato.train import captions
from sfumato.train.backdrops import BACKDROPS
from sfumato.train.stylize import Floats


def painted(name: str, seed: int, side: int = 64) -> Floats:
    return BACKDROPS[name].paint(side, np.random.default_rng(seed))


def test_the_backdrops_are_those_that_captions_have_words_for() -> None:
    assert list(BACKDROPS) == list(captions.BACKDROPS)


def test_what_is_outdoors_has_a_floor_and_sky_and_water_have_none() -> None:
    floors = {name for name, backdrop in BACKDROPS.items() if backdrop.floor}
    assert floors == {"meadow", "beach", "snow", "sunset"}


@pytest.mark.parametrize("name", BACKDROPS)
def test_a_backdrop_is_a_picture_of_its_generator_s_making(name: str) -> None:
    for side in (32, 128):
        for seed in range(4):
            picture = painted(name, seed, side)
            assert picture.shape == (side, side, 3)
            assert picture.dtype == np.float32
            assert 0 <= picture.min() < picture.max() <= 255
    assert np.array_equal(painted(name, 1), painted(name, 1))
    assert np.abs(painted(name, 1) - painted(name, 2)).max() > 20


@pytest.mark.parametrize("name", BACKDROPS)
def test_the_colours_to_stand_out_from_are_found_in_every_one(name: str) -> None:
    for seed in range(20):
        pixels = painted(name, seed).reshape(-1, 3)
        for colour in BACKDROPS[name].colours:
            assert np.linalg.norm(pixels - np.asarray(colour), axis=1).min() < 25


def test_no_two_backdrops_are_alike() -> None:
    means = np.stack([np.mean([painted(n, i) for i in range(8)], axis=0) for n in BACKDROPS])
    for i, one in enumerate(means):
        for other in means[:i]:
            assert np.abs(one - other).mean() > 15
