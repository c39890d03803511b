"""The layout in which Stable Diffusion was first published: one file, a prefix for each part.

Source: the modules of CompVis/latent-diffusion, whose state dict it is; where the files of later
families keep their text encoders, Stability-AI/generative-models and sd3.5.
"""

from collections.abc import Iterator, Mapping

from sfumato.spec import (
    BertConfig,
    ClipConfig,
    DenoiserConfig,
    FluxConfig,
    ModelSpec,
    T5Config,
    TextConfig,
    UNetConfig,
    VaeConfig,
)
from sfumato.weights.layouts.table import Row, Table, under
from sfumato.weights.layouts.transformers import flux, mmdit, open_clip, t5

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
VAES = (VAE, "vae.")  # the second in the whole models that ComfyUI saves
# Where each family's files keep their text encoders, in the order of `ModelSpec.texts`.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "sd": (TEXT,),
    "sdxl": ("conditioner.embedders.0.", "conditioner.embedders.1."),
    "sd3": ("text_encoders.clip_l.", "text_encoders.clip_g.", "text_encoders.t5xxl."),
    "flux": ("text_encoders.clip_l.", "text_encoders.t5xxl."),
}

# Training's remains: noise schedules, averaged weights, losses, and counters.
EXTRAS = (
    "model_ema.*",
    "betas",
    "alphas_cumprod*",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "logvar",
    "lvlb_weights",
    "scale_factor",
    "first_stage_model.loss.*",
    "first_stage_model.model_ema.*",
    "cond_stage_model.*position_ids",
    "cond_stage_model.logit_scale",
    "cond_stage_model.transformer.logit_scale",
    "cond_stage_model.transformer.text_projection.weight",
    "embedding_manager.*",
    # OpenCLIP's. Stable Diffusion 2 reads the last block but one, and keeps the last all the same.
    "cond_stage_model.model.logit_scale",
    "cond_stage_model.model.attn_mask",
    "cond_stage_model.model.text_projection",
    "cond_stage_model.model.transformer.resblocks.23.*",
    "conditioner.embedders.*.logit_scale",
    "conditioner.embedders.*position_ids",
    "conditioner.embedders.*.attn_mask",
    "conditioner.embedders.0.transformer.text_projection.weight",
    "denoiser.sigmas",
    # What ComfyUI saves of the text encoders of Stable Diffusion 3 and Flux beside their tensors.
    "text_encoders.*.logit_scale",
    "text_encoders.*position_ids",
    "text_encoders.clip_l.transformer.text_projection.weight",
    # Empty tensors by which fine-tunes of SDXL declare what they predict, and their noise levels.
    "v_pred",
    "ztsnr",
)

RES_BLOCK: tuple[Row, ...] = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("skip", "skip_connection"),
)

TRANSFORMER: tuple[Row, ...] = (
    ("norm", "norm"),
    ("into", "proj_in"),
    ("blocks.*.norm1", "transformer_blocks.*.norm1"),
    ("blocks.*.self_attention.q", "transformer_blocks.*.attn1.to_q"),
    ("blocks.*.self_attention.k", "transformer_blocks.*.attn1.to_k"),
    ("blocks.*.self_attention.v", "transformer_blocks.*.attn1.to_v"),
    ("blocks.*.self_attention.out", "transformer_blocks.*.attn1.to_out.0"),
    ("blocks.*.norm2", "transformer_blocks.*.norm2"),
    ("blocks.*.cross_attention.q", "transformer_blocks.*.attn2.to_q"),
    ("blocks.*.cross_attention.k", "transformer_blocks.*.attn2.to_k"),
    ("blocks.*.cross_attention.v", "transformer_blocks.*.attn2.to_v"),
    ("blocks.*.cross_attention.out", "transformer_blocks.*.attn2.to_out.0"),
    ("blocks.*.norm3", "transformer_blocks.*.norm3"),
    ("blocks.*.feed_forward.into", "transformer_blocks.*.ff.net.0.proj"),
    ("blocks.*.feed_forward.out", "transformer_blocks.*.ff.net.2"),
    ("out", "proj_out"),
)

UNET_ENDS: tuple[Row, ...] = (
    ("time_in", "time_embed.0"),
    ("time_out", "time_embed.2"),
    ("guidance_in", "time_embedding.cond_proj"),  # as diffusers' own converter leaves it
    ("added_in", "label_emb.0.0"),
    ("added_out", "label_emb.0.2"),
    ("conv_in", "input_blocks.0.0"),
    ("norm_out", "out.0"),
    ("conv_out", "out.2"),
)

VAE_BLOCK: tuple[Row, ...] = (
    ("norm1", "norm1"),
    ("conv1", "conv1"),
    ("norm2", "norm2"),
    ("conv2", "conv2"),
    ("skip", "nin_shortcut"),
)

VAE_ATTENTION: tuple[Row, ...] = (
    ("norm", "norm"),
    ("q", "q"),
    ("k", "k"),
    ("v", "v"),
    ("out", "proj_out"),
)

VAE_ENDS: tuple[Row, ...] = (
    ("encoder.conv_in", "encoder.conv_in"),
    ("encoder.norm_out", "encoder.norm_out"),
    ("encoder.conv_out", "encoder.conv_out"),
    ("encoder.quant", "quant_conv"),
    ("decoder.quant", "post_quant_conv"),
    ("decoder.conv_in", "decoder.conv_in"),
    ("decoder.norm_out", "decoder.norm_out"),
    ("decoder.conv_out", "decoder.conv_out"),
)

