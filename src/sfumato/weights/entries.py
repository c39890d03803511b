"""What a model file holds, told without reading it: each tensor's type, shape and place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

EXPECTED = "Expected a .safetensors, .ckpt or .gguf file, or a diffusers folder."

# Bytes an element takes, by torch's name of the type.
WIDTHS: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
    "complex64": 8,
}


@dataclass(frozen=True, slots=True)
class Packing:
    """A quantisation of GGUF: `block` values in `width` bytes, by the format's name."""

    name: str
    block: int
    width: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file.

    `offset` is the byte in the file at which element zero lies; `strides` counts elements, as
    torch does, and is None where rows lie one after another. A packed tensor has the name of its
    packing for a `dtype`.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...] | None = None
    packing: Packing | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        if self.packing is not None:
            return self.elements // self.packing.block * self.packing.width
        return self.elements * WIDTHS[self.dtype]

    @property
    def extent(self) -> int:
        """Bytes from element zero to behind the last one, gaps included."""
        if self.strides is None or self.elements == 0:
            return self.bytes
        steps = zip(self.shape, self.strides, strict=True)
        return (1 + sum((size - 1) * step for size, step in steps)) * WIDTHS[self.dtype]


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file or folder, opened: its tensors by key, none of them read yet.

    In a diffusers folder the key is led by its part: `unet/conv_in.weight`. `metadata` is the text
    that a safetensors header may carry; in a folder it is led by its part too, and the folder's
    small JSON files stand beside it by their path.
    """

    path: Path
    form: Literal["safetensors", "ckpt", "gguf", "folder"]
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
