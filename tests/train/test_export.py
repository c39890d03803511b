"""The model's file: smaller, nearly the same, and opened like any other."""

from pathlib import Path

import pytest
import torch

from sfumato.errors import WeightsError
from sfumato.nn.bert import TextTower
from sfumato.train import store
from sfumato.train.bundled import WORDS
from sfumato.train.export import export, pack
from sfumato.weights.detect import recognise
from sfumato.weights.entries import Entry
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model
from tests.train import tiny

pytestmark = pytest.mark.usefixtures("small_reader")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Parts as the trainings before leave them."""
    tiny.parts(tmp_path)
    return tmp_path


def entries(path: Path) -> dict[str, Entry]:
    return dict(open_weights(path).entries)


def test_the_file_opens_like_any_other_and_holds_what_was_trained(folder: Path) -> None:
    out = folder / "model.safetensors"
    made = export(folder, out, {"licence": "Apache-2.0"}, spec=tiny.SPEC)
    weights = open_weights(out)
    assert weights.metadata == {"model": "tiny", "licence": "Apache-2.0"}
    assert recognise(weights).require() == ("tiny", "sfumato")
    parts = load_model(weights, tiny.SPEC, tables("sfumato", tiny.SPEC), torch.float32)
    assert isinstance(parts.texts[0], TextTower)
    for name, module in (
        ("unet", parts.denoiser),
        ("vae", parts.vae),
        ("adapter", parts.texts[0].adapter),
    ):
        want, _ = store.read(folder / f"{name}.safetensors")
        got = module.state_dict()
        assert got.keys() == want.keys()
        for key, tensor in want.items():
            assert (got[key] - tensor).abs().max() <= tensor.abs().max() / 253 + 1e-4
    assert made.bytes == out.stat().st_size
    assert made.step is None


def test_the_file_says_with_which_words_it_was_trained(folder: Path) -> None:
    (folder / WORDS).write_text("dog\na\nred\n")
    out = folder / "model.safetensors"
    export(folder, out, {}, spec=tiny.SPEC)
    assert open_weights(out).metadata == {"model": "tiny", "words": "a dog red"}


def test_the_error_that_is_told_is_that_of_the_file(folder: Path) -> None:
    made = export(folder, folder / "a.safetensors", {}, spec=tiny.SPEC)
    assert 0 < made.mean_error < 0.02
    assert made.mean_error < made.largest_error < 0.2


def test_big_matrices_take_a_byte_an_element_and_ends_and_all_else_two() -> None:
    parts = {
        "unet.down.0.res.0.conv1.weight": torch.randn(64, 64, 3, 3),
        "unet.down.0.res.0.conv1.bias": torch.randn(5000),
        "unet.small.weight": torch.randn(63, 65),
        "unet.conv_in.weight": torch.randn(96, 64, 3, 3),
        "vae.encoder.middle.0.conv1.weight": torch.randn(64, 64, 3, 3),
        "vae.encoder.conv_in.weight": torch.randn(64, 64, 3, 3),
        "vae.encoder.quant.weight": torch.randn(64, 64, 1, 1),
        "vae.decoder.conv_out.weight": torch.randn(64, 64, 3, 3),
        "vae.decoder.quant.weight": torch.randn(64, 64, 1, 1),
        "text.bert.words.weight": torch.randn(200, 64),
        "text.adapter.pool.weight": torch.randn(200, 64),
    }
    kinds = {name: tensor.dtype for name, tensor in pack(parts).items()}
    packed = {"unet.down.0.res.0.conv1.weight", "text.bert.words.weight"}
    packed.add("vae.encoder.middle.0.conv1.weight")
    for name in parts:
        assert kinds.pop(name) == (torch.int8 if name in packed else torch.float16)
    assert kinds == {f"{name}.scale": torch.float32 for name in packed}


def test_in_the_middle_of_a_training_its_last_state_is_taken(folder: Path) -> None:
    unet, _ = store.read(folder / "unet.safetensors")
    adapter, _ = store.read(folder / "adapter.safetensors")
    state = {
        f"{kind}.{part}.{name}": tensor.clone()
        for kind in ("averaged", "weights")
        for part, tensors in (("unet", unet), ("adapter", adapter))
        for name, tensor in tensors.items()
    }
    state["averaged.unet.norm_out.weight"] = torch.full((16,), 7.0)
    state["weights.unet.norm_out.weight"] = torch.full((16,), 9.0)
    store.write(state, folder / "denoiser" / "state.safetensors", {"step": "41"})
    out = folder / "model.safetensors"
    assert export(folder, out, {}, spec=tiny.SPEC).step == 41
    weights = open_weights(out)
    parts = load_model(weights, tiny.SPEC, tables("sfumato", tiny.SPEC), torch.float32)
    assert torch.equal(parts.denoiser.norm_out.weight, torch.full((16,), 8.0))


@pytest.mark.parametrize("part", ["unet", "vae", "adapter"])
def test_a_part_that_is_missing_is_named(part: str, folder: Path) -> None:
    (folder / f"{part}.safetensors").unlink()
    with pytest.raises(WeightsError, match=rf"There is no .*{part}\.safetensors"):
        export(folder, folder / "model.safetensors", {}, spec=tiny.SPEC)
    assert not (folder / "model.safetensors").exists()


def test_values_that_are_no_numbers_are_refused_by_name() -> None:
    with pytest.raises(WeightsError, match=r"unet\.a holds values that are no numbers"):
        pack({"unet.a": torch.tensor([1.0, float("nan")])})


def test_values_too_large_for_float16_are_refused_by_name() -> None:
    with pytest.raises(WeightsError, match=r"vae\.a"):
        pack({"vae.a": torch.tensor([1.0, 1e6])})
