"""Key tables: what each published layout of a checkpoint calls the tensors of our networks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sfumato.spec import ModelSpec
from sfumato.weights.layouts import diffusers, original, own
from sfumato.weights.layouts.table import Table

Tables = Mapping[str, Table]  # by the names of `ModelSpec.parts`

LAYOUTS: Mapping[str, Callable[[ModelSpec], Tables]] = MappingProxyType(
    {"original": original.tables, "diffusers": diffusers.tables, "sfumato": own.tables}
)


def tables(layout: str, spec: ModelSpec) -> Tables:
    """The tables of a model's parts by one of LAYOUTS, by the names of `ModelSpec.parts`."""
    return LAYOUTS[layout](spec)
