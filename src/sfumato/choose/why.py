"""In what the recipes of two pictures differ, and what that does, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.choose.compare import Distance
from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import RequestError
from sfumato.request_json import to_dict

if TYPE_CHECKING:
    from sfumato.recipe import Origin

__all__ = ["DOES", "Difference", "differences", "summary"]

# What it does to a picture if a field of `Request`, or one of `_MAKING`, is another.
DOES: Mapping[str, str] = {
    "prompt": "another wish",
    "negative": "another wish of what not to show",
    "seed": "another starting noise, and so another composition",
    "path_seed": "the same start, another path of noise from it",
    "wander": "one took a path of its own from the seed's starting noise",
    "variation_seed": "another variation of the seed's picture",
    "variation_strength": "nearer to the seed's picture, or farther",
    "seed_width": "the composition of another size",
    "seed_height": "the composition of another size",
    "steps": "finer or coarser; little else once a picture has settled",
    "guidance": "how strictly the prompt was followed: contrast, colours, detail",
    "rescale": "how far strong guidance was tamed: contrast, colours",
    "sampler": "another way from noise to picture",
    "schedule": "other noise levels on the way: detail, with few steps more",
    "like": "the numerics of another program",
    "step_noise": "other noise in the steps",
    "sde_noise": "other noise in the steps",
    "first_noise": "the starting noise is a little stronger or weaker",
    "whole_times": "the last bits of every step",
    "discard_penultimate": "other noise levels on the way",
    "strength_steps": "one step more or less of the picture to start from",
    "rounding": "one level of 255, here and there",
    "empty_negative": "other contrast and colours where there is no negative prompt",
    "t5_padding": "a little of everything: the prompt has more or less padding behind it",
    "fixed_shift": "other noise levels at sizes other than 1024x1024",
    "embeddings": "other learnt words",
    "width": "another size is another composition",
    "height": "another size is another composition",
    "stream": "the same seed means other noise",
    "weighting": "brackets in the prompt weigh by another rule",
    "clip_skip": "the prompt was heard from another layer of CLIP",
    "distilled": "how strictly a distilled model followed the prompt",
    "refiner": "another model, or another one than before, made the last steps: detail",
    "refiner_at": "from when on the refiner painted",
    "vae": "another decoder: colours, fine detail",
    "text_encoders": "another reader of the prompt",
    "model": "another model, or the same under another name",
    "image": "another picture to start from",
    "strength": "how much of the picture to start from was made anew",
    "fit": "the picture to start from was laid out otherwise",
    "mask": "another part was painted",
    "mask_blur": "the seam of the mask",
    "mask_fill": "what the painting started from",
    "mask_padding": "how much of the surroundings was seen, and how finely it was painted",
    "mask_invert": "the other part was painted",
    "template": "nothing: it tells what the prompt was drawn from",
    "negative_template": "nothing: it tells what the negative prompt was drawn from",
    "upscale": "how many times larger the finished picture was made",
    "upscaler": "what made the finished picture larger",
    "upscaler_sha256": "other weights: another upscaler",
    "sigmas": "other noise levels on the way",
    "shift": "more or fewer of the steps at high noise: composition against detail",
    "interval": "at which noise levels the prompt was followed",
    "guidance_rule": "another way to follow the prompt: contrast, colours, detail",
    "apg_along": "contrast and colours",
    "apg_longest": "how strong the guidance may be at its strongest",
    "zero_steps": "how many first steps left the noise as it was",
    "original_size": "how large the model was told it had been: detail",
    "crop": "how the model was told it had been cut: composition",
    "target_size": "the shape that it was composed for",
    "negative_original_size": "how large the model was told it should not have been",
    "negative_crop": "how the model was told it should not have been cut",
    "negative_target_size": "the shape that it was not composed for",
    "aesthetic": "how well the refiner was told it was liked",
    "negative_aesthetic": "how ill the refiner was told it was liked",
    "pag": "structure and detail: away from a network without self-attention",
    "pag_layers": "what of the structure was made clearer",
    "slg": "structure and detail: away from a network with layers left out",
    "slg_layers": "what of the structure was made clearer",
    "slg_during": "at which steps the structure was made clearer",
    "threshold": "contrast and colours under strong guidance",
    "mimic_scale": "contrast and colours",
    "mimic_quantile": "contrast and colours",
    "imagen_quantile": "contrast and colours",
    "imagen_limit": "contrast and colours",
    "sha256": "other weights: another model",
    "family": "another family of models",
    "device": "the last bits, seldom more",
    "precision": "fine grain; seldom what is shown",
    "torch": "the last bits, seldom more",
    "numerics": "this version of sfumato computes otherwise",
    "sfumato": "nothing by itself: numerics tells whether pixels change",
}
# What decides pixels beside the request, in a recipe of ours.
_MAKING = (
    "sha256",
    "upscaler_sha256",
    "family",
    "device",
    "precision",
    "torch",
    "numerics",
    "sfumato",
)
_QUIET = ("sfumato", "template", "negative_template")  # what changes no pixels


@dataclass(frozen=True)
class Difference:
    """One thing in which two pictures' recipes differ; None: one of them does not say.

    field: of `Request` or `Recipe`, or the name of a setting that only another program has.
    a, b: its values, as recipes write them (`request_json.to_dict`).
    does: what such a difference does to a picture.
    """

    field: str
    a: object
    b: object
    does: str

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON."""
        return {"a": self.a, "b": self.b, "does": self.does}


