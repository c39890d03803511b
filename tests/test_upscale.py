"""Pictures made larger: the published numbers, whatever the tiles, and files of other people."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from sfumato.catalog import ILLUSTRATION, MINI
from sfumato.errors import PictureError, RequestError, WeightsError
from sfumato.nn.upscaler import Upscaler
from sfumato.spec import UpscalerConfig
from sfumato.upscale import Enlargement, Enlarger, open_enlarger

ASSETS = Path(str(resources.files("sfumato").joinpath("assets")))
GOLDEN = Path(__file__).parent / "golden" / "upscaler.safetensors"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bundled() -> Enlarger:
    return open_enlarger(ASSETS / ILLUSTRATION.asset, ILLUSTRATION.name, CPU)


def small(scale: int) -> Upscaler:
    torch.manual_seed(scale)
    return Upscaler(UpscalerConfig(channels=6, layers=2, scale=scale)).eval().requires_grad_(False)


def drawn(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), (250, 240, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((3, 3, width - 5, height - 9), (200, 40, 20), (0, 0, 0), 2)
    draw.line((0, height, width, 0), (10, 60, 200), 3)
    return image


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_the_bundled_upscaler_makes_what_ncnn_makes_of_the_published_numbers(
    bundled: Enlarger,
) -> None:
    """The golden values are ncnn's own (benchmarks/upscaler.py); a byte a weight leaves 36.5 dB
    on this drawing of hard edges."""
    golden = load_file(GOLDEN)
    with torch.no_grad():
        got, want = bundled.network(golden["x"]), golden["y"].float()
    error = (got.clamp(0, 1) - want.clamp(0, 1)).square().mean()
    assert -10 * float(error.log10()) > 36
    wrong = golden["x"].flip(1)  # blue for red: the figure tells
    with torch.no_grad():
        error = (bundled.network(wrong).clamp(0, 1) - want.clamp(0, 1)).square().mean()
    assert -10 * float(error.log10()) < 20


def test_all_bundled_weights_are_forty_megabytes_at_the_most() -> None:
    assert MINI.asset is not None
    files = [ASSETS / MINI.asset, ASSETS / ILLUSTRATION.asset]
    assert sum(file.stat().st_size for file in files) <= 40_000_000


@pytest.mark.parametrize("tile", [17, 32, 50])
def test_tiles_make_the_whole(bundled: Enlarger, tile: int) -> None:
    image = drawn(70, 53)
    whole = Enlargement(bundled, image, 4)
    tiled = Enlargement(bundled, image, 4, tile=tile)
    assert whole.total == 1
    assert tiled.total > 3
    assert list(tiled) == list(range(1, tiled.total + 1))
    assert tiled.picture().size == (280, 212)
    assert np.abs(levels(tiled.picture()) - levels(whole.picture())).max() <= 1


def test_a_pixel_is_found_at_its_place(bundled: Enlarger) -> None:
    image = drawn(80, 56)
    back = levels(Enlargement(bundled, image, 4, tile=32).picture().reduce(4))
    error = np.abs(back - levels(image)).mean()
    for axis, pixels in ((0, 1), (0, -1), (1, 1), (1, -1)):
        shifted = np.roll(levels(image), pixels, axis)
        assert error < np.abs(back - shifted).mean() / 1.5


def test_twice_is_four_times_with_the_mean_of_each_square(bundled: Enlarger) -> None:
    image = drawn(24, 32)
    four, two = (Enlargement(bundled, image, factor).picture() for factor in (4, 2))
    assert two.size == (48, 64)
    mean = levels(four).reshape(64, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(levels(two) - mean).max() <= 1


def test_the_same_picture_becomes_the_same_picture(bundled: Enlarger) -> None:
    image = drawn(30, 30)
    first, second = (Enlargement(bundled, image, 4).picture() for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_what_is_half_done_goes_on(bundled: Enlarger) -> None:
    work = Enlargement(bundled, drawn(40, 20), 2, tile=16)
    assert next(iter(work)) == 1
    assert list(work) == list(range(2, work.total + 1))


def test_a_network_of_another_scale_is_refused_where_it_does_not_divide() -> None:
    enlarger = Enlarger("three", "", small(3), 4, CPU)
    with pytest.raises(RequestError, match="upscale is 2, and three makes pictures 3 times"):
        Enlargement(enlarger, drawn(16, 16), 2)


def test_a_network_without_numbers_is_told() -> None:
    network = small(2)
    network.out.bias.data[:] = float("nan")
    with pytest.raises(PictureError, match="broken gave values that are no numbers"):
        Enlargement(Enlarger("broken", "", network, 4, CPU), drawn(16, 16), 2).picture()


def test_a_network_that_makes_all_of_it_black_is_told_and_a_black_picture_is_not(
    bundled: Enlarger,
) -> None:
    network = small(2)
    network.out.bias.data[:] = -1000
    with pytest.raises(PictureError, match="broken gave values beyond ±3 alone"):
        Enlargement(Enlarger("broken", "", network, 4, CPU), drawn(16, 16), 2).picture()
    black = Image.new("RGB", (16, 16))
    assert max(Enlargement(bundled, black, 2).picture().convert("L").tobytes()) < 8


def published_keys(network: Upscaler, lead: str) -> Mapping[str, torch.Tensor]:
    """As Real-ESRGAN saves it: one list of convolutions and slopes."""
    modules = [m for layer in (network.into, *network.body) for m in (layer.conv, layer.act)]
    return {
        f"{lead}body.{i}.{name}": tensor
        for i, module in enumerate([*modules, network.out])
        for name, tensor in module.state_dict().items()
    }


@pytest.mark.parametrize("lead", ["", "params.", "params_ema."])
def test_a_file_in_real_esrgans_layout_is_opened(tmp_path: Path, lead: str) -> None:
    network, path = small(2), tmp_path / "mine.safetensors"
    save_file(dict(published_keys(network, lead)), path)
    enlarger = open_enlarger(path, "mine", CPU)
    x = torch.rand(1, 3, 6, 5)
    with torch.no_grad():
        torch.testing.assert_close(enlarger.network(x), network(x))
    assert len(enlarger.sha256) == 64


def test_a_pickled_file_in_real_esrgans_layout_is_opened(tmp_path: Path) -> None:
    network, path = small(2), tmp_path / "mine.pth"
    torch.save({"params": dict(published_keys(network, ""))}, path)
    x = torch.rand(1, 3, 6, 5)
    with torch.no_grad():
        torch.testing.assert_close(open_enlarger(path, "mine", CPU).network(x), network(x))


def test_a_file_of_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv_first.weight": torch.zeros(4, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match="not an upscaler that sfumato opens"):
        open_enlarger(path, "other", CPU)


def test_a_file_that_lacks_a_tensor_or_has_one_more_is_refused(tmp_path: Path) -> None:
    state, path = dict(published_keys(small(2), "")), tmp_path / "mine.safetensors"
    save_file({**state, "extra": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no place for: extra"):
        open_enlarger(path, "mine", CPU)
    del state["body.1.weight"]
    save_file(state, path)
    with pytest.raises(WeightsError, match="missing"):
        open_enlarger(path, "mine", CPU)
