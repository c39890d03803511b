"""A network that predicts noise gives noise back; one that predicts velocity does not."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import WeightsError
from sfumato.families.ask import predicts
from sfumato.nn.unet import UNet
from sfumato.spec import UNetConfig


class Answers:
    """A stand-in that answers by a rule."""

    def __init__(self, rule: Callable[[Tensor], Tensor], added: int | None = None) -> None:
        self.config = UNetConfig(context=8, added=added)
        self.conv_in = nn.Conv2d(4, 4, 1)
        self.rule = rule

    def __call__(
        self, x: Tensor, time: Tensor, context: Tensor, added: Any, guidance: Any
    ) -> Tensor:
        assert guidance is None
        assert (added is None) == (self.config.added is None)
        assert context.shape == (1, 77, 8)
        assert time.tolist() == [999.0]
        return self.rule(x)


def asked(rule: Callable[[Tensor], Tensor], added: int | None = None) -> str:
    return predicts(cast(UNet, Answers(rule, added)))


def other(x: Tensor) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("added", [None, 16])
def test_noise_given_back_is_a_prediction_of_noise(added: int | None) -> None:
    assert asked(lambda x: 0.98 * x + 0.1, added) == "eps"
    assert asked(lambda x: 0.9 * x + 0.3 * other(x), added) == "eps"


def test_anything_else_is_velocity() -> None:
    assert asked(lambda x: -other(x)) == "v"
    assert asked(lambda x: 0.07 * x - other(x)) == "v"


def test_an_answer_between_the_two_is_told_and_not_guessed() -> None:
    with pytest.raises(WeightsError, match=r"neither.*\n.*scheduler_config"):
        asked(lambda x: 0.5 * x + other(x))


def test_an_answer_that_is_no_answer_is_not_taken_for_velocity() -> None:
    with pytest.raises(WeightsError, match=r"overflowed\. Try --precision fp32"):
        asked(lambda x: x * float("inf"))
    with pytest.raises(WeightsError, match="neither"):
        asked(torch.zeros_like)


def test_a_real_network_without_training_says_velocity() -> None:
    torch.manual_seed(0)
    config = UNetConfig(channels=(32, 32), depth=(1, 0), heads=2, context=8, groups=8)
    assert predicts(UNet(config).eval()) == "v"


def test_a_network_that_takes_its_guidance_as_an_input_is_asked_with_it() -> None:
    torch.manual_seed(0)
    config = UNetConfig(channels=(32, 32), depth=(1, 0), heads=2, context=8, groups=8, guided=16)
    assert predicts(UNet(config).eval()) == "v"
