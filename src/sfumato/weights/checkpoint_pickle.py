"""A .ckpt file read without running anything in it: only tensors' descriptions come out.

torch.save writes a zip archive: one pickle that says how tensors lie in storages, and one record
of plain bytes for each storage. A pickle is a program, so this one is run on a bench: every name
that it asks for is answered with an inert stand-in, and names that a checkpoint does not need are
told and refused. torch itself is not imported.
"""

import io
import math
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, cast

from sfumato.errors import WeightsError
from sfumato.weights.entries import WIDTHS, Entry, Weights

LIMIT = 256 * 2**20  # of the pickle alone; that of Stable Diffusion takes some 200 kB

STORAGES: Mapping[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}

# What training frameworks leave beside the weights: seen in published checkpoints, not needed, and
# answered by a stand-in that does nothing.
BYSTANDERS = frozenset(
    {
        "_codecs.encode",
        "argparse.Namespace",
        "numpy.core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy.dtype",
        "numpy.ndarray",
        "torch.device",
    }
)
# Under what name the weights lie beside other things; the last two are Real-ESRGAN's, whose
# averaged weights are the better ones.
WRAPPERS = ("state_dict", "params_ema", "params")
BYSTANDER_ROOMS = ("pytorch_lightning.callbacks.", "lightning.pytorch.callbacks.")

# What zipfile and the pickle's reader raise on damaged input.
BAD_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
BROKEN = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    UnicodeError,
)


