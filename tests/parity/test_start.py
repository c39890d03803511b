"""What starts from a picture, or is painted within a mask, is what diffusers' pipelines make.

Both are given the same latent of the picture: ours is the mean of the encoder's distribution, from
which theirs would draw.
"""

from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image, ImageDraw

from sfumato.diffusion.schedules import sigmas
from sfumato.families.sd import StableDiffusion
from sfumato.images import to_mask, to_tensor
from sfumato.pipeline import canvas_of, finish, generate
from sfumato.request import Request
from sfumato.source import Source
from tests.parity.small import (
    NEGATIVE,
    PROCESS,
    PROMPT,
    RUNS,
    SIZE,
    SPEC,
    STEPS,
    after_each_step,
    make_parts,
    saved_and_loaded,
    settled,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEED = 7


def photo() -> Image.Image:
    """Something with colours, edges and slopes."""
    image = Image.radial_gradient("L").resize((SIZE, SIZE))
    layers = (image, image.rotate(90).point(lambda v: 255 - v), Image.linear_gradient("L"))
    picture = Image.merge("RGB", [layer.resize((SIZE, SIZE)) for layer in layers])
    ImageDraw.Draw(picture).rectangle((10, 30, 40, 50), fill="orange")
    return picture


def mask() -> Image.Image:
    """White where whole elements of the latent lie: theirs and ours round others differently."""
    image = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(image).rectangle((16, 8, 47, 39), fill=255)
    return image


def request(sampler: str, strength: float, **more: Any) -> Request:
    return settled(
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=SEED,
        steps=STEPS,
        guidance=7.5,
        sampler=sampler,
        schedule=RUNS[sampler][0],
        width=SIZE,
        height=SIZE,
        image=Source.picture(photo()),
        strength=strength,
        **more,
    )


def steps_of(model: StableDiffusion, wish: Request) -> list[torch.Tensor]:
    """Our x after each step."""
    return [step.x for step in generate(model, wish, canvas_of(wish))]


def steps_of_theirs(pipe: Any, sampler: str, strength: float, **more: Any) -> list[torch.Tensor]:
    """Their latents after each step."""
    pipe.scheduler = RUNS[sampler][1]
    return after_each_step(
        pipe,
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=7.5,
        strength=strength,
        generator=torch.Generator().manual_seed(SEED),
        **more,
    )


def in_their_coordinates(sampler: str, steps: list[torch.Tensor]) -> list[torch.Tensor]:
    levels = sigmas(RUNS[sampler][0], PROCESS, STEPS)[-len(steps) :].tolist()
    is_scaled = RUNS[sampler][2]
    return [
        PROCESS.model_input(x, sigma) if is_scaled else x
        for x, sigma in zip(steps, levels, strict=True)
    ]


@pytest.fixture(scope="module")
def parts(randomised: Any) -> dict[str, Any]:
    return make_parts(randomised)


@pytest.fixture(scope="module")
def model(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    pipe = diffusers.StableDiffusionPipeline(**parts)
    return saved_and_loaded(pipe, tmp_path_factory.mktemp("pipe") / "model")


def test_the_latent_of_a_picture_is_the_mean_of_theirs(
    parts: Any, model: StableDiffusion, relative: Any
) -> None:
    picture = to_tensor([photo()])
    with torch.no_grad():
        theirs = parts["vae"].encode(picture).latent_dist.mode()
    scaled = theirs * parts["vae"].config.scaling_factor
    assert relative(model.encode_picture(picture), scaled) <= 1e-4


@pytest.mark.parametrize("strength", [0.3, 0.55, 1.0])
@pytest.mark.parametrize("sampler", RUNS)
def test_a_start_from_a_picture_is_that_of_diffusers(
    sampler: str, strength: float, parts: Any, model: StableDiffusion, relative: Any
) -> None:
    ours = in_their_coordinates(sampler, steps_of(model, request(sampler, strength)))
    pipe = diffusers.StableDiffusionImg2ImgPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    latent = model.encode_picture(to_tensor([photo()]))
    theirs = steps_of_theirs(pipe, sampler, strength, image=latent)
    assert len(ours) == len(theirs) == int(STEPS * strength)
    for mine, other in zip(ours, theirs, strict=True):
        assert relative(mine, other) <= 1e-4


@pytest.mark.parametrize("strength", [0.5, 0.9])
@pytest.mark.parametrize("sampler", RUNS)
def test_inpainting_with_any_model_is_that_of_diffusers(
    sampler: str, strength: float, parts: Any, model: StableDiffusion, relative: Any
) -> None:
    wish = request(sampler, strength, mask=Source.mask(mask()), mask_blur=0)
    ours = in_their_coordinates(sampler, steps_of(model, wish))
    pipe = diffusers.StableDiffusionInpaintPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    latent = model.encode_picture(to_tensor([photo()]))
    more = {"masked_image_latents": latent, "height": SIZE, "width": SIZE}  # not read by this net
    theirs = steps_of_theirs(
        pipe, sampler, strength, image=latent, mask_image=to_mask(mask()), **more
    )
    assert len(ours) == len(theirs) == int(STEPS * strength)
    for mine, other in zip(ours, theirs, strict=True):
        assert relative(mine, other) <= 1e-4


@pytest.mark.parametrize("sampler", RUNS)
def test_an_inpainting_model_paints_as_diffusers_does(
    sampler: str, randomised: Any, relative: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = make_parts(randomised, in_channels=9)
    pipe = diffusers.StableDiffusionInpaintPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    spec = replace(SPEC, denoiser=replace(SPEC.denoiser, in_channels=9))
    model = saved_and_loaded(pipe, tmp_path_factory.mktemp("pipe") / "model", spec)
    wish = request(sampler, 0.8, mask=Source.mask(mask()), mask_blur=0)
    ours = in_their_coordinates(sampler, steps_of(model, wish))

    picture, white = to_tensor([photo()]), to_mask(mask())
    with torch.no_grad():
        around = parts["vae"].encode(picture * (white < 0.5)).latent_dist.mode()
    theirs = steps_of_theirs(
        pipe,
        sampler,
        0.8,
        image=model.encode_picture(picture),
        mask_image=white,
        masked_image_latents=around * parts["vae"].config.scaling_factor,
        height=SIZE,
        width=SIZE,
    )
    assert len(ours) == len(theirs) == 8
    for mine, other in zip(ours, theirs, strict=True):
        assert relative(mine, other) <= 1e-4


def test_what_the_mask_leaves_is_the_picture_to_the_bit(model: StableDiffusion) -> None:
    wish = request("euler", 0.9, mask=Source.mask(mask()), mask_blur=0)
    canvas = canvas_of(wish)
    *_, last = generate(model, wish, canvas)
    made, before = finish(model, canvas, last.x), photo()
    inside = [made.getpixel((x, y)) != before.getpixel((x, y)) for x, y in _places(255)]
    assert all(made.getpixel(place) == before.getpixel(place) for place in _places(0))
    assert sum(inside) > len(inside) // 2


def _places(level: int) -> list[tuple[int, int]]:
    white = mask()
    return [(x, y) for x in range(SIZE) for y in range(SIZE) if white.getpixel((x, y)) == level]
