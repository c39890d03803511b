"""Pictures and masks as OpenAI's clients send them: files in a form, transparent where to edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image
from starlette.datastructures import FormData, UploadFile

from sfumato.errors import PictureError
from sfumato.limits import MAX_SIZE, MIN_SIZE
from sfumato.request import Request
from sfumato.server.openai.errors import RefusedError
from sfumato.server.openai.payloads import Edit
from sfumato.server.uploads import opened
from sfumato.source import Source

if TYPE_CHECKING:
    from sfumato.resolve import Defaults
    from sfumato.server.settings import Limits
    from sfumato.server.shelf import Shelf

__all__ = ["Files", "edit_request", "fields_and_files"]

Files = Mapping[str, bytes]


async def fields_and_files(form: FormData) -> tuple[dict[str, str], Files]:
    """The fields of a form, and its files as bytes under the names `image` and `mask`.

    Raises RefusedError for a second picture, for a field that comes twice, and for a file where
    none belongs. An empty field counts as one that is left out.
    """
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for sent, value in form.multi_items():
        name = sent.removesuffix("[]")
        if name in fields or name in files:
            several = "only one picture can be edited at a time" if name == "image" else "it is one"
            raise RefusedError(f"{name} was sent more than once; {several}.", param=name)
        if isinstance(value, UploadFile):
            if name not in ("image", "mask"):
                raise RefusedError(f"{name[:60]} cannot be followed here.", param=name)
            files[name] = await value.read()
        elif value:
            fields[name] = value
    return fields, files


def edit_request(wish: Edit, files: Files, shelf: Shelf, limits: Limits) -> Request:
    """The request for an edit. Raises RefusedError or RequestError.

    Without a mask, a picture that is transparent somewhere is edited there.
    """
    picture = _opened("image", files, limits)
    source = Source.picture(picture)
    mask = _mask(picture, source, files, limits)
    request = wish.request(shelf)
    if wish.wanted_size() is None:
        defaults = next((row.defaults for row in shelf.rows() if row.name == request.model), None)
        width, height = fitting((source.width, source.height), defaults)
        request = replace(request, width=width, height=height)
    strength = wish.wanted_strength(masked=mask is not None)
    return replace(request, image=source, strength=strength, mask=mask)


def fitting(size: tuple[int, int], defaults: Defaults | None) -> tuple[int | None, int | None]:
    """Width and height with a picture's proportions and about the area that the model paints best.

    In steps of an eighth of the model's own sides: finer ones not every network can take.
    """
    if defaults is None:
        return None, None
    grain = max(8, min(defaults.width, defaults.height) // 64 * 8)
    scale = (defaults.width * defaults.height / (size[0] * size[1])) ** 0.5
    width, height = (
        min(max(grain, round(side * scale / grain) * grain, MIN_SIZE), MAX_SIZE) for side in size
    )
    return width, height


def _opened(name: str, files: Files, limits: Limits) -> Image.Image:
    if not files.get(name):
        raise RefusedError(f"{name} is missing; send a PNG, JPEG or WebP file.", param=name)
    try:
        return opened(files[name], limits)[0]
    except PictureError as problem:
        raise RefusedError(f"{name}: {problem}", param=name) from problem


def _mask(picture: Image.Image, source: Source, files: Files, limits: Limits) -> Source | None:
    """White where to edit: where the mask, or without one the picture itself, is transparent."""
    if "mask" not in files:
        if not picture.has_transparency_data:
            return None
        clear = Source.mask_from_alpha(picture)
        return clear if clear.image().getextrema()[1] else None
    try:
        mask = Source.mask_from_alpha(_opened("mask", files, limits))
    except PictureError as problem:
        raise RefusedError(f"mask: {problem}", param="mask") from problem
    if (mask.width, mask.height) != (source.width, source.height):
        raise RefusedError(
            f"mask is {mask.width}x{mask.height}, but image is {source.width}x{source.height}; "
            "they must have the same size.",
            param="mask",
        )
    return mask
