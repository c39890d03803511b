"""SDXL and its refiner: text, size and trajectory are those of diffusers' pipelines."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.schedules import sigmas
from sfumato.errors import RequestError
from sfumato.families.sdxl import StableDiffusionXL
from sfumato.pipeline import generate
from sfumato.request import Request
from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, TextPart, UNetConfig, VaeConfig
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import load_model
from tests.parity.small import STABLE, after_each_step, make_tokenizer, settled

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)

WIDTH, HEIGHT, STEPS = 64, 48, 6
FIRST = ClipConfig(layers=2, width=32, heads=2, hidden=64, take=-2, final_norm=False)
SECOND = replace(FIRST, width=48, heads=3, projection=40, activation="gelu", pad=0, open_clip=True)
BASE = ModelSpec(
    name="small-xl",
    title="Small XL",
    family="sdxl",
    texts=(TextPart(FIRST), TextPart(SECOND, "text_encoder_2")),
    denoiser=UNetConfig(
        channels=(32, 64),
        depth=(0, 2),
        middle=2,
        heads=None,
        head_width=16,
        context=80,
        linear_projection=True,
        added=40 + 6 * 256,
        groups=8,
    ),
    vae=VaeConfig(channels=(16, 16, 32, 32), blocks=1, groups=8, scale=0.13025),
    process=ProcessConfig("eps"),
    defaults=Defaults(STEPS, 7.0, "euler", "normal", WIDTH, HEIGHT),
)
REFINER = replace(
    BASE,
    texts=(TextPart(SECOND, "text_encoder_2"),),
    denoiser=replace(BASE.denoiser, context=48, added=40 + 5 * 256),
)


def text_config(config: ClipConfig) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=config.width,
        intermediate_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        hidden_act=config.activation,
        projection_dim=config.projection or 40,
        bos_token_id=49406,
        eos_token_id=49407,
    )


def pipe_of(spec: ModelSpec, randomised: Any) -> Any:
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=spec.denoiser.channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 4),
        cross_attention_dim=spec.denoiser.context,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=spec.denoiser.added,
        norm_num_groups=8,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=spec.vae.channels,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        scaling_factor=0.13025,
        force_upcast=False,
    )
    second = CLIPTextModelWithProjection(text_config(SECOND))
    refines = len(spec.texts) == 1
    first = None if refines else randomised(CLIPTextModel(text_config(FIRST)), 2)
    kind = diffusers.StableDiffusionXLPipeline
    if refines:
        kind = diffusers.StableDiffusionXLImg2ImgPipeline
    more = {"requires_aesthetics_score": True} if refines else {}
    pipe = kind(
        vae=randomised(vae, 1),
        text_encoder=first,
        text_encoder_2=randomised(second, 4),
        tokenizer=None if first is None else make_tokenizer(),
        tokenizer_2=make_tokenizer("!"),
        unet=randomised(unet, 3),
        scheduler=diffusers.EulerDiscreteScheduler(**STABLE, timestep_spacing="linspace"),
        force_zeros_for_empty_prompt=not refines,
        add_watermarker=False,
        **more,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def model_of(
    spec: ModelSpec, pipe: Any, folder: Path, dtype: torch.dtype = torch.float32
) -> StableDiffusionXL:
    pipe.save_pretrained(folder)
    parts = load_model(open_weights(folder), spec, tables("diffusers", spec), dtype)
    return StableDiffusionXL(spec, parts)


@pytest.fixture(scope="module")
def refiner(
    base: tuple[Any, StableDiffusionXL],
    randomised: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, StableDiffusionXL]:
    """With the base's own autoencoder, as published."""
    pipe = pipe_of(REFINER, randomised)
    pipe.vae = base[0].vae
    return pipe, model_of(REFINER, pipe, tmp_path_factory.mktemp("refiner") / "model")


@pytest.fixture(scope="module")
def base(
    randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, StableDiffusionXL]:
    pipe = pipe_of(BASE, randomised)
    return pipe, model_of(BASE, pipe, tmp_path_factory.mktemp("base") / "model")


