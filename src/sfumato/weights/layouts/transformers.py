"""What the published files of Stable Diffusion 3, Flux, T5 and OpenCLIP call our modules.

Ours keep queries, keys and values in one matrix, as the original files do; diffusers keeps them
apart. Its last modulations hold scale before shift, the original ones shift before scale.
Sources: Stability-AI/sd3.5 `mmditx.py`, black-forest-labs/flux `model.py`, transformers' T5,
mlfoundations/open_clip, whose state dicts these are.
"""

from sfumato.spec import ClipConfig, FluxConfig, MMDiTConfig, T5Config
from sfumato.weights.layouts.table import Pieces, Row, Table, under

DENOISER = "model.diffusion_model."

# ---- Stable Diffusion 3 -----------------------------------------------------------------------

_MMDIT_ENDS: tuple[Row, ...] = (
    ("patches", "x_embedder.proj"),
    ("positions", "pos_embed"),
    ("time_in", "t_embedder.mlp.0"),
    ("time_out", "t_embedder.mlp.2"),
    ("pooled_in", "y_embedder.mlp.0"),
    ("pooled_out", "y_embedder.mlp.2"),
    ("context_in", "context_embedder"),
    ("modulation", "final_layer.adaLN_modulation.1"),
    ("out", "final_layer.linear"),
)
_MMDIT_STREAM: tuple[Row, ...] = (
    ("modulation", "adaLN_modulation.1"),
    ("attention.qkv", "attn.qkv"),
    ("attention.norm_q", "attn.ln_q"),
    ("attention.norm_k", "attn.ln_k"),
    ("attention.out", "attn.proj"),
    ("attention2.qkv", "attn2.qkv"),
    ("attention2.norm_q", "attn2.ln_q"),
    ("attention2.norm_k", "attn2.ln_k"),
    ("attention2.out", "attn2.proj"),
    ("hidden", "mlp.fc1"),
    ("hidden_out", "mlp.fc2"),
)


def mmdit(config: MMDiTConfig, prefixes: tuple[str, ...] = (DENOISER, "")) -> Table:
    """Stable Diffusion 3's transformer as Stability published it: within a model, or alone."""
    rows = dict(_MMDIT_ENDS)
    for i in range(config.depth):
        for ours, theirs in (("text", "context_block"), ("picture", "x_block")):
            rows |= under(f"blocks.{i}.{ours}.", f"joint_blocks.{i}.{theirs}.", _MMDIT_STREAM)
    return Table(rows, prefixes)


_EMBEDDERS: tuple[Row, ...] = (
    ("time_in", "time_text_embed.timestep_embedder.linear_1"),
    ("time_out", "time_text_embed.timestep_embedder.linear_2"),
    ("pooled_in", "time_text_embed.text_embedder.linear_1"),
    ("pooled_out", "time_text_embed.text_embedder.linear_2"),
)


def _joined(lead: str, *names: str) -> Pieces:
    return Pieces(tuple(f"{lead}{name}" for name in names))


_DIFFUSERS_TEXT: tuple[Row, ...] = (
    ("modulation", "norm1_context.linear"),
    ("attention.qkv", _joined("attn.", "add_q_proj", "add_k_proj", "add_v_proj")),
    ("attention.norm_q", "attn.norm_added_q"),
    ("attention.norm_k", "attn.norm_added_k"),
    ("attention.out", "attn.to_add_out"),
    ("hidden", "ff_context.net.0.proj"),
    ("hidden_out", "ff_context.net.2"),
)
_DIFFUSERS_PICTURE: tuple[Row, ...] = (
    ("modulation", "norm1.linear"),
    ("attention.qkv", _joined("attn.", "to_q", "to_k", "to_v")),
    ("attention.norm_q", "attn.norm_q"),
    ("attention.norm_k", "attn.norm_k"),
    ("attention.out", "attn.to_out.0"),
    ("attention2.qkv", _joined("attn2.", "to_q", "to_k", "to_v")),
    ("attention2.norm_q", "attn2.norm_q"),
    ("attention2.norm_k", "attn2.norm_k"),
    ("attention2.out", "attn2.to_out.0"),
    ("hidden", "ff.net.0.proj"),
    ("hidden_out", "ff.net.2"),
)


