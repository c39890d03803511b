"""Where the files of a run go, and which existing files may be replaced.

Without `--out`, and with a folder, a picture is named after its prompt and its seed, and an
existing file is never touched: the next free name is taken. A file that is named is replaced only
if sfumato made it, which its own recipe tells.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import OutputError
from sfumato.images import PICTURES, check_animation, check_output, is_ours
from sfumato.images.files import check_suffix

FOLDER = "out"
_WORDS, _LETTERS = 6, 40
# Bytes of a picture's recipe and of what the file format needs; generous.
_EXTRA = 1_000_000


@dataclass(frozen=True)
class Plan:
    """The files one run will write: a folder, or a named picture; and what goes with each."""

    count: int
    folder: Path
    picture: Path | None = None
    filmstrip: Path | None = None
    animation: Path | None = None

    @property
    def wants_frames(self) -> bool:
        """Whether the steps are to be seen, not only the last one."""
        return self.filmstrip is not None or self.animation is not None

    def check(self) -> None:
        """Raise `OutputError` if anything could not be written, or must not be replaced."""
        for path in self._named():
            check_output(numbered(path, self.count - 1, self.count))  # the longest of its names
            for i in range(self.count):
                _check_replace(numbered(path, i, self.count))

    def check_room(self, width: int, height: int, steps: int) -> None:
        """Raise `OutputError` if the disk has less room than the run may need at most.

        That is all pixels of all files, as if nothing could be compressed.
        """
        pictures = 1 + steps * ((self.filmstrip is not None) + (self.animation is not None))
        room = self.count * (pictures * width * height * 3 + _EXTRA)
        for path in self._named():
            check_output(path, room=room)

    def _named(self) -> list[Path]:
        places = (self.picture or self.folder / "picture.png", self.filmstrip, self.animation)
        return [path for path in places if path is not None]

    def picture_path(self, index: int, prompt: str, seed: int) -> Path:
        """Where picture `index` of the run goes."""
        if self.picture is not None:
            return numbered(self.picture, index, self.count)
        return free_name(self.folder / f"{slug(prompt)}-{seed}.png", self._beside())

    def _beside(self) -> set[str]:
        """Where the film strips and animations of this run go, so that no picture is put there."""
        places = [path for path in (self.filmstrip, self.animation) if path is not None]
        return {
            os.path.realpath(numbered(path, i, self.count))
            for path in places
            for i in range(self.count)
        }


def plan(count: int, out: str | None, filmstrip: Path | None, animation: Path | None) -> Plan:
    """Read `--out`, `--filmstrip` and `--animate`; raises `OutputError` for unknown formats."""
    if filmstrip is not None:
        check_suffix(filmstrip, PICTURES)
    if animation is not None:
        check_animation(animation)
    if out == "":
        raise OutputError("--out is empty; give a file, a folder, or leave it out for out/.")
    folder, picture = Path(FOLDER), None
    if out is not None and (out.endswith(_SEPARATORS) or _is_folder(out)):
        folder = Path(out)
    elif out is not None:
        picture = Path(out)
        if picture.suffix.lower() not in PICTURES:
            raise OutputError(
                f"--out {out} is neither a picture (.png, .jpg, .webp) nor an existing folder; "
                f"for a new folder write {out}{os.sep}."
            )
    given = (path for path in (picture, filmstrip, animation) if path is not None)
    named = [os.path.realpath(path) for path in given]
    if len(set(named)) < len(named):
        raise OutputError("--out, --filmstrip and --animate must be different files.")
    return Plan(count, folder, picture, filmstrip, animation)


_SEPARATORS = tuple(sep for sep in (os.sep, os.altsep) if sep)


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:  # a name too long to exist, or a place nobody may look into
        return False


def slug(prompt: str) -> str:
    """The first words of the prompt as a file name: letters of any script, digits, hyphens."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", prompt).lower().replace("_", " "))
    name = ""
    for word in words[:_WORDS]:
        if name and len(name) + 1 + len(word) > _LETTERS:
            break
        name = f"{name}-{word}" if name else word[:_LETTERS]
    return name or "picture"


def free_name(path: Path, taken: Collection[str] = ()) -> Path:
    """The path, or the next one that is free: fox-7.png, fox-7-2.png, fox-7-3.png …

    `taken` are real paths that count as not free, whether a file is there yet or not.
    """
    place, n = path, 1
    while place.exists() or os.path.realpath(place) in taken:
        n += 1
        place = path.with_name(f"{path.stem}-{n}{path.suffix}")
    return place


def numbered(path: Path, index: int, count: int) -> Path:
    """fox.png for a single picture; fox-1.png, fox-2.png … for several."""
    return path if count == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def _check_replace(path: Path) -> None:
    if path.exists() and not is_ours(path):
        raise OutputError(
            f"{path} exists and was not made by sfumato, so it is not replaced; "
            "give another name or remove it."
        )
