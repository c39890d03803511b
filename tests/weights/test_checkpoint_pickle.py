"""A .ckpt gives its tensors, runs nothing that is in it, and names the code that it holds."""

import io
import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import WeightsError
from sfumato.weights.files import open_weights
from sfumato.weights.reader import Reader


class Runs:
    """Pickles as a call: what an attacker writes into a checkpoint."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def archive(path: Path, program: bytes, **records: bytes) -> Path:
    """A file like torch.save's around any pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        for name, data in records.items():
            file.writestr(f"archive/{name}", data)
    return path


def saved(path: Path, thing: object) -> Path:
    torch.save(thing, path)
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(WeightsError, match=words) as caught:
        open_weights(path)
    assert len(str(caught.value).splitlines()) <= 3


def test_tensors_are_those_that_were_saved(tmp_path: Path) -> None:
    base = torch.arange(24.0).view(4, 6)
    state = OrderedDict(
        whole=base,
        row=base[2],
        turned=base.t(),
        every_other=base[:, ::2],
        half=base.half(),
        brain=base.bfloat16(),
        parameter=torch.nn.Parameter(torch.ones(3)),
        scalar=torch.tensor(5),
        none=torch.empty(0, 2),
        eight=torch.ones(3).to(torch.float8_e4m3fn),
    )
    weights, reader = open_weights(saved(tmp_path / "m.ckpt", state)), Reader()
    assert weights.form == "ckpt"
    assert list(weights.entries) == list(state)
    for key, tensor in state.items():
        read = reader.read(weights.entries[key])
        assert read.dtype == tensor.dtype
        assert read.is_contiguous()
        assert torch.equal(read.float(), tensor.detach().float())


def test_a_module_s_state_dict_is_read(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    entries = open_weights(saved(tmp_path / "m.pt", layer.state_dict())).entries
    assert torch.equal(Reader().read(entries["weight"]), layer.weight)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_nested_state_dict_is_found(tmp_path: Path, depth: int) -> None:
    thing: Any = {"w": torch.ones(2)}
    for _ in range(depth):
        thing = {"state_dict": thing, "epoch": 3, "tags": {"a"}}
    assert list(open_weights(saved(tmp_path / "m.ckpt", thing)).entries) == ["w"]


def test_what_training_left_beside_the_weights_is_passed_by(tmp_path: Path) -> None:
    # Stable Diffusion 1.4's own file names a callback of its trainer; others hold numpy numbers.
    program = pickle.dumps(
        {"state_dict": {}, "lr": np.float64(0.1), "array": np.arange(3)}, protocol=2
    )
    callback = b"cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n"
    inner = io.BytesIO()
    torch.save({"w": torch.ones(2)}, inner)
    with zipfile.ZipFile(inner) as file:
        program_of_weights = file.read("archive/data.pkl")
        data = file.read("archive/data/0")
    tensor_dict = program_of_weights.removeprefix(b"\x80\x02").removesuffix(b".")
    program = (
        b"\x80\x02}(" + b"X\x09\x00\x00\x00callbacks}" + callback + b"}s"
        + b"X\x06\x00\x00\x00others" + program.removeprefix(b"\x80\x02").removesuffix(b".")
        + b"X\x0a\x00\x00\x00state_dict" + tensor_dict + b"u."
    )  # fmt: skip
    path = tmp_path / "m.ckpt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/data/0", data)
    weights = open_weights(path)
    assert Reader().read(weights.entries["w"]).tolist() == [1, 1]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_code_is_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    program = pickle.dumps({"w": Runs(os.system, f"touch {mark}")}, protocol=protocol)
    refused(archive(tmp_path / "m.ckpt", program), rf"holds code.*: {os.system.__module__}\.system")
    assert not mark.exists()


def test_all_code_is_named(tmp_path: Path) -> None:
    calls = [Runs(eval, "1"), Runs(exec, "1"), Runs(getattr, 1, "real"), Runs(eval, "2")]
    program = pickle.dumps(calls, protocol=2)
    refused(archive(tmp_path / "m.ckpt", program), r"__builtin__\.eval, .*exec, .*getattr\.")


@pytest.mark.parametrize(
    "program",
    [
        b"(S'1'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'1'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x011\x85R.",  # STACK_GLOBAL
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\ncos\nsystem\nX\x01\x00\x00\x001\x85R\x85R.",
    ],
)
def test_every_way_to_call_is_closed(tmp_path: Path, program: bytes) -> None:
    pickletools.dis(program, out=io.StringIO())
    refused(archive(tmp_path / "m.ckpt", program), r"holds code.*os\.system")


def test_a_module_of_the_machine_cannot_be_reached_through_torch(tmp_path: Path) -> None:
    program = b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93."
    refused(archive(tmp_path / "m.ckpt", program), r"torch\.os\.system")


def test_a_whole_pickled_network_is_refused_by_its_class(tmp_path: Path) -> None:
    refused(saved(tmp_path / "m.pt", torch.nn.Linear(2, 2)), r"torch\.nn\.modules\.linear\.Linear")


def test_a_torchscript_program_is_named(tmp_path: Path) -> None:
    program = pickle.dumps({}, protocol=2)
    refused(archive(tmp_path / "m.pt", program, **{"constants.pkl": b""}), "TorchScript program")