def mmdit_diffusers(config: MMDiTConfig, prefixes: tuple[str, ...] = ("transformer/", "")) -> Table:
    """The same as diffusers saves it."""
    rows: dict[str, str | Pieces] = {
        **dict(_EMBEDDERS),
        "patches": "pos_embed.proj",
        "positions": "pos_embed.pos_embed",
        "context_in": "context_embedder",
        "modulation": Pieces(("norm_out.linear",), swapped=True),
        "out": "proj_out",
    }
    for i in range(config.depth):
        rows |= under(f"blocks.{i}.text.", f"transformer_blocks.{i}.", _DIFFUSERS_TEXT)
        rows |= under(f"blocks.{i}.picture.", f"transformer_blocks.{i}.", _DIFFUSERS_PICTURE)
    last = config.depth - 1
    rows[f"blocks.{last}.text.modulation"] = Pieces(
        (f"transformer_blocks.{last}.norm1_context.linear",), swapped=True
    )
    return Table(rows, prefixes)


# ---- Flux -------------------------------------------------------------------------------------

_FLUX_ENDS: tuple[Row, ...] = (
    ("patches", "img_in"),
    ("context_in", "txt_in"),
    ("time.into", "time_in.in_layer"),
    ("time.out", "time_in.out_layer"),
    ("pooled.into", "vector_in.in_layer"),
    ("pooled.out", "vector_in.out_layer"),
    ("guidance.into", "guidance_in.in_layer"),
    ("guidance.out", "guidance_in.out_layer"),
    ("modulation", "final_layer.adaLN_modulation.1"),
    ("out", "final_layer.linear"),
)
_FLUX_STREAM: tuple[Row, ...] = (
    ("modulation", "mod.lin"),
    ("qkv", "attn.qkv"),
    ("norm_q.weight", "attn.norm.query_norm.scale"),
    ("norm_k.weight", "attn.norm.key_norm.scale"),
    ("attention_out", "attn.proj"),
    ("hidden", "mlp.0"),
    ("hidden_out", "mlp.2"),
)
_FLUX_SINGLE: tuple[Row, ...] = (
    ("modulation", "modulation.lin"),
    ("into", "linear1"),
    ("norm_q.weight", "norm.query_norm.scale"),
    ("norm_k.weight", "norm.key_norm.scale"),
    ("out", "linear2"),
)


def flux(config: FluxConfig, prefixes: tuple[str, ...] = (DENOISER, "")) -> Table:
    """Flux's transformer as Black Forest Labs published it: within a whole model, or alone."""
    rows = dict(_FLUX_ENDS)
    for i in range(config.double):
        for ours, theirs in (("text", "txt"), ("picture", "img")):
            rows |= under(f"doubles.{i}.{ours}.", f"double_blocks.{i}.{theirs}_", _FLUX_STREAM)
    for i in range(config.single):
        rows |= under(f"singles.{i}.", f"single_blocks.{i}.", _FLUX_SINGLE)
    return Table(rows, prefixes)


_FLUX_DIFFUSERS_ENDS: tuple[Row, ...] = (
    ("patches", "x_embedder"),
    ("context_in", "context_embedder"),
    ("time.into", "time_text_embed.timestep_embedder.linear_1"),
    ("time.out", "time_text_embed.timestep_embedder.linear_2"),
    ("pooled.into", "time_text_embed.text_embedder.linear_1"),
    ("pooled.out", "time_text_embed.text_embedder.linear_2"),
    ("guidance.into", "time_text_embed.guidance_embedder.linear_1"),
    ("guidance.out", "time_text_embed.guidance_embedder.linear_2"),
    ("modulation", Pieces(("norm_out.linear",), swapped=True)),
    ("out", "proj_out"),
)
_FLUX_DIFFUSERS_TEXT: tuple[Row, ...] = (
    ("modulation", "norm1_context.linear"),
    ("qkv", _joined("attn.", "add_q_proj", "add_k_proj", "add_v_proj")),
    ("norm_q", "attn.norm_added_q"),
    ("norm_k", "attn.norm_added_k"),
    ("attention_out", "attn.to_add_out"),
    ("hidden", "ff_context.net.0.proj"),
    ("hidden_out", "ff_context.net.2"),
)
_FLUX_DIFFUSERS_PICTURE: tuple[Row, ...] = (
    ("modulation", "norm1.linear"),
    ("qkv", _joined("attn.", "to_q", "to_k", "to_v")),
    ("norm_q", "attn.norm_q"),
    ("norm_k", "attn.norm_k"),
    ("attention_out", "attn.to_out.0"),
    ("hidden", "ff.net.0.proj"),
    ("hidden_out", "ff.net.2"),
)
_FLUX_DIFFUSERS_SINGLE: tuple[Row, ...] = (
    ("modulation", "norm.linear"),
    ("into", Pieces(("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"))),
    ("norm_q", "attn.norm_q"),
    ("norm_k", "attn.norm_k"),
    ("out", "proj_out"),
)


