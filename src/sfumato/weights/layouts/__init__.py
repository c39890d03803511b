"""Key tables: what each published layout of a checkpoint calls the tensors of our networks."""

from dataclasses import dataclass

from sfumato.spec import BertConfig, ModelSpec
from sfumato.weights.layouts import diffusers, original, own
from sfumato.weights.layouts.table import Table

LAYOUTS = ("original", "diffusers", "sfumato")


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a whole model's parts."""

    unet: Table
    vae: Table
    text: Table


def tables(layout: str, spec: ModelSpec) -> Tables:
    """The tables of one of LAYOUTS for one model."""
    if layout == "sfumato":
        return Tables(own.part("unet"), own.part("vae"), own.part("text"))
    assert not isinstance(spec.text, BertConfig), "published layouts know CLIP only"
    assert layout in LAYOUTS, layout
    rooms = original if layout == "original" else diffusers
    return Tables(rooms.unet(spec.unet), rooms.vae(spec.vae), rooms.text(spec.text))
