"""What a picture file is, and what it says of its making, whichever program wrote it.

Known are sfumato, A1111 and all that write like it, ComfyUI, InvokeAI, NovelAI, Fooocus and
SwarmUI. A picture that says nothing, or nothing that can be read, is a picture all the same.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PIL import ExifTags, Image

from sfumato.errors import PictureError
from sfumato.images import Texts, read_picture, read_texts
from sfumato.limits import MAX_SEED
from sfumato.recipe import Origin, Recipe, from_parameters
from sfumato.server.library import comfyui
from sfumato.server.library.outline import (
    Outline,
    clean,
    from_recipe,
    from_text,
    model_name,
    real,
    sampler_name,
    schedule_name,
    whole,
)
from sfumato.server.uploads import TooBig

__all__ = ["LARGEST", "SOURCES", "Found", "look", "skim"]

SOURCES = ("sfumato", "a1111", "comfyui", "invokeai", "novelai", "fooocus", "swarmui", "other")

# Pillow's names; a phone's JPEG that holds a second picture is an MPO.
_SUFFIXES: Mapping[str, str] = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp"}
_FORMATS = ("PNG", "JPEG", "WEBP")
LARGEST = 89_000_000  # pixels of what lies on the user's own disk; Pillow warns beyond
_TURNED = (5, 6, 7, 8)  # EXIF orientations with width and height exchanged
_LONGEST_TEXT = 200_000  # of what is kept in the database; the file keeps all

# The names of our fields in the JSON of other programs.
_INVOKEAI: Mapping[str, str] = {
    "prompt": "positive_prompt",
    "negative": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "guidance": "cfg_scale",
    "sampler": "scheduler",
    "model": "model",
}
_NOVELAI: Mapping[str, str] = {
    "prompt": "prompt",
    "negative": "uc",
    "seed": "seed",
    "steps": "steps",
    "guidance": "scale",
    "sampler": "sampler",
    "schedule": "noise_schedule",
}
_FOOOCUS: Mapping[str, str] = {
    "prompt": "prompt",
    "negative": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "guidance": "guidance_scale",
    "sampler": "sampler",
    "schedule": "scheduler",
    "model": "base_model",
}
_SWARMUI: Mapping[str, str] = {
    "prompt": "prompt",
    "negative": "negativeprompt",
    "seed": "seed",
    "steps": "steps",
    "guidance": "cfgscale",
    "sampler": "sampler",
    "schedule": "scheduler",
    "model": "model",
}


@dataclass(frozen=True)
class Found:
    """One picture file.

    ``suffix`` is that of its format, whatever its name was; width and height are in pixels, as it
    is shown. ``source`` is one of `SOURCES`. ``parameters`` is A1111's text, as it was found or as
    A1111 would have written it; ``recipe`` our JSON as it was found, which may be of a version
    that this one cannot follow. Both are empty where there is nothing.
    """

    suffix: str
    width: int
    height: int
    source: str
    outline: Outline
    parameters: str
    recipe: str

    def origin(self) -> Origin:
        """The same as a request that can be made again; `PictureError` where it cannot be."""
        if self.recipe:
            recipe = Recipe.from_json(self.recipe)
            return Origin(recipe.request, recipe, self.parameters, {})
        if not self.parameters:
            raise PictureError("it carries no recipe; only pictures that hold one can be read.")
        return from_parameters(self.parameters)


def look(data: bytes, *, pixels: int) -> tuple[Found, Image.Image]:
    """A picture file, and its picture, decoded whole.

    Raises `PictureError` for what is no PNG, JPEG or WebP, is broken or cut short, and `TooBig` for
    more than ``pixels`` pixels, which is told before they are decoded.
    """
    kind, width, height = _head(io.BytesIO(data), pixels)
    image, texts = read_picture(io.BytesIO(data))
    return _found(kind, (width, height), texts, _others(image)), image


def skim(path: Path) -> Found:
    """The same of a file of the user's own, up to `LARGEST`; decoded only if the texts ask for it.

    Raises `PictureError` as `look` does.
    """
    kind, width, height = _head(path, LARGEST)
    texts = read_texts(path)
    with Image.open(path, formats=_FORMATS) as image:
        if kind == "PNG" and not texts.parameters and not texts.sfumato:
            image.load()  # texts may stand behind the pixels
        return _found(kind, (width, height), texts, _others(image))


def _head(source: Path | io.BytesIO, pixels: int) -> tuple[str, int, int]:
    """Format, width and height as shown."""
    name = source.name if isinstance(source, Path) else "the picture"
    try:
        with Image.open(source, formats=_FORMATS) as image:
            kind, (width, height) = str(image.format), image.size
            if width * height <= pixels:
                turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
                return kind, *((height, width) if turned else (width, height))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pass
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise PictureError(f"{name} is not a PNG, JPEG or WebP picture.") from error
    raise TooBig(f"{name} has more than {pixels:,} pixels; make it smaller, or leave it out.")


def _others(image: Image.Image) -> dict[str, str]:
    """The texts by their keys; ComfyUI's WebP has them in EXIF, each with its key before it."""
    texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    if image.format != "PNG":
        for value in image.getexif().values():
            if isinstance(value, str):
                key, _, text = value.partition(":")
                texts.setdefault(key, text)
    return texts