def differences(a: Origin, b: Origin) -> list[Difference]:
    """In what two pictures' recipes differ, the most telling first; empty if they are equal.

    A text of A1111 leaves much unsaid; that is no difference where the other says it.
    """
    found: list[Difference] = []
    whole = a.recipe is not None and b.recipe is not None
    one, other = to_dict(a.request), to_dict(b.request)
    for name in one:
        if name == "count":
            continue
        left, right = _canonical(name, one[name]), _canonical(name, other[name])
        unsaid = not whole and (left is None or right is None)
        if left != right and not unsaid:
            telling = name in ("prompt", "negative")
            does = _words(left, right) if telling else DOES[name]
            found.append(Difference(name, left, right, does))
    if a.recipe is not None and b.recipe is not None:
        for name in _MAKING:
            left, right = getattr(a.recipe, name), getattr(b.recipe, name)
            if left != right and "" not in (left, right):  # empty: one has no upscaler at all
                found.append(Difference(name, left, right, DOES[name]))
    for key in sorted(a.unread.keys() | b.unread.keys()):
        left, right = a.unread.get(key), b.unread.get(key)
        if left != right:
            found.append(Difference(key, left, right, "a setting that sfumato does not follow"))
    return found


def summary(found: list[Difference], apart: Distance | None, *, sizes_differ: bool) -> str:
    """One sentence: why the two pictures differ, or that they do not."""
    telling = [one.field for one in found if one.field not in _QUIET]
    same = apart is not None and apart.equal
    if same and not telling:
        return "They are the same picture."
    if same:
        return f"Their pixels are equal, although {_listed(telling)} differ{_s(telling)}."
    if telling:
        return f"They differ because {_listed(telling)} differ{_s(telling)}."
    if sizes_differ:
        return (
            "Their recipes are equal, but not their sizes: one is a film strip, or was scaled or "
            "cut after it was made."
        )
    return (
        "Their recipes are equal, but not their pixels: one was changed after it was made, or they "
        "come from different processors. sfumato verify tells which of them its recipe makes here."
    )


def _listed(names: list[str]) -> str:
    shown = [name.replace("_", " ") for name in dict.fromkeys(names)]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _s(names: list[str]) -> str:
    return "s" if len(set(names)) == 1 else ""


def _canonical(field: str, value: object) -> object:
    """A sampler or a schedule by its own name, whatever it was called; all else as it is."""
    try:
        if field == "sampler" and value is not None:
            return sampler_row(str(value)).name
        if field == "schedule" and value is not None:
            return schedule_row(str(value)).name
    except RequestError:  # one that only another program has
        return value
    return value


def _words(a: object, b: object) -> str:
    """Which words only one of two prompts has."""
    left, right = (re.findall(r"[^\s,]+", str(text)) for text in (a, b))
    parts = [
        f"only the {which} has: {' '.join(dict.fromkeys(w for w in some if w not in other))}"
        for which, some, other in (("first", left, right), ("second", right, left))
        if any(word not in other for word in some)
    ]
    return "; ".join(parts) or "the same words in another order, or other signs between them"
