"""The files that come with the package."""

from importlib import resources
from pathlib import Path

__all__ = ["shipped"]


def shipped(name: str) -> Path:
    """Where a file of the package's assets lies; ``name`` is like "mini/model.safetensors"."""
    return Path(str(resources.files("sfumato").joinpath("assets", name)))
