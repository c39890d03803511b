"""Bringing folder and database together after a kill: nothing that was painted is ever lost.

A picture's file is written before its row, and its row is marked before its file is removed. So a
file without a row is a picture that nearly came in, and a row that is marked is a picture that
nearly went out; each is brought to its end. A file that is not understood stays where it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, delete, select

from sfumato.errors import PictureError
from sfumato.images import PICTURES
from sfumato.server.database import Database, jobs, pictures
from sfumato.server.home import Home, job_of
from sfumato.server.library import thumbs
from sfumato.server.library.entry import Place, insert
from sfumato.server.library.reading import Found, skim

__all__ = ["Report", "import_id", "reconcile", "remove"]

_PART = re.compile(r"\.sfumato-[0-9a-f]{16}\.part")
_IMPORT = re.compile(r"i[0-9a-f]{31}")
_BATCH = 200  # rows of one transaction


@dataclass(frozen=True)
class Report:
    """What was found amiss, and is in order now; names are below the home.

    ``returned``    pictures that had no row, by their ids: they are in the library again
    ``emptied``     pictures that were on their way out of the trash
    ``parts``       files that a kill had left half written, removed
    ``missing``     pictures whose file is gone, by their ids: somebody else took it
    ``unreadable``  files that are no picture; left as they are
    ``spare``       files with a picture that the library has; left as they are
    """

    returned: tuple[str, ...] = ()
    emptied: int = 0
    parts: int = 0
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What happened, a sentence for each kind of it; nothing if nothing did."""
        told = (
            (len(self.returned), "found again, and back in the library", self.returned),
            (self.emptied, "removed at last: the trash had been emptied", ()),
            (self.parts, "half-written files removed", ()),
            (len(self.missing), "without a file: it was removed by somebody else", self.missing),
            (len(self.unreadable), "files that are no picture, left alone", self.unreadable),
            (len(self.spare), "files twice in the folder, left alone", self.spare),
        )
        return [f"{count} {what}{_some(names)}" for count, what, names in told if count]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))  # a file's name may hold anything
    return f" ({shown}{', …' if len(names) > 3 else ''})" if names else ""


def import_id(sha256: str) -> str:
    """The id of a picture that came in as a file: the same file cannot come in twice."""
    return f"i{sha256[:31]}"


def reconcile(database: Database, home: Home) -> Report:
    """Bring both together. Only for who holds the home's lock, before anything is painted."""
    with database.read() as connection:
        wanted = select(pictures.c.id, pictures.c.file, pictures.c.sha256, pictures.c.emptied)
        rows = connection.execute(wanted).all()
    gone = [(name, file) for name, file, _, emptied in rows if emptied is not None]
    emptied = sum(remove(database, home, name, file) for name, file in gone)
    known = {file: name for name, file, _, emptied in rows if emptied is None}
    parts = [*thumbs.leftovers(home.folder / "thumbs")]
    files: list[str] = []
    for path in _files(home.pictures):
        if _PART.fullmatch(path.name):
            parts.append(path)
        elif path.suffix.lower() in PICTURES and not path.name.startswith("."):
            files.append(home.relative(path))
    for path in parts:
        path.unlink(missing_ok=True)
    ids, hashes = set(known.values()), {sha256 for _, _, sha256, _ in rows}
    report = _take_back(database, home, sorted(set(files) - known.keys()), ids, hashes)
    missing = sorted(known[file] for file in known.keys() - set(files))
    return replace(report, emptied=emptied, parts=len(parts), missing=tuple(missing))


def remove(database: Database, home: Home, name: str, file: str) -> bool:
    """Remove all of a picture whose row is marked as emptied, the row at last.

    False where a file cannot be removed now; the next start tries again.
    """
    try:
        (home.folder / file).unlink(missing_ok=True)
        home.thumb(name).unlink(missing_ok=True)
        home.trail(name).unlink(missing_ok=True)
        if home.frames(name).exists():
            shutil.rmtree(home.frames(name))
    except OSError:
        return False
    with database.write() as connection:
        marked = pictures.c.emptied.is_not(None)
        connection.execute(delete(pictures).where(pictures.c.id == name, marked))
    return True


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):  # does not follow links
        folders.sort()
        yield from (Path(place, name) for name in names if not Path(place, name).is_symlink())


def _take_back(
    database: Database,
    home: Home,
    files: Sequence[str],
    ids: set[str],
    hashes: set[str],
) -> Report:
    """Give rows to files that have none; ``ids`` and ``hashes`` are those that the library has."""
    returned: list[str] = []
    unreadable: list[str] = []
    spare: list[str] = []
    for start in range(0, len(files), _BATCH):
        found: list[tuple[Place, Found]] = []
        for file in files[start : start + _BATCH]:
            try:
                place = _place(home, file)
                looks = skim(home.folder / file)
            except (PictureError, OSError):
                unreadable.append(file)
                continue
            if place.id in ids or place.sha256 in hashes:
                spare.append(file)
                continue
            ids.add(place.id)
            hashes.add(place.sha256)
            found.append((place, looks))
        with database.write() as connection:
            tags = _tags(connection, [place.job for place, _ in found])
            returned += [
                place.id
                for place, looks in found
                if insert(connection, place, looks, tags.get(place.job, ()))
            ]
    return Report(returned=tuple(returned), unreadable=tuple(unreadable), spare=tuple(spare))


def _tags(connection: Connection, names: Sequence[str | None]) -> dict[str | None, tuple[str, ...]]:
    """The tags that the pictures of these jobs were to have."""
    wanted = select(jobs.c.id, jobs.c.tags).where(jobs.c.id.in_([n for n in names if n]))
    return {row.id: tuple(json.loads(row.tags)) for row in connection.execute(wanted)}


def _place(home: Home, file: str) -> Place:
    """What the file's name and the file system know of a picture; raises OSError."""
    path = home.folder / file
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    painted = job_of(path.stem)
    ours = painted is not None or _IMPORT.fullmatch(path.stem)
    job, number = painted or (None, 0)
    name = path.stem if ours else import_id(sha256)
    return Place(name, file, sha256, path.stat().st_mtime, job, number)
