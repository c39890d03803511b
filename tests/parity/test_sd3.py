"""SD 3 and 3.5: what is heard and the whole trajectory are those of diffusers' pipeline."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from transformers import CLIPTextModelWithProjection

from sfumato.diffusion.noise import Noise
from sfumato.families.sd3 import StableDiffusion3
from sfumato.pipeline import generate
from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, MMDiTConfig, ModelSpec, ProcessConfig, TextPart
from sfumato.text.t5 import T5Tokenizer
from sfumato.weights.files import open_weights
from sfumato.weights.load import load_parts
from sfumato.weights.parts import located, vocabulary
from tests.parity.small import make_tokenizer, settled
from tests.parity.transformed import (
    CONTEXT,
    HEIGHT,
    NEGATIVE,
    PROMPT,
    STEPS,
    T5,
    VAE,
    WIDTH,
    autoencoder,
    clip_config,
    t5_encoder,
    t5_tokenizer,
    trajectory,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)

FIRST = ClipConfig(layers=2, width=16, heads=2, hidden=32, take=-2, final_norm=False)
SECOND = replace(FIRST, width=20, activation="gelu", projection=24, pad=0)
SPEC = ModelSpec(
    name="small-sd3",
    title="Small SD 3",
    family="sd3",
    texts=(
        TextPart(FIRST),
        TextPart(SECOND, "text_encoder_2"),
        TextPart(T5, "text_encoder_3", optional=True),
    ),
    denoiser=MMDiTConfig(
        in_channels=4,
        out_channels=4,
        width=48,
        depth=3,
        heads=3,
        context=CONTEXT,
        pooled=40,
        positions=12,
        qk_norm=True,
        dual=2,
    ),
    vae=VAE,
    process=ProcessConfig("flow", shift=3.0),
    defaults=Defaults(STEPS, 5.0, "euler", "normal", WIDTH, HEIGHT),
)


def pipe_of(randomised: Any, *, with_t5: bool) -> Any:
    torch.manual_seed(0)
    first = randomised(CLIPTextModelWithProjection(clip_config(FIRST)), 1)
    first.text_projection.weight.data = torch.eye(16)  # as published, see catalog.py
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=CONTEXT,
        caption_projection_dim=48,
        pooled_projection_dim=40,
        out_channels=4,
        pos_embed_max_size=12,
        dual_attention_layers=(0, 1),
        qk_norm="rms_norm",
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=randomised(transformer, 2),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=randomised(autoencoder(), 3),
        text_encoder=first,
        text_encoder_2=randomised(CLIPTextModelWithProjection(clip_config(SECOND)), 4),
        text_encoder_3=randomised(t5_encoder(), 5) if with_t5 else None,
        tokenizer=make_tokenizer(),
        tokenizer_2=make_tokenizer("!"),
        tokenizer_3=t5_tokenizer() if with_t5 else None,
    )


def model_of(pipe: Any, folder: Path) -> StableDiffusion3:
    """Our model, from the folder that diffusers' pipeline saved."""
    pipe.save_pretrained(folder)
    origins = located(SPEC, "diffusers", open_weights(folder))
    words = vocabulary(SPEC, origins)
    t5 = None if words is None else T5Tokenizer(words)
    return StableDiffusion3(SPEC, load_parts(SPEC, origins, torch.float32, {}, t5))


@pytest.fixture(scope="module", params=[True, False], ids=["with T5", "without T5"])
def both(
    request: pytest.FixtureRequest, randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, StableDiffusion3]:
    pipe = pipe_of(randomised, with_t5=request.param)
    return pipe, model_of(pipe, tmp_path_factory.mktemp("sd3") / "model")


def test_what_is_heard_is_what_diffusers_hears(
    both: tuple[Any, StableDiffusion3], relative: Any
) -> None:
    pipe, model = both
    with torch.no_grad():
        context, other, pooled, other_pooled = pipe.encode_prompt(
            PROMPT, None, None, negative_prompt=NEGATIVE
        )
    (positive,), negative = model.encode([PROMPT], NEGATIVE, (WIDTH, HEIGHT))
    assert relative(positive.context, context) <= 1e-5
    assert relative(negative.context, other) <= 1e-5
    assert relative(positive.added, pooled) <= 1e-5
    assert relative(negative.added, other_pooled) <= 1e-5
    if model.t5 is None:
        assert positive.context.shape[1] == 77 + 256
        assert not positive.context[:, 77:].any()


def test_the_trajectory_and_the_picture_are_those_of_diffusers(
    both: tuple[Any, StableDiffusion3], relative: Any
) -> None:
    pipe, model = both
    request = settled(
        "euler",
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=7,
        steps=STEPS,
        guidance=5.0,
        schedule="normal",
        width=WIDTH,
        height=HEIGHT,
    )
    ours = [step.x for step in generate(model, request)]
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    theirs = trajectory(pipe, noise, guidance_scale=5.0)
    assert len(ours) == len(theirs) == STEPS
    for x, other in zip(ours, theirs, strict=True):
        assert relative(x, other) <= 1e-4
    with torch.no_grad():
        shown = pipe.vae.decode(theirs[-1] / VAE.scale + VAE.shift).sample
    assert relative(model.decode(theirs[-1]), shown) <= 1e-5


def test_a_long_prompt_is_read_whole_by_all_readers(both: tuple[Any, StableDiffusion3]) -> None:
    model = both[1]
    (positive,), negative = model.encode(["fox " * 300], "grey", (WIDTH, HEIGHT))
    chunks = 77 * (300 // 75)
    tokens = 256 if model.t5 is None else 301
    assert positive.context.shape == negative.context.shape == (1, chunks + tokens, CONTEXT)


@pytest.mark.parametrize("weighting", ["a1111", "comfy"])
def test_a_weight_changes_what_each_reader_says_of_that_word(
    both: tuple[Any, StableDiffusion3], weighting: str
) -> None:
    from sfumato.families.base import Reading

    model = both[1]
    (plain, heavy), _ = model.encode(
        ["a red fox", "a red (fox:1.5)"], "", (WIDTH, HEIGHT), Reading(weighting)
    )
    differs = (plain.context - heavy.context).abs().amax(2)[0] > 1e-6
    assert bool(differs[:77].any())
    assert bool(differs[77:].any()) == (model.t5 is not None)
