"""The last training of a recipe, from the trained parts to a decoder that the file is made with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.errors import RequestError, WeightsError
from sfumato.nn.vae import Vae
from sfumato.train import export, store
from sfumato.train.decoder import DecoderConfig
from sfumato.train.loop import LoopConfig, Stop, TrainingError, never
from sfumato.train.polish import (
    DECODER,
    Shown,
    begins_anew,
    fit_decoder,
    is_polished,
    parts_digest,
    train_decoder,
)
from sfumato.train.recipe import Recipe
from sfumato.train.report import card
from sfumato.train.scenes import SceneConfig, Scenes
from sfumato.train.start import start
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model
from tests.train import tiny

pytestmark = pytest.mark.usefixtures("small_reader")

SCENES = SceneConfig(size=32)
RECIPE = Recipe(
    decoder_scenes=SCENES,
    decoder=DecoderConfig(scenes=16, batch=2, crop=16),
    decoder_loop=LoopConfig(steps=4, warmup=1, cooldown=2, log_steps=2, validate_steps=4),
    compiled=False,
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    path = tmp_path_factory.mktemp("pack") / "emoji.zip"
    tiny.pack(path)
    return Scenes(path, SCENES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Parts as the trainings before leave them."""
    tiny.parts(tmp_path)
    return tmp_path


def silent(_: dict[str, float]) -> None: ...


def polish(scenes: Scenes, folder: Path, stop: Stop = never, recipe: Recipe = RECIPE) -> None:
    train_decoder(recipe, scenes, folder, tiny.CPU, silent, stop=stop, spec=tiny.SPEC)


