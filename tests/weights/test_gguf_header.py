"""GGUF files are read as the `gguf` package writes them, strictly, and quantised tensors undone."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, dequantize, quantize

from sfumato.errors import WeightsError
from sfumato.nn.mmdit import MMDiT
from sfumato.spec import MMDiTConfig
from sfumato.weights.files import open_weights
from sfumato.weights.gguf_header import PACKINGS, packing_of
from sfumato.weights.layouts.transformers import mmdit
from sfumato.weights.load import load_part
from sfumato.weights.reader import Reader

WRITABLE = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape, dtype=np.float32)


def written(path: Path, tensors: dict[str, np.ndarray], kind: str = "F32") -> Path:
    """A file of the package's own making; matrices in `kind`, vectors in float32."""
    writer = GGUFWriter(path, "flux")
    writer.add_array("some.list", [1, 2, 3])
    writer.add_string("some.text", "words")
    for name, tensor in tensors.items():
        packing = GGMLQuantizationType[kind if tensor.ndim > 1 else "F32"]
        writer.add_tensor(name, quantize(tensor, packing), raw_dtype=packing)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", *WRITABLE])
def test_tensors_are_those_that_were_written(kind: str, tmp_path: Path) -> None:
    tensors = {"a.weight": values(6, 64), "a.bias": values(6)}
    weights = open_weights(written(tmp_path / "model.gguf", tensors, kind))
    assert weights.form == "gguf"
    assert weights.metadata["general.architecture"] == "flux"
    assert weights.metadata["some.text"] == "words"
    for name, tensor in tensors.items():
        packing = GGMLQuantizationType[kind if tensor.ndim > 1 else "F32"]
        expected = dequantize(quantize(tensor, packing), packing)
        assert weights.entries[name].shape == tensor.shape
        found = Reader().read(weights.entries[name], torch.float32)
        assert np.array_equal(found.numpy(), expected.reshape(tensor.shape))
    assert weights.entries["a.weight"].dtype == {
        "F32": "float32", "F16": "float16", "BF16": "bfloat16"
    }.get(kind, kind.lower())  # fmt: skip


@pytest.mark.parametrize("name", PACKINGS)
def test_each_packing_named_here_is_undone(name: str, tmp_path: Path) -> None:
    kind = GGMLQuantizationType[name]
    packing = packing_of(kind.value)
    assert packing is not None
    raw = np.random.default_rng(0).integers(0, 60, 3 * packing.width, dtype=np.uint8)
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "flux")
    writer.add_tensor("w", raw.reshape(3, packing.width), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (entry,) = open_weights(path).entries.values()
    assert entry.shape == (3, packing.block)
    with np.errstate(all="ignore"):
        found = Reader().read(entry).numpy()
        assert np.array_equal(found.ravel(), dequantize(raw, kind).ravel(), equal_nan=True)


def test_a_shape_that_a_converter_put_aside_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "sd1")
    writer.add_array("comfy.gguf.orig_shape.conv.weight", [4, 2, 3, 3])
    writer.add_tensor("conv.weight", values(4, 18))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (entry,) = open_weights(path).entries.values()
    assert entry.shape == (4, 2, 3, 3)
    assert np.array_equal(Reader().read(entry).numpy().reshape(4, 18), values(4, 18))


def test_a_quantised_network_computes_nearly_the_same(tmp_path: Path) -> None:
    config = MMDiTConfig(
        in_channels=4, out_channels=4, width=64, depth=2, heads=2, context=64, pooled=32,
        positions=8,
    )  # fmt: skip
    torch.manual_seed(0)
    network = MMDiT(config).eval()
    with torch.no_grad():
        network.positions.normal_(std=0.1)
    table = mmdit(config, ("",))
    state = {table.usual(n): t.numpy() for n, t in network.state_dict().items()}
    flat = {key: t.reshape(len(t), -1) if t.ndim == 4 else t for key, t in state.items()}
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "sd3")
    for key, tensor in flat.items():
        fits = tensor.ndim == 2 and tensor.shape[-1] % 32 == 0
        packing = GGMLQuantizationType.Q8_0 if fits else GGMLQuantizationType.F32
        writer.add_tensor(key, quantize(tensor, packing), raw_dtype=packing)
        if state[key].ndim == 4:
            writer.add_array(f"comfy.gguf.orig_shape.{key}", list(state[key].shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    loaded = load_part(MMDiT, config, open_weights(path), table, torch.float32)
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, 8, 8, generator=draw)
    context = torch.randn(1, 5, 64, generator=draw)
    pooled = torch.randn(1, 32, generator=draw)
    time = torch.tensor([500.0])
    with torch.no_grad():
        exact = network(x, time, context, pooled)
        off = loaded(x, time, context, pooled) - exact
    assert 0 < float(off.square().mean() / exact.square().mean()) ** 0.5 < 0.02


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    path = written(tmp_path / "sound.gguf", {"a": values(4, 32), "b": values(5)}, "Q8_0")
    return path.read_bytes()


def test_a_file_cut_anywhere_is_told(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    end = sound.rindex(values(5).tobytes()) + 20  # the last tensor's; behind it is padding
    for length in (*range(4, 200, 7), end - 1, end - 60):
        path.write_bytes(sound[:length])
        with pytest.raises(WeightsError, match=r"cut short|corrupt"):
            open_weights(path)


def test_every_flipped_byte_of_the_header_is_refused_or_harmless(
    sound: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "flipped.gguf"
    start = sound.index(values(5).tobytes())
    for i in range(4, min(start, 320)):
        path.write_bytes(sound[:i] + bytes([sound[i] ^ 0xFF]) + sound[i + 1 :])
        try:
            for entry in open_weights(path).entries.values():
                Reader().read(entry)
        except WeightsError:
            continue


@pytest.mark.parametrize(
    ("at", "value", "match"),
    [
        (4, struct.pack("<I", 9), "version 9"),
        (8, struct.pack("<Q", 2**40), "claims"),
        (16, struct.pack("<Q", 2**40), "claims"),
        (24, struct.pack("<Q", 2**40), "claims"),
    ],
)
def test_a_header_that_claims_too_much_costs_nothing(
    at: int, value: bytes, match: str, sound: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "claims.gguf"
    path.write_bytes(sound[:at] + value + sound[at + len(value) :])
    with pytest.raises(WeightsError, match=match):
        open_weights(path)


def test_a_packing_that_is_not_known_is_named(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    where = sound.index(struct.pack("<QQI", 32, 4, 8)) + 16
    path.write_bytes(sound[:where] + struct.pack("<I", 9) + sound[where + 4 :])
    with pytest.raises(WeightsError, match=r"type 9.*another quantisation"):
        open_weights(path)
