"""What a model file is, told from its keys and shapes, with the evidence.

Only headers are read and torch is not imported, so the answer takes milliseconds.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sfumato.catalog import CATALOG
from sfumato.errors import WeightsError
from sfumato.weights.entries import Entry, Weights
from sfumato.weights.few import Few, few_steps
from sfumato.weights.files import open_weights
from sfumato.weights.measured import transformer
from sfumato.weights.said import prediction, require_usual, zero_snr

__all__ = ["Inspection", "Role", "inspect", "recognise"]

# What a file is for: a whole model, one of its parts (its network, autoencoder or reader of
# prompts), an add-on, or nothing that painting uses.
Role = Literal["model", "denoiser", "vae", "text_encoder", "embedding", "lora", "other"]
OPENED = "models of Stable Diffusion 1, 2, XL and 3, and of Flux.1"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was recognised.

    `role` is what it is for, and `kind` says in words what it is. `spec_name` is the row in the
    catalog of the model that it is, or whose denoiser it is; None where this version does not open
    it. `layout` is one of `layouts.LAYOUTS`.
    `precision` names the type of most bytes. `prediction` is known where the file says it, and so
    is `zero_snr`: that its last level of noise is noise alone. `few` is how it is used if it was
    distilled for few steps. `evidence` are whole lines.
    """

    path: Path
    role: Role
    kind: str
    spec_name: str | None
    layout: str | None
    precision: str
    tensors: int
    parameters: int
    bytes: int
    prediction: Literal["eps", "v"] | None
    zero_snr: bool
    few: Few | None
    evidence: tuple[str, ...]

    def require(self, *, alone: bool = False) -> tuple[str, str]:
        """The catalog's name and the layout, or WeightsError with what it is instead.

        `alone`: a denoiser will do, for its other parts are given as files of their own.
        """
        because = "\n  " + "\n  ".join(self.evidence)
        if self.spec_name is None or self.layout is None:
            raise WeightsError(
                f"{self.path.name} is {self.kind}; this version of sfumato opens {OPENED}.{because}"
            )
        if self.role == "denoiser" and not alone:
            raise WeightsError(
                f"{self.path.name} is {self.kind}; give its other parts by --vae and "
                f"--text-encoder.{because}"
            )
        return self.spec_name, self.layout


@dataclass(frozen=True, slots=True)
class _Finding:
    role: Role
    kind: str
    evidence: tuple[str, ...]
    spec_name: str | None = None
    layout: str | None = None


def inspect(path: Path) -> Inspection:
    """Open a file or folder and recognise it. WeightsError where it is no model file at all."""
    return recognise(open_weights(path))


def recognise(weights: Weights) -> Inspection:
    """Recognise an opened file."""
    entries = weights.entries
    found = (
        _own(weights)
        or _attachment(entries)
        or _transformer(entries)
        or _unet(entries)
        or _part_alone(entries)
        or _Finding(
            "other", "of a kind unknown here", (f"its first keys: {', '.join(list(entries)[:3])}",)
        )
    )
    sizes = Counter[str]()
    for entry in entries.values():
        sizes[entry.dtype] += entry.bytes
    predicted, words = prediction(weights)
    few = None
    if found.spec_name is not None and found.spec_name in CATALOG:
        require_usual(weights, CATALOG[found.spec_name])
        few = few_steps(weights, CATALOG[found.spec_name])
    return Inspection(
        path=weights.path,
        role=found.role,
        kind=found.kind,
        spec_name=found.spec_name,
        layout=found.layout,
        precision=sizes.most_common(1)[0][0] if sizes else "none",
        tensors=len(entries),
        parameters=sum(entry.elements for entry in entries.values()),
        bytes=sizes.total(),
        prediction=predicted,
        zero_snr=zero_snr(weights),
        few=few,
        evidence=found.evidence + words + (() if few is None else (few.told,)),
    )


# ---- one question each, from the surest to the vaguest --------------------------------------


