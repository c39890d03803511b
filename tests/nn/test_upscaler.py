"""The upscaling network is what its paper's authors wrote, computed here by numpy alone."""

import numpy as np
import pytest
import torch

from sfumato.nn.upscaler import Upscaler
from sfumato.spec import UpscalerConfig


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 3 x 3 convolution with zeros beyond the edge, a tap at a time."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = np.zeros((len(weight), height, width), np.float64) + bias[:, None, None]
    for row in range(3):
        for column in range(3):
            tap = padded[:, row : row + height, column : column + width]
            y += np.einsum("oc,chw->ohw", weight[:, :, row, column], tap)
    return y


def enlarged(network: Upscaler, x: np.ndarray) -> np.ndarray:
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    y = x
    for name in ("into", *(f"body.{i}" for i in range(len(network.body)))):
        y = convolved(y, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"])
        slope = state[f"{name}.act.weight"][:, None, None]
        y = np.where(y < 0, y * slope, y)
    y = convolved(y, state["out.weight"], state["out.bias"])
    s = network.scale
    height, width = x.shape[1:]
    detail = np.zeros((3, height * s, width * s))
    for channel in range(3):
        for row in range(s):
            for column in range(s):
                detail[channel, row::s, column::s] = y[channel * s * s + row * s + column]
    return detail + x.repeat(s, 1).repeat(s, 2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_network_is_its_definition(scale: int) -> None:
    torch.manual_seed(0)
    network = Upscaler(UpscalerConfig(channels=5, layers=2, scale=scale)).eval()
    for layer in (network.into, *network.body):
        layer.act.weight.data.uniform_(-0.5, 0.5)
    x = np.random.default_rng(0).random((3, 7, 9))
    with torch.no_grad():
        got = network(torch.from_numpy(x).float()[None])[0]
    assert got.numpy() == pytest.approx(enlarged(network, x), abs=1e-5)


def test_a_pixel_sees_as_far_as_its_reach_and_no_farther() -> None:
    torch.manual_seed(0)
    config = UpscalerConfig(channels=4, layers=3, scale=2)
    network = Upscaler(config).eval()
    x = torch.rand(1, 3, 1, 40)
    far, near = x.clone(), x.clone()
    far[..., config.reach + 1] += 1  # pixel 0 is what is looked at
    near[..., config.reach] += 1
    with torch.no_grad():
        plain, changed, touched = (network(each)[..., :2] for each in (x, far, near))
    assert torch.equal(plain, changed)
    assert not torch.equal(plain, touched)
