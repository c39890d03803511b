"""What lies in a folder from an earlier run: whether this machine would make it so now as well.

A picture's request says what was asked for; this is about all else that decides its pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.catalog import BUNDLED, ILLUSTRATION
from sfumato.cli.screen import amount, note
from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.limits import SEEDS, UPSCALER
from sfumato.recipe import NUMERICS
from sfumato.resolve import Defaults, resolve
from sfumato.shelves import Shelves
from sfumato.shipped import shipped
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest, remembered
from sfumato.weights.remembered import state

if TYPE_CHECKING:
    from sfumato.recipe import Recipe
    from sfumato.request import Request

__all__ = ["Today", "apart"]

_LONG = 500_000_000  # bytes that take long enough to be told


def apart(there: Recipe, here: Recipe) -> str | None:
    """In what the first of two pictures was made otherwise, in words; None if in nothing."""
    if there.sha256 != here.sha256:
        return _model(there.sha256, here.sha256)
    if there.parts != here.parts:
        return "with other parts of the model"
    if there.upscaler_sha256 != here.upscaler_sha256:
        return "by another upscaler"
    for name in ("device", "precision", "numerics"):
        was, now = getattr(there, name), getattr(here, name)
        if was != now:
            return _otherwise(name, was, now)
    return None


class Today:
    """With what pictures are made now, as far as that is known before a model is loaded.

    `device` and `precision` are what was typed: where nothing was, any will do.
    """

    def __init__(
        self, shelves: Shelves, device: str | None = None, precision: str | None = None
    ) -> None:
        self._shelves = shelves
        self._digests = dict[Path, str]()
        self._found = dict[object, tuple[str, Mapping[str, str]]]()
        self._usual = dict[object, Defaults | None]()
        self._typed = {"device": device, "precision": precision}

    def settled(self, wanted: Request) -> Request:
        """The request with what it leaves open as its model likes it, but what is drawn or read.

        As it is where only a loaded model tells. Raises SfumatoError where there is no such model
        any more, or it cannot do what is asked for.
        """
        defaults = self._defaults(wanted)
        if defaults is None:
            return wanted
        settled = resolve(
            wanted,
            defaults,
            model=wanted.model or BUNDLED,
            draw_seed=lambda: 0,
            sampler_name=lambda name: sampler_row(name).name,
            schedule_name=lambda name: schedule_row(name).name,
        )
        open_still = {name: getattr(wanted, name) for name in (*SEEDS, "embeddings")}
        return replace(settled, **open_still)

    def _defaults(self, wanted: Request) -> Defaults | None:
        """How its model is used where nobody says; None where its file leaves that open."""
        from sfumato.opening import Asked, find  # torch comes with it

        asked = Asked(wanted.model or BUNDLED, wanted.vae, wanted.text_encoders)
        if asked not in self._usual:
            found = find(asked, self._shelves)
            self._usual[asked] = found.spec.defaults if found.sure else None
        return self._usual[asked]

    def apart(self, there: Recipe, wanted: Request) -> str | None:
        """In what a picture of this wish was made otherwise than it would be now, in words.

        The model's file is read for its sha256, if that is not known. Raises SfumatoError where
        there is no such model any more.
        """
        model = BUNDLED if wanted.model is None else wanted.model
        apart = bool(wanted.vae or wanted.text_encoders or there.parts.keys() - {"refiner"})
        sha256, parts = self._model(model, wanted, apart=apart)
        if wanted.refiner is not None:
            refiner = self._digest(self._shelves.locate(wanted.refiner).path)
            parts = {**parts, "refiner": refiner}
        if there.sha256 != sha256:
            return _model(there.sha256, sha256)
        if dict(there.parts) != parts:
            return "with other parts of the model"
        if wanted.upscale is not None and there.upscaler_sha256 != self._upscaler(wanted.upscaler):
            return "by another upscaler"
        if there.numerics != NUMERICS:
            return _otherwise("numerics", there.numerics, NUMERICS)
        for name, typed in self._typed.items():
            was = getattr(there, name)
            if typed not in (None, "auto", was, was.split(":")[0]):
                return _otherwise(name, was, typed)
        return None

    def _model(self, model: str, wanted: Request, *, apart: bool) -> tuple[str, Mapping[str, str]]:
        """The sha256 of a model's file, and those of the parts that lie in files of their own.

        `apart`: whether there may be any; a vocabulary of T5 is one without being asked for.
        """
        if not apart:
            place = self._shelves.locate(model).path
            return self._digest(place), {}
        from sfumato.opening import Asked, find  # torch comes with it

        asked = Asked(model, wanted.vae, wanted.text_encoders)
        if asked not in self._found:
            self._found[asked] = find(asked, self._shelves).hashes(self._shelves.hashes)
        return self._found[asked]

    def _upscaler(self, asked: str | None) -> str:
        if asked not in (None, UPSCALER):
            return self._digest(Path(asked))
        return self._digest(shipped(ILLUSTRATION.asset))

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            size = state(path)[0] if path.exists() else 0
            if size > _LONG and remembered(path, self._shelves.hashes) is None:
                note(f"reading {path.name}, {amount(size)}, once for its sha256")
            self._digests[path] = digest(open_weights(path), self._shelves.hashes)
        return self._digests[path]


def _model(was: str, now: str) -> str:
    return f"with a model of sha256 {was[:10]}…, which here has {now[:10]}…"


def _otherwise(name: str, was: object, now: object) -> str:
    return f"with {name} {was}, which here is {now}"
