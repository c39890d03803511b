"""The database: its tables, its transactions, and how an older one is brought up to date.

SQLite in the server's own folder, or PostgreSQL by URL; everything above speaks SQLAlchemy Core
and does not know which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    exc,
    make_url,
    text,
)
from sqlalchemy.pool import QueuePool

from sfumato.server.errors import DatabaseError
from sfumato.server.migrations import HEAD, upgrade, version

__all__ = ["METADATA", "Database", "jobs", "picture_tags", "pictures", "sheets"]

METADATA = MetaData()

jobs = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("key", Text, unique=True),  # only while the job can be joined
    Column("client", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("previews", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    Column("painted", Integer, nullable=False, default=0),
    Column("step", Integer, nullable=False, default=0),
    Column("steps", Integer, nullable=False, default=0),
    Column("cancelled", Boolean, nullable=False, default=False),
    Column("error", Text, nullable=False, default=""),
    Column("idempotency", Text, unique=True),
    Column("asked", Text, nullable=False),  # hash of the request before its seed was drawn
    Column("parties", Integer, nullable=False, default=1),
    Column("seconds", Double, nullable=False, default=0.0),  # of painting, by a steady clock
    Column("revision", Integer, nullable=False, default=0),
    Index("jobs_state", "state", "priority", "id"),
)

pictures = Table(
    "pictures",
    METADATA,
    Column("serial", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("job", Text, index=True),
    Column("number", Integer, nullable=False, default=0),
    Column("created", Double, nullable=False),
    Column("file", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("prompt", Text, nullable=False, default=""),
    Column("negative", Text, nullable=False, default=""),
    Column("seed", Text, index=True),  # 2^64 - 1 does not fit a signed 64-bit column
    Column("model", Text, nullable=False, default="", index=True),
    Column("sampler", Text, nullable=False, default=""),
    Column("schedule", Text, nullable=False, default=""),
    Column("steps", Integer),
    Column("guidance", Double),
    Column("source", Text, nullable=False, default=""),
    Column("sha256", Text, nullable=False, index=True),
    Column("recipe", Text, nullable=False, default=""),
    Column("parameters", Text, nullable=False, default=""),
    Column("words", Text, nullable=False, default=""),
    Column("favourite", Boolean, nullable=False, default=False),
    Column("trashed", Double),
    Column("emptied", Double),
    sqlite_autoincrement=True,
)

Index(
    "pictures_shown",
    pictures.c.created.desc(),
    pictures.c.id.desc(),
    sqlite_where=pictures.c.trashed.is_(None),
    postgresql_where=pictures.c.trashed.is_(None),
)

_LIKED = pictures.c.favourite.is_(True) & pictures.c.trashed.is_(None)
Index(
    "pictures_favourite",
    pictures.c.created.desc(),
    pictures.c.id.desc(),
    sqlite_where=_LIKED,
    postgresql_where=_LIKED,
)

# Of the trash alone: an index of all would tempt SQLite to look every other picture up by it.
Index(
    "pictures_trashed",
    pictures.c.trashed,
    sqlite_where=pictures.c.trashed.is_not(None),
    postgresql_where=pictures.c.trashed.is_not(None),
)

picture_tags = Table(
    "picture_tags",
    METADATA,
    Column("picture", Text, ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True, index=True),
)

sheets = Table(
    "sheets",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("created", Double, nullable=False),
    Column("request", Text, nullable=False),
    Column("axes", Text, nullable=False),
    Column("jobs", Text, nullable=False),  # a job's id for each cell, row by row, sheet by sheet
    Column("cancelled", Boolean, nullable=False, default=False),  # it has no part in them any more
)

_BUSY_SECONDS = 30
# What can happen to a SQLite file that is in order; the low byte of the result code.
_CIRCUMSTANCES = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    )
)
_MAIN_LOCK = 7_376_102  # any number, the same for all who share a PostgreSQL database
_OWNER_LOCK = 7_376_103


class Database:
    """One database by its URL; cheap to make, and nothing is opened before it is used."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(writes=True)
        self._hasty = self._engine.execution_options(writes=True, lasting=False)
        self._owner: Connection | None = None

    @property
    def sqlite(self) -> bool:
        """Whether this is SQLite rather than PostgreSQL."""
        return self._engine.dialect.name == "sqlite"

    @property
    def name(self) -> str:
        """The URL as it may be shown: without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that only looks; on SQLite all of it sees the same moment.

        Raises DatabaseError, as `write` does, where the database cannot be used now.
        """
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, alone: bool = False, lasting: bool = True) -> Generator[Connection]:
        """A transaction that is on disk when the block ends, or has not happened.

        SQLite has one writer at a time, who waits for his turn. PostgreSQL has many: with
        ``alone`` this one waits for all others that ask for it too. One that is not ``lasting``
        survives a kill like any other, and does not wait for the disk: a power cut may undo it,
        together with none that came before.
        """
        writer = self._writer if lasting else self._hasty
        with self._told(), writer.begin() as connection:
            if alone and not self.sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MAIN_LOCK})"))
            if not lasting and not self.sqlite:
                connection.execute(text("SET LOCAL synchronous_commit = off"))
            yield connection

    def migrate(self) -> None:
        """Makes the tables, or brings older ones up to date: wholly or not at all.

        Keeps a PostgreSQL database for this server until `close`. Raises DatabaseError for one
        that cannot be reached, that another server has, or that a later version has written.
        """
        try:
            self._own()
            with self.write() as connection:
                found = version(connection)
                if found != HEAD:
                    upgrade(connection, found, self.name)
        except exc.DBAPIError as error:
            raise self._unusable(error) from error

    def hold(self) -> None:
        """Makes sure that a PostgreSQL database is there, and kept for this server as by `migrate`.

        A database that was started anew has forgotten who had it. Raises DatabaseError.
        """
        if self._owner is None:
            return
        try:
            self._owner.execute(text("SELECT 1"))
            return
        except exc.DBAPIError:
            self._owner.close()
            self._owner = None
        try:
            self._own()
        except exc.DBAPIError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Gives all connections back."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Generator[None]:
        """Tells a database that cannot be used now from one that was asked for nonsense."""
        try:
            yield
        except exc.OperationalError as error:
            # SQLite counts a mistake in a statement as operational too.
            code = getattr(error.orig, "sqlite_errorcode", 0)
            if self.sqlite and code & 0xFF not in _CIRCUMSTANCES:
                raise
            raise self._unusable(error) from error

    def _unusable(self, error: exc.DBAPIError) -> DatabaseError:
        return DatabaseError(f"Cannot use the database {self.name}: {str(error.orig).strip()}.")

    def _own(self) -> None:
        """Two servers must not work on the same jobs; SQLite's file is kept by `Home.lock`."""
        if self.sqlite or self._owner is not None:
            return
        owner = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = owner.scalar(text(f"SELECT pg_try_advisory_lock({_OWNER_LOCK})"))
        if not taken:
            owner.close()
            raise DatabaseError(
                f"Another sfumato server uses the database {self.name}. End it, or give this one "
                "a database of its own."
            )
        self._owner = owner


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise DatabaseError(
            "The database's URL cannot be read; expected sqlite:///FILE or "
            "postgresql+psycopg://USER:PASSWORD@HOST/NAME."
        ) from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=40,  # as many threads as answer requests
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine
    if kind == "postgresql":
        # A connection that the server has closed meanwhile is found out before it is used.
        driver = parsed.set(drivername="postgresql+psycopg")
        return create_engine(driver, pool_size=8, max_overflow=40, pool_pre_ping=True)
    raise DatabaseError(f"There is no {kind} here; expected a sqlite or a postgresql URL.")


def _prepare(connection: Any, _record: object) -> None:
    """What SQLite forgets with each connection."""
    connection.isolation_level = None  # transactions are ours (`_begin`), not the driver's
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    # FULL: a commit is on disk when it returns, also in WAL mode. It cannot be said later.
    synchronous = "FULL" if options.get("lasting", True) else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    # A reader that turns writer fails at once where another has written since; so a writer says it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
