"""The options that say what a picture shall be: one table, for every command that makes pictures.

A row names a field of `Request`, and how what was typed becomes its value. Commands take all rows
at once: see `cli.taking`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from sfumato.cli.complete import models, samplers, schedules
from sfumato.embedding import Embedding, embeddings_from_text, embeddings_to_text
from sfumato.errors import RequestError

__all__ = ["OPTIONS", "Given", "Option", "given", "parse_size"]

HOW, START, MODEL = "The picture", "Starting from a picture", "Model and machine"
LIKE = "Like another program's"


@dataclass(frozen=True)
class Given:
    """What the user typed of a wish, before it is a request.

    `changes` holds the fields of `Request` that were given; `image` and `mask` are the files to
    start from.
    """

    changes: Mapping[str, object]
    image: Path | None = None
    mask: Path | None = None


def shown(value: object) -> str:
    """A value as it is typed."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Option:
    """One option: `--name`, with dashes for underscores.

    name: the field of `Request` that it gives; where it gives several, `fields` holds them.
    metavar: what follows the name, as help shows it; empty for a switch, which has a `--no-name`.
    read: (name, what was typed) -> the value, or the values of `fields`. Raises RequestError.
    complete: what the Tab key offers for it.
    many: it may be typed several times, and its field, which has the plural for a name, is a list.
    show: the way back from the value, or from the values of `fields`, to what is typed.
    off: what is typed to take away what a picture in `--from` has of it; empty where nothing can.
    """

    name: str
    metavar: str
    help: str
    read: Callable[[str, str], object] = lambda _, typed: typed
    panel: str = HOW
    fields: tuple[str, ...] = ()
    complete: Callable[[str], list[tuple[str, str]]] | None = None
    many: bool = False
    show: Callable[[object], str] = shown
    off: str = ""

    @property
    def flag(self) -> str:
        name = self.name.removesuffix("s") if self.many else self.name
        return f"--{name.replace('_', '-')}"

    def values(self, typed: str | bool | list[str]) -> dict[str, object]:
        """The fields that what was typed gives, with their values."""
        if isinstance(typed, bool):
            return {self.name: typed}
        if isinstance(typed, list):
            return {self.name: tuple(self.read(self.name, each) for each in typed)}
        if self.off and typed == self.off:
            return {name: None for name in self.fields or (self.name,)}  # noqa: C420 - for its type
        value = self.read(self.name, typed)
        if not self.fields:
            return {self.name: value}
        return dict(zip(self.fields, cast("tuple[object, ...]", value), strict=True))

    def words(self, changes: Mapping[str, object]) -> list[str]:
        """What to type for the fields of a request that this option gives; none, if none is set."""
        names = self.fields or (self.name,)
        values = tuple(changes.get(name) for name in names)
        if self.off and changes.keys() >= set(names) and all(value is None for value in values):
            return [self.flag, self.off]
        if any(value is None for value in values):
            return []
        if self.many:
            each = cast("tuple[object, ...]", values[0])
            return [word for value in each for word in (self.flag, self.show(value))]
        if isinstance(values[0], bool):
            return [self.flag if values[0] else f"--no-{self.flag.removeprefix('--')}"]
        typed = self.show(values if self.fields else values[0])
        return [f"{self.flag}={typed}"] if typed.startswith("-") else [self.flag, typed]

    def parameter(self) -> inspect.Parameter:
        """The same as a parameter of a command, as typer reads it."""
        no = f"/--no-{self.flag.removeprefix('--')}" if not self.metavar else ""
        told = typer.Option(
            f"{self.flag}{no}",
            metavar=self.metavar or None,
            help=self.help,
            autocompletion=self.complete,
            rich_help_panel=self.panel,
            show_default=False,
        )
        kind = (list[str] if self.many else str) if self.metavar else bool
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind | None, told],
        )


def whole(name: str, typed: str) -> int:
    """A whole number. Raises RequestError."""
    try:
        return int(typed)
    except ValueError as error:
        raise RequestError(f"{name} is {typed!r:.40}, but must be a whole number.") from error


def real(name: str, typed: str) -> float:
    """A number. Raises RequestError."""
    try:
        return float(typed)
    except ValueError as error:
        raise RequestError(f"{name} is {typed!r:.40}, but must be a number.") from error


def reals(name: str, typed: str) -> tuple[float, ...]:
    """Numbers with commas between. Raises RequestError."""
    return tuple(real(name, part.strip()) for part in typed.split(","))


def wholes(name: str, typed: str) -> tuple[int, ...]:
    """Whole numbers with commas between. Raises RequestError."""
    return tuple(whole(name, part.strip()) for part in typed.split(","))


def as_list(values: object) -> str:
    """The way back from numbers to what is typed."""
    return ",".join(shown(value) for value in cast("tuple[float, ...]", values))


