"""Our own layout: the names of our modules, in one file or in a file for each part."""

from sfumato.spec import ModelSpec
from sfumato.weights.layouts.table import Table


def part(name: str) -> Table:
    """The table of `unet`, `vae` or `text`: led by `unet/` in a folder, by `unet.` in a file."""
    return Table(None, (f"{name}/", f"{name}."))


def tables(spec: ModelSpec) -> dict[str, Table]:
    """The tables of a model's parts; the denoiser is a U-Net, and goes by that name."""
    return {name: part("unet" if name == "denoiser" else name) for name in spec.parts}
