"""Reading a folder of pictures, with all folders in it, file by file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import PictureError
from sfumato.images import PICTURES
from sfumato.server.library.entry import Entry

__all__ = ["Imported", "contents", "files"]


@dataclass(frozen=True)
class Imported:
    """What became of one file: its entry, which is ``new`` or was there before; or why not."""

    path: Path
    entry: Entry | None = None
    new: bool = False
    error: str = ""


def files(folder: Path, *, without: Path) -> Iterator[Path | Imported]:
    """The pictures of a folder in the order of their names; as an `Imported`, what cannot be read.

    What is hidden is passed over, and so are links, the folder ``without``, and what has no
    picture's suffix. A file stands for itself. Raises `PictureError` if there is nothing there, or
    if it lies within ``without``.
    """
    own = without.resolve()
    if own == folder.resolve() or own in folder.resolve().parents:
        raise PictureError(f"{folder} belongs to the library already; give another folder.")
    if folder.is_dir():
        yield from _below(folder, own)
    elif folder.exists():
        yield folder
    else:
        raise PictureError(f"there is no folder {folder}.")


def _below(folder: Path, without: Path) -> Iterator[Path | Imported]:
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as found:
                items = sorted(found, key=lambda item: item.name)
        except OSError as error:
            yield Imported(place, error=f"cannot be read: {(error.strerror or str(error)).lower()}")
            continue
        inner: list[Path] = []
        for item in items:
            path = Path(item.path)
            if item.name.startswith(".") or item.is_symlink():
                continue
            if item.is_dir(follow_symlinks=False):
                if path.resolve() != without:
                    inner.append(path)
            elif path.suffix.lower() in PICTURES:
                yield path
        waiting += reversed(inner)


def contents(path: Path, most: int) -> tuple[bytes, float]:
    """The bytes of a file, and when it was changed last, in seconds since 1970.

    Raises `PictureError` if it cannot be read, is no regular file, or has more than ``most`` bytes.
    """
    # A pipe must not be waited for, and a link not be followed to where it did not point before.
    flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise PictureError("is no regular file.")
            data = file.read(most + 1) if about.st_size <= most else b""
    except OSError as error:
        raise PictureError(f"cannot be read: {(error.strerror or str(error)).lower()}.") from error
    if max(len(data), about.st_size) > most:
        raise PictureError(f"has {about.st_size:,} bytes, but at most {most:,} are taken.")
    return data, about.st_mtime
