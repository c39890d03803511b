"""Stable Diffusion 3 medium, full size, random weights: from one original file to a picture.

    python benchmarks/full_sd3.py [--size 512] [--steps 2] [--precision bf16]

Writes a checkpoint of random weights in the original layout (fp16, 6 GB; without T5), opens it
through the public door in a process of its own, and paints. Printed are the seconds to open and for
a guided step (the median), and the peak memory. The process is watched: beyond
`--most` GiB of resident memory it is ended, so that the machine never has to. How near the pictures
are to diffusers' is another matter, told by tests/parity/test_sd3.py at a small size.
"""

import argparse
import json
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

GB, GIB = 1e9, 2**30
LOOK = 0.1  # seconds from one look at the process to the next
POOL = 2**24  # random numbers, of which each tensor takes some


def write(path: Path) -> None:
    """A whole model of random numbers, tensor by tensor: it never stands in memory."""
    import torch

    from sfumato.catalog import SD3
    from sfumato.weights.layouts import tables
    from sfumato.weights.load import NETWORKS

    torch.manual_seed(0)
    pool = torch.randn(POOL) * 0.02
    rows: dict[str, tuple[str, tuple[int, ...]]] = {}
    for part, table in tables("original", SD3).items():
        if part == "text_encoder_3":
            continue
        config = SD3.parts[part]
        with torch.device("meta"):
            state = NETWORKS[type(config)](config).state_dict()
        for ours, tensor in state.items():
            place = next(table.places(ours))
            shape = tuple(tensor.shape)[:: -1 if place.pieces.turned else 1]
            rows[place.keys[0]] = ours, (shape[0] * place.pieces.part[1], *shape[1:])
    header, end = {}, 0
    for key, (_, shape) in rows.items():
        size = 2 * prod(shape)
        header[key] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for ours, shape in rows.values():
            left = prod(shape)
            gain = len(shape) == 1 and ours.endswith("weight")
            while left > 0:
                some = torch.ones(min(left, POOL)) if gain else pool[: min(left, POOL)]
                file.write(some.half().numpy().tobytes())
                left -= POOL


def paint(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The picture, and what it took."""
    from sfumato.engine import Engine
    from sfumato.request import Request

    begun = time.perf_counter()
    engine = Engine("cpu", options.precision, model=str(folder / "sd3.safetensors"))
    wish = Request(
        "a red fox in the snow", seed=7, steps=options.steps, width=options.size,
        height=options.size,
    )  # fmt: skip
    run = engine.submit(wish)
    opened, now = time.perf_counter() - begun, time.perf_counter()
    seconds: list[float] = []
    for _ in run:
        seconds.append(time.perf_counter() - now)
        now = time.perf_counter()
    (picture,) = run.result().pictures
    picture.save(folder / "sd3.png")
    grey = picture.image.convert("L").getextrema()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB
    return {
        "open": opened,
        "step": statistics.median(seconds[:-1] or seconds),
        "last": seconds[-1],
        "peak": peak,
        "darkest": grey[0],
        "brightest": grey[1],
    }


def watched(words: list[str], most: float) -> str:
    """What a command prints; it is ended when it holds more than so many GiB."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    place = Path(f"/proc/{process.pid}/statm")
    while process.poll() is None:
        pages = int(place.read_text().split()[1]) if place.exists() else 0
        if pages * resource.getpagesize() > most * GIB:
            process.kill()
            sys.exit(f"ended: it held more than {most:g} GiB")
        time.sleep(LOOK)
    if process.returncode:
        sys.exit(process.returncode)
    assert process.stdout is not None
    return process.stdout.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "fp16", "bf16"], default="bf16")
    parser.add_argument("--most", type=float, default=20.0, metavar="GIB")
    parser.add_argument("--part", choices=["write", "paint"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "write":
        write(options.folder / "sd3.safetensors")
        return 0
    if options.part == "paint":
        print(json.dumps(paint(options, options.folder)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        words = [sys.executable, __file__, *sys.argv[1:], "--folder", name, "--part"]
        watched([*words, "write"], options.most)
        gb = (Path(name) / "sd3.safetensors").stat().st_size / GB
        found = json.loads(watched([*words, "paint"], options.most).splitlines()[-1])
    print(
        f"sd3-medium, a file of {gb:.2f} GB, without T5, "
        f"{options.size} px, {options.steps} steps, cpu, {options.precision}: "
        f"opened in {found['open']:.1f} s, {found['step']:.2f} s a guided step, "
        f"{found['last']:.2f} s the last with its decoding, at most {found['peak']:.2f} GB; "
        f"levels {found['darkest']:.0f} to {found['brightest']:.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
