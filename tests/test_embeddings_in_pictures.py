"""Embeddings from the folder to the picture and back: heard, recorded, found again."""

import shutil
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import save_file

from sfumato.cli import main
from sfumato.engine import Engine
from sfumato.errors import PromptError, WeightsError
from sfumato.recipe import Recipe, from_parameters
from sfumato.request import Request
from sfumato.run import Loaded
from sfumato.shelves import Folder, Shelves
from tests.cli.fake import SHA256
from tests.parity.small import make_parts, saved_and_loaded

PROMPT = "a photo of inkwash, in the snow"
REQUEST = Request(PROMPT, seed=7, steps=2, width=64, height=64)


def randomised(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.05 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    parts: dict[str, Any] = make_parts(randomised)
    pipe = diffusers.StableDiffusionPipeline(**parts)
    family = saved_and_loaded(pipe, tmp_path_factory.mktemp("model") / "small")
    # It goes by the bundled model's name and hash, which a picture finds again on every machine.
    return Loaded("mini", SHA256, "fp32", family)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "embeddings"
    place.mkdir()
    vectors = torch.randn(3, 32, generator=torch.Generator().manual_seed(1)) * 3
    save_file({"emb_params": vectors}, place / "inkwash.safetensors")
    return place


def engine_of(loaded: Loaded, *folders: Path) -> Engine:
    """An engine whose model is the small one."""

    class Small(Engine):
        def _load(self, asked: str) -> Loaded:
            return loaded

    return Small(
        "cpu", "fp32", shelves=Shelves([Folder(each, role="embedding") for each in folders])
    )


def pixels(engine: Engine, request: Request = REQUEST) -> bytes:
    return engine.submit(request).result().pictures[0].image.tobytes()


def test_it_is_heard_where_its_name_stands_and_the_recipe_holds_it(
    loaded: Loaded, folder: Path, tmp_path: Path
) -> None:
    engine = engine_of(loaded, folder)
    picture = engine.submit(REQUEST).result().pictures[0]
    words = pixels(engine_of(loaded, tmp_path / "none"))
    assert picture.image.tobytes() != words
    assert pixels(engine, replace(REQUEST, embeddings=())) == words
    assert pixels(engine, replace(REQUEST, prompt=PROMPT.replace("ink", "embedding:ink"))) == (
        picture.image.tobytes()
    )
    recipe = picture.recipe
    assert recipe.request.embeddings is not None
    (embedding,) = recipe.request.embeddings
    assert embedding.name == "inkwash"
    assert f'TI hashes: "inkwash: {embedding.sha256[:12]}"' in recipe.parameters()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert pixels(engine, recipe.request) == picture.image.tobytes()
    read = from_parameters(recipe.parameters()).request.embeddings
    assert read is not None
    assert (read[0].name, read[0].sha256) == ("inkwash", embedding.sha256[:12])


def test_a_recipe_from_before_there_were_embeddings_hears_none(
    loaded: Loaded, folder: Path, tmp_path: Path
) -> None:
    empty = engine_of(loaded, tmp_path / "none")
    picture = empty.submit(REQUEST).result().pictures[0]
    old = picture.recipe.to_json().replace('"embeddings": [], ', "")
    assert old != picture.recipe.to_json()
    again = Recipe.from_json(old).request
    assert again.embeddings == ()
    assert pixels(engine_of(loaded, folder), again) == picture.image.tobytes()


def test_a_run_with_one_is_resumed_to_the_bit(loaded: Loaded, folder: Path) -> None:
    engine = engine_of(loaded, folder)
    run = engine.submit(replace(REQUEST, steps=3, prompt="a [cat:inkwash:1] AND snow:0.4"))
    states = [step.state() for step in run]
    whole = run.result().pictures[0].image.tobytes()
    resumed = engine.submit(run.request, state=states[0]).result().pictures[0]
    assert resumed.image.tobytes() == whole


def test_every_picture_of_a_run_hears_it(loaded: Loaded, folder: Path) -> None:
    engine = engine_of(loaded, folder)
    run = engine.submit(replace(REQUEST, count=2)).result()
    assert run.pictures[1].image.tobytes() == pixels(engine, replace(REQUEST, seed=8))


def test_weights_and_long_prompts_do_with_it_what_they_do_with_words(
    loaded: Loaded, folder: Path
) -> None:
    engine = engine_of(loaded, folder)
    plain = pixels(engine)
    assert pixels(engine, replace(REQUEST, prompt="a photo of (inkwash:1.4), in the snow")) != plain
    long = replace(REQUEST, prompt="very " * 74 + "inkwash")
    assert pixels(engine, long) != pixels(engine, replace(long, embeddings=()))


def test_what_is_not_there_or_does_not_fit_is_refused_before_the_first_step(
    loaded: Loaded, folder: Path
) -> None:
    engine = engine_of(loaded, folder)
    with pytest.raises(PromptError, match=r"embedding 'inkwosh'.*mean inkwash\?"):
        engine.submit(replace(REQUEST, prompt="embedding:inkwosh"))
    save_file({"emb_params": torch.zeros(1, 768)}, folder / "other.safetensors")
    with pytest.raises(WeightsError, match="other is an embedding for Stable Diffusion 1"):
        engine_of(loaded, folder).submit(replace(REQUEST, prompt="the other"))
    (folder / "broken.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightsError, match="broken"):
        engine_of(loaded, folder).submit(replace(REQUEST, prompt="broken"))
    mini = Engine("cpu", "fp32", shelves=Shelves([Folder(folder, role="embedding")]))
    with pytest.raises(PromptError, match="mini takes none"):
        mini.submit(Request("a fox, embedding:inkwash"))
    assert mini.submit(Request("a fox, ink")).request.embeddings == ()


def test_the_command_line_makes_the_picture_again_and_says_what_is_missing(
    loaded: Loaded,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*words: str, place: Path = folder) -> tuple[int, str, str]:
        status = main(["generate", *words], make_engine=lambda *_: engine_of(loaded, place))
        told = capsys.readouterr()
        return status, told.out, told.err

    size = ("--size", "64", "--steps", "2", "--seed", "7")
    assert run(PROMPT, *size, "--out", "ink.png")[0] == 0
    status, out, _ = run("--from", "ink.png", "--out", "again.png")
    assert status == 0
    assert "the same as ink.png, to the bit" in out
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    (moved / "inkwash.safetensors").rename(moved / "wash2.safetensors")
    assert "to the bit" in run("--from", "ink.png", "--out", "moved.png", place=moved)[1]
    status, _, err = run("--from", "ink.png", place=tmp_path / "none")
    assert status == 2
    assert "wants the embedding 'inkwash' (sha256" in err
    assert run("--from", "ink.png", "--anyway", "--out", "x.png", place=tmp_path / "none")[0] == 0
    status, out, _ = run(PROMPT, *size, "--embeddings", "none", "--out", "words.png")
    assert status == 0
    assert "--embeddings none" in out
    assert main(["info", "ink.png"]) == 0
    assert "inkwash, sha256" in capsys.readouterr().out


def test_an_embedding_that_the_refiner_cannot_hear_is_refused(loaded: Loaded, folder: Path) -> None:
    engine, wide = engine_of(loaded, folder), copy(loaded.family)
    (text,) = wide.spec.texts
    wide.spec = replace(wide.spec, texts=(replace(text, config=replace(text.config, width=48)),))
    engine._refiner = "wide", Loaded("wide", SHA256, "fp32", wide)
    with pytest.raises(WeightsError, match=r"inkwash is an embedding for .*, and wide takes"):
        engine.submit(replace(REQUEST, refiner="wide"))