def _own(weights: Weights) -> _Finding | None:
    for prefix in ("unet/", "unet."):
        key = f"{prefix}time_in.weight"
        if key in weights.entries:
            name = weights.metadata.get("model") or weights.metadata.get("unet/model")
            return _Finding(
                "model",
                "a model of sfumato's own layout",
                (f"{key}: our own name",),
                name,
                "sfumato",
            )
    return None


# Add-ons to a model, by what only their keys contain.
LORA_MARKS = ("lora_up.", "lora_down.", ".lora_A.", ".lora_B.", ".lora.up.", ".lora.down.")
CONTROL_MARKS = ("control_model.", "controlnet_cond_embedding.", "input_hint_block.")
ATTACHMENTS: tuple[tuple[Role, tuple[str, ...], str], ...] = (
    ("lora", LORA_MARKS, "a LoRA"),
    ("lora", (".hada_w1", ".lokr_w1"), "a LyCORIS (a relative of LoRA)"),
    ("other", CONTROL_MARKS, "a ControlNet"),
    ("other", ("ip_adapter.", "image_proj."), "an IP-Adapter"),
    ("other", ("motion_modules.",), "an AnimateDiff motion module"),
    ("embedding", ("emb_params", "string_to_param"), "a textual inversion"),
)
# What the training of a textual inversion leaves in the whole model that it was done with.
REMAINS = "embedding_manager."


def _attachment(entries: Mapping[str, Entry]) -> _Finding | None:
    keys = [key for key in entries if not key.startswith(REMAINS)]
    everything = "\n".join(keys)  # searched at once: most files hold no mark in thousands of keys
    for role, marks, kind in ATTACHMENTS:
        if not any(mark in everything for mark in marks):
            continue
        key = next((key for key in keys if any(mark in key for mark in marks)), None)
        if key is not None:
            return _Finding(role, f"{kind}, which is added to a model and is not one", (key,))
    return None


def _transformer(entries: Mapping[str, Entry]) -> _Finding | None:
    found = transformer(entries)
    if found is None:
        return None
    if _is_whole(entries):
        return _Finding("model", found.kind, found.evidence, found.spec_name, found.layout)
    kind = found.kind if found.spec_name is None else f"the transformer of {found.kind} alone"
    evidence = (*found.evidence, "no autoencoder beside it")
    return _Finding("denoiser", kind, evidence, found.spec_name, found.layout)


def _is_whole(entries: Mapping[str, Entry]) -> bool:
    """Whether an autoencoder lies beside the network."""
    return any(key.startswith((*ORIGINAL.vaes, *DIFFUSERS.vaes)) for key in entries)


@dataclass(frozen=True, slots=True)
class _Names:
    """Where a layout keeps the few tensors by which a U-Net is told."""

    layout: str
    prefix: str
    first: str
    context: tuple[str, ...]
    added: str
    vaes: tuple[str, ...]
    texts: tuple[str, ...]


ORIGINAL = _Names(
    "original",
    "model.diffusion_model.",
    "input_blocks.0.0.weight",
    (
        "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
        "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight",
    ),
    "label_emb.0.0.weight",
    ("first_stage_model.", "vae."),
    ("cond_stage_model.", "conditioner.embedders."),
)
DIFFUSERS = _Names(
    "diffusers",
    "unet/",
    "conv_in.weight",
    (
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    ),
    "add_embedding.linear_1.weight",
    ("vae/",),
    ("text_encoder/", "text_encoder_2/"),
)


def _unet(entries: Mapping[str, Entry]) -> _Finding | None:
    for names in (ORIGINAL, DIFFUSERS):
        for prefix in (names.prefix, ""):
            first = entries.get(prefix + names.first)
            keys = (prefix + key for key in names.context)
            contexts = [key for key in keys if key in entries and entries[key].shape]
            if first is not None and len(first.shape) == 4 and contexts:
                return _unet_kind(entries, names, prefix, contexts[0])
    return None


