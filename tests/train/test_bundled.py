"""Both trainings of a tiny model from drawings to parts, and what is refused on the way."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.errors import WeightsError
from sfumato.spec import BertConfig
from sfumato.train import bundled, export, store
from sfumato.train.adapter import AdapterConfig
from sfumato.train.autoencoder import AutoencoderConfig
from sfumato.train.beginning import parts_of
from sfumato.train.bundled import average, train_autoencoder, train_denoiser
from sfumato.train.denoiser import DenoiserConfig
from sfumato.train.loop import LoopConfig, never
from sfumato.train.muon import MuonConfig
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import SceneConfig, Scenes
from tests.train import tiny

pytestmark = pytest.mark.usefixtures("small_reader")

LOOP = LoopConfig(steps=4, warmup=1, cooldown=2, log_steps=2, validate_steps=4)
SCENES = SceneConfig(size=32, relations=0.3)
RECIPE = Recipe(
    pictures=24,
    autoencoder=AutoencoderConfig(batch=2, crop=16),
    autoencoder_loop=LOOP,
    scenes=SCENES,
    denoiser=DenoiserConfig(batch=2, bank=12),
    denoiser_loop=LOOP,
    adapter=AdapterConfig(pairs=2, others=2, ordered=1, plainly=1, free=2),
    adapter_loop=LOOP,
    compiled=False,
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    path = tmp_path_factory.mktemp("pack") / "emoji.zip"
    tiny.pack(path)
    return Scenes(path, SCENES)


def silent(_: dict[str, float]) -> None: ...


def first(scenes: Scenes, folder: Path) -> None:
    train_autoencoder(RECIPE, scenes, folder, tiny.CPU, silent, spec=tiny.SPEC)


def second(
    scenes: Scenes,
    folder: Path,
    recipe: Recipe = RECIPE,
    stop: Callable[[], bool] = never,
) -> None:
    train_denoiser(recipe, scenes, folder, tiny.CPU, silent, stop=stop, spec=tiny.SPEC)


@pytest.fixture(scope="module")
def trained(scenes: Scenes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    first(scenes, folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A folder with a trained autoencoder."""
    (tmp_path / "vae.safetensors").write_bytes((trained / "vae.safetensors").read_bytes())
    return tmp_path


def test_the_autoencoder_ends_in_unit_latents_and_notes_how_it_was_made(
    scenes: Scenes, trained: Path
) -> None:
    from sfumato.nn.vae import Vae
    from sfumato.train.denoiser import draw_bank

    vae = Vae(tiny.VAE).eval().requires_grad_(False)
    vae.load_state_dict(store.read(trained / "vae.safetensors")[0])
    latents = draw_bank(vae, scenes, RECIPE.pictures, tiny.CPU).latents.float()
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), atol=0.02, rtol=0)
    note = json.loads((trained / "autoencoder" / "run.json").read_text())
    assert note["recipe"]["autoencoder"]["crop"] == 16
    assert note["threads"] == 1


def test_training_again_what_is_trained_changes_nothing(scenes: Scenes, trained: Path) -> None:
    before = (trained / "vae.safetensors").read_bytes()
    first(scenes, trained)
    assert (trained / "vae.safetensors").read_bytes() == before


def test_the_denoiser_ends_halfway_between_its_average_and_its_last_weights(
    scenes: Scenes, folder: Path
) -> None:
    second(scenes, folder)
    state, words = store.read(folder / "denoiser" / "state.safetensors")
    assert words["step"] == "4"
    for part in ("unet", "adapter"):
        tensors, _ = store.read(folder / f"{part}.safetensors")
        assert tensors
        for name, tensor in tensors.items():
            mean, last = (state[f"{kind}.{part}.{name}"] for kind in ("averaged", "weights"))
            assert torch.equal(tensor, (mean + last) / 2)
    told = [scenes.facts(i) for i in range(RECIPE.denoiser.bank)]
    grounds = {f.background for f in told if f.background is not None and " " not in f.background}
    assert grounds - {"white"}
    said = set((folder / "words.txt").read_text().split())
    assert {"dog", "car", "flat"} | grounds - {"white"} <= said
    line = json.loads((folder / "denoiser" / "log.jsonl").read_text().splitlines()[-1])
    assert {"held_loss", "seen_loss"} <= line.keys()


def _at_the(step: int) -> Callable[[], bool]:
    """To be stopped after so many steps of all."""
    steps = itertools.count(1)
    return lambda: next(steps) == step


def test_a_lesson_is_trained_and_taken_up_again_and_is_no_part_of_the_model(
    scenes: Scenes, folder: Path, trained: Path, tmp_path: Path
) -> None:
    taught = replace(RECIPE, denoiser=replace(RECIPE.denoiser, places=0.1))
    with pytest.raises(KeyboardInterrupt):
        second(scenes, folder, taught, stop=lambda: True)
    assert not (folder / "denoiser").exists()
    with pytest.raises(KeyboardInterrupt):
        second(scenes, folder, taught, stop=_at_the(LOOP.steps + 1))
    assert (folder / "denoiser" / "state.safetensors").exists()
    second(scenes, folder, taught)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "vae.safetensors").write_bytes((trained / "vae.safetensors").read_bytes())
    second(scenes, tmp_path / "whole", taught)
    for name in ("unet", "adapter", "adapter/state", "denoiser/state"):
        once, again = (where / f"{name}.safetensors" for where in (tmp_path / "whole", folder))
        assert once.read_bytes() == again.read_bytes()
    state, _ = store.read(folder / "denoiser" / "state.safetensors")
    asked = len(scenes.subjects)
    assert state["weights.lesson.name.weight"].shape == (asked, tiny.TEXT.width)
    assert state["weights.lesson.query"].abs().max() > 0
    export.export(folder, folder / "model.safetensors", {}, spec=tiny.SPEC)
    assert not any("lesson" in name for name in store.read(folder / "model.safetensors")[0])


