"""The model that a picture was made with, found again by its sha256 under whatever name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.cli.screen import amount, note
from sfumato.errors import PictureError, SfumatoError, WeightsError
from sfumato.shelves import Place, Shelves
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest, remembered

if TYPE_CHECKING:
    from sfumato.recipe import Recipe

__all__ = ["nearest_model", "same_model"]


def same_model(recipe: Recipe, shelves: Shelves, *, anyway: bool = False) -> str:
    """What to ask an engine for, to paint with a recipe's model: a name or a path.

    The sha256 decides. What is known is asked first, then the file that is named as the recipe says
    is read, then all others, each once, for it is remembered. Raises PictureError where none has
    it; `anyway` takes the one that is named so, and reads no others.
    """
    named, wanted = recipe.request.model or "", recipe.sha256
    place = _named(named, shelves)
    known = None if place is None else _known(place, shelves)
    if place is not None and known == wanted:
        return str(place.path) if place.name != named else named
    item = shelves.known_by(wanted)
    if item is None and place is not None and known is None:
        known = _read(place, shelves)
        if known == wanted:
            return str(place.path)
    if item is None and not anyway and not _is_bundled(named):
        for other in shelves.unread(named):
            note(
                f"looking for the picture's model by its sha256: reading {other.name}, "
                f"{amount(other.bytes)}"
            )
            try:
                if shelves.sha256(other) == wanted:
                    item = other
                    break
            except WeightsError as error:
                note(f"left out: {error}")
    if item is not None:
        note(f"the picture's model, {named}, is here as {item.name}")
        return str(item.path)
    return _other(recipe, place, known, anyway=anyway)


def nearest_model(recipe: Recipe, shelves: Shelves) -> str:
    """As `same_model`; or where none has its sha256 the model that is named so, to compare with.

    Raises PictureError where there is none of that name either.
    """
    try:
        return same_model(recipe, shelves)
    except PictureError:
        named = recipe.request.model or ""
        if _named(named, shelves) is None:
            raise
        return named


def _other(recipe: Recipe, place: Place | None, known: str | None, *, anyway: bool) -> str:
    """No model here is the recipe's: the one that is called so, if the user wants it anyway."""
    named = recipe.request.model or ""
    if anyway:
        return named
    made = f"the picture was made with {named} (sha256 {recipe.sha256[:10]}…), and"
    if place is None or known is None:
        raise PictureError(
            f"{made} no model here is that one.\n"
            "Give the place of that file with --model; see also: sfumato models."
        )
    raise PictureError(
        f"{made} {place.name} here has {known[:10]}….\n"
        "Give the place of that file with --model, or add --anyway."
    )


def _named(name: str, shelves: Shelves) -> Place | None:
    try:
        place = shelves.locate(name)
        return place if place.path.exists() else None
    except (SfumatoError, OSError):  # no such name, or it fits several
        return None


def _known(place: Place, shelves: Shelves) -> str | None:
    """Its sha256, if nothing much has to be read for it."""
    if _is_bundled(place.name):
        return _read(place, shelves)
    try:
        return remembered(place.path, shelves.hashes)
    except OSError:
        return None


def _read(place: Place, shelves: Shelves) -> str | None:
    try:
        return digest(open_weights(place.path), shelves.hashes)
    except WeightsError:  # no model at all, so it is not the one
        return None


def _is_bundled(name: str) -> bool:
    from sfumato.catalog import CATALOG

    return name in CATALOG and CATALOG[name].asset is not None
