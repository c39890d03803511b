"""The model that a picture was made with, found again by its sha256 under whatever name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.cli.screen import amount, note
from sfumato.errors import PictureError, SfumatoError, WeightsError
from sfumato.shelves import Place, Shelves
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest, remembered

if TYPE_CHECKING:
    from sfumato.recipe import Recipe

__all__ = ["nearest_model", "nearest_refiner", "same_model", "same_refiner"]


@dataclass(frozen=True)
class _Wanted:
    """A file that a picture was made with: its name there, its sha256, and what it was to it."""

    name: str
    sha256: str
    what: str = "model"


def same_model(recipe: Recipe, shelves: Shelves, *, anyway: bool = False) -> str:
    """What to ask an engine for, to paint with a recipe's model: a name or a path.

    The sha256 decides. What is known is asked first, then the file that is named as the recipe says
    is read, then all others, each once, for it is remembered. Raises PictureError where none has
    it; `anyway` takes the one that is named so, and reads no others.
    """
    return _same(_Wanted(recipe.request.model or "", recipe.sha256), shelves, anyway=anyway)


def same_refiner(recipe: Recipe, shelves: Shelves, *, anyway: bool = False) -> str | None:
    """As `same_model`, for the recipe's refiner; None where it has none."""
    wanted = _refiner(recipe)
    return None if wanted is None else _same(wanted, shelves, anyway=anyway)


def nearest_model(recipe: Recipe, shelves: Shelves) -> str:
    """As `same_model`; or where none has its sha256 the model that is named so, to compare with.

    Raises PictureError where there is none of that name either.
    """
    return _nearest(_Wanted(recipe.request.model or "", recipe.sha256), shelves)


def nearest_refiner(recipe: Recipe, shelves: Shelves) -> str | None:
    """As `nearest_model`, for the recipe's refiner; None where it has none."""
    wanted = _refiner(recipe)
    return None if wanted is None else _nearest(wanted, shelves)


def _refiner(recipe: Recipe) -> _Wanted | None:
    name = recipe.request.refiner
    return None if name is None else _Wanted(name, recipe.parts.get("refiner", ""), "refiner")


def _same(wanted: _Wanted, shelves: Shelves, *, anyway: bool) -> str:
    named = wanted.name
    place = _named(named, shelves)
    known = None if place is None else _known(place, shelves)
    if place is not None and known == wanted.sha256:
        return str(place.path) if place.name != named else named
    item = shelves.known_by(wanted.sha256)
    if item is None and place is not None and known is None:
        known = _read(place, shelves)
        if known == wanted.sha256:
            return str(place.path)
    if item is None and not anyway and not _is_bundled(named):
        for other in shelves.unread(named):
            note(
                f"looking for the picture's {wanted.what} by its sha256: reading {other.name}, "
                f"{amount(other.bytes)}"
            )
            try:
                if shelves.sha256(other) == wanted.sha256:
                    item = other
                    break
            except WeightsError as error:
                note(f"left out: {error}")
    if item is not None:
        note(f"the picture's {wanted.what}, {named}, is here as {item.name}")
        return item.name if item.bundled else str(item.path)
    return _other(wanted, place, known, anyway=anyway)


def _nearest(wanted: _Wanted, shelves: Shelves) -> str:
    try:
        return _same(wanted, shelves, anyway=False)
    except PictureError:
        if _named(wanted.name, shelves) is None:
            raise
        return wanted.name


def _other(wanted: _Wanted, place: Place | None, known: str | None, *, anyway: bool) -> str:
    """No file here is the recipe's: the one that is called so, if the user wants it anyway."""
    if anyway:
        return wanted.name
    made = f"the picture was made with {wanted.name} (sha256 {wanted.sha256[:10]}…), and"
    if place is None or known is None:
        raise PictureError(
            f"{made} no model here is that one.\n"
            f"Give the place of that file with --{wanted.what}; see also: sfumato models."
        )
    raise PictureError(
        f"{made} {place.name} here has {known[:10]}….\n"
        f"Give the place of that file with --{wanted.what}, or add --anyway."
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
