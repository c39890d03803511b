"""What a picture is known to be made of: as much of a recipe as any program's texts give."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import RequestError
from sfumato.limits import MAX_SEED
from sfumato.parameters import split_parameters
from sfumato.recipe import Recipe

__all__ = ["Outline", "clean", "from_recipe", "from_text", "model_name", "whole"]

_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".sft", ".gguf")
# A1111 before 1.9 wrote the schedule behind the sampler.
_SUFFIXES = (" Karras", " Exponential")
_MOST_STEPS = 10**6
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Outline:
    """Of one picture; None or empty is what nobody knows.

    ``sampler`` and ``schedule`` are canonical names of `diffusion.table` where it knows them, else
    as they were found; ``model`` is a name without folder and without suffix. ``extra`` holds what
    else was set, by the names that A1111 has for it.
    """

    prompt: str = ""
    negative: str = ""
    seed: int | None = None
    model: str = ""
    sampler: str = ""
    schedule: str = ""
    steps: int | None = None
    guidance: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict[str, str])

    def parameters(self, width: int, height: int) -> str:
        """The same as A1111 would have written it, for programs that read nothing else."""
        pairs = {
            "Steps": self.steps,
            "Sampler": _title(self.sampler, self.schedule)[0],
            "Schedule type": _title(self.sampler, self.schedule)[1],
            "CFG scale": None if self.guidance is None else f"{self.guidance:g}",
            "Seed": self.seed,
            "Size": f"{width}x{height}",
            "Model": self.model,
            **self.extra,
        }
        lines = [self.prompt] if self.prompt else []
        if self.negative:
            lines.append(f"Negative prompt: {self.negative}")
        known = ((key, str(value)) for key, value in pairs.items() if value not in (None, ""))
        lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in known))
        return "\n".join(lines)


def from_recipe(recipe: Recipe) -> Outline:
    """The outline of a picture of our own."""
    request = recipe.request
    return Outline(
        prompt=clean(request.prompt),
        negative=clean(request.negative),
        seed=request.seed,
        model=model_name(request.model or ""),
        sampler=request.sampler or "",
        schedule=request.schedule or "",
        steps=request.steps,
        guidance=request.guidance,
    )


def from_text(text: str) -> Outline:
    """Read A1111's text as far as it can be read; nothing in it is an error."""
    prompt, negative, settings = split_parameters(clean(text))
    left = dict(settings)
    sampler, schedule = left.pop("Sampler", ""), left.pop("Schedule type", "")
    if not schedule:
        for suffix in _SUFFIXES:
            if sampler.endswith(suffix):
                sampler, schedule = sampler.removesuffix(suffix), suffix.strip()
    steps, seed = left.pop("Steps", None), left.pop("Seed", None)
    guidance, model = left.pop("CFG scale", None), left.pop("Model", "")
    for key in ("Size", "Version", "Model hash"):
        left.pop(key, None)
    return Outline(
        prompt=prompt,
        negative=negative,
        seed=whole(seed, MAX_SEED),
        model=model_name(model),
        sampler=sampler_name(sampler),
        schedule=schedule_name(schedule),
        steps=whole(steps, _MOST_STEPS),
        guidance=real(guidance),
        extra=left,
    )


def clean(text: str) -> str:
    """The text as every database takes it: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def model_name(text: str) -> str:
    """A model's name without folder and suffix: the same for every program that tells it."""
    name = PureWindowsPath(clean(text).strip()).name  # knows both kinds of slash
    for suffix in _WEIGHTS:
        name = name.removesuffix(suffix)
    return name[:_LONGEST_NAME]


def sampler_name(text: str) -> str:
    """The canonical name of a sampler, or the text itself where there is none."""
    text = clean(text).strip()[:_LONGEST_NAME]  # a name is compared with all that are near it
    try:
        return sampler_row(text).name if text else ""
    except RequestError:
        return text


def schedule_name(text: str) -> str:
    """The canonical name of a schedule; the text itself where there is none; none for automatic."""
    text = clean(text).strip()[:_LONGEST_NAME]
    if text.lower() in ("", "automatic"):
        return ""
    try:
        return schedule_row(text).name
    except RequestError:
        return text


def whole(value: object, most: int = _MOST_STEPS) -> int | None:
    """A whole number from 0 to ``most``, from a number or a text; else None."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = int(value)
        except ValueError:
            return None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= most else None


def real(value: object) -> float | None:
    """A finite number, from a number or a text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _title(sampler: str, schedule: str) -> tuple[str, str]:
    with suppress(RequestError):
        sampler = sampler_row(sampler).title
    with suppress(RequestError):
        schedule = schedule_row(schedule).title
    return sampler, schedule


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value
