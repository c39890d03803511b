"""How unlike two pictures look: nothing for equal ones, more for what an eye sees more of."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from sfumato.choose.likeness import unlikeness

RNG = np.random.default_rng(7)


def scene(seed: int = 7, size: int = 128) -> Image.Image:
    """Soft coloured shapes, as a picture has them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


SCENE = scene()


def test_a_picture_is_like_itself():
    assert unlikeness(SCENE, SCENE) == 0


def test_it_does_not_matter_which_of_the_two_comes_first():
    other = SCENE.filter(ImageFilter.GaussianBlur(2))
    assert unlikeness(SCENE, other) == pytest.approx(unlikeness(other, SCENE), abs=1e-12)


@pytest.mark.parametrize(
    "worse",
    [
        [SCENE.filter(ImageFilter.GaussianBlur(r)) for r in (1, 2, 4, 8)],
        [ImageChops.offset(SCENE, n, 0) for n in (1, 2, 4, 8)],
        [Image.blend(SCENE, scene(8), part) for part in (0.1, 0.3, 0.6, 1.0)],
    ],
    ids=["blur", "shift", "another picture"],
)
def test_more_of_a_change_is_more_unlike(worse: list[Image.Image]):
    apart = [unlikeness(SCENE, one) for one in worse]
    assert apart == sorted(apart)
    assert 0 < apart[0] < apart[-1] / 3


def test_a_level_up_or_down_is_hardly_a_change_and_another_picture_is_a_great_one():
    assert unlikeness(SCENE, SCENE.point(lambda value: min(value + 1, 255))) < 0.001
    assert unlikeness(SCENE, scene(8)) > 0.3


def test_a_change_of_colour_alone_is_seen():
    y, cb, cr = SCENE.convert("YCbCr").split()
    other = Image.merge("YCbCr", (y, cr, cb)).convert("RGB")
    assert unlikeness(SCENE, other) > 0.02


def test_it_is_ssim_where_a_picture_has_one_scale_only():
    """By the formula of Wang et al. 2004, one window after the other."""
    a, b = (RNG.integers(0, 256, (12, 12), dtype=np.uint8) for _ in range(2))
    c1, c2, terms = (0.01 * 255) ** 2, (0.03 * 255) ** 2, []
    for y in range(5):
        for x in range(5):
            p, q = (one[y : y + 8, x : x + 8].astype(float) for one in (a, b))
            both = ((p - p.mean()) * (q - q.mean())).mean()
            light = (2 * p.mean() * q.mean() + c1) / (p.mean() ** 2 + q.mean() ** 2 + c1)
            terms.append((light, (2 * both + c2) / (p.var() + q.var() + c2)))
    light, structure = np.mean(terms, axis=0)
    expected = 1 - 0.8 * light * max(structure, 0) - 0.2  # a grey picture has no colours to differ
    grey = [Image.fromarray(one).convert("RGB") for one in (a, b)]
    # The brightness that Pillow computes of a grey is a level off here and there.
    assert unlikeness(*grey) == pytest.approx(expected, abs=1e-3)


def test_what_is_finer_than_the_canonical_size_is_not_looked_at():
    large = SCENE.resize((2048, 2048), Image.Resampling.BICUBIC)
    noise = RNG.integers(0, 2, (2048, 2048, 3)) * 40 - 20  # mean 0 over a few pixels
    noisy = Image.fromarray(np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8))
    small = SCENE.resize((512, 512), Image.Resampling.BICUBIC)
    near = Image.fromarray(np.clip(np.asarray(small) + noise[:512, :512], 0, 255).astype(np.uint8))
    assert unlikeness(large, noisy) < unlikeness(small, near) / 3


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 300), (9, 31)])
def test_a_picture_of_any_size_has_an_answer(size: tuple[int, int]):
    black, white = (Image.new("RGB", size, colour) for colour in ("black", "white"))
    assert unlikeness(black, black) == 0
    assert 0.5 < unlikeness(black, white) <= 1


def test_two_sizes_cannot_be_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        unlikeness(SCENE, scene(size=64))
