"""Model files that cannot be used are refused in a line or two, and no picture is begun."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from sfumato.cli import main
from tests.cli.conftest import Answer


class Runs:
    """Pickles as a call of `os.system`: what an attacker writes into a checkpoint."""

    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


def nothing(path: Path) -> None:
    """No file at all."""


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("<!doctype html><title>Please log in</title>")


def cut(path: Path) -> None:
    save_file({"a": np.ones((64, 64), np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-100])


def corrupt(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 40) + b"{" * 40 + bytes(100))


def boastful(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")


def stranger(path: Path) -> None:
    save_file({"encoder.weight": np.ones((4, 4), np.float32)}, path)


def lora(path: Path) -> None:
    save_file({"lora_unet_x.lora_down.weight": np.ones((4, 4), np.float32)}, path)


def sdxl(path: Path) -> None:
    first = "model.diffusion_model."
    save_file(
        {
            f"{first}input_blocks.0.0.weight": np.ones((4, 4, 3, 3), np.float16),
            f"{first}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": np.ones(
                (4, 2048), np.float16
            ),
            f"{first}label_emb.0.0.weight": np.ones((4, 2816), np.float16),
        },
        path,
    )


def code(path: Path) -> None:
    torch.save({"state_dict": Runs()}, path)


BAD: tuple[tuple[Callable[[Path], None], str, str], ...] = (
    (nothing, "fox.safetensors", "No model file at fox.safetensors"),
    (empty, "fox.safetensors", "fox.safetensors"),
    (text, "fox.safetensors", "fox.safetensors is a"),
    (cut, "fox.safetensors", "cut short"),
    (corrupt, "fox.safetensors", "fox.safetensors"),
    (boastful, "fox.safetensors", "fox.safetensors"),
    (stranger, "fox.safetensors", "fox.safetensors is of a kind unknown here"),
    (lora, "fox.safetensors", "a LoRA"),
    (sdxl, "fox.safetensors", "Stable Diffusion XL"),
    (text, "fox.ckpt", "fox.ckpt is a"),
    (code, "fox.ckpt", "system"),
)


@pytest.mark.parametrize(("make", "name", "expected"), BAD, ids=lambda v: getattr(v, "__name__", v))
def test_a_bad_model_file_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    name: str,
    expected: str,
):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    for _ in range(2):  # the second time nothing may be remembered wrongly
        status = main(["generate", "fox", "--model", name, "--device", "cpu"])
        captured = capsys.readouterr()
        assert expected in Answer(status, captured.out, captured.err).refused()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model", "mimi"], "no model 'mimi'. Did you mean mini"),
        (["--model", "sd15"], "Give the path of its file or folder"),
        (["--device", "gpu"], "no device 'gpu'"),
        (["--precision", "fp8"], "no precision 'fp8'"),
    ],
)
def test_an_unknown_model_or_machine_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
):
    monkeypatch.chdir(tmp_path)
    status = main(["generate", "fox", *words])
    captured = capsys.readouterr()
    assert expected in Answer(status, captured.out, captured.err).refused()
    assert list(tmp_path.iterdir()) == []
