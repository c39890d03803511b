"""The engine makes finished pictures larger, and a larger picture can be made again."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops
from safetensors.torch import save_file

from sfumato.engine import Engine
from sfumato.errors import RequestError, WeightsError
from sfumato.limits import UPSCALER
from sfumato.nn.upscaler import Upscaler
from sfumato.recipe import Recipe
from sfumato.request import Request
from sfumato.run import Run
from sfumato.source import Source
from sfumato.spec import UpscalerConfig

SMALL = Request("a red fox, 3d", seed=7, steps=2, width=32, height=40)
LARGE = replace(SMALL, upscale=4)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", "fp32")


def made(run: Run) -> Image.Image:
    return run.result().pictures[0].image


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def file_of(folder: Path, scale: int) -> Path:
    torch.manual_seed(0)
    path = folder / f"mine-x{scale}.safetensors"
    save_file(Upscaler(UpscalerConfig(channels=4, layers=1, scale=scale)).state_dict(), path)
    return path


def test_the_picture_is_the_painted_one_made_larger(engine: Engine) -> None:
    painted = made(engine.submit(SMALL))
    for factor in (2, 4):
        larger = made(engine.submit(replace(SMALL, upscale=factor)))
        assert larger.size == (32 * factor, 40 * factor)
        assert same(larger, engine.enlarge(painted, factor).picture())


def test_a_larger_picture_is_made_again_from_its_recipe_to_the_bit(engine: Engine) -> None:
    (picture,) = engine.submit(LARGE).result().pictures
    recipe = Recipe.from_json(picture.recipe.to_json())
    assert (recipe.request.upscale, recipe.request.upscaler) == (4, UPSCALER)
    assert (recipe.request.width, recipe.request.height) == (32, 40)
    assert len(recipe.upscaler_sha256) == 64
    assert same(made(engine.submit(recipe.request)), picture.image)


def test_a_picture_that_is_not_made_larger_says_nothing_of_it(engine: Engine) -> None:
    (picture,) = engine.submit(SMALL).result().pictures
    assert picture.recipe.request.upscaler is None
    assert picture.recipe.upscaler_sha256 == ""


def test_the_last_step_is_told_while_the_picture_is_made_larger(engine: Engine) -> None:
    told = [(step.index, step.upscaling) for step in engine.submit(LARGE)]
    assert told == [(1, None), (2, (0, 1)), (2, (1, 1)), (2, None)]


def test_previews_are_not_made_larger(engine: Engine) -> None:
    assert {step.preview()[0].size for step in engine.submit(LARGE)} == {(32, 40)}


def test_what_is_laid_back_into_its_picture_is_made_larger_whole(engine: Engine) -> None:
    image = Image.new("RGB", (48, 40), (240, 200, 40))
    mask = Image.new("L", (48, 40))
    mask.paste(255, (8, 8, 24, 24))
    request = replace(
        SMALL, height=32, image=Source.picture(image), mask=Source.mask(mask), mask_padding=4
    )
    painted = made(engine.submit(request))
    larger = made(engine.submit(replace(request, upscale=2)))
    assert painted.size == (48, 40)
    assert larger.size == (96, 80)
    assert same(larger, engine.enlarge(painted, 2).picture())


def test_a_stored_step_goes_on_to_the_same_larger_picture(engine: Engine) -> None:
    run = engine.submit(LARGE)
    state = next(iter(run)).state()
    again = engine.submit(run.request, state=state)
    assert same(made(again), made(run))


def test_a_file_of_ones_own_is_used_and_named(engine: Engine, tmp_path: Path) -> None:
    path = file_of(tmp_path, 2)
    (picture,) = engine.submit(replace(SMALL, upscale=2, upscaler=str(path))).result().pictures
    assert picture.recipe.request.upscaler == path.name
    assert not same(picture.image, made(engine.submit(replace(SMALL, upscale=2))))


def test_what_an_upscaler_cannot_do_is_refused_before_any_step(
    engine: Engine, tmp_path: Path
) -> None:
    twice = str(file_of(tmp_path, 2))
    with pytest.raises(RequestError, match=r"upscale is 4, and mine-x2\.safetensors makes"):
        engine.submit(replace(LARGE, upscaler=twice))
    with pytest.raises(WeightsError, match="No model file at"):
        engine.submit(replace(LARGE, upscaler=str(tmp_path / "none.pth")))
    image = Image.new("RGB", (4096, 8))
    source = {"image": Source.picture(image), "mask": Source.mask(Image.new("L", (4096, 8), 255))}
    with pytest.raises(RequestError, match="which makes 16384x32 of 4096x8"):
        replace(LARGE, **source, mask_padding=0)
