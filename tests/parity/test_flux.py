"""Flux dev and schnell: what is heard and the whole trajectory are those of diffusers' pipeline."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from transformers import CLIPTextModel

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.schedules import sigmas
from sfumato.families.flux import FluxModel
from sfumato.pipeline import generate
from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, FluxConfig, ModelSpec, ProcessConfig, TextPart
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

CLIP = ClipConfig(layers=2, width=24, heads=2, hidden=32)
DEV = ModelSpec(
    name="small-flux",
    title="Small Flux",
    family="flux",
    texts=(TextPart(CLIP), TextPart(T5, "text_encoder_2")),
    denoiser=FluxConfig(
        in_channels=4,
        out_channels=4,
        width=48,
        heads=3,
        double=2,
        single=3,
        context=CONTEXT,
        pooled=24,
        axes=(4, 6, 6),
    ),
    vae=VAE,
    process=ProcessConfig("flow", by_size=True),
    defaults=Defaults(STEPS, 1.0, "euler", "simple", WIDTH, HEIGHT, 3.5),
)
SCHNELL = replace(
    DEV,
    denoiser=replace(DEV.denoiser, guidance=False),
    process=ProcessConfig("flow"),
    defaults=replace(DEV.defaults, distilled=None),
)
# The stride of `simple` is cut to whole entries of a thousand; of so many steps it is whole.
WHOLE_STEPS = 5


def pipe_of(randomised: Any, spec: ModelSpec) -> Any:
    torch.manual_seed(0)
    guided = spec.defaults.distilled is not None
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=CONTEXT,
        pooled_projection_dim=24,
        guidance_embeds=guided,
        axes_dims_rope=(4, 6, 6),
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0 if guided else 1.0, use_dynamic_shifting=guided
    )
    return diffusers.FluxPipeline(
        transformer=randomised(transformer, 2),
        scheduler=scheduler,
        vae=randomised(autoencoder(), 3),
        text_encoder=randomised(CLIPTextModel(clip_config(CLIP)), 1),
        text_encoder_2=randomised(t5_encoder(), 5),
        tokenizer=make_tokenizer(),
        tokenizer_2=t5_tokenizer(),
    )


def model_of(pipe: Any, spec: ModelSpec, folder: Path) -> FluxModel:
    pipe.save_pretrained(folder)
    origins = located(spec, "diffusers", open_weights(folder))
    words = vocabulary(spec, origins)
    assert words is not None
    return FluxModel(spec, load_parts(spec, origins, torch.float32, {}, T5Tokenizer(words)))


@pytest.fixture(scope="module", params=[DEV, SCHNELL], ids=["dev", "schnell"])
def both(
    request: pytest.FixtureRequest, randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, FluxModel]:
    pipe = pipe_of(randomised, request.param)
    return pipe, model_of(pipe, request.param, tmp_path_factory.mktemp("flux") / "model")


def packed(latent: torch.Tensor) -> torch.Tensor:
    """A latent (1, C, H, W) as diffusers packs it: (1, H W / 4, 4 C)."""
    _, channels, height, width = latent.shape
    x = latent.view(1, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(1, height * width // 4, channels * 4)


def length_of(model: FluxModel) -> int:
    return 512 if model.spec.defaults.distilled is not None else 256


def test_what_is_heard_is_what_diffusers_hears(both: tuple[Any, FluxModel], relative: Any) -> None:
    pipe, model = both
    with torch.no_grad():
        context, pooled, _ = pipe.encode_prompt(PROMPT, None, max_sequence_length=length_of(model))
    (positive,), _ = model.encode([PROMPT], "", (WIDTH, HEIGHT))
    assert relative(positive.context, context) <= 1e-5
    assert relative(positive.added, pooled) <= 1e-5


@pytest.mark.parametrize("guidance", [1.0, 4.0], ids=["one prompt", "both prompts"])
def test_the_trajectory_is_that_of_diffusers(
    both: tuple[Any, FluxModel], guidance: float, relative: Any
) -> None:
    pipe, model = both
    distilled = None if model.spec.defaults.distilled is None else 2.5
    request = settled(
        "euler",
        prompt=PROMPT,
        negative=NEGATIVE,
        seed=7,
        steps=WHOLE_STEPS,
        guidance=guidance,
        distilled=distilled,
        schedule="simple",
        width=WIDTH,
        height=HEIGHT,
    )
    ours = [step.x for step in generate(model, request)]
    noise = Noise([7], model.latent_shape(WIDTH, HEIGHT))(0)
    theirs = trajectory(
        pipe,
        packed(noise),
        steps=WHOLE_STEPS,
        guidance_scale=2.5,
        true_cfg_scale=guidance,
        max_sequence_length=length_of(model),
    )
    assert len(ours) == len(theirs) == WHOLE_STEPS
    for x, other in zip(ours, theirs, strict=True):
        assert relative(packed(x), other) <= 1e-4


def test_dev_shifts_its_levels_by_the_size_and_schnell_does_not(
    both: tuple[Any, FluxModel],
) -> None:
    model = both[1]
    small, large = (sigmas("simple", model.process(s, s), 4).tolist() for s in (256, 1024))
    if model.spec.process.by_size:
        assert small[1] == pytest.approx(shifted_by(0.75, 0.5))  # mu of 256 tokens
        assert large[1] == pytest.approx(shifted_by(0.75, 1.15))  # mu of 4096
    else:
        assert small == large == [1.0, 0.75, 0.5, 0.25, 0.0]


def shifted_by(level: float, mu: float) -> float:
    """black-forest-labs/flux, `time_shift`."""
    from math import exp

    return exp(mu) / (exp(mu) + (1 / level - 1))
