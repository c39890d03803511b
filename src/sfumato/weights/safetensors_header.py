"""The header of a safetensors file, read and checked without any tensor being touched.

Format: https://github.com/huggingface/safetensors, "Format": eight bytes of length, a JSON header,
then the tensors' bytes, little-endian, rows one after another.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias, TypeGuard, cast

from sfumato.errors import WeightsError
from sfumato.weights.entries import Entry, Weights

LIMIT = 100_000_000  # the format's own limit to a header

NAMES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def read(path: Path, file: BinaryIO, size: int) -> Weights:
    """The tensors of a safetensors file of `size` bytes.

    Raises WeightsError where the header does not describe exactly this file.
    """
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > LIMIT:
        raise WeightsError(
            f"{path.name} is corrupt: its header claims {length:,} bytes, the format allows "
            f"{LIMIT:,}. Download it again."
        )
    if 8 + length > size:
        raise _cut(path, 8 + length, size)
    header = _parse(path, file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _corrupt(path, "its metadata is not a table of texts")
    texts = {str(k): str(v) for k, v in cast(dict[str, object], metadata).items()}
    spans: list[_Span] = []
    entries = {key: _entry(path, key, row, 8 + length, spans) for key, row in header.items()}
    _check_places(path, spans, 8 + length, size)
    return Weights(path, "safetensors", entries, texts)


def _parse(path: Path, text: bytes) -> dict[str, object]:
    try:
        header: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _corrupt(path, "its header is not a table")
    return cast(dict[str, object], header)


_Span: TypeAlias = tuple[int, int, str]  # the first byte of a tensor, that behind it, its key


def _entry(path: Path, key: str, row: object, start: int, spans: list[_Span]) -> Entry:
    """One row of the header, `start` being the byte at which the tensors begin.

    Its place joins `spans`, which costs less than to work it out again: a shelf of models has
    millions of rows.
    """
    if not isinstance(row, dict):
        raise _corrupt(path, f"{key} is described by {row!r}")
    fields = cast(dict[str, object], row)
    name, shape, span = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not isinstance(name, str) or name not in NAMES:
        raise WeightsError(
            f"{path.name}: {key} is of type {name!r}, which is not read here. "
            f"Save the model as float16, bfloat16 or float32."
        )
    if not _is_sizes(shape) or not _is_sizes(span) or len(span) != 2:
        raise _corrupt(path, f"{key} is described by {row!r}")
    entry = Entry(path, NAMES[name], tuple(shape), start + span[0])
    if (size := entry.bytes) != span[1] - span[0]:
        raise _corrupt(
            path,
            f"{key} should take {size:,} bytes by its shape {list(shape)}, "
            f"and takes {span[1] - span[0]:,}",
        )
    spans.append((entry.offset, entry.offset + size, key))
    return entry


def _is_sizes(value: object) -> TypeGuard[list[int]]:
    if not isinstance(value, list):
        return False
    items = cast(list[int], value)
    for item in items:  # noqa: SIM110 - a loop costs half of all(), and there are millions of rows
        if type(item) is not int or item < 0:
            return False
    return True


def _check_places(path: Path, spans: list[_Span], start: int, size: int) -> None:
    """The tensors must lie one behind the other, from the header's end to the file's end.

    The format allows no bytes between or behind them: such a gap is what a tensor leaves whose row
    is missing from the header, or stands there twice.
    """
    end, last = start, "the header"
    for first, behind, key in sorted(spans):
        if first < end:
            raise _corrupt(path, f"{last} and {key} lie upon each other")
        if first > end:
            raise _corrupt(path, f"{first - end:,} bytes before {key} belong to no tensor")
        end, last = behind, key
    if end > size:
        raise _cut(path, end, size)
    if end < size:
        raise _corrupt(path, f"{size - end:,} bytes at its end belong to no tensor")


def _cut(path: Path, expected: int, size: int) -> WeightsError:
    return WeightsError(
        f"{path.name} is cut short: its header describes {expected:,} bytes, the file has "
        f"{size:,}. Download it again."
    )


def _corrupt(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path.name} is corrupt: {what}. Download it again.")
