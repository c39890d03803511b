"""`sfumato upscale`: finished pictures made larger; their recipes say so afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from PIL import Image

from sfumato.cli.machine import EngineLike, EnlargementLike, MakeEngine
from sfumato.cli.paths import FOLDER
from sfumato.cli.screen import Progress, error, note
from sfumato.cli.stop import TERMINATED, Terminated, terminable
from sfumato.errors import OutputError, PictureError, RequestError, SfumatoError
from sfumato.images import PICTURES, Texts, check_output, layers, lossy, read_picture, save
from sfumato.parameters import enlarged_text
from sfumato.recipe import Recipe

__all__ = ["Enlarge", "upscale"]

# Pixels of a finished picture: 0.8 GB as bytes, and a file that other programs still open.
MOST_PIXELS = 2**28
_STILL = ("MPO",)  # a phone's JPEG, with a second picture of the same behind it
_RGB = ("RGB", "RGBA", "P")  # whose colours a profile still fits when they are RGB


@dataclass(frozen=True)
class Enlarge:
    """What was typed: the pictures, how many times larger, by what, where to, and on what."""

    pictures: Sequence[Path]
    factor: int
    upscaler: str | None = None
    out: str | None = None
    replace: bool = False
    device: str | None = None
    quiet: bool = False


def upscale(wish: Enlarge, make_engine: MakeEngine) -> int:
    """Make each picture larger and save it; the exit status: 2 where some could not be.

    Raises `SfumatoError` before the first for what is wrong with where they go.
    """
    places = _places(wish)
    engine: EngineLike | None = None
    done = failed = 0
    try:
        with terminable(), Progress(len(places), quiet=wish.quiet) as progress:
            for i, (source, place) in enumerate(places):
                try:
                    image, texts = _read(source, wish.factor, place)
                    if engine is None:
                        progress.wait("loading the upscaler")
                        engine = make_engine(wish.device or "auto", "auto")
                    rgb, alpha = layers(image)
                    work = engine.enlarge(rgb, wish.factor, wish.upscaler)
                    for tiles in work:
                        progress.upscaling(i, tiles, work.total)
                    larger = _whole(work, alpha)
                    profile = image.info.get("icc_profile") if image.mode in _RGB else None
                    said = Texts(texts.parameters) if lossy(source) else texts
                    save(larger, place, _texts(said, image, wish.factor, work), profile)
                except SfumatoError as problem:
                    if len(places) == 1 or not isinstance(problem, PictureError):
                        raise  # what is wrong is not this picture
                    failed += 1
                    error(str(problem))
                    continue
                done += 1
                size = f"{larger.width}x{larger.height}"
                progress.say(f"{place}{'' if wish.quiet else f'  {size}'}")
    except KeyboardInterrupt as stop:
        note(f"stopped; {done} of {len(places)} are kept")
        if isinstance(stop, Terminated):
            raise typer.Exit(TERMINATED) from None
        raise
    return 2 if failed else 0


def _places(wish: Enlarge) -> list[tuple[Path, Path]]:
    """Each picture and where it goes. Raises OutputError for what would be written over."""
    places = list(_planned(wish))
    taken: dict[str, Path] = {}
    for source, place in places:
        other = taken.setdefault(os.path.realpath(place), source)
        if other is not source:
            raise OutputError(
                f"{other} and {source} would both become {place}; do one of them by itself, with "
                "another --out."
            )
        if place.exists() and not wish.replace:
            raise OutputError(f"{place} exists; give another --out, or add --replace.")
        check_output(place)
    return places


def _planned(wish: Enlarge) -> Iterator[tuple[Path, Path]]:
    out = FOLDER if wish.out is None else wish.out
    if out == "":
        raise OutputError("--out is empty; give a folder or a file, or leave it out for out/.")
    if Path(out).suffix.lower() in PICTURES and not Path(out).is_dir():
        if len(wish.pictures) > 1:
            raise OutputError(
                f"--out {out} is one file, and there are {len(wish.pictures)} pictures; "
                "give a folder."
            )
        yield wish.pictures[0], Path(out)
        return
    for source in wish.pictures:
        yield source, Path(out) / f"{source.stem}.png"


def _read(source: Path, factor: int, place: Path) -> tuple[Image.Image, Texts]:
    """A picture at rest that is not too large, and its texts. Raises PictureError, OutputError."""
    image, texts = read_picture(source, most_pixels=MOST_PIXELS // factor**2)
    if getattr(image, "is_animated", False) and image.format not in _STILL:
        raise PictureError(f"{source.name} is an animation; give one picture of it.")
    if image.has_transparency_data and place.suffix.lower() != ".png":
        raise OutputError(
            f"{source.name} lets light through, which is kept in a .png alone; "
            f"give --out {place.with_suffix('.png')}."
        )
    return image, texts


def _whole(work: EnlargementLike, alpha: Image.Image | None) -> Image.Image:
    """The finished picture, with its alpha: drawn out smoothly, so that solid stays solid."""
    larger = work.picture()
    if alpha is not None:
        larger.putalpha(alpha.resize(larger.size, Image.Resampling.BICUBIC))
    return larger


def _texts(texts: Texts, image: Image.Image, factor: int, by: EnlargementLike) -> Texts:
    """What the picture said of its making, and that it was made larger.

    Our own recipe tells it where it made just this picture, which it then still makes. One of
    something else (a film strip, a copy of another size, a picture that was made larger before)
    cannot say it, and of one that does not keep every pixel, which are others then, none comes
    here: A1111's text alone is kept, in which there are words for it.
    """
    recipe = _recipe(texts.sfumato)
    whole = None if recipe is None else recipe.request.finished
    if recipe is not None and recipe.request.upscale is None and whole == image.size:
        try:
            request = replace(recipe.request, upscale=factor, upscaler=by.name)
        except RequestError:  # larger than a request may ask for
            pass
        else:
            return replace(recipe, request=request, upscaler_sha256=by.sha256).texts()
    return Texts(parameters=enlarged_text(texts.parameters, factor, by.name))


def _recipe(text: str) -> Recipe | None:
    try:
        return Recipe.from_json(text) if text else None
    except PictureError:  # a sheet's, or of another version
        return None
