"""What a transformer's tensors say of it: its description, measured off keys and shapes alone.

Compared with the catalog's descriptions, field by field, it shows which model a file holds; one
that equals none of them is told with what it resembles and where it differs.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from sfumato.catalog import CATALOG
from sfumato.spec import DenoiserConfig, FluxConfig, MMDiTConfig
from sfumato.weights.entries import Entry

__all__ = ["Transformer", "transformer"]

Shapes = Callable[[str], tuple[int, ...]]
HEAD = 64  # width of a head of Stable Diffusion 3, which no shape of its first release shows


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer that was found: `spec_name` is None where it equals no row of the catalog."""

    kind: str
    layout: str
    evidence: tuple[str, ...]
    spec_name: str | None = None


@dataclass(frozen=True, slots=True)
class _Names:
    """How a layout calls the tensors that are measured."""

    layout: str
    family: str
    mark: str  # the end of a key that only this family has in this layout
    patches: str
    context: str
    pooled: str
    block: str
    single: str
    head: str
    out: str
    guidance: str = ""
    positions: str = ""
    dual: str = ""


NAMES = (
    _Names(
        "original",
        "Flux.1",
        "double_blocks.0.img_attn.qkv.weight",
        "img_in.weight",
        "txt_in.weight",
        "vector_in.in_layer.weight",
        "double_blocks",
        "single_blocks",
        "double_blocks.0.img_attn.norm.query_norm.scale",
        "final_layer.linear.weight",
        "guidance_in.in_layer.weight",
    ),
    _Names(
        "diffusers",
        "Flux.1",
        "single_transformer_blocks.0.attn.to_q.weight",
        "x_embedder.weight",
        "context_embedder.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "transformer_blocks",
        "single_transformer_blocks",
        "transformer_blocks.0.attn.norm_q.weight",
        "proj_out.weight",
        "time_text_embed.guidance_embedder.linear_1.weight",
    ),
    _Names(
        "original",
        "Stable Diffusion 3",
        "joint_blocks.0.context_block.attn.qkv.weight",
        "x_embedder.proj.weight",
        "context_embedder.weight",
        "y_embedder.mlp.0.weight",
        "joint_blocks",
        "",
        "joint_blocks.0.x_block.attn.ln_q.weight",
        "final_layer.linear.weight",
        positions="pos_embed",
        dual="x_block.attn2.qkv.weight",
    ),
    _Names(
        "diffusers",
        "Stable Diffusion 3",
        "transformer_blocks.0.attn.add_q_proj.weight",
        "pos_embed.proj.weight",
        "context_embedder.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "transformer_blocks",
        "",
        "transformer_blocks.0.attn.norm_q.weight",
        "proj_out.weight",
        positions="pos_embed.pos_embed",
        dual="attn2.to_q.weight",
    ),
)


def transformer(entries: Mapping[str, Entry]) -> Transformer | None:
    """The transformer of Stable Diffusion 3 or Flux among these tensors, or None."""
    for names in NAMES:
        key = next((key for key in entries if key.endswith(names.mark)), None)
        if key is not None:
            return _measured(entries, names, key.removesuffix(names.mark))
    return None


def _measured(entries: Mapping[str, Entry], names: _Names, lead: str) -> Transformer:
    evidence = [f"{lead}{names.mark}: a transformer, as in {names.family}"]
    needed = [names.patches, names.context, names.pooled, names.out]
    needed += [names.positions] if names.positions else [names.head]
    for name in needed:
        entry = entries.get(lead + name)
        if entry is None or not entry.shape:
            evidence.append(f"no {lead}{name}, which {names.family} has")
            kind = f"a relative of {names.family} that is unknown here"
            return Transformer(kind, names.layout, tuple(evidence))

    def shape(name: str) -> tuple[int, ...]:
        return entries[lead + name].shape

    measure = _flux if names.single else _sd3
    config = measure(entries, names, lead, shape)
    evidence += [f"{lead}{name} is {shape(name)}" for name in (names.patches, names.context)]
    evidence.append(_in_words(config))
    rows = [spec for spec in CATALOG.values() if type(spec.denoiser) is type(config)]
    far = {spec.name: _unlike(config, spec.denoiser) for spec in rows}
    nearest = min(rows, key=lambda spec: len(far[spec.name]))
    if not far[nearest.name]:
        return Transformer(nearest.title, names.layout, tuple(evidence), nearest.name)
    evidence += [f"{line} in {nearest.title}, which it resembles" for line in far[nearest.name]]
    return Transformer(
        f"a relative of {names.family} that is unknown here", names.layout, tuple(evidence)
    )


def _unlike(config: FluxConfig | MMDiTConfig, row: DenoiserConfig) -> list[str]:
    """In what a description differs from a row's, a line for each field."""
    return [
        f"{field.name} is {getattr(config, field.name)}, and {getattr(row, field.name)}"
        for field in fields(config)
        if getattr(config, field.name) != getattr(row, field.name)
    ]


def _count(entries: Mapping[str, Entry], lead: str, ending: str = "") -> int:
    """How many numbered blocks there are under a name, of those that hold such a key."""
    pattern = re.compile(rf"{re.escape(lead)}\.(\d+)\.")
    found = {m[1] for key in entries if key.endswith(ending) and (m := pattern.match(key))}
    return len(found)


def _flux(entries: Mapping[str, Entry], names: _Names, lead: str, shape: Shapes) -> FluxConfig:
    patch = FluxConfig.patch**2
    width = shape(names.patches)[0]
    return FluxConfig(
        in_channels=shape(names.patches)[-1] // patch,
        out_channels=shape(names.out)[0] // patch,
        width=width,
        heads=width // max(shape(names.head)[0], 1),
        double=_count(entries, lead + names.block),
        single=_count(entries, lead + names.single),
        context=shape(names.context)[-1],
        pooled=shape(names.pooled)[-1],
        guidance=lead + names.guidance in entries,
    )


def _sd3(entries: Mapping[str, Entry], names: _Names, lead: str, shape: Shapes) -> MMDiTConfig:
    first, places = shape(names.patches), shape(names.positions)
    width, patch = shape(names.context)[0], first[-1] if len(first) == 4 else 0
    return MMDiTConfig(
        in_channels=first[1] if len(first) > 1 else 0,
        out_channels=shape(names.out)[0] // max(patch**2, 1),
        patch=patch,
        width=width,
        depth=_count(entries, lead + names.block),
        heads=width // HEAD,
        context=shape(names.context)[-1],
        pooled=shape(names.pooled)[-1],
        positions=math.isqrt(places[-2] if len(places) > 1 else 0),
        qk_norm=lead + names.head in entries,
        dual=_count(entries, lead + names.block, names.dual),
    )


def _in_words(config: FluxConfig | MMDiTConfig) -> str:
    if isinstance(config, FluxConfig):
        taken = "takes" if config.guidance else "does not take"
        return (
            f"{config.double} double and {config.single} single blocks, {config.width} wide; "
            f"{taken} the strength of guidance as an input"
        )
    norm = "normalised" if config.qk_norm else "plain"
    return (
        f"{config.depth} blocks, {config.width} wide, {config.dual} of them with a second "
        f"attention; queries and keys {norm}; {config.positions} x {config.positions} places"
    )
