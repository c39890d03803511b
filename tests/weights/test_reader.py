"""Tensors are views of the mapped file where they can be, and right where they cannot."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from sfumato.weights.entries import Entry
from sfumato.weights.files import open_weights
from sfumato.weights.reader import Reader


def test_a_tensor_that_needs_no_change_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    save_file({"w": torch.arange(6.0)}, tmp_path / "m.safetensors")
    entry, reader = open_weights(tmp_path / "m.safetensors").entries["w"], Reader()
    first, second = reader.read(entry), reader.read(entry, torch.float32)
    assert first.data_ptr() == second.data_ptr()
    assert reader.read(entry, torch.float16).data_ptr() != first.data_ptr()


def test_a_tensor_outlives_its_reader_and_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"w": torch.arange(6.0)}, path)
    tensor = Reader().read(open_weights(path).entries["w"])
    path.unlink()
    assert tensor.tolist() == [0, 1, 2, 3, 4, 5]


def test_pages_given_back_are_read_again(tmp_path: Path) -> None:
    weight = torch.randn(3000)
    save_file({"a": weight, "b": weight + 1}, tmp_path / "m.safetensors")
    entries, reader = open_weights(tmp_path / "m.safetensors").entries, Reader()
    view = reader.read(entries["a"])
    for _ in range(2):
        reader.read(entries["a"], torch.float16)
        reader.read(entries["b"], torch.float16)
    assert torch.equal(view, weight)


def test_numbers_at_an_odd_byte_are_read(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    values = torch.tensor([1.5, -2.0, 3.25])
    path.write_bytes(b"x" + values.numpy().tobytes())
    assert Reader().read(Entry(path, "float32", (3,), 1)).tolist() == values.tolist()


def test_numbers_with_gaps_between_them_are_read(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(torch.arange(12.0).numpy().tobytes())
    entry = Entry(path, "float32", (2, 3), 4, strides=(1, 4))
    assert entry.extent == 4 * (1 + 1 + 2 * 4)
    expected = torch.arange(12.0).as_strided((2, 3), (1, 4), 1)
    assert torch.equal(Reader().read(entry), expected)
