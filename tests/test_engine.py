"""The engine with the bundled model, as a user has it."""

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops

import sfumato
from sfumato.catalog import CATALOG
from sfumato.engine import Engine, room
from sfumato.errors import PromptError, RequestError, SfumatoError, WeightsError
from sfumato.request import Request
from sfumato.shelves import Folder, Shelves

FOX = Request("a red fox, 3d", seed=7, steps=3)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", "fp32")


def picture(engine: Engine, request: Request) -> Image.Image:
    return engine.submit(request).result().pictures[0].image


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def test_the_same_request_gives_the_same_picture(engine: Engine) -> None:
    assert same(picture(engine, FOX), picture(engine, FOX))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"seed": 0},
        {"prompt": "a blue ship, flat"},
        {"negative": "fox"},
        {"steps": 4},
        {"guidance": 1.0},
        {"guidance": 0.0},
        {"rescale": 0.7},
        {"sampler": "heun"},
        {"schedule": "karras"},
        {"stream": "nv"},
        {"variation_strength": 0.3, "variation_seed": 8},
        {"seed_width": 64, "seed_height": 96},
    ],
    ids=str,
)
def test_every_wish_changes_the_picture(engine: Engine, change: dict[str, object]) -> None:
    assert not same(picture(engine, FOX), picture(engine, replace(FOX, **change)))


def test_picture_i_is_the_picture_of_seed_plus_i(engine: Engine) -> None:
    run = engine.submit(replace(FOX, count=2))
    first, second = (p.image for p in run.result().pictures)
    assert same(first, picture(engine, FOX))
    assert same(second, picture(engine, replace(FOX, seed=8)))


def test_picture_i_of_a_run_of_variations_is_that_variation_alone(engine: Engine) -> None:
    varied = replace(FOX, variation_strength=0.3, variation_seed=40)
    first, second = (p.image for p in engine.submit(replace(varied, count=2)).result().pictures)
    assert same(first, picture(engine, varied))
    assert same(second, picture(engine, replace(varied, variation_seed=41)))
    assert not same(first, second)


def test_a_variation_goes_from_one_seed_to_the_other(engine: Engine) -> None:
    varied = replace(FOX, variation_seed=8, variation_strength=0)
    assert same(picture(engine, varied), picture(engine, FOX))
    other = picture(engine, replace(FOX, seed=8))
    assert same(picture(engine, replace(varied, variation_strength=1)), other)


def test_two_interleaved_runs_equal_two_one_after_the_other(engine: Engine) -> None:
    ship = Request("a blue ship, flat", seed=3, steps=3, sampler="euler_ancestral")
    runs = [engine.submit(FOX), engine.submit(ship)]
    for _ in zip(*runs, strict=True):
        pass
    mixed = [run.result().pictures[0].image for run in runs]
    assert all(same(a, picture(engine, r)) for a, r in zip(mixed, (FOX, ship), strict=True))


BY_STEPS = {"sampler": "euler_ancestral"}
BY_PATH = {"sampler": "dpmpp_2m_sde", "sde_noise": "brownian"}


@pytest.mark.parametrize("way", [BY_STEPS, BY_PATH], ids=["by steps", "along a path"])
def test_a_wandering_run_differs_each_time_and_can_be_made_again(
    engine: Engine, way: dict[str, str]
) -> None:
    wish = replace(FOX, **way, wander=True)
    runs = [engine.submit(wish) for _ in range(2)]
    paths = {run.request.path_seed for run in runs}
    pictures = [run.result().pictures[0] for run in runs]
    assert len(paths) == 2
    assert not same(pictures[0].image, pictures[1].image)
    again = engine.submit(pictures[0].recipe.request).result().pictures[0].image
    assert same(again, pictures[0].image)


@pytest.mark.parametrize("way", [BY_STEPS, BY_PATH], ids=["by steps", "along a path"])
def test_a_wandering_run_begins_with_the_seeds_noise(engine: Engine, way: dict[str, str]) -> None:
    wish = replace(FOX, **way)
    plain, wandering = (
        next(iter(engine.submit(r))) for r in (wish, replace(wish, wander=True, path_seed=5))
    )
    assert torch.equal(plain.step.x0, wandering.step.x0)  # the first estimate sees only draw 0
    assert not torch.equal(plain.step.x, wandering.step.x)


def test_a_deterministic_sampler_refuses_to_wander_by_name(engine: Engine) -> None:
    with pytest.raises(RequestError, match=r"euler draws no noise.*euler_ancestral"):
        engine.submit(replace(FOX, sampler="euler", wander=True))


def test_without_a_seed_a_fresh_one_is_drawn_and_told(engine: Engine) -> None:
    seeds = {engine.submit(Request("a fox", steps=1)).request.seed for _ in range(3)}
    assert len(seeds) == 3
    assert None not in seeds