CLIP: tuple[Row, ...] = (
    ("token", "embeddings.token_embedding"),
    ("position", "embeddings.position_embedding"),
    ("blocks.*.norm1", "encoder.layers.*.layer_norm1"),
    ("blocks.*.attention.q", "encoder.layers.*.self_attn.q_proj"),
    ("blocks.*.attention.k", "encoder.layers.*.self_attn.k_proj"),
    ("blocks.*.attention.v", "encoder.layers.*.self_attn.v_proj"),
    ("blocks.*.attention.out", "encoder.layers.*.self_attn.out_proj"),
    ("blocks.*.norm2", "encoder.layers.*.layer_norm2"),
    ("blocks.*.hidden", "encoder.layers.*.mlp.fc1"),
    ("blocks.*.hidden_out", "encoder.layers.*.mlp.fc2"),
    ("norm", "final_layer_norm"),
)


def unet(config: UNetConfig) -> Table:
    """The U-Net: its blocks are numbered through from the input, and again to the output."""
    return Table(dict(_unet_rows(config)), (UNET, ""), extras=EXTRAS)


def _unet_rows(config: UNetConfig) -> Iterator[Row]:
    yield from UNET_ENDS
    a_level = config.blocks + 1  # blocks that a level takes: its own, and the step to the next
    for i, depth in enumerate(config.depth):
        for j in range(config.blocks):
            block = f"input_blocks.{a_level * i + j + 1}"
            yield from under(f"down.{i}.res.{j}.", f"{block}.0.", RES_BLOCK)
            yield from under(f"down.{i}.attention.{j}.", f"{block}.1.", TRANSFORMER, depth)
        yield f"down.{i}.sample.conv", f"input_blocks.{a_level * (i + 1)}.0.op"
    # Without a transformer the second residual block moves up to its place.
    yield from under("middle.res.0.", "middle_block.0.", RES_BLOCK)
    yield from under("middle_attention.", "middle_block.1.", TRANSFORMER, config.middle)
    yield from under("middle.res.1.", f"middle_block.{2 if config.middle else 1}.", RES_BLOCK)
    for i, depth in enumerate(reversed(config.depth)):
        for j in range(a_level):
            block = f"output_blocks.{a_level * i + j}"
            yield from under(f"up.{i}.res.{j}.", f"{block}.0.", RES_BLOCK)
            yield from under(f"up.{i}.attention.{j}.", f"{block}.1.", TRANSFORMER, depth)
        last = a_level * i + config.blocks
        yield f"up.{i}.sample.conv", f"output_blocks.{last}.{2 if depth else 1}.conv"


def vae(config: VaeConfig, prefixes: tuple[str, ...] = VAES) -> Table:
    """The autoencoder: the decoder's levels are numbered from the finest, ours as they run."""
    return Table(dict(_vae_rows(config)), prefixes, extras=EXTRAS)


def _vae_rows(config: VaeConfig) -> Iterator[Row]:
    yield from VAE_ENDS
    for half in ("encoder", "decoder"):
        yield from under(f"{half}.middle.0.", f"{half}.mid.block_1.", VAE_BLOCK)
        yield from under(f"{half}.middle.1.", f"{half}.mid.attn_1.", VAE_ATTENTION)
        yield from under(f"{half}.middle.2.", f"{half}.mid.block_2.", VAE_BLOCK)
    levels = len(config.channels)
    for i in range(levels):
        for j in range(config.blocks):
            yield from under(
                f"encoder.down.{i}.res.{j}.", f"encoder.down.{i}.block.{j}.", VAE_BLOCK
            )
        yield f"encoder.down.{i}.sample.conv", f"encoder.down.{i}.downsample.conv"
        n = levels - 1 - i
        for j in range(config.blocks + 1):
            yield from under(f"decoder.up.{i}.res.{j}.", f"decoder.up.{n}.block.{j}.", VAE_BLOCK)
        yield f"decoder.up.{i}.sample.conv", f"decoder.up.{n}.upsample.conv"


def text(config: ClipConfig, place: str = f"{TEXT}transformer.") -> Table:
    """OpenAI's CLIP as transformers names it (the first conversions left `text_model.` out), or
    OpenCLIP as it names itself.
    """
    if config.open_clip:
        return open_clip(config, place, EXTRAS)
    rows = dict(under("", "", CLIP, config.layers))
    # Beside the model, so that it is always bare.
    rows["projection"] = "text_projection"
    return Table(rows, (f"{place}text_model.", place), extras=EXTRAS)


def tables(spec: ModelSpec) -> dict[str, Table]:
    """The tables of a model's parts."""
    texts = {
        part.name: _text(part.config, place)
        for part, place in zip(spec.texts, TEXTS[spec.family], strict=False)
    }
    return {"denoiser": _denoiser(spec.denoiser), "vae": vae(spec.vae), **texts}


def _denoiser(config: DenoiserConfig) -> Table:
    if isinstance(config, UNetConfig):
        return unet(config)
    return flux(config) if isinstance(config, FluxConfig) else mmdit(config)


def _text(config: TextConfig, place: str) -> Table:
    assert not isinstance(config, BertConfig), "published layouts know no BERT"
    if isinstance(config, T5Config):
        return t5(config, (f"{place}transformer.",))
    return text(config, f"{place}model." if config.open_clip else f"{place}transformer.")