def read(path: Path, file: BinaryIO, size: int) -> Weights:
    """The tensors of a checkpoint in torch's zip format, `file` being `size` bytes long.

    Raises WeightsError for code (by name), for anything torch would not have written, and where
    the archive is cut short.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            records = {info.filename: info for info in archive.infolist()}
            program, folder = _program(path, archive, records)
            order = records.get(f"{folder}byteorder")
            # Its size is asked first: a compressed record may unpack to more than the memory holds.
            if order is not None and (order.file_size != 6 or archive.read(order) != b"little"):
                raise _corrupt(path, "it was written on a machine of the other byte order")
    except BAD_ARCHIVE as error:
        raise _corrupt(path, f"its archive cannot be read ({error})") from error
    blocks = _tensors(path, _run(path, program))
    starts: dict[str, int] = {}
    entries: dict[str, Entry] = {}
    for key, block in blocks.items():
        record = records.get(f"{folder}data/{block.storage.key}")
        if record is None:
            raise _corrupt(path, f"the bytes of {key} are missing")
        if block.storage.key not in starts:
            starts[block.storage.key] = _start(path, file, record, size)
        entries[key] = _entry(path, key, block, starts[block.storage.key], record.file_size)
    return Weights(path, "ckpt", entries, {})


def _program(
    path: Path, archive: zipfile.ZipFile, records: Mapping[str, zipfile.ZipInfo]
) -> tuple[bytes, str]:
    """The pickle of an archive, and the folder in the archive that it lies in."""
    found = [name for name in records if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(found) != 1:
        raise WeightsError(
            f"{path.name} is a zip archive, but not a checkpoint: it holds {len(found)} files "
            f"named data.pkl. Expected a .ckpt or .pt file as torch.save writes it."
        )
    folder = found[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in records:
        raise WeightsError(
            f"{path.name} is a TorchScript program, which is never run here. "
            f"Expected a file of weights: .safetensors, or a .ckpt with a state_dict."
        )
    if records[found[0]].file_size > LIMIT:
        raise _corrupt(path, f"its index claims {records[found[0]].file_size:,} bytes")
    return archive.read(found[0]), folder


# ---- the bench on which the pickle runs -----------------------------------------------------
# The stand-ins are named tuples because a pickle's BUILD cannot change those; it can change a
# frozen dataclass, and would so pass by the checks of `_block`.


class _Kind(NamedTuple):
    """Stands for torch.FloatStorage and its kin; None for bytes without a type."""

    dtype: str | None


class _Storage(NamedTuple):
    key: str
    kind: _Kind


class _Block(NamedTuple):
    """A tensor: `shape` elements of `storage` from element `offset`, `strides` elements apart."""

    storage: _Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild(NamedTuple):
    """Stands for the functions of torch that put a tensor together from a storage."""

    name: str

    def __call__(self, *arguments: Any) -> object:
        match self.name, arguments:
            case "_rebuild_parameter" | "_rebuild_parameter_with_state", (_Block() as block, *_):
                return block
            case "_rebuild_tensor_v3", (
                _Storage() as storage,
                offset,
                shape,
                strides,
                _,
                _,
                dtype,
                *_,
            ):
                return _block(storage, offset, shape, strides, dtype)
            case "_rebuild_tensor" | "_rebuild_tensor_v2", (
                _Storage() as storage,
                offset,
                shape,
                strides,
                *_,
            ):
                return _block(storage, offset, shape, strides, storage.kind.dtype)
            case _:
                raise pickle.UnpicklingError(f"torch.{self.name} is called in a way unknown here")


def _block(
    storage: _Storage, offset: object, shape: object, strides: object, dtype: object
) -> _Block:
    if not (isinstance(shape, tuple) and isinstance(strides, tuple) and dtype in WIDTHS):
        raise pickle.UnpicklingError("a tensor is described in a way unknown here")
    sizes, steps = cast(tuple[object, ...], shape), cast(tuple[object, ...], strides)
    numbers = (offset, *sizes, *steps)
    if len(sizes) != len(steps) or not all(type(n) is int and n >= 0 for n in numbers):
        raise pickle.UnpicklingError("a tensor's place is not made of whole numbers")
    return _Block(
        storage,
        str(dtype),
        cast(int, offset),
        cast(tuple[int, ...], sizes),
        cast(tuple[int, ...], steps),
    )


class _Bench(pickle.Unpickler):
    """Runs a pickle in which every name is answered by a stand-in of ours."""

    def __init__(self, program: bytes) -> None:
        super().__init__(io.BytesIO(program), encoding="latin-1")
        self.refused: list[str] = []
        self._nothing = _bystander()

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        name = f"{module_name}.{global_name}"
        if module_name == "torch._utils" and global_name in {
            "_rebuild_parameter",
            "_rebuild_parameter_with_state",
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_tensor_v3",
        }:
            return _Rebuild(global_name)
        if module_name in {"torch", "torch.storage"} and global_name in STORAGES:
            return _Kind(STORAGES[global_name])
        if name == "torch.storage.UntypedStorage":
            return _Kind(None)
        if module_name == "torch" and global_name in WIDTHS:
            return global_name
        if name == "torch.Size":
            return tuple
        if name == "collections.OrderedDict":
            return OrderedDict
        if name in {"builtins.set", "__builtin__.set"}:
            return set
        if name == "torch.nn.modules.container.ParameterDict":
            return _Parameters
        if name not in BYSTANDERS and not name.startswith(BYSTANDER_ROOMS):
            # Go on, harmlessly, so that the message can tell all the names.
            self.refused.append(name)
        return self._nothing

    def persistent_load(self, pid: Any, /) -> Any:
        match pid:
            case ("storage", _Kind() as kind, str() as key, *_):
                return _Storage(key, kind)
            case _:
                raise pickle.UnpicklingError("a storage is described in a way unknown here")


class _Parameters:
    """Stands for torch's ParameterDict, in which older embeddings lie; ``state`` is what it held.

    It has a place for that alone, and a pickle's BUILD can put nothing else into it.
    """

    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def _bystander() -> type:
    """A class whose objects take any call a pickle can make and do nothing.

    A new one for each file: a pickle can set attributes of what it is given.
    """

    class Bystander:
        def __new__(cls, *_: object, **__: object) -> Self:
            return object.__new__(cls)

        def __init__(self, *_: object, **__: object) -> None: ...

        def __setstate__(self, state: object) -> None: ...

        def __setitem__(self, key: object, value: object) -> None: ...

        def append(self, item: object) -> None: ...

        def extend(self, items: object) -> None: ...

        def add(self, item: object) -> None: ...

    return Bystander


def _run(path: Path, program: bytes) -> object:
    """The object that a pickle describes, made of stand-ins."""
    bench = _Bench(program)
    broken: BaseException | None = None
    result: object = None
    try:
        _check_operations(program)
        result = bench.load()
    except BROKEN as error:
        broken = error
    if bench.refused:
        names = list(dict.fromkeys(bench.refused))
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise WeightsError(
            f"{path.name} holds code, which is never run here: {shown}.\n"
            f"  A checkpoint needs tensors only. Take the .safetensors file of this model, "
            f"or save its state_dict alone."
        )
    if broken is not None:
        raise _corrupt(path, f"its index cannot be read ({broken})") from broken
    return result


def _check_operations(program: bytes) -> None:
    """Refuse a pickle that would make the reader claim memory out of proportion to its length.

    The C reader makes room for any memo number that it is told, and for any length of bytes,
    before it looks whether they are there.
    """
    for operation, argument, _ in pickletools.genops(program):
        if "PUT" in operation.name and cast(int, argument) > len(program):
            raise pickle.UnpicklingError(f"memo number {argument} in {len(program)} bytes")


# ---- from the object to places in the file --------------------------------------------------


def _tensors(path: Path, found: object) -> dict[str, _Block]:
    """The state dict: the object itself, or what it holds under one of WRAPPERS.

    Of an embedding (textual inversion) it is what lies under "string_to_param".
    """
    table = _table(found)
    if (learnt := table.get("string_to_param")) is not None:
        if isinstance(learnt, _Parameters):
            learnt = _table(getattr(learnt, "state", None)).get("_parameters")
        table = {f"string_to_param.{key}": value for key, value in _table(learnt).items()}
    for _ in range(3):
        inner = next((table[name] for name in WRAPPERS if isinstance(table.get(name), dict)), None)
        if inner is None:
            break
        table = _table(inner)
    blocks = {k: v for k, v in table.items() if isinstance(k, str) and isinstance(v, _Block)}
    if not blocks:
        what = ", ".join(str(key) for key in list(table)[:5]) or type(found).__name__
        raise WeightsError(
            f"{path.name} holds no tensors by name. Expected a state_dict, found: {what}."
        )
    return blocks


def _table(found: object) -> dict[object, object]:
    """A plain copy of a dict. Its own methods are not asked: a pickle can put others over them."""
    if not isinstance(found, dict):
        return {}
    return dict(dict[object, object].items(cast(dict[object, object], found)))


def _start(path: Path, file: BinaryIO, record: zipfile.ZipInfo, size: int) -> int:
    """The byte of the file at which a record's contents begin (zip format, section 4.3.7)."""
    file.seek(record.header_offset)
    head = file.read(30)
    if record.compress_type != zipfile.ZIP_STORED or len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise _corrupt(path, f"its record {record.filename} is not stored plainly")
    name, extra = struct.unpack("<HH", head[26:30])
    start = record.header_offset + 30 + name + extra
    if start + record.file_size > size:
        raise _corrupt(path, f"its record {record.filename} goes beyond the end of the file")
    return start


def _entry(path: Path, key: str, block: _Block, start: int, room: int) -> Entry:
    offset = block.offset * WIDTHS[block.dtype]
    plain = tuple(math.prod(block.shape[i + 1 :]) for i in range(len(block.shape)))
    strides = None if block.strides == plain else block.strides
    entry = Entry(path, block.dtype, block.shape, start + offset, strides)
    if offset + entry.extent > room:
        raise _corrupt(path, f"{key} reaches beyond its record")
    return entry


def _corrupt(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path.name} is corrupt or cut short: {what}. Download it again.")
