"""The recipe of one picture: all that decides its pixels, written into the picture and read back.

Two texts go into a file. `parameters` is the text of AUTOMATIC1111's web UI, which other programs
and galleries read; it is an outline (`sfumato.parameters`). `sfumato` is our own JSON; it is
complete and exact.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sfumato.errors import PictureError, RequestError
from sfumato.images import Texts, read_texts, save
from sfumato.limits import FILES
from sfumato.parameters import Made, file_name, followed, written
from sfumato.request import Request
from sfumato.request_json import from_dict, to_dict

if TYPE_CHECKING:
    from PIL.Image import Image

# Raise by one whenever the same recipe comes to give other pixels on the same machine.
NUMERICS = 1
# How pictures were made before a request had these fields: what a recipe without them means.
BEFORE: Mapping[str, object] = {
    "step_noise": "continued",
    "sde_noise": "steps",
    "first_noise": "sigma",
    "whole_times": False,
    "discard_penultimate": False,
    "strength_steps": "share",
    "weighting": "plain",
    "empty_negative": "zeros",
    "t5_padding": "long",
    "fixed_shift": False,
    "rounding": "round",
    "embeddings": [],
}
# The layout of our JSON; raise by one when a field is renamed or changes its meaning.
FORMAT = 1


@dataclass(frozen=True)
class Recipe:
    """All that decides the pixels of one picture, and who made it where.

    - `request`: resolved, with count 1 and this picture's own seeds. Its `model` is a name of the
      catalog or the name of a file; the folder is dropped, because pictures are shown to others.
      So are those of `vae`, `text_encoders` and `refiner`.
    - `family`, `title`, `sha256`: the model that was used; the hash is of the weights file.
    - `parts`: the sha256 of each part that lay in a file of its own, by the part's name; also the
      refiner's.
    - `sampler_title`, `schedule_title`: their names in A1111, for the `parameters` text.
    - `device`, `precision`, `torch`, `numerics`: the same recipe gives the same bits only where
      these are the same too. `sfumato`: the version of this package.
    - `upscaler_sha256`: of the upscaler's file; empty where the picture was not made larger.
    - `index`: which picture of its run, from 0. `seconds`: from the first step to the last pixel.
    """

    request: Request
    family: str
    title: str
    sha256: str
    sampler_title: str
    schedule_title: str
    device: str
    precision: str
    sfumato: str
    torch: str
    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    numerics: int = NUMERICS
    index: int = 0
    seconds: float = 0.0
    upscaler_sha256: str = ""

    def __post_init__(self) -> None:
        if not self.request.resolved or self.request.count != 1:
            raise ValueError("a recipe is for one picture, and its request must be resolved")
        object.__setattr__(self, "request", without_folders(self.request.references))

    def to_json(self) -> str:
        """Our own text: ASCII, one line, complete; `from_json` gives an equal recipe."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return json.dumps({"format": FORMAT, **values, "request": to_dict(self.request)})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote; raises `PictureError` for anything else."""
        try:
            data: object = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise PictureError(f"its sfumato recipe is not valid JSON ({error}).") from error
        values = _mapping(data, "recipe")
        if "sheet" in values:
            raise PictureError(
                "it is a sheet of several pictures; each of them, in the folder beside it, has its "
                "own recipe."
            )
        written = values.pop("format", None)
        if written != FORMAT:
            raise PictureError(
                f"its sfumato recipe has format {written!r}, but this version reads {FORMAT}; "
                f"it was made by sfumato {values.get('sfumato', '(unknown)')}."
            )
        wish = _mapping(values.pop("request", None), "request")
        values.setdefault("upscaler_sha256", "")  # before there were upscalers
        values.setdefault("parts", {})  # as recipes were before parts had files of their own
        _same_keys(values, {f.name for f in fields(cls)} - {"request"}, "recipe")
        for f in fields(cls):
            kind = {"str": str, "int": int, "float": (int, float)}.get(str(f.type))
            if kind and not isinstance(values[f.name], kind):
                raise PictureError(f"its sfumato recipe has {f.name} {values[f.name]!r}.")
        parts = _mapping(values["parts"], "parts")
        if not all(isinstance(value, str) for value in parts.values()):
            raise PictureError(f"its sfumato recipe has parts {parts!r:.80}.")
        seconds = cast(float, values["seconds"])
        if not math.isfinite(seconds) or seconds < 0:
            raise PictureError(f"its sfumato recipe has seconds {seconds!r}.")
        wish = {**BEFORE, **wish}
        try:
            request = from_dict(wish)
            return cls(request=request, **values)  # pyright: ignore[reportArgumentType]
        except (RequestError, ValueError) as error:
            raise PictureError(f"its sfumato recipe cannot be followed: {error}") from error

    def parameters(self) -> str:
        """The same in A1111's words (`sfumato.parameters`), as far as it has words for it."""
        titles = (self.sampler_title, self.schedule_title)
        return written(self.request, Made(*titles, self.sha256, self.parts, self.sfumato))

    def texts(self) -> Texts:
        """Both texts, as `images.save` puts them into a file."""
        return Texts(parameters=self.parameters(), sfumato=self.to_json())