def file(_: str, typed: str) -> Path:
    """A file's place."""
    return Path(typed)


def parse_size(typed: str, name: str = "size") -> tuple[int, int]:
    """Width and height from "512x768" or "512"; raises `RequestError`."""
    parts = typed.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() and len(part) < 9 for part in parts):
        raise RequestError(f"{name} is {typed!r}, but must be like 512x768, or 512 for a square.")
    return int(parts[0]), int(parts[-1])


def _size(name: str, typed: str) -> tuple[int, int]:
    return parse_size(typed, name)


def _as_size(size: object) -> str:
    width, height = cast("tuple[int, int]", size)
    return f"{width}x{height}"


def _embeddings(_: str, typed: str) -> tuple[Embedding, ...]:
    return () if typed == "none" else embeddings_from_text(typed)


def _as_names(given: object) -> str:
    return embeddings_to_text(cast("tuple[Embedding, ...]", given)) or "none"


BESIDE = "The same beside the negative prompt; none: as beside the prompt."

OPTIONS = (
    Option("negative", "TEXT", "What not to show."),
    Option("seed", "N", "0 to 2^64-1; the same seed, the same picture.", whole),
    Option("steps", "N", "1 to 1000; more take longer.", whole),
    Option("guidance", "X", "How strictly to follow the prompt.", real),
    Option("rescale", "X", "0 to 1; tames strong guidance.", real),
    Option(
        "interval",
        "LOW,HIGH",
        "Guide between these noise levels only; none: at all.",
        reals,
        show=as_list,
        off="none",
    ),
    Option("guidance_rule", "NAME", "How to guide: cfg, zero_star, apg."),
    Option("apg_along", "X", "apg: 0 to 1; what is left along the picture.", real),
    Option("apg_longest", "X", "apg: the longest difference; 0 is any.", real),
    Option("zero_steps", "N", "zero_star: so many first steps rest.", whole),
    Option("pag", "X", "Lead away from a network without self-attention; 3 usual.", real),
    Option(
        "pag_layers",
        "N,N",
        "pag: of which layers, from 0; none: the usual ones.",
        wholes,
        show=as_list,
        off="none",
    ),
    Option("slg", "X", "Lead away from a network with layers left out; 2.8 usual.", real),
    Option(
        "slg_layers",
        "N,N",
        "slg: which layers, from 0; none: the usual ones.",
        wholes,
        show=as_list,
        off="none",
    ),
    Option("slg_during", "X,X", "slg: in that part of the steps.", reals, show=as_list),
    Option("threshold", "NAME", "Hold estimates that grow too large: none, mimic, imagen."),
    Option("mimic_scale", "X", "mimic: the guidance whose range is kept.", real),
    Option("mimic_quantile", "X", "mimic: 0.5 to 1; clip what lies above.", real),
    Option("imagen_quantile", "X", "imagen: 0.5 to 1; clip what lies above.", real),
    Option("imagen_limit", "X", "imagen: how large values may be.", real),
    Option(
        "distilled",
        "X",
        "Guidance as an input: of Flux dev (3.5 if not said), of LCM (8); none: as not said.",
        real,
        off="none",
    ),
    Option("sampler", "NAME", "See: sfumato samplers.", complete=samplers),
    Option("schedule", "NAME", "See: sfumato samplers.", complete=schedules),
    Option(
        "sigmas",
        "X,X,...",
        "Own noise levels, in place of schedule and steps.",
        reals,
        show=as_list,
    ),
    Option(
        "shift",
        "X",
        "SD 3, Flux, mini: levels nearer to noise above 1; none: the model's own.",
        real,
        off="none",
    ),
    Option("size", "WxH|N", "In pixels.", _size, fields=("width", "height"), show=_as_size),
    Option("count", "N", "So many pictures: seed, seed + 1, ...", whole),
    Option("wander", "", "Keep the starting noise, take a fresh path from it."),
    Option("path_seed", "N", "The seed of that path.", whole),
    Option(
        "variation_strength",
        "X",
        "0 to 1; how far towards another seed's picture; none: as without.",
        real,
        off="none",
    ),
    Option(
        "variation_seed", "N", "The seed of a variation; with --count one after the other.", whole
    ),
    Option(
        "seed_size",
        "WxH|N",
        "Keep the composition that the seed has at this size; none: at its own.",
        _size,
        fields=("seed_width", "seed_height"),
        show=_as_size,
        off="none",
    ),
    Option("like", "NAME", "The program to paint like: a1111, comfy, diffusers.", panel=LIKE),
    Option("stream", "NAME", "Where noise comes from: cpu, nv.", panel=LIKE),
    Option("step_noise", "NAME", "Steps' noise: continued in that stream, or its own.", panel=LIKE),
    Option("sde_noise", "NAME", "SDE samplers' noise: by steps, or brownian.", panel=LIKE),
    Option("first_noise", "NAME", "First noise: by sigma, variance, variance_alone.", panel=LIKE),
    Option("whole_times", "", "The network hears whole times only.", panel=LIKE),
    Option(
        "discard_penultimate",
        "",
        "Plan one step more; leave out the lowest noise level.",
        panel=LIKE,
    ),
    Option("strength_steps", "NAME", "Steps that --strength makes: share, extra, all.", panel=LIKE),
    Option("weighting", "NAME", "(Brackets:1.2) in prompts: a1111, comfy, plain.", panel=LIKE),
    Option(
        "empty_negative",
        "NAME",
        "SDXL without a negative prompt hears: zeros, all_zeros (the refiner too), words.",
        panel=LIKE,
    ),
    Option("t5_padding", "NAME", "T5's tokens are padded: long, clip, short.", panel=LIKE),
    Option("fixed_shift", "", "Flux dev: levels as at 1024x1024, at any size.", panel=LIKE),
    Option("rounding", "NAME", "Pixels to 8 bits: round, truncate.", panel=LIKE),
    Option("clip_skip", "N", "1 to 12; CLIP's layer: 1 the usual, 2 the one before it.", whole),
    Option(
        "embeddings",
        "NAMES",
        "Of the embeddings that a prompt names, hear these alone; none: read them as words.",
        _embeddings,
        show=_as_names,
    ),
    Option(
        "original_size",
        "WxH|N",
        "SDXL: as if the picture had been so large; none: its own.",
        _size,
        show=_as_size,
        off="none",
    ),
    Option("crop", "X,Y", "SDXL: as if so much were cut off, left and top.", wholes, show=as_list),
    Option(
        "target_size",
        "WxH|N",
        "SDXL: the size to compose for; none: its own.",
        _size,
        show=_as_size,
        off="none",
    ),
    *(
        Option(f"negative_{name}", kind, BESIDE, read, show=show, off="none")
        for name, kind, read, show in (
            ("original_size", "WxH|N", _size, _as_size),
            ("crop", "X,Y", wholes, as_list),
            ("target_size", "WxH|N", _size, _as_size),
        )
    ),
    Option("aesthetic", "X", "SDXL refiner: 0 to 10; as if so liked. 6 if not said.", real),
    Option("negative_aesthetic", "X", "The same for the negative prompt; 2.5.", real),
    Option("image", "FILE", "Begin with this picture, not noise.", file, START),
    Option("strength", "X", "0 to 1; how much of it is made anew. 0.75 if not said.", real, START),
    Option("fit", "NAME", "If its shape differs: crop, stretch, pad.", panel=START),
    Option("mask", "FILE", "Paint only where this is white.", file, START),
    Option("mask_blur", "N", "Pixels over which new and old blend.", whole, START),
    Option(
        "mask_fill", "NAME", "What painting begins on: original, blur, noise, nothing.", panel=START
    ),
    Option(
        "mask_padding",
        "N",
        "Paint only the mask and N pixels around it, at full size; none: the whole.",
        whole,
        START,
        off="none",
    ),
    Option("mask_invert", "", "Paint where it is black.", panel=START),
    Option(
        "upscale", "2|4", "Make the finished picture so many times larger; 1: no.", whole, off="1"
    ),
    Option("upscaler", "FILE", "By this network; without, by the one that comes along."),
    Option(
        "model",
        "NAME",
        "A name (sfumato models), a file or a folder.",
        panel=MODEL,
        complete=models,
    ),
    Option(
        "refiner",
        "NAME",
        "A model that takes over towards the end; none: no other.",
        panel=MODEL,
        complete=models,
        off="none",
    ),
    Option(
        "refiner_at", "X", "When: 0 to 1 of the time to the picture. 0.8 if not said.", real, MODEL
    ),
    Option(
        "vae",
        "FILE",
        "An autoencoder of its own, for the model's; none: the model's.",
        panel=MODEL,
        off="none",
    ),
    Option(
        "text_encoders",
        "FILE",
        "A reader of prompts, or T5's vocabulary; once for each.",
        panel=MODEL,
        many=True,
    ),
)


def given(words: Mapping[str, object]) -> Given:
    """What was typed for each option by name, None for nothing, as fields. Raises RequestError."""
    changes: dict[str, object] = {}
    for option in OPTIONS:
        typed = words.get(option.name)
        if isinstance(typed, str | bool) or (isinstance(typed, list) and typed):
            changes |= option.values(cast("str | bool | list[str]", typed))
    image, mask = changes.pop("image", None), changes.pop("mask", None)
    return Given(changes, cast("Path | None", image), cast("Path | None", mask))
