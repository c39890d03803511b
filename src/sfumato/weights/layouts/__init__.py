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
    text2: Table | None = None


def tables(layout: str, spec: ModelSpec) -> Tables:
    """The tables of one of LAYOUTS for one model."""
    if layout == "sfumato":
        return Tables(own.part("unet"), own.part("vae"), own.part("text"))
    assert not isinstance(spec.text, BertConfig), "published layouts know CLIP only"
    assert layout in LAYOUTS, layout
    if layout == "original":
        first, second = original.texts(spec)
        return Tables(original.unet(spec.unet), original.vae(spec.vae), first, second)
    text2 = None if spec.text2 is None else diffusers.text(spec.text2, "text_encoder_2/")
    # SDXL's refiner has only the second encoder, and its folder keeps that name.
    alone = spec.text.open_clip and spec.unet.added is not None
    text = diffusers.text(spec.text, "text_encoder_2/" if alone else "text_encoder/")
    return Tables(diffusers.unet(spec.unet), diffusers.vae(spec.vae), text, text2)
