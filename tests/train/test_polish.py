"""The last training of a recipe, from the trained parts to a decoder that the file is made with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.errors import WeightsError
from sfumato.nn.bert import Adapter, Bert
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig
from sfumato.train import bundled, export, store
from sfumato.train.decoder import DecoderConfig
from sfumato.train.loop import LoopConfig, Stop, never
from sfumato.train.polish import DECODER, train_decoder
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import SceneConfig, Scenes
from sfumato.train.start import start
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model
from tests.train import tiny

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


@pytest.fixture(autouse=True)
def small_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def encoder(text: BertConfig) -> tuple[Bert, list[str]]:
        return tiny.reader().bert, tiny.WORDS

    monkeypatch.setattr(bundled, "encoder", encoder)
    monkeypatch.setattr(export, "encoder", encoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Parts as the trainings before leave them."""
    parts = {"unet": UNet(tiny.UNET), "vae": Vae(tiny.VAE), "adapter": Adapter(tiny.TEXT)}
    for seed, (name, module) in enumerate(parts.items()):
        start(module, seed)
        store.write(module.state_dict(), tmp_path / f"{name}.safetensors")
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
    with pytest.raises(KeyboardInterrupt):
        polish(scenes, other, stop=lambda: True)
    assert store.read(other / "decoder" / "state.safetensors")[1] == {"step": "1"}
    polish(scenes, other)
    assert (other / DECODER).read_bytes() == (folder / DECODER).read_bytes()


def test_the_model_s_file_has_the_polished_decoder_and_the_old_encoder(
    scenes: Scenes, folder: Path
) -> None:
    polish(scenes, folder)
    out = folder / "model.safetensors"
    export.export(folder, out, {}, spec=tiny.SPEC)
    made = load_model(open_weights(out), tiny.SPEC, tables("sfumato", tiny.SPEC), torch.float32).vae
    polished, _ = store.read(folder / DECODER)
    old, _ = store.read(folder / "vae.safetensors")
    for name, tensor in made.state_dict().items():
        part, rest = name.split(".", 1)
        want = polished[rest] if part == "decoder" else old[name]
        torch.testing.assert_close(tensor, want, atol=2e-2, rtol=2e-2)


def test_another_denoiser_than_it_began_with_is_refused(scenes: Scenes, folder: Path) -> None:
    polish(scenes, folder)
    unet = UNet(tiny.UNET)
    start(unet, 99)
    store.write(unet.state_dict(), folder / "unet.safetensors")
    with pytest.raises(WeightsError, match=r"for another denoiser[\s\S]*Remove that folder"):
        polish(scenes, folder)


def test_without_a_denoiser_there_is_nothing_to_learn_from(scenes: Scenes, folder: Path) -> None:
    (folder / "unet.safetensors").unlink()
    with pytest.raises(WeightsError, match="the denoiser is trained before the decoder"):
        polish(scenes, folder)
    assert not (folder / DECODER).exists()


def test_few_pictures_are_enough(scenes: Scenes, folder: Path) -> None:
    few = replace(RECIPE, decoder=replace(RECIPE.decoder, scenes=2))
    polish(scenes, folder, recipe=few)
    assert (folder / DECODER).exists()