def without_folders(request: Request) -> Request:
    """The same, whose files lie nowhere in particular: what others see must not say where."""
    named = {name: getattr(request, name) for name in FILES if name != "text_encoders"}
    bare = {name: None if file is None else file_name(file) for name, file in named.items()}
    return replace(request, text_encoders=tuple(map(file_name, request.text_encoders)), **bare)


@dataclass(frozen=True)
class Picture:
    """A finished picture and its recipe."""

    image: Image
    recipe: Recipe

    def save(self, path: str | Path) -> None:
        """Write PNG, JPEG or WebP by the suffix, recipe inside; `OutputError` if it cannot be."""
        save(self.image, Path(path), self.recipe.texts())


@dataclass(frozen=True)
class Result:
    """All pictures of one run, in the order of their seeds, and how many seconds it took."""

    pictures: tuple[Picture, ...]
    seconds: float


@dataclass(frozen=True)
class Origin:
    """What a picture says about its making.

    `recipe` is there only if sfumato made it. `request` is what can be followed: exact with a
    recipe, else as far as the A1111 text goes. `unread` holds the settings of that text that
    sfumato does not follow, so that nobody is surprised by what is missing.
    """

    request: Request
    recipe: Recipe | None
    parameters: str
    unread: Mapping[str, str]


def read(path: str | Path) -> Origin:
    """What the picture at `path` says about its making.

    Raises `PictureError` if it is not a picture, says nothing, or says what cannot be followed.
    """
    place = Path(path)
    texts = read_texts(place)
    try:
        if texts.sfumato:
            recipe = Recipe.from_json(texts.sfumato)
            return Origin(recipe.request, recipe, texts.parameters, {})
        if texts.parameters:
            return from_parameters(texts.parameters)
    except PictureError as error:
        raise PictureError(f"{place.name}: {error}") from error
    raise PictureError(f"{place.name} carries no recipe; only pictures that hold one can be read.")


def from_parameters(text: str) -> Origin:
    """What a text of A1111's, or of anything that writes like it, says of a picture's making.

    Raises `PictureError` when a value is not what its key promises.
    """
    request, unread = followed(text)
    return Origin(request, None, text, unread)


def diff(a: Recipe, b: Recipe) -> dict[str, tuple[object, object]]:
    """The fields in which two recipes differ, with both values; empty for equal recipes."""
    left, right = _flat(a), _flat(b)
    return {key: (left[key], right[key]) for key in left if left[key] != right[key]}


def _flat(recipe: Recipe) -> dict[str, object]:
    values = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    return {**to_dict(values.pop("request")), **values}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _mapping(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise PictureError(f"its sfumato {what} is not a JSON object.")
    return cast(dict[str, object], value)


def _same_keys(values: Mapping[str, object], wanted: set[str], what: str) -> None:
    wrong = sorted(wanted ^ values.keys())
    if wrong:
        raise PictureError(
            f"its sfumato {what} does not have the fields of this version ({', '.join(wrong)})."
        )
