"""`sfumato info`: what a picture says about its making."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import typer

from sfumato.cli.options import OPTIONS, shown
from sfumato.cli.screen import columns, duration, say
from sfumato.numerics import like
from sfumato.recipe import Origin, read
from sfumato.request import Request
from sfumato.request_json import to_dict
from sfumato.source import Source


def info(path: Path, *, as_json: bool) -> None:
    """Print the recipe of a picture; raises `PictureError` if it has none that can be read."""
    origin = read(path)
    if as_json:
        recipe = None if origin.recipe is None else json.loads(origin.recipe.to_json())
        if recipe is not None:
            del recipe["format"]
        found = {
            "file": str(path),
            "request": to_dict(origin.request),
            "recipe": recipe,
            "unread": dict(origin.unread),
            "parameters": origin.parameters,
        }
        typer.echo(json.dumps(found, indent=2))
        return
    columns(_rows(origin))
    if origin.recipe is None:
        place = shlex.quote(str(path))
        say(f"made by another program; follow it with: sfumato generate --from {place} --anyway")


def _rows(origin: Origin) -> list[tuple[str, str]]:
    request, recipe = origin.request, origin.recipe
    rows: list[tuple[str, object]] = [
        ("prompt", request.prompt),
        ("template", request.template),
        ("negative", request.negative),
        ("", request.negative_template and f"from {request.negative_template}"),
        ("seed", request.seed),
        ("path", request.path_seed),
        ("variation", _varied(request)),
        ("seed's size", _size(request.seed_width, request.seed_height)),
        ("steps", request.steps),
        ("sampler", request.sampler),
        ("schedule", request.schedule),
        ("guidance", _number(request.guidance)),
        ("size", _size(request.width, request.height)),
        ("made larger", _larger(request)),
        ("noise", {"cpu": "CPU", "nv": "NVIDIA", None: None}[request.stream]),
        ("brackets", None if request.brackets == "a1111" else request.brackets),
        *_others(request),
        ("embeddings", _words(request)),
        ("model", request.model),
        ("refiner", _refined(request)),
        ("VAE", request.vae),
        ("readers", ", ".join(request.text_encoders) or None),
        ("start", _told(request.image)),
        ("strength", _number(request.strength)),
        ("fit", None if request.image is None else request.fit),
        ("mask", _masked(request)),
    ]
    if recipe is not None:
        rows += [
            ("", f"{recipe.title}, {recipe.family}"),
            ("", f"sha256 {recipe.sha256}"),
            *((name.replace("_", " "), f"sha256 {part}") for name, part in recipe.parts.items()),
            ("upscaler", f"sha256 {recipe.upscaler_sha256}" if recipe.upscaler_sha256 else None),
            ("made by", f"sfumato {recipe.sfumato}, numerics {recipe.numerics}"),
            ("", f"torch {recipe.torch}, {recipe.device}, {recipe.precision}"),
            ("", f"in {duration(recipe.seconds)}"),
        ]
    rows += [("not followed", f"{key}: {value}") for key, value in origin.unread.items()]
    return [
        (name if i == 0 else "", line)
        for name, value in rows
        if value is not None and value != ""
        for i, line in enumerate(str(value).split("\n"))
    ]


# What has words of its own above, or stands within another's.
_TOLD = frozenset(
    (
        *("prompt", "template", "negative", "negative_template", "seed", "path_seed", "wander"),
        *("variation_seed", "variation_strength", "seed_width", "seed_height", "steps", "sampler"),
        *("schedule", "guidance", "width", "height", "count", "upscale", "upscaler", "stream"),
        *(
            "weighting",
            "embeddings",
            "model",
            "refiner",
            "refiner_at",
            "vae",
            "text_encoders",
            "image",
            "strength",
            "fit",
        ),
        *("mask", "mask_blur", "mask_fill", "mask_padding", "mask_invert"),
    )
)


def _others(request: Request) -> Iterator[tuple[str, str]]:
    """Every other field that is not as usual, in the order of a request's fields, by its name.

    What is usual of the numerics is what the tool does that the request is like.
    """
    usual: dict[str, object] = {f.name: f.default for f in fields(request)}
    if request.sampler is not None:
        usual |= like(request.like).under(request.sampler)
    shown_by = {option.name: option.show for option in OPTIONS if not option.fields}
    for f in fields(request):
        value = getattr(request, f.name)
        if f.name in _TOLD or value is None or value == usual[f.name]:
            continue
        show = shown_by.get(f.name, shown)
        told = ("no", "yes")[value] if isinstance(value, bool) else show(value)
        yield f.name.replace("_", " "), told


def _refined(request: Request) -> str | None:
    at = _number(request.refiner_at)
    return request.refiner if at is None else f"{request.refiner}, from {at} on"


def _size(width: int | None, height: int | None) -> str | None:
    return None if width is None else f"{width} x {height}"


def _larger(request: Request) -> str | None:
    if request.upscale is None:
        return None
    return f"{request.upscale} times" + (f", by {request.upscaler}" if request.upscaler else "")


def _varied(request: Request) -> str | None:
    """How far the starting noise is turned towards another seed's, and which."""
    if request.variation_strength is None:
        return None
    return f"{request.variation_seed}, strength {_number(request.variation_strength)}"


def _words(request: Request) -> str:
    """The learnt words that were heard, a line each."""
    return "\n".join(f"{each.name}, sha256 {each.sha256}" for each in request.embeddings or ())


def _told(source: Source | None) -> str | None:
    if source is None:
        return None
    return f"{source.width} x {source.height}\nsha256 {source.sha256}"


def _masked(request: Request) -> str | None:
    """The mask, and how it was taken."""
    if request.mask is None:
        return None
    how = [f"blur {request.mask_blur}", f"fill {request.mask_fill}"]
    how += [] if request.mask_padding is None else [f"padding {request.mask_padding}"]
    how += ["inverted"] if request.mask_invert else []
    return f"{_told(request.mask)}\n{', '.join(how)}"


def _number(value: float | None) -> str | None:
    return None if value is None else repr(value).removesuffix(".0")