def _unet_kind(
    entries: Mapping[str, Entry], names: _Names, prefix: str, context_key: str
) -> _Finding:
    first_key, added_key = prefix + names.first, prefix + names.added
    first, context = entries[first_key].shape, entries[context_key].shape[-1]
    added = entries.get(added_key)
    evidence = [
        f"{first_key} is {first}: {first[1]} input channels",
        f"{context_key} is {entries[context_key].shape}: reads text states {context} wide",
        f"no {added_key}: no added conditioning, so not SDXL"
        if added is None
        else f"{added_key} is {added.shape}: added conditioning, as in SDXL",
    ]
    kind, name = _family(first[1], context, with_added=added is not None)
    if name is None:
        role: Role = "model" if _is_whole(entries) else "denoiser"
        return _Finding(role, kind, tuple(evidence), None, names.layout)
    missing = [
        what
        for what, leads in (("autoencoder", names.vaes), ("text encoder", names.texts))
        if not any(key.startswith(leads) for key in entries)
    ]
    if missing or not prefix:
        evidence.append(f"no {' and no '.join(missing) or 'key led by its part'}")
        alone = f"the U-Net of {kind} alone"
        return _Finding("denoiser", alone, tuple(evidence), name, names.layout)
    evidence.append("autoencoder and text encoder are there")
    return _Finding("model", kind, tuple(evidence), name, names.layout)


# By the width of the text states and the input channels: the kind in words, and the catalog's row.
KINDS: Mapping[tuple[int, int], tuple[str, str | None]] = {
    (768, 4): ("Stable Diffusion 1.x", "sd15"),
    (768, 8): ("InstructPix2Pix on Stable Diffusion 1.x", None),
    (768, 9): ("Stable Diffusion 1.x for inpainting", "sd15-inpaint"),
    (1024, 4): ("Stable Diffusion 2.x", "sd21"),
    (1024, 5): ("Stable Diffusion 2.x with depth", None),
    (1024, 7): ("the upscaler of Stable Diffusion 2.x", None),
    (1024, 9): ("Stable Diffusion 2.x for inpainting", "sd21-inpaint"),
    (2048, 4): ("Stable Diffusion XL", "sdxl"),
    (2048, 8): ("InstructPix2Pix on Stable Diffusion XL", None),
    (2048, 9): ("Stable Diffusion XL for inpainting", None),
    (1280, 4): ("the refiner of Stable Diffusion XL", "sdxl-refiner"),
}
FAMILIES: Mapping[int, str] = {
    768: "Stable Diffusion 1.x",
    1024: "Stable Diffusion 2.x",
    2048: "Stable Diffusion XL",
    1280: "the refiner of Stable Diffusion XL",
}


def _family(channels: int, context: int, *, with_added: bool) -> tuple[str, str | None]:
    """The family in words, and the catalog's row where this version opens it."""
    if context not in FAMILIES or with_added != (context in (1280, 2048)):
        return "a U-Net of an unknown family", None
    other = (f"{FAMILIES[context]} with {channels} input channels", None)
    return KINDS.get((context, channels), other)


# Parts of a model that come as files of their own, by the end of one key.
ALONE: tuple[tuple[Role, str, str], ...] = (
    ("vae", "decoder.conv_in.weight", "an autoencoder (VAE) alone"),
    ("text_encoder", "embeddings.token_embedding.weight", "a CLIP text encoder alone"),
    (
        "text_encoder",
        "encoder.block.0.layer.0.SelfAttention.q.weight",
        "a T5 text encoder alone",
    ),
    (
        "text_encoder",
        "transformer.resblocks.0.attn.in_proj_weight",
        "an OpenCLIP text encoder alone",
    ),
    ("other", "conv_first.weight", "an upscaler"),
)


def _part_alone(entries: Mapping[str, Entry]) -> _Finding | None:
    for role, ending, kind in ALONE:
        for key, entry in entries.items():
            if key.endswith(ending):
                return _Finding(role, kind, (f"{key} is {entry.shape}",))
    return None
