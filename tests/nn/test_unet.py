"""The U-Net by configuration: any size, and every door for conditioning really open."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.nn.unet import UNet
from sfumato.spec import UNetConfig

SMALL = UNetConfig(
    in_channels=4,
    out_channels=4,
    channels=(8, 16),
    blocks=1,
    depth=(1, 2),
    middle=1,
    heads=2,
    context=6,
    groups=4,
)
XL = replace(SMALL, heads=None, head_width=4, linear_projection=True, added=5)
MINI = replace(XL, depth=(0, 1), scale_shift=True)
BLOCKS = 1 + 2 + 1 + 2 * 2 + 2 * 1  # transformer blocks of SMALL in the order in which they run


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unet(config: UNetConfig) -> UNet:
    torch.manual_seed(0)
    model = UNet(config).eval()
    for p in model.parameters():  # no branch is to start as nothing
        torch.nn.init.normal_(p, std=0.2)
    return model


def inputs(size: tuple[int, int] = (8, 8)) -> tuple[Tensor, Tensor, Tensor]:
    return draw(2, 4, *size), torch.tensor([20.0, 700.0]), draw(2, 3, 6, seed=1)


@pytest.mark.parametrize("config", [SMALL, XL, MINI], ids=["sd1", "sdxl", "mini"])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 2), (3, 12)])
@torch.no_grad()
def test_any_size_is_served(config: UNetConfig, size: tuple[int, int]) -> None:
    x, time, context = inputs(size)
    added = None if config.added is None else draw(2, 5)
    out = unet(config)(x, time, context, added=added)
    assert out.shape == x.shape
    assert out.isfinite().all()


@torch.no_grad()
def test_a_ninth_channel_comes_in_and_four_go_out() -> None:
    config = replace(SMALL, in_channels=9)
    _, time, context = inputs()
    assert unet(config)(draw(2, 9, 8, 8), time, context).shape == (2, 4, 8, 8)


@torch.no_grad()
def test_pictures_of_a_batch_do_not_see_each_other() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    both = model(x, time, context)
    torch.testing.assert_close(both[1:], model(x[1:], time[1:], context[1:]), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_time_text_and_added_conditioning_all_count() -> None:
    model, (x, time, context) = unet(XL), inputs()
    added = draw(2, 5)
    out = model(x, time, context, added=added)
    for other in (
        model(x, time + 1, context, added=added),
        model(x, time, context + 1, added=added),
        model(x, time, context, added=added + 1),
    ):
        assert (other - out).abs().max() > 1e-3


@torch.no_grad()
def test_masked_tokens_have_no_part() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    mask = torch.tensor([True, True, False]).view(1, 1, 1, 3).expand(2, 1, 1, 3)
    other = context.clone()
    other[:, 2] = 9.0
    out = model(x, time, context, mask=mask)
    assert torch.equal(model(x, time, other, mask=mask), out)
    torch.testing.assert_close(model(x, time, context[:, :2]), out, atol=1e-4, rtol=1e-4)


def residuals(fill: float) -> list[Tensor]:
    """A ControlNet's outputs for SMALL at 8 x 8: one for each skip, and the middle's."""
    shapes = [(8, 8), (8, 8), (8, 4), (16, 4)]
    return [torch.full((2, c, s, s), fill) for c, s in (*shapes, (16, 4))]


@torch.no_grad()
def test_residuals_of_zero_are_none() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    assert torch.equal(model(x, time, context, residuals=residuals(0.0)), model(x, time, context))


def test_every_residual_enters_and_takes_a_gradient() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    plain = model(x, time, context).detach()
    for i in range(5):
        each = residuals(0.0)
        each[i] = torch.ones_like(each[i])
        assert (model(x, time, context, residuals=each) - plain).abs().max() > 1e-3
    every = [r.requires_grad_() for r in residuals(0.0)]
    model(x, time, context, residuals=every).square().sum().backward()
    assert all(r.grad is not None and r.grad.abs().max() > 0 for r in every)


def test_residuals_of_another_network_are_refused() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        model(x, time, context, residuals=[*residuals(0.0)[:3], residuals(0.0)[4]])


def extras(fill: float) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of a second source for each transformer block of SMALL."""
    widths = [8, 16, 16, 16, 16, 16, 16, 16, 8, 8]
    assert len(widths) == BLOCKS
    return [(draw(2, 2, w, seed=i), torch.full((2, 2, w), fill)) for i, w in enumerate(widths)]


@torch.no_grad()
def test_extra_values_of_zero_are_none() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    assert torch.equal(model(x, time, context, extra=extras(0.0)), model(x, time, context))


def test_every_extra_pair_enters_and_takes_a_gradient() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    every = [
        (k.requires_grad_(), draw(*v.shape, seed=i).requires_grad_())
        for i, (k, v) in enumerate(extras(0.0))
    ]
    model(x, time, context, extra=every).square().sum().backward()
    for tensors in every:
        assert all(t.grad is not None and t.grad.abs().max() > 0 for t in tensors)


def test_a_model_with_added_conditioning_asks_for_it() -> None:
    model, (x, time, context) = unet(XL), inputs()
    with pytest.raises(AssertionError, match="takes added conditioning"):
        model(x, time, context)


def test_a_model_without_added_conditioning_refuses_it() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    with pytest.raises(AssertionError, match="takes nothing added"):
        model(x, time, context, added=draw(2, 5))


def test_more_extra_pairs_than_blocks_are_refused() -> None:
    model, (x, time, context) = unet(SMALL), inputs()
    with pytest.raises(AssertionError, match="more extra pairs"):
        model(x, time, context, extra=[*extras(0.0), extras(0.0)[-1]])


def test_heads_are_counted_or_measured() -> None:
    with pytest.raises(AssertionError, match="names its heads or their width"):
        UNet(replace(SMALL, heads=None))


def test_the_full_networks_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        sd15 = UNet(UNetConfig())
        xl = UNet(
            UNetConfig(
                channels=(320, 640, 1280),
                depth=(0, 2, 10),
                middle=10,
                heads=None,
                head_width=64,
                context=2048,
                linear_projection=True,
                added=2816,
            )
        )
    assert sum(p.numel() for p in sd15.parameters()) == 859_520_964
    assert sum(p.numel() for p in xl.parameters()) == 2_567_463_684
