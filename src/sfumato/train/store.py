"""Tensors on disk: a file is read and written whole or not at all, with a few words inside."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sfumato.errors import OutputError, WeightsError
from sfumato.images.files import write as write_bytes

__all__ = ["append", "read", "write"]


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a .safetensors file by name, on the CPU, and the words in its header.

    The file may be replaced meanwhile, as a training does: what is read is one or the other.
    Raises WeightsError if it is missing or damaged.
    """
    try:
        data = path.read_bytes()
        tensors = load(data)
    except FileNotFoundError as error:
        raise WeightsError(f"There is no {path}; was the training before it finished?") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged ({error}); remove it and make it again.") from error
    end = 8 + int.from_bytes(data[:8], "little")
    header = cast(dict[str, dict[str, str]], json.loads(data[8:end]))
    return tensors, header.get("__metadata__", {})


def write(tensors: Mapping[str, Tensor], path: Path, words: Mapping[str, str] | None = None) -> int:
    """Writes a .safetensors file beside, then renames it; returns its bytes. OutputError if not."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save(plain, None if words is None else dict(words))
    write_bytes(data, path)
    return len(data)


def append(line: str, path: Path) -> None:
    """Adds a line to a text file, in a folder that is made if need be. OutputError if it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}."
        ) from error
