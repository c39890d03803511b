"""What is softened is the same drawing, less sharp, and the same number softens it alike."""

import numpy as np

from sfumato.train.measure.soften import soften
from tests.train import tiny


def test_it_stays_the_same_drawing_and_loses_its_finest_texture() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    drawing = tiny.pictures(1)[0]
    rough: list[float] = []
    for number in range(40):
        soft = soften(drawing, np.random.default_rng(number))
        assert soft.shape == drawing.shape
        assert soft.dtype == np.uint8
        assert np.abs(soft.astype(int) - drawing).mean() < 25
        texture = soften(noise, np.random.default_rng(number)).astype(float)
        rough.append(float(np.abs(np.diff(texture, axis=0)).mean()))
    sharp = float(np.abs(np.diff(noise.astype(float), axis=0)).mean())
    assert np.median(rough) < 0.7 * sharp
    assert max(rough) > 0.8 * sharp  # some are left nearly as they were


def test_a_number_softens_alike_and_another_otherwise() -> None:
    drawing = tiny.pictures(1)[0]
    one, two, three = (soften(drawing, np.random.default_rng(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
