"""Whether a picture is what its recipe makes: to the bit, or how far apart, and why."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, cast

from PIL import Image, JpegImagePlugin

from sfumato.choose.compare import Distance, distance
from sfumato.errors import PictureError
from sfumato.images import read_picture
from sfumato.recipe import Picture, Recipe
from sfumato.request import Request
from sfumato.source import Source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Claim", "Verdict", "judge", "read_claim"]

# What decides the last bits, in a recipe and in words.
_MACHINE: Mapping[str, str] = {
    "sha256": "model",
    "parts": "part of the model",
    "upscaler_sha256": "upscaler",
    "numerics": "numerics",
    "device": "device",
    "precision": "precision",
    "torch": "torch",
}


@dataclass(frozen=True)
class Claim:
    """A picture as its file shows it, and the recipe that it says it was made by."""

    name: str
    image: Image.Image
    recipe: Recipe

    def request(self, sources: Iterable[Source] = ()) -> Request:
        """What makes it again, with those of the sources that it started from.

        Raises PictureError that names a picture which is not among them.
        """
        wish, given = self.recipe.request, {source: source for source in sources}
        for what, known in (("image", wish.image), ("mask", wish.mask)):
            if known is None:
                continue
            if known not in given:
                raise PictureError(
                    f"{self.name} was made with {'a picture' if what == 'image' else 'a mask'} of "
                    f"{known.width}x{known.height} (sha256 {known.sha256[:10]}…), which is not in "
                    f"it; give that with --{what}."
                )
            wish = replace(wish, **{what: given[known]})
        return wish


@dataclass(frozen=True)
class Verdict:
    """What came out: how far the picture is from what its recipe makes here, and why.

    distance: None where the sizes differ. reasons: in words, none if it is equal.
    """

    distance: Distance | None
    reasons: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return self.distance is not None and self.distance.equal

    def words(self) -> str:
        """The verdict in a line."""
        if self.distance is None:
            return "not what its recipe makes"
        return self.distance.words()

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON."""
        return {
            "equal": self.equal,
            "distance": None if self.distance is None else self.distance.to_dict(),
            "reasons": list(self.reasons),
        }


def read_claim(source: Path | IO[bytes], name: str, *, most_pixels: int | None = None) -> Claim:
    """The picture of a file and its recipe. Raises PictureError without a recipe of sfumato's."""
    image, texts = read_picture(source, most_pixels=most_pixels)
    if not texts.sfumato:
        raise PictureError(
            f"{name} carries no recipe of sfumato, so there is nothing to verify it by."
        )
    if getattr(image, "is_animated", False):
        raise PictureError(f"{name} is an animation; verify the picture that it ends with.")
    try:
        return Claim(name, image, Recipe.from_json(texts.sfumato))
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error


def judge(claim: Claim, made: Picture) -> Verdict:
    """The verdict on a picture, by what its recipe makes here and now.

    A JPEG is compared with what was made once that is a JPEG too, by the same tables.
    """
    shown = made.image.convert("RGB")
    tables = getattr(claim.image, "quantization", None)
    if claim.image.format == "JPEG" and tables:
        shown = _as_jpeg(shown, claim.image, cast("dict[int, list[int]]", tables))
    apart = distance(claim.image, shown)
    reasons = [] if apart is not None and apart.equal else _reasons(claim, made, apart)
    return Verdict(apart, tuple(reasons))


def _reasons(claim: Claim, made: Picture, apart: Distance | None) -> list[str]:
    there, here = claim.recipe, made.recipe
    if apart is None:
        shows, makes = (f"{one.width}x{one.height}" for one in (claim.image, made.image))
        return [
            f"its file shows {shows} pixels, and its recipe makes {makes}: a film strip, or a copy "
            "that was scaled or cut"
        ]
    reasons: list[str] = []
    for name, word in _MACHINE.items():
        was, now = getattr(there, name), getattr(here, name)
        if was != now:
            was, now = _told(name, was), _told(name, now)
            reasons.append(f"another {word}: {was} then, {now} here")
    if here.sfumato != there.sfumato:
        reasons.append(f"another version of sfumato: {there.sfumato} then, {here.sfumato} here")
    if not reasons:
        reasons.append(
            "all that its recipe tells is the same here: its pixels were changed after it was "
            "made, or the processor or the number of threads is another"
        )
    if claim.image.format == "WEBP":
        reasons.append("it is a WebP, which may have been saved with loss")
    return reasons


def _told(name: str, value: object) -> str:
    """A value of `_MACHINE` as reasons tell it: of a hash its beginning."""
    if name == "parts":
        parts = cast("Mapping[str, str]", value)
        told = [f"{part} {sha256[:10]}…" for part, sha256 in sorted(parts.items())]
        return ", ".join(told) or "none of its own"
    if name.endswith("sha256"):
        return f"{value!s:.10}…" if value else "none"
    return str(value)


def _as_jpeg(shown: Image.Image, like: Image.Image, tables: dict[int, list[int]]) -> Image.Image:
    """The picture once it has been a JPEG with the tables and the sampling of another."""
    buffer = io.BytesIO()
    sampling = JpegImagePlugin.get_sampling(like)
    shown.save(buffer, "JPEG", qtables=tables, subsampling=max(sampling, 0))
    return Image.open(buffer, formats=["JPEG"]).convert("RGB")