@pytest.mark.parametrize("negative", ["blurry, grey", ""], ids=["negative", "no negative"])
def test_a_whole_picture_is_that_of_diffusers_pipeline(
    base: tuple[Any, StableDiffusionXL], negative: str, relative: Any
) -> None:
    pipe, model = base
    request = settled(
        prompt="a red fox in the snow",
        negative=negative,
        seed=7,
        steps=STEPS,
        guidance=7.0,
        sampler="euler",
        schedule="normal",
        width=WIDTH,
        height=HEIGHT,
    )
    ours = [step.x for step in generate(model, request)]
    levels = sigmas("normal", model.process(WIDTH, HEIGHT), STEPS)
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    pipe.scheduler.set_timesteps(STEPS)
    theirs = after_each_step(
        pipe,
        request.prompt,
        negative_prompt=negative or None,
        num_inference_steps=STEPS,
        guidance_scale=7.0,
        height=HEIGHT,
        width=WIDTH,
        latents=noise * float(levels[0]) / pipe.scheduler.init_noise_sigma,
    )
    assert len(ours) == len(theirs) == STEPS
    for x, other in zip(ours, theirs, strict=True):
        assert relative(x, other) <= 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_in_half_precision_the_picture_is_nearly_that_of_full(
    base: tuple[Any, StableDiffusionXL], tmp_path: Path, dtype: torch.dtype, relative: Any
) -> None:
    pipe, whole = base
    half = model_of(BASE, pipe, tmp_path / "model", dtype)
    request = settled(
        prompt="a red fox in the snow",
        negative="blurry",
        seed=7,
        steps=STEPS,
        guidance=7.0,
        sampler="euler",
        schedule="normal",
        width=WIDTH,
        height=HEIGHT,
    )
    *_, exact = generate(whole, request)
    *_, rounded = generate(half, request)
    assert 0 < relative(rounded.x, exact.x) < 0.1


def test_the_refiner_is_told_what_diffusers_tells_it(
    refiner: tuple[Any, StableDiffusionXL], relative: Any
) -> None:
    pipe, model = refiner
    (positive,), negative = model.encode(["a red fox"], "blurry", (WIDTH, HEIGHT))
    with torch.no_grad():
        context, other, pooled, other_pooled = pipe.encode_prompt(
            "a red fox", negative_prompt="blurry"
        )
    liked, disliked = pipe._get_add_time_ids(
        (HEIGHT, WIDTH), (0, 0), (HEIGHT, WIDTH), 6.0, 2.5,
        (HEIGHT, WIDTH), (0, 0), (HEIGHT, WIDTH),
        dtype=torch.float32, text_encoder_projection_dim=40,
    )  # fmt: skip
    for ours, theirs, vector, numbers in (
        (positive, context, pooled, liked),
        (negative, other, other_pooled, disliked),
    ):
        assert relative(ours.context, theirs) <= 1e-5
        told = pipe.unet.add_time_proj(numbers.flatten()).flatten()[None]
        assert relative(ours.added, torch.cat([vector, told], dim=1)) <= 1e-5


def test_a_long_prompt_is_read_in_chunks_by_both(base: tuple[Any, StableDiffusionXL]) -> None:
    model = base[1]
    (positive,), negative = model.encode(["fox " * 80], "grey", (WIDTH, HEIGHT))
    assert positive.context.shape == negative.context.shape == (1, 154, 80)
    (alone,), _ = model.encode(["grey"], "x", (WIDTH, HEIGHT))
    torch.testing.assert_close(negative.context[:, :77], alone.context)
    assert alone.added is not None
    torch.testing.assert_close(negative.added, alone.added)


def test_of_several_prompts_each_keeps_its_own_pooled_text(
    base: tuple[Any, StableDiffusionXL],
) -> None:
    model = base[1]
    (fox, cat), empty = model.encode(["a fox", "a cat"], "", (WIDTH, HEIGHT))
    (alone,), _ = model.encode(["a cat"], "", (WIDTH, HEIGHT))
    assert cat.added is not None
    assert alone.added is not None
    assert fox.added is not None
    assert empty.added is not None
    assert torch.equal(cat.added, alone.added)
    assert not torch.equal(fox.added, cat.added)
    assert not empty.context.any()
    assert not empty.added[:, :40].any()
    nothing, empty = model.encode([], "", (WIDTH, HEIGHT))
    assert nothing == []
    assert not empty.context.any()


def wish(sampler: str = "euler", **fields: Any) -> Request:
    usual: dict[str, Any] = {"prompt": "a red fox in the snow", "negative": "blurry, grey"}
    usual |= {"seed": 7, "steps": 10, "guidance": 7.0, "schedule": "normal"}
    return settled(sampler, **{**usual, "width": WIDTH, "height": HEIGHT, **fields})


def of_diffusers(
    pipe: Any, request: Request, latents: torch.Tensor, **said: Any
) -> list[torch.Tensor]:
    """The latents after each step; ``latents`` are what the pipeline begins with."""
    return after_each_step(
        pipe,
        request.prompt,
        negative_prompt=request.negative,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        **said,
        **({"image": latents} if "denoising_start" in said else {"latents": latents}),
    )


# diffusers' name of each, height first; here the width comes first.
TOLD = {
    "original_size": ("original_size", (200, 120), (120, 200)),
    "crop": ("crops_coords_top_left", (8, 24), (24, 8)),
    "target_size": ("target_size", (96, 32), (32, 96)),
    "negative_original_size": ("negative_original_size", (20, 12), (12, 20)),
    "negative_crop": ("negative_crops_coords_top_left", (3, 5), (5, 3)),
    "negative_target_size": ("negative_target_size", (9, 7), (7, 9)),
}