def _found(kind: str, size: tuple[int, int], texts: Texts, others: Mapping[str, str]) -> Found:
    source, outline = _read(texts, others)
    text = texts.parameters if source in ("sfumato", "a1111", "other") else ""
    if not text and outline != Outline():
        text = outline.parameters(*size)
    recipe = texts.sfumato if source == "sfumato" else ""
    return Found(
        suffix=_SUFFIXES[kind],
        width=size[0],
        height=size[1],
        source=source,
        outline=outline,
        parameters=clean(text)[:_LONGEST_TEXT],
        recipe=clean(recipe),
    )


def _read(texts: Texts, others: Mapping[str, str]) -> tuple[str, Outline]:
    if texts.sfumato:
        try:
            return "sfumato", from_recipe(Recipe.from_json(texts.sfumato))
        except PictureError:  # of another version; the outline beside it can be read
            return "sfumato", from_text(texts.parameters)
    plain = from_text(texts.parameters)
    graph = comfyui.outline(others.get("prompt", ""), others.get("workflow", ""))
    if graph is not None:  # an extension may have written A1111's text beside it
        return "comfyui", plain if plain.steps is not None else graph
    if "invokeai_metadata" in others:
        return "invokeai", _invokeai(_json(others["invokeai_metadata"]))
    if others.get("Software") == "NovelAI" or others.get("Title", "").startswith("NovelAI"):
        outline = _outline(_json(others.get("Comment", "")), _NOVELAI, others.get("Source", ""))
        return "novelai", outline
    values = _json(texts.parameters)
    if isinstance(values.get("sui_image_params"), dict):
        swarm = cast("dict[str, object]", values["sui_image_params"])
        return "swarmui", _outline(swarm, _SWARMUI)
    if values and ("fooocus_scheme" in others or "base_model" in values):
        return "fooocus", _outline(values, _FOOOCUS)
    return ("a1111", plain) if plain.steps is not None else ("other", Outline())


def _invokeai(values: Mapping[str, object]) -> Outline:
    changed = dict(values)
    sampler, model = values.get("scheduler"), values.get("model")
    if isinstance(sampler, str) and sampler.endswith("_k"):  # its mark for Karras' schedule
        changed |= {"scheduler": sampler.removesuffix("_k"), "schedule": "karras"}
    if isinstance(model, dict):
        row = cast("dict[str, object]", model)
        changed["model"] = row.get("name", row.get("model_name"))
    return _outline(changed, {**_INVOKEAI, "schedule": "schedule"})


def _outline(values: Mapping[str, object], names: Mapping[str, str], model: str = "") -> Outline:
    def text(field: str) -> str:
        value = values.get(names.get(field, ""))
        return clean(value).strip() if isinstance(value, str) else ""

    return Outline(
        prompt=text("prompt"),
        negative=text("negative"),
        seed=whole(values.get(names["seed"]), MAX_SEED),
        model=model_name(text("model") or model),
        sampler=sampler_name(text("sampler")),
        schedule=schedule_name(text("schedule")),
        steps=whole(values.get(names["steps"])),
        guidance=real(values.get(names["guidance"])),
    )


def _json(text: str) -> dict[str, object]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