def test_a_zip_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    refused(path, r"zip archive, but not a checkpoint")


def test_a_checkpoint_without_tensors_tells_what_it_holds(tmp_path: Path) -> None:
    refused(saved(tmp_path / "m.ckpt", {"epoch": 1, "lr": 0.1}), "found: epoch, lr")
    refused(saved(tmp_path / "n.ckpt", [1, 2]), "found: list")


def test_a_truncated_checkpoint_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.ckpt", {"w": torch.ones(1000)})
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    refused(path, "corrupt or cut short")


def test_a_checkpoint_with_a_record_missing_is_told(tmp_path: Path) -> None:
    inner = io.BytesIO()
    torch.save({"w": torch.ones(2)}, inner)
    with zipfile.ZipFile(inner) as file:
        program = file.read("archive/data.pkl")
    refused(archive(tmp_path / "m.ckpt", program), "the bytes of w are missing")
    refused(archive(tmp_path / "m.ckpt", program, **{"data/0": b"1234"}), "beyond its record")


def test_a_checkpoint_of_the_other_byte_order_is_told(tmp_path: Path) -> None:
    program = pickle.dumps({}, protocol=2)
    refused(archive(tmp_path / "m.ckpt", program, byteorder=b"big"), "other byte order")


def test_a_compressed_record_is_told(tmp_path: Path) -> None:
    inner = io.BytesIO()
    torch.save({"w": torch.ones(2)}, inner)
    path = tmp_path / "m.ckpt"
    with zipfile.ZipFile(inner) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    refused(path, "not stored plainly")


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02N" + b"r" + struct.pack("<I", 2**31) + b".",  # memo number: 32 GB of room
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",  # bytes of 1 TB
        b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"1.",  # a whole number of 1 GB
    ],
)
def test_a_pickle_cannot_claim_memory(tmp_path: Path, program: bytes) -> None:
    refused(archive(tmp_path / "m.ckpt", program), "index cannot be read")


def test_a_dict_that_holds_itself_ends(tmp_path: Path) -> None:
    loop: dict[str, Any] = {}
    loop["state_dict"] = loop
    refused(archive(tmp_path / "m.ckpt", pickle.dumps(loop, protocol=2)), "found: state_dict")


def test_methods_put_over_those_of_a_dict_are_not_asked(tmp_path: Path) -> None:
    class Dressed(dict[str, Any]):
        def __reduce__(self) -> Any:
            return OrderedDict, (), {"items": 1, "get": 2, "keys": 3}, None, iter(self.items())

    state = Dressed(w=torch.ones(2))
    assert list(open_weights(saved(tmp_path / "m.ckpt", state)).entries) == ["w"]


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"
FOUR = b"(K\x04t(K\x01t"  # a shape of (4,), strides of (1,)
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00" + FOUR + b"\x89NtR"


@pytest.mark.parametrize(
    "change",
    [
        b"(" + STORAGE + text("float32") + b"J\x9c\xff\xff\xff" + FOUR + b"tb",  # starts before
        b"(" + STORAGE + text("float32") + b"K\x00" + text("abc") + b"(K\x01ttb",  # no shape
        b"(" + STORAGE + text("evil") + b"K\x00" + FOUR + b"tb",  # no type
        b"(" + text("x") + text("float32") + b"K\x00" + FOUR + b"tb",  # no storage
        b"}" + text("offset") + b"K\x07sb",
        b"N}" + text("offset") + b"K\x07s\x86b",
    ],
)
def test_what_was_checked_of_a_tensor_cannot_be_changed_afterwards(
    tmp_path: Path, change: bytes
) -> None:
    whole = b"\x80\x02}" + text("w") + TENSOR
    path = archive(tmp_path / "good.ckpt", whole + b"s.", **{"data/0": bytes(16)})
    assert open_weights(path).entries["w"].shape == (4,)
    path = archive(tmp_path / "m.ckpt", whole + change + b"s.", **{"data/0": bytes(16)})
    refused(path, "index cannot be read")


def test_a_byte_order_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        file.writestr("archive/byteorder", b"little" + bytes(2**20))
    refused(path, "other byte order")


@settings(max_examples=100, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_checkpoint_never_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.ckpt"
    torch.save({"state_dict": {"a": torch.ones(5), "b": torch.ones(2, 3).t()}}, path)
    data = bytearray(path.read_bytes())
    for place, value in edits:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        weights = open_weights(path)
    except WeightsError:
        return
    assert all(e.offset + e.extent <= len(data) for e in weights.entries.values())


@settings(max_examples=100, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_pickle_never_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]]
) -> None:
    inner = io.BytesIO()
    torch.save({"state_dict": {"a": torch.ones(5), "b": torch.ones(2, 3).t()}}, inner)
    with zipfile.ZipFile(inner) as file:
        program = bytearray(file.read("archive/data.pkl"))
    for place, value in edits:
        program[place % len(program)] = value
    path = archive(tmp_path_factory.getbasetemp() / "damaged.ckpt", bytes(program))
    with pytest.raises(WeightsError):  # the archive lacks the records
        open_weights(path)
