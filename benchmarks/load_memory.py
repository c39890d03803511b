"""Peak memory of loading Stable Diffusion 1.5, at full size, against the bound that we promise.

    python benchmarks/load_memory.py [--form safetensors|ckpt] [--stored float16|float32]

Writes a checkpoint of random weights to a temporary folder (2 or 4 GB), loads it in a fresh
process for each precision, reads every weight once, and prints the process's peak resident memory.
The bound is 1.2 times the weights in the target precision plus 1 GB. Exits with 1 where it is
passed. Seconds are of the processor, one thread, without the imports.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GB = 1e9
WIDTH = {"float32": 4, "float16": 2, "bfloat16": 2}


def write(path: Path, stored: str) -> None:
    """A whole model of random numbers in the original layout."""
    import torch
    from safetensors.torch import save_file

    from sfumato.catalog import SD15
    from sfumato.weights.layouts import tables
    from sfumato.weights.load import NETWORKS

    by_part = tables("original", SD15)
    with torch.device("meta"):
        networks = {name: NETWORKS[type(c)](c) for name, c in SD15.parts.items()}
    state = {
        by_part[name].usual(ours): torch.empty(tensor.shape, dtype=getattr(torch, stored)).uniform_(
            -1, 1
        )
        for name, network in networks.items()
        for ours, tensor in network.state_dict().items()
    }
    if path.suffix == ".ckpt":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)


def load(path: Path, target: str) -> None:
    """In a process of its own: load, read every weight, print what it took."""
    import torch

    from sfumato.catalog import model_spec
    from sfumato.weights.detect import recognise
    from sfumato.weights.files import open_weights
    from sfumato.weights.layouts import tables
    from sfumato.weights.load import load_model

    torch.set_num_threads(1)
    start = time.process_time()
    weights = open_weights(path)
    name, layout = recognise(weights).require()
    spec = model_spec(name)
    parts = load_model(weights, spec, tables(layout, spec), getattr(torch, target))
    loaded = time.process_time() - start
    parameters = [
        p
        for part in (parts.denoiser, parts.vae, *parts.texts)
        if part is not None
        for p in part.parameters()
    ]
    for parameter in parameters:  # a mapped weight counts only once it has been read
        parameter.view(-1).view(torch.uint8)[::4096].max()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = sum(parameter.nbytes for parameter in parameters)
    print(json.dumps({"seconds": loaded, "peak": peak, "size": size}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--form", choices=["safetensors", "ckpt"], default="safetensors")
    parser.add_argument("--stored", choices=["float16", "float32"], default="float16")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is not None:
        step, path, precision = options.step
        (write if step == "write" else load)(Path(path), precision)
        return 0

    def child(*step: str) -> str:
        command = [sys.executable, __file__, "--step", *step]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout

    failed = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sd15.{options.form}"
        child("write", str(path), options.stored)
        print(f"{path.name}, {options.stored}, {path.stat().st_size / GB:.2f} GB")
        for target in WIDTH:
            row = json.loads(child("load", str(path), target))
            bound = 1.2 * row["size"] + GB
            failed |= row["peak"] > bound
            print(
                f"to {target:8}  weights {row['size'] / GB:.2f} GB  peak {row['peak'] / GB:.2f} GB"
                f"  bound {bound / GB:.2f} GB  {row['seconds']:.1f} s of CPU"
                f"  {'PASSED THE BOUND' if row['peak'] > bound else 'within'}"
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
