"""The library: every picture with its recipe, found by its words, kept until its trash is emptied.

A picture is a file first and a row after, and it goes the other way round; so a kill at any moment
leaves a picture that is whole, or one that `Library.reconcile` makes whole.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import threading
import time
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, select, update

from sfumato.errors import OutputError, PictureError, RequestError
from sfumato.images import encode, read_picture, write
from sfumato.server.database import picture_tags, pictures
from sfumato.server.errors import NoSuchPicture
from sfumato.server.events import LibraryChanged
from sfumato.server.library import folder as folders
from sfumato.server.library import thumbs
from sfumato.server.library.entry import COLUMNS, Entry, Place, differences, entries, insert
from sfumato.server.library.outline import clean, from_recipe
from sfumato.server.library.reading import Found, look
from sfumato.server.library.reconcile import Report, import_id, reconcile, remove
from sfumato.server.library.search import Page, Search, find
from sfumato.server.library.words import indexed
from sfumato.server.settings import Limits
from sfumato.server.uploads import TooBig

if TYPE_CHECKING:
    from PIL.Image import Image

    from sfumato.recipe import Picture, Recipe
    from sfumato.server.database import Database
    from sfumato.server.events import Hub
    from sfumato.server.home import Home

__all__ = ["Library"]

_LOG = logging.getLogger(__name__)
_LONGEST_TAG, _MOST_TAGS = 60, 32


class Library:
    """All pictures of one home. Any thread may call anything.

    ``limits`` holds for files that come in; ``clock`` gives seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        hub: Hub,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.home = home
        self._database = database
        self._hub = hub
        self._limits = Limits() if limits is None else limits
        self._clock = clock
        # A file must not come in and be removed at the same time.
        self._files = threading.Lock()

    def add(
        self,
        picture: Picture,
        *,
        id: str,
        job: str | None,
        number: int,
        tags: tuple[str, ...] = (),
    ) -> Entry:
        """Keep a picture that was painted here; the second time, with the same ``id``, do nothing.

        Its thumbnail is made by the first call of `thumbnail`. Raises `OutputError` if the picture
        cannot be written.
        """
        if not self.has(id):
            with (
                self.adding(picture, id=id, job=job, number=number) as keep,
                self._database.write() as connection,
            ):
                keep(connection, tags)
        return self.get(id)

    @contextmanager
    def adding(
        self, picture: Picture, *, id: str, job: str | None, number: int
    ) -> Generator[Callable[[Connection, tuple[str, ...]], object]]:
        """As `add`, in a transaction of the caller's: what is given writes the row, and its tags.

        The file is there by then, so that a kill at any moment leaves a picture that can be found
        again. The transaction must have ended when the block does.
        """
        found = _painted(picture.image, picture.recipe)
        data = encode(picture.image, "PNG", picture.recipe.texts())
        created = self._clock()
        path = self.home.picture(id, created, found.suffix)
        sha256 = hashlib.sha256(data).hexdigest()
        place = Place(id, self.home.relative(path), sha256, created, job, number)
        with self._files:
            self._finish(id)
            _put(data, path, created)
            yield lambda connection, tags: insert(connection, place, found, checked(tags))
        self._hub.publish(LibraryChanged(id))

    def import_file(self, data: bytes, *, name: str, created: float | None = None) -> Entry:
        """Keep a picture file of any program, byte for byte; one that is there already is returned.

        ``name`` is for messages; ``created`` is when it was made, else now. One that lies in the
        trash is taken out of it. Raises `PictureError` for what is no picture, `TooBig`,
        `OutputError` if it cannot be written.
        """
        return self._import(data, name, created)[0]

    def import_folder(self, folder: Path) -> Iterator[folders.Imported]:
        """Keep all pictures of a folder and of those in it, one after the other.

        What cannot be kept is told and passed over. Raises `PictureError` if there is no folder.
        """
        for path in folders.files(folder, without=self.home.folder):
            if isinstance(path, folders.Imported):
                yield path
                continue
            try:
                data, created = folders.contents(path, self._limits.upload_bytes)
                entry, new = self._import(data, "", created)
            except PictureError as error:
                yield folders.Imported(path, error=str(error))
            else:
                yield folders.Imported(path, entry, new)

    def search(
        self, search: Search | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """One page of what is found, the newest first; raises `RequestError` (`search.find`)."""
        with self._database.read() as connection:
            wanted = Search() if search is None else search
            return find(connection, self.home, wanted, limit=limit, cursor=cursor)

    def has(self, id: str) -> bool:
        """Whether there is such a picture, be it in the trash."""
        here = pictures.c.id == _plain(id), pictures.c.emptied.is_(None)
        with self._database.read() as connection:
            return connection.scalar(select(pictures.c.serial).where(*here)) is not None

    def get(self, id: str) -> Entry:
        """One picture, also one in the trash; raises `NoSuchPicture`."""
        found = self.get_many([id])
        if not found:
            raise NoSuchPicture(f"there is no picture {id!r:.80} in the library.")
        return found[0]

    def get_many(self, ids: Sequence[str]) -> tuple[Entry, ...]:
        """Those of the pictures that there are, in the order of ``ids``."""
        wanted = [id for id in ids if _plain(id)]
        with self._database.read() as connection:
            rows = select(*COLUMNS).where(pictures.c.id.in_(wanted), pictures.c.emptied.is_(None))
            by_id = {row["id"]: row for row in connection.execute(rows).mappings()}
            found = [by_id[id] for id in dict.fromkeys(wanted) if id in by_id]
            return entries(connection, self.home, found)

    def thumbnail(self, id: str) -> bytes:
        """The file of a WebP of at most 320 pixels a side; made again if it is gone.

        Raises `NoSuchPicture`, also if the picture's own file is gone.
        """
        entry = self.get(id)
        path = self.home.thumb(id)
        with suppress(FileNotFoundError):
            return path.read_bytes()
        data = thumbs.thumbnail(_picture(entry))
        self._keep_thumbnail(id, data)
        return data

    def image(self, id: str) -> Image:
        """The picture itself, decoded; raises `NoSuchPicture`, also if its file is gone."""
        return _picture(self.get(id))

    def diff(self, a: str, b: str) -> dict[str, tuple[object, object]]:
        """What differs in the making of two pictures; raises `NoSuchPicture`."""
        return differences(self.get(a), self.get(b))

    def favourite(self, id: str, wanted: bool) -> Entry:
        """Mark a picture or take the mark away; raises `NoSuchPicture`."""
        return self._change(id, {"favourite": wanted})

    def tag(self, id: str, tags: Sequence[str]) -> Entry:
        """Give a picture these tags and no others; raises `NoSuchPicture`, `RequestError`."""
        wanted, entry = checked(tags), self.get(id)
        with self._database.write() as connection:
            words = indexed(entry.prompt, entry.negative, entry.parameters, wanted)
            _update(connection, id, {"words": words})
            connection.execute(delete(picture_tags).where(picture_tags.c.picture == id))
            if wanted:
                rows = [{"picture": id, "tag": tag} for tag in wanted]
                connection.execute(picture_tags.insert(), rows)
        return self._changed(id)

    def trash(self, id: str) -> Entry:
        """Put a picture into the trash; raises `NoSuchPicture`."""
        entry = self.get(id)
        return entry if entry.trashed is not None else self._change(id, {"trashed": self._clock()})

    def restore(self, id: str) -> Entry:
        """Take a picture out of the trash; raises `NoSuchPicture`."""
        return self._change(id, {"trashed": None})

    def empty_trash(self) -> int:
        """Remove for good all that lies in the trash; returns how many pictures that were."""
        with self._database.write() as connection:
            trashed = pictures.c.trashed.is_not(None)
            connection.execute(update(pictures).where(trashed).values(emptied=self._clock()))
            marked = select(pictures.c.id, pictures.c.file).where(pictures.c.emptied.is_not(None))
            rows = connection.execute(marked).all()
        # From here on it will be done, by the next start if need be.
        done = 0
        for id, file in rows:
            with self._files:
                removed = remove(self._database, self.home, id, file)
            if removed:
                done += 1
                self._hub.publish(LibraryChanged(id))
            else:
                _LOG.warning("picture %s cannot be removed now; the next start tries again", id)
        return done

    def reconcile(self) -> Report:
        """Bring folder and database together after a kill; once at start, before painting."""
        report = reconcile(self._database, self.home)
        for line in report.lines():
            _LOG.warning("library: %s", line)
        return report

    def _import(self, data: bytes, name: str, created: float | None) -> tuple[Entry, bool]:
        if len(data) > self._limits.upload_bytes:
            what, most = name or "the picture", self._limits.upload_bytes
            raise TooBig(f"{what} has {len(data):,} bytes, but at most {most:,} are taken.")
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._with_hash(sha256)
        if known is not None:
            return self._again(known, data), False
        try:
            found, image = look(data, pixels=self._limits.upload_pixels)
            small = thumbs.thumbnail(image)
        except PictureError as error:
            raise type(error)(f"{name}: {error}" if name else str(error)) from error
        now = self._clock()
        created = now if created is None else min(max(created, 0.0), now)
        id = import_id(sha256)
        path = self.home.picture(id, created, found.suffix)
        place = Place(id, self.home.relative(path), sha256, created)
        entry, new = self._keep(place, found, data)
        self._keep_thumbnail(id, small)
        return entry, new

    def _again(self, entry: Entry, data: bytes) -> Entry:
        """A file that the library has: heal what is lost of it, and show it again."""
        with self._files:
            if not entry.file.exists():
                _put(data, entry.file, entry.created)
        return entry if entry.trashed is None else self.restore(entry.id)

    def _with_hash(self, sha256: str) -> Entry | None:
        with self._database.read() as connection:
            here = pictures.c.emptied.is_(None)
            rows = select(*COLUMNS).where(pictures.c.sha256 == sha256, here)
            first = rows.order_by(pictures.c.serial).limit(1)
            found = list(connection.execute(first).mappings())
            return next(iter(entries(connection, self.home, found)), None)

    def _keep(self, place: Place, found: Found, data: bytes) -> tuple[Entry, bool]:
        """File, then row; and whether the row is new."""
        with self._files:
            self._finish(place.id)
            _put(data, self.home.folder / place.file, place.created)
            with self._database.write() as connection:
                new = insert(connection, place, found)
        return self._changed(place.id) if new else self.get(place.id), new

    def _keep_thumbnail(self, id: str, data: bytes) -> None:
        """Of a picture that is not on its way out; where there is no room it is made again."""
        with self._files, suppress(OutputError):
            if self.has(id):
                thumbs.keep(data, self.home.thumb(id), self.home.folder / "thumbs")

    def _finish(self, id: str) -> None:
        """If a picture of this id is on its way out, see it out first."""
        with self._database.read() as connection:
            gone = select(pictures.c.file).where(
                pictures.c.id == id, pictures.c.emptied.is_not(None)
            )
            file = connection.scalar(gone)
        if file is not None and not remove(self._database, self.home, id, file):
            raise OutputError(f"picture {id} is being removed, and cannot be written yet.")

    def _change(self, id: str, values: Mapping[str, object]) -> Entry:
        with self._database.write() as connection:
            _update(connection, _plain(id), values)
        return self._changed(id)

    def _changed(self, id: str) -> Entry:
        entry = self.get(id)
        self._hub.publish(LibraryChanged(id))
        return entry


def checked(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as they are kept: once each, without blanks around; raises `RequestError`."""
    wanted = dict.fromkeys(unicodedata.normalize("NFC", " ".join(tag.split())) for tag in tags)
    if len(wanted) > _MOST_TAGS:
        raise RequestError(
            f"{len(wanted)} tags were given, but a picture has {_MOST_TAGS} at most."
        )
    for tag in wanted:
        if not 1 <= len(tag) <= _LONGEST_TAG or not tag.isprintable() or clean(tag) != tag:
            raise RequestError(
                f"the tag {tag!r:.80} must have 1 to {_LONGEST_TAG} printable characters."
            )
    return tuple(sorted(wanted))


def _painted(image: Image, recipe: Recipe) -> Found:
    return Found(
        suffix=".png",
        width=image.width,
        height=image.height,
        source="sfumato",
        outline=from_recipe(recipe),
        parameters=clean(recipe.parameters()),
        recipe=recipe.to_json(),
    )


def _picture(entry: Entry) -> Image:
    try:
        return read_picture(io.BytesIO(entry.file.read_bytes()))[0]
    except OSError as error:
        raise NoSuchPicture(f"the file of picture {entry.id} is gone.") from error


def _put(data: bytes, path: Path, created: float) -> None:
    """Write a picture's file, with the time of its making as its own, so that it can be told."""
    write(data, path)
    with suppress(OSError):
        os.utime(path, (created, created))


def _plain(id: str) -> str:
    """The id, or nothing where no picture can have it and not every database could look for it."""
    return id if id.isascii() and "\0" not in id else ""


def _update(connection: Connection, id: str, values: Mapping[str, object]) -> None:
    here = pictures.c.id == id, pictures.c.emptied.is_(None)
    if connection.execute(update(pictures).where(*here).values(values)).rowcount == 0:
        raise NoSuchPicture(f"there is no picture {id!r:.80} in the library.")