def test_a_run_that_broke_off_does_not_pass_for_finished(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.submit(FOX)
    monkeypatch.setattr("sfumato.run.finish", lambda *_: [][0])
    with pytest.raises(IndexError):
        run.result()
    with pytest.raises(SfumatoError, match="broke off after 0 of 1"):
        run.result()


def test_steps_are_counted_and_show_the_clean_estimate(engine: Engine) -> None:
    steps = list(engine.submit(FOX))
    assert [(s.index, s.total) for s in steps] == [(1, 3), (2, 3), (3, 3)]
    assert [s.sigma for s in steps] == sorted((s.sigma for s in steps), reverse=True)
    assert steps[-1].sigma == 0
    assert steps[0].preview()[0].size == (128, 128)


def test_the_recipe_says_everything(engine: Engine) -> None:
    recipe = engine.submit(FOX).result().pictures[0].recipe
    assert recipe.request.resolved
    assert recipe.request.model == "mini"
    assert len(recipe.sha256) == 64
    assert (recipe.device, recipe.precision) == ("cpu", "fp32")
    assert recipe.torch == torch.__version__


def test_other_sizes_and_an_empty_prompt_work(engine: Engine) -> None:
    assert picture(engine, Request("", seed=1, steps=1, width=136, height=64)).size == (136, 64)


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        (replace(FOX, model="mimi"), RequestError, "mini"),
        (replace(FOX, model="sd15"), RequestError, "path"),
        (replace(FOX, model="nowhere/model.safetensors"), WeightsError, "No model file"),
        (replace(FOX, model="m" * 5000), WeightsError, "cannot be read"),
        (replace(FOX, sampler="eulr"), RequestError, "euler"),
        (replace(FOX, schedule="karas"), RequestError, "karras"),
        (replace(FOX, prompt="fox " * 40 + "the tail"), PromptError, "tail"),
        (replace(FOX, negative="fox " * 40 + "the tail"), PromptError, "negative prompt.*\n.*tail"),
        (replace(FOX, prompt="a 狐 in лес"), PromptError, "cannot read: 狐, лес"),
        (replace(FOX, negative="🦊"), PromptError, "negative prompt holds .*: 🦊"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_before_any_step(
    engine: Engine, wish: Request, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        engine.submit(wish)


@pytest.mark.parametrize("known", ["_memory", "_free"])
def test_a_size_beyond_memory_is_refused_with_one_that_fits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    monkeypatch.setattr(f"sfumato.engine.{known}", lambda device: 2**30)
    with pytest.raises(RequestError, match=r"8192x8192 needs about 9 GiB on cpu.*2688x2688 fits"):
        engine.submit(replace(FOX, width=8192, height=8192))


def test_room_grows_with_the_picture_and_the_model() -> None:
    small, large = (room(CATALOG["sd15"], side, side, "bf16") for side in (512, 1024))
    assert large == 4 * small
    assert small > room(CATALOG["mini"], 512, 512, "bf16")


def test_marks_that_the_model_does_not_know_are_passed_over(engine: Engine) -> None:
    engine.submit(replace(FOX, prompt="a fox — “red”…"))


def test_memory_that_runs_out_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = engine.submit(FOX)
    monkeypatch.setattr("sfumato.families.base.Family.decode", lambda s, x: torch.empty(2**50))
    with pytest.raises(RequestError, match=r"memory of cpu is not enough .*128x128"):
        run.result()


def test_a_fault_of_ours_is_not_taken_for_memory(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.submit(FOX)
    monkeypatch.setattr("sfumato.families.base.Family.decode", lambda s, x: x.view(7))
    with pytest.raises(RuntimeError, match="invalid for input"):
        run.result()


DEVICES = (
    "gpu",
    "cuda:x",
    "cuda:99",
    "mps:7",
    "cpu:1",
    "",
    "cpu:",
    "cuda:00",
    "cuda:" + "9" * 5000,
)


@pytest.mark.parametrize("device", DEVICES, ids=lambda name: name[:8])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(RequestError, match=r"no device|This machine has no"):
        Engine(device)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(RequestError, match="fp32, fp16, bf16"):
        Engine("cpu", "fp8")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_gives_nearly_the_same_picture(engine: Engine, precision: str) -> None:
    low = picture(Engine("cpu", precision), FOX)
    difference = ImageChops.difference(low, picture(engine, FOX)).convert("L")
    mean = sum(i * n for i, n in enumerate(difference.histogram())) / (128 * 128)
    assert mean < 4  # of 255 grey levels


def test_load_takes_a_path_too(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No model file"):
        sfumato.load(str(tmp_path / "none.safetensors"), "cpu")


def test_python_finds_a_model_by_its_name_on_the_shelves(tmp_path: Path) -> None:
    bundled = resources.files("sfumato").joinpath("assets/mini/model.safetensors")
    (tmp_path / "my-fox.safetensors").symlink_to(str(bundled))
    shelves = Shelves([Folder(tmp_path)])
    engine = sfumato.load("my-fox", "cpu", shelves=shelves)
    assert engine.submit(Request("x", steps=1)).request.model == "my-fox.safetensors"
    with pytest.raises(RequestError, match="Did you mean my-fox"):
        sfumato.load("my-foxes", "cpu", shelves=shelves)
