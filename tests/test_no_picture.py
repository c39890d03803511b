"""A run whose decoder overflowed or died ends with an error that says so, not with a black file."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn

from sfumato.engine import Engine
from sfumato.errors import PaintingError, SfumatoError
from sfumato.request import Request
from sfumato.source import Source

WISH = Request("a red fox, 3d", seed=7, steps=2, width=64, height=64)


class Painted:
    """An engine, and the last layer of its decoder, which a test may spoil."""

    def __init__(self, precision: str) -> None:
        self.engine = Engine("cpu", precision)
        *_, step = self.engine.submit(WISH)
        self.last: nn.Conv2d = step.model.vae.decoder.conv_out

    def picture(self, request: Request = WISH) -> Image.Image:
        return self.engine.submit(request).result().pictures[0].image

    def fill(self, weight: float, bias: float) -> None:
        with torch.no_grad():
            self.last.weight *= weight
            self.last.bias.fill_(bias)


@pytest.fixture
def full() -> Iterator[Painted]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Painted("fp32")
    torch.set_num_threads(threads)


def test_a_decoder_that_saturates_is_told_and_not_saved_as_a_black_picture(full: Painted) -> None:
    full.fill(1, -500.0)
    with pytest.raises(SfumatoError, match=r"mini failed in fp32: .*beyond ±3 alone.*--vae\."):
        full.picture()


def test_a_decoder_that_died_is_told_and_not_saved_as_a_grey_picture(full: Painted) -> None:
    full.fill(0, 0.0)
    with pytest.raises(SfumatoError, match=r"every pixel the very same values.*--vae\."):
        full.picture()


def test_a_lower_precision_is_told_to_take_a_higher_one() -> None:
    half = Painted("bf16")
    half.fill(1, -500.0)
    with pytest.raises(SfumatoError, match=r"failed in bf16.* Try --precision fp32, or another"):
        half.picture()


def test_a_decoder_that_darkens_all_to_black_has_made_a_picture(full: Painted) -> None:
    full.fill(0.01, -1.1)
    assert set(full.picture().tobytes()) == {0}


def test_a_picture_of_one_colour_may_stay_one(full: Painted) -> None:
    full.fill(0, 0.0)
    black = Source.picture(Image.new("RGB", (64, 64)))
    assert len(set(full.picture(replace(WISH, image=black, strength=0.5)).tobytes())) == 1


def test_a_preview_that_is_no_picture_says_what_to_do(full: Painted) -> None:
    full.fill(1, -500.0)
    step = next(iter(full.engine.submit(WISH)))
    with pytest.raises(PaintingError, match=r"beyond ±3 alone.*; take a higher --precision"):
        step.preview()


@pytest.mark.parametrize("size", [8, 16])
def test_the_smallest_pictures_are_pictures(full: Painted, size: int) -> None:
    assert full.picture(replace(WISH, width=size, height=size)).size == (size, size)
