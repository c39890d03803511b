"""A small Stable Diffusion 3.5 with random weights, as diffusers' pipeline and as ours."""

from dataclasses import replace
from typing import Any

import diffusers
import torch
from transformers import CLIPTextModelWithProjection

from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, MMDiTConfig, ModelSpec, ProcessConfig, TextPart
from tests.parity.small import make_tokenizer
from tests.parity.transformed import (
    CONTEXT,
    HEIGHT,
    STEPS,
    T5,
    VAE,
    WIDTH,
    autoencoder,
    clip_config,
    t5_encoder,
    t5_tokenizer,
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


# As 3 medium: without what 3.5 medium has beside it.
PLAIN = replace(SPEC, denoiser=replace(SPEC.denoiser, qk_norm=False, dual=0))


def pipe_of(randomised: Any, spec: ModelSpec = SPEC, *, with_t5: bool) -> Any:
    torch.manual_seed(0)
    assert isinstance(spec.denoiser, MMDiTConfig)
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
        dual_attention_layers=tuple(range(spec.denoiser.dual)),
        qk_norm="rms_norm" if spec.denoiser.qk_norm else None,
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