def flux_diffusers(config: FluxConfig, prefixes: tuple[str, ...] = ("transformer/", "")) -> Table:
    """The same as diffusers saves it."""
    rows = dict(_FLUX_DIFFUSERS_ENDS)
    for i in range(config.double):
        rows |= under(f"doubles.{i}.text.", f"transformer_blocks.{i}.", _FLUX_DIFFUSERS_TEXT)
        rows |= under(f"doubles.{i}.picture.", f"transformer_blocks.{i}.", _FLUX_DIFFUSERS_PICTURE)
    for i in range(config.single):
        rows |= under(f"singles.{i}.", f"single_transformer_blocks.{i}.", _FLUX_DIFFUSERS_SINGLE)
    return Table(rows, prefixes)


# ---- Text encoders ----------------------------------------------------------------------------

_T5_BLOCK: tuple[Row, ...] = (
    ("norm1", "layer.0.layer_norm"),
    ("q", "layer.0.SelfAttention.q"),
    ("k", "layer.0.SelfAttention.k"),
    ("v", "layer.0.SelfAttention.v"),
    ("out", "layer.0.SelfAttention.o"),
    ("norm2", "layer.1.layer_norm"),
    ("gate", "layer.1.DenseReluDense.wi_0"),
    ("value", "layer.1.DenseReluDense.wi_1"),
    ("hidden_out", "layer.1.DenseReluDense.wo"),
)


def t5(config: T5Config, prefixes: tuple[str, ...] = ("",)) -> Table:
    """T5's encoder as transformers names it, in every file of it that is published."""
    rows: dict[str, str | Pieces] = {
        "token": "shared",
        "bias": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
        "norm": "encoder.final_layer_norm",
    }
    for i in range(config.layers):
        rows |= under(f"blocks.{i}.", f"encoder.block.{i}.", _T5_BLOCK)
    # The second name of the same embedding, which older files keep as well.
    extras = tuple(f"{prefix}encoder.embed_tokens.weight" for prefix in prefixes)
    return Table(rows, prefixes, extras=extras)


_T5_GGUF_BLOCK: tuple[Row, ...] = (
    ("norm1", "attn_norm"),
    ("q", "attn_q"),
    ("k", "attn_k"),
    ("v", "attn_v"),
    ("out", "attn_o"),
    ("norm2", "ffn_norm"),
    ("gate", "ffn_gate"),
    ("value", "ffn_up"),
    ("hidden_out", "ffn_down"),
)


def t5_gguf(config: T5Config) -> Table:
    """T5's encoder as llama.cpp's converter names it in GGUF files."""
    rows: dict[str, str | Pieces] = {
        "token": "token_embd",
        "bias": "enc.blk.0.attn_rel_b",
        "norm": "enc.output_norm",
    }
    for i in range(config.layers):
        rows |= under(f"blocks.{i}.", f"enc.blk.{i}.", _T5_GGUF_BLOCK)
    return Table(rows, ("",))


_OPEN_CLIP_BLOCK: tuple[Row, ...] = (
    ("norm1", "ln_1"),
    *(
        (f"attention.{name}", Pieces(("attn.in_proj_{leaf}",), part=(i, 3)))
        for i, name in enumerate("qkv")
    ),
    ("attention.out", "attn.out_proj"),
    ("norm2", "ln_2"),
    ("hidden", "mlp.c_fc"),
    ("hidden_out", "mlp.c_proj"),
)


def open_clip(config: ClipConfig, prefix: str, extras: tuple[str, ...] = ()) -> Table:
    """OpenCLIP's text encoder as it was published and as SD 2 and SDXL keep it in their files."""
    rows: dict[str, str | Pieces] = {
        "token": "token_embedding",
        "position.weight": "positional_embedding",
        "norm": "ln_final",
        "projection.weight": Pieces(("text_projection",), turned=True),
    }
    for i in range(config.layers):
        rows |= under(f"blocks.{i}.", f"transformer.resblocks.{i}.", _OPEN_CLIP_BLOCK)
    return Table(rows, (prefix,), extras=extras)
