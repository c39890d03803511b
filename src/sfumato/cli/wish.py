"""The request that comes of what was typed for a command that paints.

With `--from` the request is what a picture says of its making, changed by what was typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from sfumato.cli.configuration import shelves
from sfumato.cli.same_model import same_model, same_refiner
from sfumato.cli.screen import note
from sfumato.cli.taking import Order
from sfumato.diffusion.table import check_wander, sampler_row, schedule_row
from sfumato.errors import PictureError
from sfumato.recipe import NUMERICS, Origin
from sfumato.request import Request
from sfumato.source import Source

__all__ = ["check_origin", "checked", "machine", "painted_with", "wish"]

_AS: Mapping[str, str] = {"image": "a picture", "mask": "a mask"}


def wish(order: Order, origin: Origin | None) -> Request:
    """The request: what the picture in `--from` says, changed by what was typed."""
    start = Request() if origin is None else origin.request
    changes: dict[str, object] = {
        **order.changes,
        "image": _source("image", "picture", order, start.image),
        "mask": _source("mask", "mask", order, start.mask),
    }
    if order.anyway or not changes.keys().isdisjoint({"prompt", "negative"}):
        changes.setdefault("embeddings", None)  # other words may name others
        changes |= {"template": "", "negative_template": ""}
    changes |= _of_another_model(order, start)
    request = start.changed(changes)
    checked(request)
    return request


def _of_another_model(order: Order, start: Request) -> dict[str, object]:
    """What of a picture's request names parts of its own network, and is no use to another's."""
    if not (order.anyway and "model" in order.changes):
        return {}
    named = {name: getattr(start, name) for name in ("pag_layers", "slg_layers")}
    left = {name: it for name, it in named.items() if it is not None and name not in order.changes}
    for name, layers in left.items():
        typed = ",".join(map(str, layers))
        note(
            f"{name} {typed} are the picture's own model's; the usual ones of "
            f"{order.changes['model']} are taken in their place "
            f"(--{name.replace('_', '-')} {typed} keeps them)"
        )
    return {name: None for name in left}  # noqa: C420 - for its type


def painted_with(order: Order, origin: Origin | None, request: Request) -> Request:
    """The request with the models of the picture in `--from`, found by their sha256."""
    if origin is None or origin.recipe is None:
        return request
    recipe, typed = origin.recipe, order.changes
    if "model" not in typed:
        request = replace(request, model=same_model(recipe, shelves(), anyway=order.anyway))
    if request.refiner is not None and "refiner" not in typed:
        request = replace(request, refiner=same_refiner(recipe, shelves(), anyway=order.anyway))
    return request


def checked(request: Request) -> Request:
    """The request with the usual names of its sampler and schedule.

    Unknown ones are told here, before torch and the model are loaded.
    """
    names: dict[str, str] = {}
    if request.sampler is not None:
        names["sampler"] = sampler_row(request.sampler).name
        if request.wander:
            check_wander(names["sampler"])
    if request.schedule is not None:
        names["schedule"] = schedule_row(request.schedule).name
    return replace(request, **names)


def _source(
    name: Literal["image", "mask"],
    kind: Literal["picture", "mask"],
    order: Order,
    known: Source | None,
) -> Source | None:
    """The picture or the mask to start from; with `--from`, that which was started from then."""
    path = order.image if name == "image" else order.mask
    origin = "" if order.source is None else order.source.name
    if path is None:
        if known is None:
            return None
        raise PictureError(
            f"{origin} was made with {_AS[name]} of {_told(known)}, which is not in it; "
            f"give that with --{name}."
        )
    source = Source.read(path, kind)
    if known is not None and known != source and not order.anyway:
        raise PictureError(
            f"{origin} was made with {_AS[name]} of {_told(known)}, and {path.name} has "
            f"{_told(source)}.\nGive the other one with --{name}, or add --anyway."
        )
    return source


def _told(source: Source) -> str:
    return f"{source.width}x{source.height} (sha256 {source.sha256[:10]}…)"


def machine(order: Order, origin: Origin | None) -> tuple[str, str]:
    """Device and precision: as typed, else those of the picture to be made again."""
    recipe = None if origin is None else origin.recipe
    device = "auto" if recipe is None else recipe.device.split(":")[0]
    precision = "auto" if recipe is None else recipe.precision
    return (
        device if order.device is None else order.device,
        precision if order.precision is None else order.precision,
    )


def check_origin(order: Order, origin: Origin) -> None:
    """Refuse to promise what cannot be kept, unless the user wants it anyway."""
    name = "" if order.source is None else order.source.name
    recipe = origin.recipe
    if order.anyway:
        if origin.unread:
            left = ", ".join(f"{key} {value}" for key, value in origin.unread.items())
            note(f"{name}: these of its settings are not followed: {left}")
    elif recipe is None:
        raise PictureError(
            f"{name} was made by another program, so the same picture cannot be promised.\n"
            "Add --anyway to follow its text as far as it goes."
        )
    elif recipe.numerics != NUMERICS:
        raise PictureError(
            f"{name} was made by sfumato {recipe.sfumato} with numerics {recipe.numerics}, and "
            f"this version has {NUMERICS}: the pixels would differ.\nAdd --anyway to make it so."
        )
