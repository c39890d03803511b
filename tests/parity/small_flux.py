"""A small Flux, dev and schnell, with random weights, as diffusers' pipeline and as ours."""

from dataclasses import replace
from typing import Any

import diffusers
import torch
from transformers import CLIPTextModel

from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, FluxConfig, ModelSpec, ProcessConfig, TextPart
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
