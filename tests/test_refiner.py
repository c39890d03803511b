"""A second model takes over: from its file to the picture, its recipe, and back.

The bundled model, under other names, stands for both: what refines itself paints as it does alone.
"""

import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from sfumato import engine as engines
from sfumato.catalog import CATALOG
from sfumato.cli import main
from sfumato.cli.same_model import same_refiner
from sfumato.engine import Engine
from sfumato.errors import PictureError, RequestError
from sfumato.opening import require_refines
from sfumato.recipe import Picture, from_parameters, read
from sfumato.request import Request
from sfumato.shelves import Folder, Shelves

FOX = Request("a red fox, 3d", seed=7, steps=3, width=64, height=64)
BUNDLED = Path(str(resources.files("sfumato").joinpath("assets/mini/model.safetensors")))
MACHINE = ["--device", "cpu", "--precision", "fp32"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    shutil.copy(BUNDLED, place / "finer.safetensors")
    return place


@pytest.fixture(scope="module")
def shelves(folder: Path) -> Shelves:
    return Shelves([Folder(folder)])


@pytest.fixture(scope="module")
def engine(shelves: Shelves) -> Engine:
    return Engine("cpu", "fp32", shelves=shelves)


def painted(engine: Engine, request: Request) -> Picture:
    return engine.submit(request).result().pictures[0]


def test_a_model_that_refines_itself_paints_what_it_paints_alone(engine: Engine) -> None:
    one = painted(engine, replace(FOX, refiner="finer", refiner_at=0.5))
    assert ImageChops.difference(one.image, painted(engine, FOX).image).getbbox() is None
    request = one.recipe.request
    assert (request.refiner, request.refiner_at) == ("finer.safetensors", 0.5)
    assert one.recipe.parts == {"refiner": one.recipe.sha256}
    assert painted(engine, FOX).recipe.parts == {}


def test_where_nobody_says_it_takes_over_at_eight_tenths(engine: Engine) -> None:
    run = engine.submit(replace(FOX, steps=8, refiner="finer"))
    assert run.request.refiner_at == 0.8
    with pytest.raises(RequestError, match="refiner_at has no effect without refiner"):
        Request(refiner_at=0.8)


def test_both_have_one_autoencoder_and_a_request_without_the_other_drops_none(
    engine: Engine,
) -> None:
    run = engine.submit(replace(FOX, refiner="finer", refiner_at=0.5))
    first, second = run._model.family, run._refiner
    assert second is not None
    assert second is not first
    assert second.vae is first.vae
    painted(engine, FOX)
    assert engine.submit(replace(FOX, refiner="finer", refiner_at=0.5))._refiner is second


def test_a_refiner_that_memory_cannot_hold_beside_the_model_is_refused(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine("cpu", "fp32", shelves=shelves)
    engine.load()
    monkeypatch.setattr(engines, "_memory", lambda device: engine._held + 2**20)
    with pytest.raises(RequestError, match=r"finer.safetensors needs .* there are 0\.0"):
        engine.submit(replace(FOX, refiner="finer", refiner_at=0.5))


@pytest.mark.parametrize("pair", [("sdxl", "sdxl-refiner"), ("sdxl", "sdxl"), ("sd15", "sd21")])
def test_models_with_the_same_latents_and_levels_can_follow_one_another(
    pair: tuple[str, str],
) -> None:
    require_refines(*(CATALOG[name] for name in pair))


@pytest.mark.parametrize(
    "pair", [("sd15", "sdxl-refiner"), ("mini", "sdxl"), ("sd3-medium", "sdxl")]
)
def test_others_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(RequestError, match="cannot refine"):
        require_refines(*(CATALOG[name] for name in pair))


def test_a_step_is_not_taken_up_with_another_refiner_or_none(engine: Engine) -> None:
    wish = replace(FOX, refiner="finer", refiner_at=0.5)
    run = engine.submit(wish)
    state = next(iter(run)).state()
    again = engine.submit(run.request, state=state).result().pictures[0]
    assert ImageChops.difference(again.image, painted(engine, wish).image).getbbox() is None
    for other in (run.request.changed({"refiner": None}), replace(run.request, refiner="mini")):
        with pytest.raises(RequestError, match="The stored step is of another"):
            engine.submit(other, state=state)


def test_it_is_told_in_a1111s_words_and_followed(engine: Engine) -> None:
    recipe = painted(engine, replace(FOX, refiner="finer", refiner_at=0.5)).recipe
    text = recipe.parameters()
    assert f"Refiner: finer [{recipe.sha256[:10]}], Refiner switch at: 0.5" in text
    origin = from_parameters(text)
    assert (origin.request.refiner, origin.request.refiner_at) == ("finer", 0.5)
    assert not any("efiner" in key for key in origin.unread)
    plain = "fox\nSteps: 4, Sampler: Euler, Seed: 1"
    assert from_parameters(f"{plain}, Refiner: None").request.refiner is None
    odd = from_parameters(f"{plain}, Refiner: xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.6")
    assert odd.request.refiner == "xl_refiner_1.0"


def test_a_picture_finds_its_refiner_under_another_name(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    recipe = painted(engine, replace(FOX, refiner="finer", refiner_at=0.5)).recipe
    shutil.copy(folder / "finer.safetensors", tmp_path / "renamed.safetensors")
    there = Shelves([Folder(tmp_path)])
    assert same_refiner(recipe, there) in ("mini", str(tmp_path / "renamed.safetensors"))
    other = replace(recipe, parts={"refiner": "ab" * 32})
    with pytest.raises(PictureError, match=r"(?s)with finer.safetensors .* --refiner"):
        same_refiner(other, there)
    assert same_refiner(other, there, anyway=True) == "finer.safetensors"
    alone = replace(recipe, request=recipe.request.changed({"refiner": None}))
    assert same_refiner(alone, there) is None


def test_the_command_line_makes_such_a_picture_again_and_verifies_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["a red fox, 3d", "--seed", "7", "--steps", "2", "--size", "64"]
    refined = ["--refiner", str(folder / "finer.safetensors"), "--refiner-at", "0.4"]
    assert main(["generate", *words, *refined, "--out", "a.png", *MACHINE]) == 0
    assert main(["generate", "--from", "a.png", "--out", "b.png", *MACHINE]) == 0
    with Image.open("a.png") as one, Image.open("b.png") as other:
        assert ImageChops.difference(one, other).getbbox() is None
    assert read("b.png").request.refiner == "mini"  # as what has that sha256 is called here
    assert read("b.png").recipe.parts == read("a.png").recipe.parts
    capsys.readouterr()
    assert main(["verify", "a.png", *MACHINE]) == 0
    assert "equal to the bit" in capsys.readouterr().out
    assert main(["info", "a.png"]) == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["refiner", "finer.safetensors,", "from", "0.4", "on"] in told
    assert ["refiner", "sha256", read("a.png").recipe.parts["refiner"]] in told
    without = ["--refiner", "none", "--out", "c.png"]
    assert main(["generate", "--from", "a.png", *without, *MACHINE]) == 0
    assert read("c.png").request.refiner_at is None


def test_several_pictures_of_a_line_of_a_sheet_and_of_a_run_have_their_refiner_from_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["--seed", "7", "--steps", "2", "--size", "64", *MACHINE]
    refined = ["--refiner", str(folder / "finer.safetensors"), "--refiner-at", "0.4"]
    assert main(["generate", "a fox", "--count", "2", *words, *refined, "--out", "run/"]) == 0
    assert len(list(Path("run").iterdir())) == 2

    Path("p.txt").write_text("a fox\n")
    lines = ["generate", "--prompts", "p.txt", *words, *refined, "--out", "lines", "-q"]
    assert main(lines) == main(lines) == 0
    assert [path.name for path in Path("lines").iterdir()] == ["a-fox-7.png"]
    assert read("lines/a-fox-7.png").recipe.parts == read("run/a-fox-7.png").recipe.parts
    assert main([*lines, "--sampler", "euler"]) == main(lines) == 0
    assert read("lines/a-fox-7-2.png").request.sampler == "euler"  # asked for, so another one
    assert len(list(Path("lines").iterdir())) == 2
    Path("lines/a-fox-7-2.png").unlink()
    without = ["generate", "--prompts", "p.txt", *words, "--out", "lines", "-q"]
    assert main(without) == 0
    assert read("lines/a-fox-7-2.png").request.refiner is None

    sheet = ["sheet", "a fox", "--x", "seed=7,8", *words[2:], *refined, "--out", "cells"]
    assert main(sheet) == 0
    capsys.readouterr()
    assert main(sheet) == 0
    assert "2 of them there already" in capsys.readouterr().err