def test_the_decoder_changes_and_what_it_is_made_of_does_not(scenes: Scenes, folder: Path) -> None:
    before = {
        name: (folder / name).read_bytes() for name in ("vae.safetensors", "unet.safetensors")
    }
    polish(scenes, folder)
    made, _ = store.read(folder / DECODER)
    old, _ = store.read(folder / "vae.safetensors")
    assert {f"decoder.{name}" for name in made} == {n for n in old if n.startswith("decoder.")}
    assert any(not torch.equal(made[name], old[f"decoder.{name}"]) for name in made)
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_stopped_and_taken_up_it_ends_as_if_it_had_never_stopped(
    scenes: Scenes, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for path in folder.glob("*.safetensors"):
        (other / path.name).write_bytes(path.read_bytes())
    polish(scenes, folder)
    asked = iter([False] * 3 + [True])  # twice while guesses are made, then after every step
    with pytest.raises(KeyboardInterrupt):
        polish(scenes, other, stop=lambda: next(asked))
    step = store.read(other / "decoder" / "state.safetensors")[1]["step"]
    assert step == "2"
    assert not (other / DECODER).exists()
    polish(scenes, other)
    assert (other / DECODER).read_bytes() == (folder / DECODER).read_bytes()


def test_stopped_before_there_are_steps_nothing_is_lost(scenes: Scenes, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        polish(scenes, folder, stop=lambda: True)
    assert not (folder / "decoder" / "state.safetensors").exists()
    polish(scenes, folder)
    assert (folder / DECODER).exists()


def test_the_model_s_file_has_the_polished_decoder_and_the_old_encoder(
    scenes: Scenes, folder: Path
) -> None:
    polished = Vae(tiny.VAE).decoder
    start(polished, 77)
    store.write(polished.state_dict(), folder / DECODER, {"parts": parts_digest(folder)})
    out = folder / "model.safetensors"
    export.export(folder, out, {}, spec=tiny.SPEC)
    made = load_model(open_weights(out), tiny.SPEC, tables("sfumato", tiny.SPEC), torch.float32).vae
    old, _ = store.read(folder / "vae.safetensors")
    for name, tensor in made.state_dict().items():
        part, rest = name.split(".", 1)
        want = polished.state_dict()[rest] if part == "decoder" else old[name]
        torch.testing.assert_close(tensor, want, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", ["vae", "unet", "adapter"])
def test_a_decoder_of_other_parts_is_not_exported(folder: Path, scenes: Scenes, name: str) -> None:
    polish(scenes, folder)
    tensors, _ = store.read(folder / f"{name}.safetensors")
    store.write({n: t + 1 for n, t in tensors.items()}, folder / f"{name}.safetensors")
    with pytest.raises(WeightsError, match="was trained for other parts"):
        export.export(folder, folder / "model.safetensors", {}, spec=tiny.SPEC)


@pytest.mark.parametrize("name", ["vae", "unet", "adapter"])
def test_for_other_parts_it_begins_anew(folder: Path, scenes: Scenes, name: str) -> None:
    polish(scenes, folder)
    before = store.read(folder / DECODER)[0]
    tensors, _ = store.read(folder / f"{name}.safetensors")
    store.write({n: 1.1 * t for n, t in tensors.items()}, folder / f"{name}.safetensors")
    assert begins_anew(RECIPE, folder)
    assert not is_polished(RECIPE, folder)
    polish(scenes, folder)
    after = store.read(folder / DECODER)[0]
    assert any(not torch.equal(after[n], before[n]) for n in after)
    assert is_polished(RECIPE, folder)


def test_by_another_recipe_it_begins_anew_and_by_the_same_it_is_done(
    scenes: Scenes, folder: Path
) -> None:
    polish(scenes, folder)
    log = (folder / "decoder" / "log.jsonl").read_bytes()
    other = replace(RECIPE, decoder=replace(RECIPE.decoder, guidance=1.0))
    assert begins_anew(other, folder)
    assert not begins_anew(RECIPE, folder)
    often = replace(RECIPE, decoder_loop=replace(RECIPE.decoder_loop, log_steps=1))
    assert is_polished(often, folder)  # what is told changes no weight
    polish(scenes, folder)
    assert (folder / "decoder" / "log.jsonl").read_bytes() == log
    polish(scenes, folder, recipe=other)
    assert (folder / "decoder" / "log.jsonl").read_bytes() != log


def test_where_it_is_not_wanted_nothing_is_done(scenes: Scenes, folder: Path) -> None:
    polish(scenes, folder, recipe=replace(RECIPE, decoder=replace(RECIPE.decoder, scenes=0)))
    assert not (folder / DECODER).exists()
    assert not (folder / "decoder").exists()


def test_without_a_denoiser_there_is_nothing_to_learn_from(scenes: Scenes, folder: Path) -> None:
    (folder / "unet.safetensors").unlink()
    with pytest.raises(WeightsError, match="the decoder is trained after"):
        polish(scenes, folder)
    assert not (folder / DECODER).exists()


def test_the_card_tells_of_a_decoder_that_is_at_its_end_alone(scenes: Scenes, folder: Path) -> None:
    asked = iter([False] * 3 + [True])
    with pytest.raises(KeyboardInterrupt):
        polish(scenes, folder, stop=lambda: next(asked))
    assert not [name for name in card(folder) if name.startswith("decoder")]
    polish(scenes, folder)
    assert card(folder)["decoder_steps"] == "4"


def test_one_picture_is_enough(scenes: Scenes, folder: Path) -> None:
    polish(scenes, folder, recipe=replace(RECIPE, decoder=replace(RECIPE.decoder, scenes=1)))
    assert (folder / DECODER).exists()


def test_a_decoder_of_which_nothing_is_written_down_is_not_taken_for_done(
    scenes: Scenes, folder: Path
) -> None:
    polish(scenes, folder)
    shutil.rmtree(folder / "decoder")
    with pytest.raises(KeyboardInterrupt):
        polish(scenes, folder, stop=lambda: True)
    assert not is_polished(RECIPE, folder)
    assert not (folder / DECODER).exists()


def test_guesses_are_kept_for_other_rates_and_made_again_for_other_pictures(
    scenes: Scenes, folder: Path
) -> None:
    polish(scenes, folder)
    painted = folder / "decoder" / "painted.safetensors"
    before = painted.stat().st_mtime_ns
    gently = replace(RECIPE, decoder_rates=replace(RECIPE.decoder_rates, rate=1e-3))
    polish(scenes, folder, recipe=gently)
    assert painted.stat().st_mtime_ns == before
    (folder / DECODER).unlink()
    shown = Shown(tiny.pictures(9, seed=3), ["a dog, flat"] * 9)
    fit_decoder(gently, shown, shown, folder, tiny.CPU, silent, spec=tiny.SPEC)
    assert len(store.read(painted)[0]["seen.guesses"]) == 9


def test_a_crop_that_cannot_be_cut_costs_nothing(scenes: Scenes, folder: Path) -> None:
    polish(scenes, folder)
    wrong = replace(RECIPE, decoder=replace(RECIPE.decoder, crop=64))
    with pytest.raises(TrainingError, match=r"decoder\.crop is 64"):
        polish(scenes, folder, recipe=wrong)
    assert is_polished(RECIPE, folder)


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_damaged_notes_are_named(scenes: Scenes, folder: Path, text: str) -> None:
    polish(scenes, folder)
    (folder / "decoder" / "begun.json").write_text(text)
    with pytest.raises(RequestError, match=r"begun\.json is damaged"):
        polish(scenes, folder)
