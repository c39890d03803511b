"""Key tables: what each published layout of a checkpoint calls the tensors of our networks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sfumato.spec import ClipConfig, ModelSpec, T5Config, TextConfig, VaeConfig
from sfumato.weights.layouts import diffusers, original, own, transformers
from sfumato.weights.layouts.table import Table

Tables = Mapping[str, Table]  # by the names of `ModelSpec.parts`

LAYOUTS: Mapping[str, Callable[[ModelSpec], Tables]] = MappingProxyType(
    {"original": original.tables, "diffusers": diffusers.tables, "sfumato": own.tables}
)


def alone(config: TextConfig | VaeConfig) -> tuple[Table, ...]:
    """The tables by which a part may be named in a file of its own, the usual one first.

    None for a part that comes within a model only, as BERT does.
    """
    if isinstance(config, VaeConfig):
        return original.vae(config, ("", *original.VAES)), diffusers.vae(config, "")
    if isinstance(config, T5Config):
        return transformers.t5(config), transformers.t5_gguf(config)
    if not isinstance(config, ClipConfig):
        return ()
    own = transformers.open_clip(config, "", ("logit_scale", "attn_mask"))
    return diffusers.text(config, ""), own


def tables(layout: str, spec: ModelSpec) -> Tables:
    """The tables of a model's parts by one of LAYOUTS, by the names of `ModelSpec.parts`."""
    return LAYOUTS[layout](spec)
