"""The door for model files: whatever lies at a path is opened without reading it, or refused.

A file is taken for what its bytes say, not for what its name ends in.
"""

import json
from codecs import getincrementaldecoder
from pathlib import Path
from typing import BinaryIO, cast

from sfumato.errors import WeightsError
from sfumato.weights import checkpoint_pickle, gguf_header, safetensors_header
from sfumato.weights.entries import EXPECTED, Entry, Weights

__all__ = ["Entry", "Weights", "open_weights"]

# How files begin that people hand over by mistake.
STRANGERS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"RIFF", "a WebP picture, or sound"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7-zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the model itself; run `git lfs pull`"),
    (b"<!DOCTYPE", "a web page, not the model itself; download the file behind it"),
    (b"<!doctype", "a web page, not the model itself; download the file behind it"),
    (b"<html", "a web page, not the model itself; download the file behind it"),
)


def open_weights(path: Path) -> Weights:
    """The tensors of a model file (.safetensors, .ckpt, .pt, .bin, .gguf) or of a diffusers folder.

    Reads headers only. Raises WeightsError, which says what lies there instead, for anything else.
    """
    try:
        if path.is_dir():
            return _open_folder(path)
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} is not a regular file. {EXPECTED}")
        with path.open("rb") as file:
            return _open_file(path, file, path.stat().st_size)
    except FileNotFoundError as error:
        raise WeightsError(f"No model file at {path}. {EXPECTED}") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}. {EXPECTED}") from error


def _open_file(path: Path, file: BinaryIO, size: int) -> Weights:
    head = file.read(64)
    if size == 0:
        raise WeightsError(f"{path.name} is empty. Download it again.")
    if head.startswith(b"PK\x03\x04"):
        return checkpoint_pickle.read(path, file, size)
    if head.startswith(gguf_header.MAGIC):
        return gguf_header.read(path, file, size)
    for mark, what in STRANGERS:
        if head.startswith(mark):
            raise WeightsError(f"{path.name} is {what}. {EXPECTED}")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        raise WeightsError(
            f"{path.name} is a pickle in the form of torch before 1.6, which is not opened here.\n"
            f"  Where you trust it, load it once with torch.load(..., weights_only=True) and save "
            f"it as .safetensors."
        )
    # A header's length, then its opening brace; a long length means a file that claims too much.
    if size > 8 and head[8:9] == b"{":
        return safetensors_header.read(path, file, size)
    if path.suffix == ".safetensors" and (size <= 8 or not _is_text(head)):
        raise WeightsError(
            f"{path.name} is corrupt: it does not begin with a safetensors header. "
            f"Download it again."
        )
    what = "a text file" if _is_text(head) else "not a model file"
    raise WeightsError(f"{path.name} is {what}. {EXPECTED}")


def _is_text(head: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


# ---- folders --------------------------------------------------------------------------------

PARTS = (
    "unet",
    "transformer",
    "vae",
    "text",
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
)
SETTINGS = ("model_index.json", "scheduler/scheduler_config.json")
SETTINGS_LIMIT = 2**20

# The names that diffusers and transformers give a part's file, the full precision first.
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
VARIANTS = ("", ".fp16", ".bf16")


def _open_folder(path: Path) -> Weights:
    """A diffusers folder, one part of such a folder, or a folder with a .safetensors for each part.

    Keys of a whole model are led by their part; those of one part alone are as in its file.
    """
    parts = {part: file for part in PARTS if (file := _part_file(path, part)) is not None}
    entries: dict[str, Entry] = {}
    texts: dict[str, str] = {}
    for part, file in parts.items():
        opened = _open_part(file)
        entries |= {f"{part}/{key}": entry for key, entry in opened.entries.items()}
        texts |= {f"{part}/{key}": text for key, text in opened.metadata.items()}
    if not parts:
        alone = _weights_in(path)
        if alone is None:
            raise _no_model(path)
        entries |= _open_part(alone).entries
    names = (*SETTINGS, *(f"{part}/config.json" for part in parts), "config.json")
    texts |= {name: text for name in names if (text := _settings(path / name)) is not None}
    return Weights(path, "folder", entries, texts)


def _part_file(path: Path, part: str) -> Path | None:
    file = path / f"{part}.safetensors"
    return file if file.is_file() else _weights_in(path / part)


def _weights_in(folder: Path) -> Path | None:
    """The file, or the index of the files, in which a part's weights lie."""
    names = (
        name
        for ending in ("safetensors", "bin")
        for variant in VARIANTS
        for stem in STEMS
        for name in (
            f"{stem}{variant}.{ending}",
            f"{stem}.{ending}.index{variant}.json",
            f"{stem}{variant}.{ending}.index.json",
        )
    )
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _open_part(file: Path) -> Weights:
    """A part's file, or its several files by their index."""
    if file.suffix != ".json":
        return open_weights(file)
    places = _weight_map(file)
    shards = {
        name: open_weights(file.with_name(name)).entries for name in sorted(set(places.values()))
    }
    lost = [key for key, name in places.items() if key not in shards[name]]
    if lost:
        raise WeightsError(
            f"{file.name} names {len(lost)} tensors that its files do not hold, {lost[0]} first. "
            f"Download the folder again."
        )
    # What the index does not name is kept too: loading tells of every tensor that has no place.
    entries = {key: entry for shard in shards.values() for key, entry in shard.items()}
    entries |= {key: shards[name][key] for key, name in places.items()}
    return Weights(file, "folder", entries, {})


def _weight_map(file: Path) -> dict[str, str]:
    """Which tensor lies in which file, as an index of shards says."""
    try:
        index: object = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{file.name} is not JSON. Download the folder again.") from error
    found = cast(dict[str, object], index).get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict) or not found:
        raise WeightsError(f"{file.name} has no weight_map. Download the folder again.")
    places = {str(k): str(v) for k, v in cast(dict[str, object], found).items()}
    for name in places.values():
        if Path(name).name != name or name in ("", "..") or "\0" in name:
            raise WeightsError(f"{file.name} points out of its folder, to {name!r}. Do not use it.")
    return places


def _settings(file: Path) -> str | None:
    if not file.is_file() or file.stat().st_size > SETTINGS_LIMIT:
        return None
    return file.read_text("utf-8", errors="replace")


def _no_model(path: Path) -> WeightsError:
    names = sorted(item.name for item in path.iterdir())
    models = [name for name in names if name.endswith((".safetensors", ".ckpt"))]
    if models:
        return WeightsError(
            f"{path} is a folder with {len(models)} model files and no diffusers layout. "
            f"Name one of them: {', '.join(models[:5])}."
        )
    shown = ", ".join(names[:5]) or "nothing"
    return WeightsError(f"{path} is a folder without a model; it holds {shown}. {EXPECTED}")
