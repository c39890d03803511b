"""A model file is opened for what it holds, and anything else is refused with what it is."""

import json
import os
import re
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sfumato.errors import WeightsError
from sfumato.weights.files import open_weights
from sfumato.weights.reader import Reader

TENSORS = {
    "a.weight": torch.arange(12.0).view(3, 4),
    "b": torch.tensor([1.5, -2.5], dtype=torch.float16),
    "c": torch.ones(2, 2, dtype=torch.bfloat16),
    "scalar": torch.tensor(7),
    "none": torch.empty(0, 3),
    "flags": torch.tensor([True, False]),
    "small": torch.tensor([-128, 127], dtype=torch.int8),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path, metadata={"note": "hello"})
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(WeightsError, match=words) as caught:
        open_weights(path)
    assert len(str(caught.value).splitlines()) <= 3


def with_header(path: Path, header: object, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_tensors_are_those_that_were_saved(model: Path) -> None:
    weights, reader = open_weights(model), Reader()
    assert weights.form == "safetensors"
    assert weights.metadata == {"note": "hello"}
    assert set(weights.entries) == set(TENSORS)
    for key, tensor in TENSORS.items():
        read = reader.read(weights.entries[key])
        assert read.dtype == tensor.dtype
        assert torch.equal(read, tensor)


def test_a_tensor_in_another_precision_is_the_rounded_one(model: Path) -> None:
    entry = open_weights(model).entries["a.weight"]
    assert torch.equal(Reader().read(entry, torch.bfloat16), TENSORS["a.weight"].bfloat16())


def test_writing_to_a_read_tensor_leaves_the_file_as_it_was(model: Path) -> None:
    before = model.read_bytes()
    Reader().read(open_weights(model).entries["a.weight"]).zero_()
    assert model.read_bytes() == before


def test_a_file_is_taken_for_what_it_is_not_for_its_name(model: Path) -> None:
    assert open_weights(model.rename(model.with_name("model.ckpt"))).form == "safetensors"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", r"No model file at .*none\.safetensors")


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.touch()
    refused(path, "is empty")


def test_a_truncated_file_is_told_with_both_sizes(model: Path) -> None:
    size = model.stat().st_size
    with model.open("r+b") as file:
        file.truncate(size - 10)
    refused(model, f"cut short: its header describes {size:,} bytes, the file has {size - 10:,}")


def test_a_file_cut_within_its_header_is_told(model: Path) -> None:
    with model.open("r+b") as file:
        file.truncate(40)
    refused(model, "cut short")


def test_a_header_that_claims_a_hundred_gigabytes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 100_000_000_000) + b"{" + b" " * 100)
    refused(path, "claims 100,000,000,000 bytes")


def test_a_tensor_that_claims_more_than_the_file_is_told(tmp_path: Path) -> None:
    row = {"dtype": "F32", "shape": [10**11], "data_offsets": [0, 4 * 10**11]}
    refused(with_header(tmp_path / "m.safetensors", {"a": row}), "cut short")


@pytest.mark.parametrize(
    "header",
    [
        [1, 2],
        {"a": 3},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4]}},
        {"__metadata__": 5},
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        },
    ],
)
def test_a_header_that_contradicts_itself_is_corrupt(tmp_path: Path, header: object) -> None:
    path = with_header(tmp_path / "m.safetensors", header, bytes(8))
    with pytest.raises(WeightsError, match=r"is corrupt|not a model file"):
        open_weights(path)


def test_a_header_that_is_not_json_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 20) + b"{" + b"\xff" * 19)
    refused(path, "header is not JSON")


@pytest.mark.parametrize("kind", ["F4", 5, None, ["F32"], {"F32": 1}])
def test_an_unknown_number_type_is_told(tmp_path: Path, kind: object) -> None:
    row = {"dtype": kind, "shape": [1], "data_offsets": [0, 1]}
    told = re.escape(f"a is of type {kind!r}")
    refused(with_header(tmp_path / "m.safetensors", {"a": row}, b"x"), told)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "is a JPEG picture"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"GGUF" + bytes(40), "GGUF"),
        ("Dear diary, it rained in Köln today.\n".encode(), "is a text file"),
        (bytes(range(1, 32)), "is not a model file"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "torch before 1.6"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, head: bytes, words: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(head)
    refused(path, words)


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=80))
def test_no_bytes_whatever_end_in_another_error(tmp_path_factory: object, data: bytes) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        open_weights(path)


