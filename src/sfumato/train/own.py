"""Pictures of one's own with captions, from a folder or webdataset tars, checked as a whole.

Beside every picture lies a text file of the same name; each line of it is one caption. In a tar
(the webdataset layout) the two share all of their name up to its first dot. Every fault of every
file is found before anything is trained, and told at once.
N pictures, S side in pixels.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sfumato.errors import PictureError, RequestError
from sfumato.familiar import words_of
from sfumato.images import read_picture
from sfumato.train.stylize import Picture

__all__ = ["SHAPES", "Captioned", "Lines", "gather"]

SHAPES = ("crop", "pad")  # what becomes of a picture that is no square
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_TOLD = 5  # faults that a message names; the others it counts
_PIXELS = 100_000_000  # of one picture, so that none unpacks into all of memory
_LEAST = 4  # pictures: fewer leave nothing to hold back

Captions = tuple[str, ...]
Objection = Callable[[str], str | None]  # why a caption cannot be read, or None


@dataclass(frozen=True)
class Captioned:
    """Pictures (N, S, S, 3) uint8 in the order of their names, and each one's captions."""

    pictures: Picture
    captions: tuple[Captions, ...]
    digest: str  # of all names, pixels and captions

    def held(self) -> list[int]:
        """Every twentieth picture, one at the least: judged, and never trained on."""
        return list(range(0, len(self.captions), 20))


@dataclass(frozen=True)
class Lines:
    """The words of captioned pictures: one of the lines, or none."""

    def said(self, facts: Captions, rng: np.random.Generator, drop: float) -> str:
        """A line drawn by `rng`; "" with probability `drop`."""
        return "" if rng.random() < drop else facts[int(rng.random() * len(facts))]

    def plain(self, facts: Captions) -> str:
        """The first line."""
        return facts[0]

    def words(self, some: Iterable[Captions]) -> frozenset[str]:
        """Every word of the lines."""
        return words_of(line for lines in some for line in lines)


@dataclass(frozen=True)
class _Found:
    """A picture's bytes and its caption's, as they lie in a folder or a tar."""

    name: str
    picture: Callable[[], bytes]
    caption: bytes | None


def gather(data: Path, size: int, shape: str | None, objection: Objection) -> Captioned:
    """All pictures of a folder or a tar, S = ``size``, with captions to which nobody objects.

    ``shape`` is one of `SHAPES`, or None where every picture must be a square. Raises RequestError
    that names what cannot be used; nothing is left out silently.
    """
    pictures: list[Picture] = []
    captions: list[Captions] = []
    faults: list[str] = []
    digest = hashlib.sha256(f"{size} {shape}".encode())
    total = 0
    for found in _found(data, faults):
        total += 1
        lines, fault = _lines(found.caption, objection)
        picture = None
        if fault is None:
            try:
                picture = _square(found.picture(), size, shape)
            except PictureError as error:
                fault = str(error).replace("the picture", "it")
        if fault is not None or picture is None:
            faults.append(f"{found.name}: {fault}")
            continue
        pictures.append(picture)
        captions.append(lines)
        digest.update(repr((found.name, lines)).encode() + picture.tobytes())
    if faults:
        rest = len(faults) - _TOLD
        told = faults[:_TOLD] + ([f"and {rest} more"] if rest > 0 else [])
        raise RequestError(
            f"{len(faults)} of the {max(total, len(faults))} files in {data} cannot be used:\n  "
            + "\n  ".join(told)
            + "\nMend them or take them away; nothing was trained yet."
        )
    _require_enough(data, captions)
    return Captioned(np.stack(pictures), tuple(captions), digest.hexdigest())


def _require_enough(data: Path, captions: list[Captions]) -> None:
    if len(captions) < _LEAST:
        raise RequestError(
            f"{data} holds {len(captions)} pictures with captions, and {_LEAST} are the least. "
            "Beside each picture (.png, .jpg, .webp) belongs a text file of the same name."
        )
    if len(set(captions)) == 1:
        raise RequestError(
            f"All {len(captions)} pictures have the same caption, {captions[0][0]!r}: no word in "
            "it would come to mean anything. Say in each caption what tells its picture apart."
        )


def _found(data: Path, faults: list[str]) -> Iterator[_Found]:
    """Every picture, in the order of names; ``faults`` hears what can be told of no picture."""
    try:
        if data.is_file():
            yield from _in_tar(data, faults)
            return
        paths = sorted(path for path in data.rglob("*") if path.is_file())
        if not data.exists():
            raise RequestError(f"There is nothing at {data}; give a folder of pictures, or a tar.")
    except OSError as error:
        raise RequestError(f"{data} cannot be read: {error.strerror}.") from error
    for path in paths:
        name = path.relative_to(data).as_posix()
        try:
            if path.suffix.lower() == ".tar":
                yield from _in_tar(path, faults)
            elif path.suffix.lower() in _SUFFIXES:
                text = path.with_suffix(".txt")
                words = text.read_bytes() if text.is_file() else None
                yield _Found(name, path.read_bytes, words)
        except OSError as error:
            faults.append(f"{name}: {error.strerror}")


def _in_tar(path: Path, faults: list[str]) -> Iterator[_Found]:
    """The pictures of one tar."""
    parts: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    folder, _, name = member.name.rpartition("/")
                    key, _, kind = name.partition(".")
                    parts.setdefault(f"{folder}/{key}".lstrip("/"), {})[kind.lower()] = file.read()
    except (tarfile.TarError, EOFError) as error:
        faults.append(f"{path.name}: no whole tar archive ({error})")
        return
    for key in sorted(parts):
        for kind, picture in sorted(parts[key].items()):
            if f".{kind}" in _SUFFIXES:
                name = f"{path.name}: {key}.{kind}"
                yield _Found(name, lambda picture=picture: picture, parts[key].get("txt"))


def _lines(caption: bytes | None, objection: Objection) -> tuple[Captions, str | None]:
    """A caption's lines, or why there are none."""
    if caption is None:
        return (), "has no caption: a text file of the same name"
    try:
        text = caption.decode("utf-8-sig")
    except UnicodeDecodeError:
        return (), "its caption is no UTF-8 text"
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        return (), "its caption is empty"
    for line in lines:
        fault = objection(line)
        if fault is not None:
            return (), fault
    return lines, None


def _square(data: bytes, size: int, shape: str | None) -> Picture:
    """The picture as (S, S, 3), light on white. PictureError where it is broken or unfit."""
    image, _ = read_picture(BytesIO(data), most_pixels=_PIXELS)
    image = ImageOps.exif_transpose(image)
    if min(image.size) < size:
        raise PictureError(
            f"has {image.width}x{image.height} pixels; at least {size} each way are needed"
        )
    if image.width != image.height and shape is None:
        raise PictureError(
            f"has {image.width}x{image.height} pixels and is no square; ask for --shape crop or pad"
        )
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        lit = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", lit.size, "white"), lit)
    image = image.convert("RGB")
    if shape == "pad":
        image = ImageOps.pad(image, (size, size), Image.Resampling.LANCZOS, color="white")
    else:
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)
