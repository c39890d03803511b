"""The layout of a diffusers folder: one file a part, blocks numbered within their level."""

from collections.abc import Iterator

from sfumato.spec import (
    BertConfig,
    ClipConfig,
    DenoiserConfig,
    FluxConfig,
    ModelSpec,
    T5Config,
    TextPart,
    UNetConfig,
    VaeConfig,
)
from sfumato.weights.layouts.original import CLIP, TRANSFORMER
from sfumato.weights.layouts.table import Plain, Row, Table, under
from sfumato.weights.layouts.transformers import flux_diffusers, mmdit_diffusers, t5

RES_BLOCK: tuple[Row, ...] = (
    ("norm1", "norm1"),
    ("conv1", "conv1"),
    ("time", "time_emb_proj"),
    ("norm2", "norm2"),
    ("conv2", "conv2"),
    ("skip", "conv_shortcut"),
)

UNET_ENDS: tuple[Row, ...] = (
    ("time_in", "time_embedding.linear_1"),
    ("time_out", "time_embedding.linear_2"),
    ("guidance_in", "time_embedding.cond_proj"),
    ("added_in", "add_embedding.linear_1"),
    ("added_out", "add_embedding.linear_2"),
    ("conv_in", "conv_in"),
    ("norm_out", "conv_norm_out"),
    ("conv_out", "conv_out"),
)

VAE_ATTENTION: tuple[Row, ...] = (
    ("norm", "group_norm"),
    ("q", "to_q"),
    ("k", "to_k"),
    ("v", "to_v"),
    ("out", "to_out.0"),
)

# What the four were called before diffusers 0.15; files of that time are still published.
VAE_OLDER: tuple[Plain, ...] = (
    ("to_q", "query"),
    ("to_k", "key"),
    ("to_v", "value"),
    ("to_out.0", "proj_attn"),
)

VAE_ENDS: tuple[Row, ...] = (
    ("encoder.conv_in", "encoder.conv_in"),
    ("encoder.norm_out", "encoder.conv_norm_out"),
    ("encoder.conv_out", "encoder.conv_out"),
    ("encoder.quant", "quant_conv"),
    ("decoder.quant", "post_quant_conv"),
    ("decoder.conv_in", "decoder.conv_in"),
    ("decoder.norm_out", "decoder.conv_norm_out"),
    ("decoder.conv_out", "decoder.conv_out"),
)


def unet(config: UNetConfig, prefixes: tuple[str, ...] = ("unet/", "")) -> Table:
    """The U-Net, both halves by level; the upper half's levels run from the coarsest."""
    return Table(dict(_unet_rows(config)), prefixes)


def _unet_rows(config: UNetConfig) -> Iterator[Row]:
    yield from UNET_ENDS
    for half, blocks, depths, sample in (
        ("down", config.blocks, config.depth, "downsamplers"),
        ("up", config.blocks + 1, config.depth[::-1], "upsamplers"),
    ):
        for i, depth in enumerate(depths):
            ours, theirs = f"{half}.{i}", f"{half}_blocks.{i}"
            for j in range(blocks):
                yield from under(f"{ours}.res.{j}.", f"{theirs}.resnets.{j}.", RES_BLOCK)
                yield from under(
                    f"{ours}.attention.{j}.", f"{theirs}.attentions.{j}.", TRANSFORMER, depth
                )
            yield f"{ours}.sample.conv", f"{theirs}.{sample}.0.conv"
    yield from under("middle.res.0.", "mid_block.resnets.0.", RES_BLOCK)
    yield from under("middle_attention.", "mid_block.attentions.0.", TRANSFORMER, config.middle)
    yield from under("middle.res.1.", "mid_block.resnets.1.", RES_BLOCK)


def vae(config: VaeConfig, prefix: str = "vae/") -> Table:
    """The autoencoder."""
    return Table(dict(_vae_rows(config)), (prefix,), VAE_OLDER)


def _vae_rows(config: VaeConfig) -> Iterator[Row]:
    yield from VAE_ENDS
    for half, side, blocks, sample in (
        ("encoder", "down", config.blocks, "downsamplers"),
        ("decoder", "up", config.blocks + 1, "upsamplers"),
    ):
        middle = f"{half}.mid_block"
        yield from under(f"{half}.middle.0.", f"{middle}.resnets.0.", RES_BLOCK)
        yield from under(f"{half}.middle.1.", f"{middle}.attentions.0.", VAE_ATTENTION)
        yield from under(f"{half}.middle.2.", f"{middle}.resnets.1.", RES_BLOCK)
        for i in range(len(config.channels)):
            ours, theirs = f"{half}.{side}.{i}", f"{half}.{side}_blocks.{i}"
            for j in range(blocks):
                yield from under(f"{ours}.res.{j}.", f"{theirs}.resnets.{j}.", RES_BLOCK)
            yield f"{ours}.sample.conv", f"{theirs}.{sample}.0.conv"


def text(config: ClipConfig, prefix: str = "text_encoder/") -> Table:
    """CLIP as transformers saves it: led by `text_model.` up to its version 4, bare since."""
    rows = {
        **dict(under("", "", CLIP, config.layers)),
        "projection": "text_projection",  # beside the model: always bare
    }
    unused = () if config.projection is not None else (f"{prefix}text_projection.weight",)
    return Table(
        rows,
        (f"{prefix}text_model.", prefix),
        extras=(f"{prefix}*position_ids", *unused),
    )


def tables(spec: ModelSpec) -> dict[str, Table]:
    """The tables of a model's parts, each in a folder of its own."""
    texts = {part.name: _text(part) for part in spec.texts}
    return {"denoiser": _denoiser(spec.denoiser), "vae": vae(spec.vae), **texts}


def _denoiser(config: DenoiserConfig) -> Table:
    if isinstance(config, UNetConfig):
        return unet(config)
    return flux_diffusers(config) if isinstance(config, FluxConfig) else mmdit_diffusers(config)


def _text(part: TextPart) -> Table:
    assert not isinstance(part.config, BertConfig), "published layouts know no BERT"
    place = f"{part.name}/"
    return (
        t5(part.config, (place,)) if isinstance(part.config, T5Config) else text(part.config, place)
    )