def test_sizes_and_crops_are_told_as_diffusers_tells_them(
    base: tuple[Any, StableDiffusionXL], relative: Any
) -> None:
    pipe, model = base
    request = wish(**{name: here for name, (_, _, here) in TOLD.items()})
    ours = [step.x for step in generate(model, request)]
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    pipe.scheduler.set_timesteps(10)
    levels = sigmas("normal", model.process(WIDTH, HEIGHT), 10)
    told = {theirs: value for theirs, value, _ in TOLD.values()}
    start = noise * float(levels[0]) / pipe.scheduler.init_noise_sigma
    theirs = of_diffusers(pipe, request, start, height=HEIGHT, width=WIDTH, **told)
    assert max(map(relative, ours, theirs)) <= 1e-4


def test_each_thing_that_is_told_changes_the_picture(
    base: tuple[Any, StableDiffusionXL], refiner: tuple[Any, StableDiffusionXL]
) -> None:
    wishes = [wish(steps=2), *(wish(steps=2, **{name: TOLD[name][2]}) for name in TOLD)]
    made = [[*generate(base[1], each)][-1].x for each in wishes]
    liked = [wish(steps=2), wish(steps=2, aesthetic=9), wish(steps=2, negative_aesthetic=1)]
    made += [[*generate(refiner[1], each)][-1].x for each in liked]
    for i, one in enumerate(made):
        assert not any(torch.equal(one, other) for other in made[:i])


def test_what_is_told_beside_the_prompt_is_told_beside_the_negative_one_too(
    base: tuple[Any, StableDiffusionXL],
) -> None:
    one = wish(steps=2, original_size=(96, 64), crop=(4, 2))
    two = wish(
        steps=2,
        original_size=(96, 64),
        crop=(4, 2),
        negative_original_size=(96, 64),
        negative_crop=(4, 2),
        target_size=(WIDTH, HEIGHT),
    )
    assert torch.equal(*([*generate(base[1], each)][-1].x for each in (one, two)))


def test_what_no_model_is_told_is_refused_by_its_name(
    base: tuple[Any, StableDiffusionXL], refiner: tuple[Any, StableDiffusionXL]
) -> None:
    with pytest.raises(RequestError, match="aesthetic has no effect: Small XL is told nothing"):
        generate(base[1], wish(aesthetic=7))
    with pytest.raises(RequestError, match="target_size has no effect"):
        generate(refiner[1], wish(target_size=(64, 64)))
    both = wish(target_size=(64, 64), aesthetic=7, refiner="r", refiner_at=0.5)
    assert len([*generate(base[1], both, refiner=refiner[1])]) == 10


@pytest.mark.parametrize(("at", "steps"), [(0.8, 10), (0.5, 7)])
def test_a_refiner_takes_over_where_diffusers_hands_over(
    base: tuple[Any, StableDiffusionXL],
    refiner: tuple[Any, StableDiffusionXL],
    relative: Any,
    at: float,
    steps: int,
) -> None:
    (pipe, model), (later, other) = base, refiner
    request = wish(steps=steps, refiner="refiner", refiner_at=at)
    ours = [step.x for step in generate(model, request, refiner=other)]
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    pipe.scheduler.set_timesteps(steps)
    levels = sigmas("normal", model.process(WIDTH, HEIGHT), steps)
    start = noise * float(levels[0]) / pipe.scheduler.init_noise_sigma
    size = {"height": HEIGHT, "width": WIDTH}
    first = of_diffusers(pipe, request, start, **size, denoising_end=at)
    second = of_diffusers(later, request, first[-1], denoising_start=at)
    assert len(first) + len(second) == steps
    assert 0 < len(second) < steps
    assert max(map(relative, ours, [*first, *second])) <= 1e-4


def test_a_run_with_a_refiner_goes_on_from_any_step_to_the_same_bits(
    base: tuple[Any, StableDiffusionXL], refiner: tuple[Any, StableDiffusionXL]
) -> None:
    request = wish("dpmpp_3m_sde", steps=6, refiner="refiner", refiner_at=0.5)
    whole = [*generate(base[1], request, refiner=refiner[1])]
    for step in whole[:-1]:
        again = [*generate(base[1], request, refiner=refiner[1], start=step)]
        assert torch.equal(again[-1].x, whole[-1].x)


def test_a_refiner_that_would_do_nothing_or_everything_is_refused(
    base: tuple[Any, StableDiffusionXL], refiner: tuple[Any, StableDiffusionXL]
) -> None:
    for at, idle in ((1.0, "refiner"), (0.0, "model")):
        request = wish(refiner="refiner", refiner_at=at)
        with pytest.raises(RequestError, match=f"leaves none of 10 steps to the {idle}"):
            generate(base[1], request, refiner=refiner[1])
