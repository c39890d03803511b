"""A file's sha256 is that of its bytes, is remembered, and is not remembered too long."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import WeightsError
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest, remembered, sha256


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"one")
    return path


def of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_hash_is_that_of_the_bytes(file: Path) -> None:
    assert sha256(file) == of(b"one")


def test_a_known_file_is_not_read_again(file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "hashes.json"
    sha256(file, cache)
    state = file.stat()
    file.write_bytes(b"two")  # same size, and the time is put back
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert sha256(file, cache) == of(b"one")


def test_a_changed_file_is_read_again(file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    sha256(file, cache)
    file.write_bytes(b"other")
    assert sha256(file, cache) == of(b"other")


def test_files_are_remembered_side_by_side(file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    second = tmp_path / "second"
    second.write_bytes(b"two")
    assert [sha256(p, cache) for p in (file, second, file)] == [of(b"one"), of(b"two"), of(b"one")]
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "\xff"])
def test_a_damaged_cache_is_written_anew(file: Path, tmp_path: Path, text: str) -> None:
    cache = tmp_path / "hashes.json"
    cache.write_bytes(text.encode("latin-1"))
    assert sha256(file, cache) == of(b"one")
    assert of(b"one") in cache.read_text()


def test_a_cache_that_cannot_be_written_only_costs_time(file: Path) -> None:
    assert sha256(file, file / "cache.json") == of(b"one")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        sha256(tmp_path / "none")


def test_a_file_that_changes_while_it_is_read_has_no_hash_and_none_is_remembered(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hashlib.file_digest

    def meanwhile(opened: Any, kind: str) -> Any:
        file.write_bytes(b"longer")
        return whole(opened, kind)

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", meanwhile)
        with pytest.raises(WeightsError, match="changed while it was read"):
            sha256(file, tmp_path / "hashes.json")
    assert remembered(file, tmp_path / "hashes.json") is None
    assert sha256(file, tmp_path / "hashes.json") == of(b"longer")


def test_a_folder_is_remembered_as_a_whole_until_one_of_its_files_changes(tmp_path: Path) -> None:
    cache, model = tmp_path / "hashes.json", tmp_path / "model"
    for part in ("unet", "vae"):
        (model / part).mkdir(parents=True)
        save_file({"w": torch.ones(2)}, model / part / "diffusion_pytorch_model.safetensors")
    found = digest(open_weights(model), cache)
    assert remembered(model, cache) == found
    save_file({"w": torch.zeros(3)}, model / "vae" / "diffusion_pytorch_model.safetensors")
    assert remembered(model, cache) is None


def test_a_full_disk_leaves_no_half_cache_behind(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(rows: object, opened: Any, indent: int) -> None:
        opened.write("{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    cache = tmp_path / "cache" / "hashes.json"
    assert sha256(file, cache) == of(b"one")
    assert list(cache.parent.iterdir()) == []


def test_a_folder_s_digest_changes_with_any_of_its_files(tmp_path: Path) -> None:
    for part in ("unet", "vae"):
        (tmp_path / part).mkdir()
        save_file({"w": torch.ones(2)}, tmp_path / part / "diffusion_pytorch_model.safetensors")
    before = digest(open_weights(tmp_path))
    assert before == digest(open_weights(tmp_path))
    save_file({"w": torch.zeros(2)}, tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    assert digest(open_weights(tmp_path)) != before