def test_a_denoiser_begins_with_the_averaged_adapter_of_the_lesson(
    scenes: Scenes, folder: Path
) -> None:
    still = replace(
        RECIPE,
        denoiser=replace(RECIPE.denoiser, places=0.1),
        denoiser_rates=MuonConfig(rate=0.0, adam=0.0),
    )
    second(scenes, folder, still)
    taught, _ = store.read(folder / "adapter" / "state.safetensors")
    kept, _ = store.read(folder / "adapter.safetensors")
    layers = {n.removeprefix("layers."): t for n, t in kept.items() if n.startswith("layers.")}
    assert layers
    assert all(torch.equal(t, taught[f"averaged.layers.{n}"]) for n, t in layers.items())
    assert not all(torch.equal(t, taught[f"weights.layers.{n}"]) for n, t in layers.items())


def test_an_adapter_taught_by_another_recipe_is_not_taken_up(scenes: Scenes, folder: Path) -> None:
    taught = replace(RECIPE, denoiser=replace(RECIPE.denoiser, places=0.1))
    second(scenes, folder, taught)
    (folder / "denoiser" / "state.safetensors").unlink()
    second(scenes, folder, taught)
    (folder / "denoiser" / "state.safetensors").unlink()
    other = replace(taught, adapter=replace(taught.adapter, seed=3))
    with pytest.raises(
        WeightsError, match=r"adapter holds an adapter's training .* another recipe"
    ):
        second(scenes, folder, other)


def test_a_denoiser_begins_from_a_model(scenes: Scenes, folder: Path, tmp_path: Path) -> None:
    second(scenes, folder)
    export.export(folder, folder / "model.safetensors", {}, spec=tiny.SPEC)
    begin = parts_of(folder / "model.safetensors", tiny.SPEC)
    (tmp_path / "again").mkdir()
    still = replace(RECIPE, denoiser_rates=MuonConfig(rate=0.0, adam=0.0))
    train_denoiser(still, scenes, tmp_path / "again", tiny.CPU, silent, begin=begin, spec=tiny.SPEC)
    kept, _ = store.read(tmp_path / "again" / "unet.safetensors")
    theirs = begin.denoiser.state_dict()
    assert kept.keys() == theirs.keys()
    assert all(torch.equal(kept[name], theirs[name]) for name in theirs)
    taken, _ = store.read(tmp_path / "again" / "vae.safetensors")
    wanted = begin.vae.state_dict()
    assert taken.keys() == wanted.keys()
    assert all(torch.equal(taken[name], wanted[name]) for name in wanted)


def test_stopped_and_taken_up_the_stored_bank_serves(scenes: Scenes, folder: Path) -> None:
    whole = folder / "whole"
    whole.mkdir()
    (whole / "vae.safetensors").write_bytes((folder / "vae.safetensors").read_bytes())
    second(scenes, whole)
    with pytest.raises(KeyboardInterrupt):
        second(scenes, folder, stop=lambda: True)
    assert (folder / "bank-12.safetensors").exists()
    second(scenes, folder)
    for part in ("unet", "adapter"):
        name = f"{part}.safetensors"
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_denoiser_in_training_can_be_averaged_for_a_look(scenes: Scenes, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        second(scenes, folder, stop=lambda: True)
    assert not (folder / "unet.safetensors").exists()
    assert average(folder) == 1
    state, _ = store.read(folder / "denoiser" / "state.safetensors")
    tensors, _ = store.read(folder / "unet.safetensors")
    halves = (state[f"{kind}.unet.conv_in.weight"] for kind in ("averaged", "weights"))
    assert torch.equal(tensors["conv_in.weight"], sum(halves) / 2)


def test_nothing_trained_is_nothing_to_average(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"There is no .*state\.safetensors"):
        average(tmp_path)


def test_a_denoiser_needs_an_autoencoder_first(scenes: Scenes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"There is no .*vae\.safetensors"):
        second(scenes, tmp_path)


@pytest.mark.parametrize("change", [{"seed": 5}, {"emphasis": 9.0, "seed": 1}, {"ground": 0.0}])
def test_a_bank_of_other_pictures_is_refused(
    change: dict[str, float], scenes: Scenes, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(KeyboardInterrupt):
        second(scenes, folder, stop=lambda: True)
    path = tmp_path_factory.mktemp("pack") / "emoji.zip"
    tiny.pack(path)
    other = Scenes(path, replace(SCENES, **change))
    with pytest.raises(WeightsError, match=r"bank-12\.safetensors holds other pictures"):
        second(other, folder)


def test_a_bank_of_another_autoencoder_is_refused(scenes: Scenes, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        second(scenes, folder, stop=lambda: True)
    tensors, _ = store.read(folder / "vae.safetensors")
    tensors["encoder.quant.weight"] = -tensors["encoder.quant.weight"]
    store.write(tensors, folder / "vae.safetensors")
    with pytest.raises(WeightsError, match="another autoencoder"):
        second(scenes, folder)


def test_the_vocabulary_is_the_bundled_model_s() -> None:
    from sfumato.catalog import MINI

    text = MINI.texts[0].config
    assert isinstance(text, BertConfig)
    assert len(bundled.vocabulary()) == text.vocab
