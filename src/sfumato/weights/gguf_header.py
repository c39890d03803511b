"""The header of a GGUF file, read and checked without any tensor being touched.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
Tensors may be quantised: what their blocks hold, and how they are undone, is the `gguf` package's.
"""

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from sfumato.errors import WeightsError
from sfumato.weights.entries import Entry, Packing, Weights

MAGIC = b"GGUF"
ALIGNMENT = 32  # where the file does not say another
LONGEST_TEXT = 2**20
MOST_TENSORS, MOST_ROWS = 100_000, 10_000
MOST_AXES = 4

# Types that torch has too, by their number in the format; all others are packed in blocks.
PLAIN: Mapping[int, str] = {
    0: "float32",
    1: "float16",
    24: "int8",
    25: "int16",
    26: "int32",
    27: "int64",
    28: "float64",
    30: "bfloat16",
}
# What the `gguf` package undoes, by the format's names.
PACKINGS = (
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
    *("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"),
    *("TQ1_0", "TQ2_0", "MXFP4"),
)
# A value's type: how `struct` reads it, and its bytes. 8 is text, 9 a list.
SCALARS: Mapping[int, str] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
TEXT, LIST = 8, 9
# Converters of diffusion models keep here the shape of a tensor that was laid out anew for packing.
SHAPE_KEY = "comfy.gguf.orig_shape."


def read(path: Path, file: BinaryIO, size: int) -> Weights:
    """The tensors of a GGUF file of `size` bytes, and the texts and numbers in its header.

    Raises WeightsError where the header does not describe exactly this file, and for a file
    packed in a way that is not known here.
    """
    file.seek(0)
    source = _Source(path, file, size)
    if source.take(4) != MAGIC:
        raise source.corrupt("it does not begin as a GGUF file")
    version = source.number("I")
    if version not in (2, 3):
        raise WeightsError(
            f"{path.name} is GGUF of version {version}, expected 2 or 3. Convert it again with a "
            "current converter."
        )
    count, rows = source.number("Q"), source.number("Q")
    if count > MOST_TENSORS or rows > MOST_ROWS:
        raise source.corrupt(f"it claims {count:,} tensors and {rows:,} settings")
    settings = {source.text(): source.value() for _ in range(rows)}
    tensors = [_row(source) for _ in range(count)]
    alignment = settings.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment % 8:
        raise source.corrupt(f"its alignment is {alignment!r}")
    start = math.ceil(file.tell() / alignment) * alignment
    entries: dict[str, Entry] = {}
    for name, shape, kind, offset in tensors:
        if name in entries:
            raise source.corrupt(f"{name} stands there twice")
        shape = _shape(source, name, shape, settings)
        entries[name] = _entry(source, name, shape, kind, start + offset)
    _check_places(source, entries, start)
    texts = {key: str(value) for key, value in settings.items() if isinstance(value, str | int)}
    return Weights(path, "gguf", entries, texts)


class _Source:
    """The bytes of a header, taken one after another; running out of them is told."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size = path, file, size

    def take(self, count: int) -> bytes:
        found = self.file.read(count) if count <= self.size else b""
        if len(found) < count:
            raise WeightsError(
                f"{self.path.name} is cut short: its header ends after {self.size:,} bytes. "
                "Download it again."
            )
        return found

    def number(self, kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))
        return cast(int, value)

    def text(self) -> str:
        length = self.number("Q")
        if length > LONGEST_TEXT:
            raise self.corrupt(f"a text in its header claims {length:,} bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.corrupt("a text in its header is not UTF-8") from error

    def value(self) -> object:
        kind = self.number("I")
        return self._list() if kind == LIST else self._one(kind)()

    def _one(self, kind: int) -> Callable[[], object]:
        if kind == TEXT:
            return self.text
        if kind not in SCALARS:
            raise self.corrupt(f"a setting is of type {kind}")
        return lambda: self.number(SCALARS[kind])

    def _list(self) -> tuple[object, ...]:
        kind, count = self.number("I"), self.number("Q")
        if count > self.size:  # an element takes a byte at least
            raise self.corrupt(f"a list in its header claims {count:,} values")
        take = self._one(kind)
        return tuple(take() for _ in range(count))

    def corrupt(self, what: str) -> WeightsError:
        return WeightsError(f"{self.path.name} is corrupt: {what}. Download it again.")


def _row(source: _Source) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape (rows first, as torch has it), type and offset of one tensor."""
    name, axes = source.text(), source.number("I")
    if axes > MOST_AXES:
        raise source.corrupt(f"{name} has {axes} axes")
    shape = tuple(source.number("Q") for _ in range(axes))[::-1]
    if math.prod(shape) > 64 * source.size:  # no packing has more than a few values a byte
        raise source.corrupt(f"{name} claims the shape {shape}")
    return name, shape, source.number("I"), source.number("Q")


def _shape(
    source: _Source, name: str, shape: tuple[int, ...], settings: Mapping[str, object]
) -> tuple[int, ...]:
    original = settings.get(SHAPE_KEY + name)
    if original is None:
        return shape
    if not isinstance(original, tuple):
        raise source.corrupt(f"the shape of {name} is {original!r:.40}")
    sizes = cast(tuple[object, ...], original)
    if not all(isinstance(side, int) and side >= 0 for side in sizes):
        raise source.corrupt(f"the shape of {name} is {sizes!r:.40}")
    found = cast(tuple[int, ...], sizes)
    if math.prod(found) != math.prod(shape):
        raise source.corrupt(f"{name} is {shape}, and its settings say {found}")
    return found


def _entry(source: _Source, name: str, shape: tuple[int, ...], kind: int, offset: int) -> Entry:
    if kind in PLAIN:
        return Entry(source.path, PLAIN[kind], shape, offset)
    packing = packing_of(kind)
    if packing is None:
        raise WeightsError(
            f"{source.path.name}: {name} is packed in a way (type {kind}) that is not read here. "
            "Take another quantisation of the model, such as Q8_0 or Q4_K."
        )
    if math.prod(shape) % packing.block:
        raise source.corrupt(
            f"{name} has {math.prod(shape):,} values, in blocks of {packing.block}"
        )
    return Entry(source.path, packing.name.lower(), shape, offset, packing=packing)


def packing_of(kind: int) -> Packing | None:
    """How a type of the format packs values; None for a type that is not undone here."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    for name in PACKINGS:
        known = GGMLQuantizationType[name]
        if known.value == kind:
            block, width = GGML_QUANT_SIZES[known]
            return Packing(name, block, width)
    return None


def _check_places(source: _Source, entries: Mapping[str, Entry], start: int) -> None:
    """No tensor lies upon another, or beyond the file's end."""
    end, last = start, "the header"
    for key, entry in sorted(entries.items(), key=lambda row: row[1].offset):
        if entry.offset < end:
            raise source.corrupt(f"{last} and {key} lie upon each other")
        end, last = entry.offset + entry.bytes, key
    if end > source.size:
        raise WeightsError(
            f"{source.path.name} is cut short: its header describes {end:,} bytes, the file has "
            f"{source.size:,}. Download it again."
        )
