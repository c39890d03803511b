"""A model of one's own is trained to a file, goes on to the bit, and never on other pictures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.errors import OutputError, RequestError, WeightsError
from sfumato.train import bundled, export, loop, store
from sfumato.train.autoencoder import AutoencoderConfig
from sfumato.train.decoder import DecoderConfig
from sfumato.train.denoiser import DenoiserConfig
from sfumato.train.loop import LoopConfig, never
from sfumato.train.new import train_new
from sfumato.train.own import Captioned
from sfumato.train.polish import DECODER
from sfumato.train.recipe import Recipe
from tests.train import tiny

pytestmark = pytest.mark.usefixtures("small_reader")

LOOP = LoopConfig(steps=4, warmup=1, cooldown=2, log_steps=2, validate_steps=4)
RECIPE = Recipe(
    autoencoder=AutoencoderConfig(batch=2, crop=16),
    autoencoder_loop=LOOP,
    denoiser=DenoiserConfig(batch=2),
    denoiser_loop=LOOP,
    decoder=DecoderConfig(scenes=6, batch=2, crop=16),
    decoder_loop=LOOP,
    compiled=False,
)
CAPTIONS = tuple((f"a {what}",) for what in ("dog", "car", "star", "tree") * 2)
DATA = Captioned(tiny.pictures(8), CAPTIONS, "the digest")


def train(
    folder: Path,
    data: Captioned = DATA,
    begin: Path | None = None,
    stop: loop.Stop = never,
    recipe: Recipe = RECIPE,
) -> None:
    def silent(_: dict[str, float]) -> None: ...

    train_new(recipe, data, folder, tiny.CPU, silent, begin=begin, stop=stop, spec=tiny.SPEC)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a training that began from nothing, with its model."""
    folder = tmp_path_factory.mktemp("first")
    patch = pytest.MonkeyPatch()
    for room in (bundled, export):
        patch.setattr(room, "encoder", lambda text: (tiny.reader().bert, tiny.WORDS))
    train(folder)
    export.export(folder, folder / "model.safetensors", {}, spec=tiny.SPEC)
    patch.undo()
    return folder


def test_from_nothing_both_parts_are_trained(first: Path) -> None:
    for part in ("vae", "unet", "adapter", "decoder"):
        assert (first / f"{part}.safetensors").exists()
    lines = (first / "denoiser" / "log.jsonl").read_text().splitlines()
    assert {"held_loss", "seen_loss"} <= json.loads(lines[-1]).keys()


def test_from_a_model_its_autoencoder_is_kept_and_its_weights_are_the_beginning(
    first: Path, tmp_path: Path
) -> None:
    still = replace(RECIPE, denoiser_rates=replace(RECIPE.denoiser_rates, rate=0.0, adam=0.0))
    train(tmp_path, begin=first / "model.safetensors", recipe=still)
    for part in ("vae", "unet", "adapter"):
        ours, _ = store.read(tmp_path / f"{part}.safetensors")
        theirs, _ = store.read(first / f"{part}.safetensors")
        if part == "vae":
            polished, _ = store.read(first / DECODER)
            theirs |= {f"decoder.{name}": tensor for name, tensor in polished.items()}
        for name, tensor in theirs.items():
            scale = float(tensor.abs().max()) + 1e-6
            assert float((ours[name] - tensor).abs().max()) < 0.01 * scale, name  # packed to int8
    assert not (tmp_path / "autoencoder").exists()


def test_stopped_anywhere_it_ends_in_the_same_bits(first: Path, tmp_path: Path) -> None:
    begin = first / "model.safetensors"
    train(tmp_path / "whole", begin=begin)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "torn", begin=begin, stop=lambda: True)
    train(tmp_path / "torn", begin=begin)
    for part in ("vae", "unet", "adapter", "decoder"):
        name = f"{part}.safetensors"
        assert (tmp_path / "torn" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_folder_of_other_pictures_or_another_beginning_is_refused_and_kept(
    first: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, begin=first / "model.safetensors", stop=lambda: True)
    before = (tmp_path / "denoiser" / "state.safetensors").read_bytes()
    with pytest.raises(RequestError, match="other data: 8 pictures"):
        train(tmp_path, replace(DATA, digest="another"), begin=first / "model.safetensors")
    with pytest.raises(RequestError, match="begun from"):
        train(tmp_path)
    assert (tmp_path / "denoiser" / "state.safetensors").read_bytes() == before


def test_a_lesson_that_captions_cannot_give_is_refused(tmp_path: Path) -> None:
    asked = replace(RECIPE, denoiser=replace(RECIPE.denoiser, places=0.05))
    with pytest.raises(RequestError, match=r"denoiser\.places is 0\.05"):
        train(tmp_path / "run", recipe=asked)
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_make_is_no_beginning(tmp_path: Path) -> None:
    store.write({"a": torch.zeros(2)}, tmp_path / "other.safetensors", {"model": "else"})
    with pytest.raises(WeightsError, match="no model of the make of tiny"):
        train(tmp_path / "run", begin=tmp_path / "other.safetensors")
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_leaves_the_state_before(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = first / "model.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, begin=begin, stop=lambda: True)
    state = tmp_path / "denoiser" / "state.safetensors"
    before = state.read_bytes()
    whole = store.write_bytes

    def full(data: bytes, path: Path) -> None:
        if path == state:
            raise OutputError(f"cannot write {path}: no space left on device.")
        whole(data, path)

    monkeypatch.setattr(store, "write_bytes", full)
    with pytest.raises(OutputError, match="no space left"):
        train(tmp_path, begin=begin)
    assert state.read_bytes() == before
    monkeypatch.setattr(store, "write_bytes", whole)
    train(tmp_path, begin=begin)
    assert (tmp_path / "unet.safetensors").exists()
