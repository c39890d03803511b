"""What `sfumato library` does: pictures are taken in, listed, thrown away and fetched back."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sfumato.cli.screen import columns, note, say
from sfumato.cli.serving import Order, settings_of
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from sfumato.server.library import Entry, Imported, Library, Search

__all__ = ["Where", "empty", "moment", "restore", "search", "take_in", "trash"]

_BYTES = 512 * 2**20  # a folder of one's own is no stranger's upload: enlarged pictures come in too
_TELL_SECONDS = 5.0
_PROMPT = 60  # letters of it in a list


@dataclass(frozen=True)
class Where:
    """Which library: the options that `sfumato serve` has for it."""

    home: Path | None = None
    database: str | None = None


def take_in(where: Where, places: Sequence[Path]) -> int:
    """Keep all pictures of folders and files; the exit status tells whether all could be kept."""
    for place in places:
        if not place.exists():
            raise RequestError(f"there is no {place}; give folders or files that are there.")
    with _library(where) as library:
        tally = _Tally()
        for place in places:
            tally.count(library.import_folder(place))
    say(tally.told())
    return 2 if tally.failed else 0


class _Tally:
    """How many files came in; says the first word on each that did not."""

    def __init__(self) -> None:
        self.new = self.known = self.failed = 0
        self._told = time.monotonic()

    def count(self, files: Iterable[Imported]) -> None:
        for file in files:
            if file.entry is None:
                self.failed += 1
                note(f"{file.path}: {file.error}")
            elif file.new:
                self.new += 1
            else:
                self.known += 1
            if time.monotonic() - self._told > _TELL_SECONDS:
                self._told = time.monotonic()
                note(self.told())

    def told(self) -> str:
        parts = [f"{_pictures(self.new)} taken in"]
        if self.known:
            parts.append(f"{self.known} in the library already")
        if self.failed:
            parts.append(f"{self.failed} left out")
        return ", ".join(parts)


def search(where: Where, wanted: Search, *, limit: int, files: bool) -> None:
    """Print what is found, the newest first: a line for each, or the names of the files alone."""
    with _library(where) as library:
        found: list[Entry] = []
        total, cursor = 0, None
        while len(found) < limit:
            page = library.search(wanted, limit=min(limit - len(found), 500), cursor=cursor)
            found += page.entries
            total, cursor = page.total, page.cursor
            if cursor is None:
                break
    if files:
        for entry in found:
            say(str(entry.file))
        return
    if found:
        columns([_row(entry) for entry in found], head=("id", "made", "size", "seed", "prompt"))
    rest = f", {len(found)} shown; --limit N shows more" if total > len(found) else ""
    note(f"{_pictures(total)}{rest}")


def _row(entry: Entry) -> tuple[str, ...]:
    made = datetime.fromtimestamp(entry.created).strftime("%Y-%m-%d %H:%M")
    prompt = " ".join(entry.prompt.split())
    prompt = prompt if len(prompt) <= _PROMPT else prompt[: _PROMPT - 1] + "…"
    seed = "" if entry.seed is None else str(entry.seed)
    return entry.id, made, f"{entry.width} x {entry.height}", seed, prompt


def trash(where: Where, ids: Sequence[str]) -> None:
    """Put pictures into the trash; raises `NoSuchPicture` before any is, if there is not one."""
    with _library(where) as library:
        for entry in [library.get(id) for id in ids]:
            library.trash(entry.id)
    say(f"{_pictures(len(set(ids)))} in the trash; sfumato library empty removes them for good")


def restore(where: Where, ids: Sequence[str]) -> None:
    """Take pictures out of the trash; raises `NoSuchPicture` before any is, if there is not one."""
    with _library(where) as library:
        for entry in [library.get(id) for id in ids]:
            library.restore(entry.id)
    say(f"{_pictures(len(set(ids)))} in the library again")


def empty(where: Where, *, yes: bool) -> None:
    """Remove for good what lies in the trash, once the user has said so."""
    from sfumato.server.library import Search

    with _library(where) as library:
        total = library.search(Search(trash=True), limit=1).total
        if total and not yes:
            typer.confirm(f"Remove {_pictures(total)} for good?", abort=True, err=True)
        done = library.empty_trash()
    say(f"{_pictures(done)} removed for good" if done else "the trash is empty")


def moment(name: str, text: str | None) -> float | None:
    """Seconds since 1970 of a day or a time of this place, such as 2026-11-25 or 2026-11-25T14:30.

    Raises `RequestError`.
    """
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise RequestError(
            f"{name} is {text!r:.40}, but must be a day such as 2026-11-25, or a time: "
            "2026-11-25T14:30."
        ) from error


@contextmanager
def _library(where: Where) -> Generator[Library]:
    """The library of a home that no server has; one that has none yet gets one."""
    from sfumato.server.database import Database
    from sfumato.server.events import Hub
    from sfumato.server.home import Home
    from sfumato.server.library import Library
    from sfumato.server.library.reading import LARGEST

    settings = settings_of(Order(home=where.home, database=where.database))
    home = Home(settings.home)
    database = Database(settings.database or home.database_url)
    with home.lock():
        try:
            database.migrate()
            limits = replace(settings.limits, upload_bytes=_BYTES, upload_pixels=LARGEST)
            library = Library(database, home, Hub(database), limits)
            library.reconcile()
            yield library
        finally:
            database.close()


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"
