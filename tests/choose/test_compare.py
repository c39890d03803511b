"""The distance of two pictures is a fact about their values."""

import math

import numpy as np
import pytest
from PIL import Image

from sfumato.choose.compare import distance


def picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


GREY = np.full((10, 10, 3), 100)


def test_equal_pictures_are_equal_to_the_bit():
    apart = distance(picture(GREY), picture(GREY))
    assert apart is not None
    assert apart.equal
    assert apart.words() == "equal to the bit"
    assert apart.to_dict()["psnr"] is None


def test_share_largest_mean_and_psnr_are_those_of_the_values():
    other = GREY.copy()
    other[0, 0] = [110, 98, 100]  # 10 up, 2 down
    apart = distance(picture(GREY), picture(other))
    assert apart is not None
    assert not apart.equal
    assert apart.share == pytest.approx(2 / 300)
    assert apart.largest == 10
    assert apart.mean == pytest.approx(12 / 300)
    assert apart.psnr == pytest.approx(10 * math.log10(255**2 / (104 / 300)))
    assert apart.words().startswith("0.667 % of the values differ, by 10 levels of 255 at most")


def test_black_and_white_are_as_far_as_can_be():
    apart = distance(picture(GREY * 0), picture(GREY * 0 + 255))
    assert apart is not None
    assert (apart.largest, apart.mean, apart.share, apart.psnr) == (255, 255.0, 1.0, 0.0)


def test_pictures_of_other_sizes_have_no_distance():
    assert distance(picture(GREY), picture(GREY[:5])) is None