@settings(max_examples=80, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_header_is_refused_or_describes_the_same_bytes(
    tmp_path_factory: object, place: int, value: int
) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    save_file(TENSORS, path)
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)
    try:
        weights = open_weights(path)
    except WeightsError:
        return
    assert all(entry.offset + entry.extent <= len(data) for entry in weights.entries.values())


def test_a_path_that_cannot_be_read_is_told_with_the_reason(model: Path) -> None:
    refused(model / "part.safetensors", "cannot be read: Not a directory")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    refused(tmp_path / "pipe.safetensors", "is not a regular file")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b'{"a": FIRST, "b": THIRD}', "4 bytes before b belong to no tensor"),
        (b'{"a": SECOND}', "4 bytes before a belong to no tensor"),
        (b'{"a": FIRST}', "8 bytes at its end belong to no tensor"),
        (b'{"a": FIRST, "b": SECOND, "a": THIRD}', "4 bytes before b belong to no tensor"),
    ],
)
def test_bytes_that_no_tensor_owns_are_told(tmp_path: Path, header: bytes, words: str) -> None:
    for n, place in enumerate((b"FIRST", b"SECOND", b"THIRD")):
        row = {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]}
        header = header.replace(place, json.dumps(row).encode())
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    refused(path, words)


# ---- folders --------------------------------------------------------------------------------


def test_a_folder_without_a_model_is_told_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path, "folder without a model; it holds notes.txt")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    refused(tmp_path, "it holds nothing")


def test_a_folder_of_single_files_asks_for_one_of_them(model: Path) -> None:
    refused(model.rename(model.with_name("fox.safetensors")).parent, "Name one of them: fox")


def test_a_diffusers_folder_leads_keys_by_their_part(tmp_path: Path) -> None:
    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        (tmp_path / part).mkdir()
        save_file({"w": torch.ones(2)}, tmp_path / part / f"{name}.safetensors")
    (tmp_path / "model_index.json").write_text("{}")
    weights = open_weights(tmp_path)
    assert list(weights.entries) == ["unet/w", "text_encoder/w"]
    assert weights.metadata == {"model_index.json": "{}"}


def test_the_full_precision_is_taken_where_a_folder_holds_two(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    for variant, dtype in (("", torch.float32), (".fp16", torch.float16)):
        file = tmp_path / "vae" / f"diffusion_pytorch_model{variant}.safetensors"
        save_file({"w": torch.ones(2, dtype=dtype)}, file)
    assert open_weights(tmp_path).entries["vae/w"].dtype == "float32"


def test_one_part_of_a_folder_keeps_its_own_keys(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "diffusion_pytorch_model.safetensors")
    assert list(open_weights(tmp_path).entries) == ["w"]


def sharded(folder: Path, places: dict[str, str]) -> Path:
    (folder / "unet").mkdir()
    stem = "diffusion_pytorch_model"
    for n, key in enumerate("ab", start=1):
        save_file({key: torch.full((2,), n)}, folder / "unet" / f"{stem}-{n}.safetensors")
    index = folder / "unet" / f"{stem}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    return folder


def test_the_pieces_of_a_large_part_are_found_by_its_index(tmp_path: Path) -> None:
    places = {key: f"diffusion_pytorch_model-{n}.safetensors" for n, key in ((1, "a"), (2, "b"))}
    entries = open_weights(sharded(tmp_path, places)).entries
    assert Reader().read(entries["unet/b"]).tolist() == [2, 2]


def test_a_tensor_that_the_index_forgets_is_not_lost(tmp_path: Path) -> None:
    folder = sharded(tmp_path, {"a": "diffusion_pytorch_model-1.safetensors"})
    stem = folder / "unet" / "diffusion_pytorch_model"
    save_file({"a": torch.ones(2), "left": torch.ones(2)}, f"{stem}-1.safetensors")
    assert list(open_weights(folder).entries) == ["unet/a", "unet/left"]


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"c": "diffusion_pytorch_model-1.safetensors"}, "do not hold, c first"),
        ({"a": "../secret.safetensors"}, "points out of its folder"),
        ({"a": ".."}, "points out of its folder"),
        ({"a": ""}, "points out of its folder"),
        ({"a": "a\0b"}, "points out of its folder"),
        ({"a": "gone.safetensors"}, "No model file"),
        ({}, "no weight_map"),
    ],
)
def test_an_index_that_does_not_fit_its_files_is_refused(
    tmp_path: Path, places: dict[str, str], words: str
) -> None:
    refused(sharded(tmp_path, places), words)
