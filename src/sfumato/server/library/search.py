"""Searching the library: what can be asked for, and the pages that the answer comes in."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Connection, TextClause, func, select, text, tuple_

from sfumato.errors import RequestError
from sfumato.server.database import picture_tags, pictures
from sfumato.server.home import Home
from sfumato.server.library.entry import COLUMNS, Entry, entries
from sfumato.server.library.outline import clean, model_name, sampler_name
from sfumato.server.library.words import Phrase, fts5, parse, tsquery

__all__ = ["MOST", "Page", "Search", "find"]

MOST = 500  # entries of one page
# The plus keeps SQLite from looking up all that was found and sorting it, whole rows of it: it goes
# through the index by date instead, and stops when the page is full. A hundred times as quick.
_SERIAL = "+pictures.serial"
_FOUND = "SELECT rowid FROM pictures_words WHERE pictures_words MATCH"


@dataclass(frozen=True)
class Search:
    """All of these must hold; None and empty ask for nothing.

    ``text`` is read by `words.parse`; ``after`` and ``before`` are seconds since 1970, the first
    included. ``model`` and ``sampler`` are found by any of their names. ``trash`` searches among
    the pictures in the trash and not among the others.
    """

    text: str = ""
    seed: int | None = None
    model: str | None = None
    sampler: str | None = None
    source: str | None = None
    after: float | None = None
    before: float | None = None
    favourite: bool | None = None
    tag: str | None = None
    trash: bool = False


@dataclass(frozen=True)
class Page:
    """Some of what was found, the newest first; ``cursor`` asks for what follows, None at the end.

    ``total`` counts all that was found, on all pages.
    """

    entries: tuple[Entry, ...]
    cursor: str | None
    total: int


def find(
    connection: Connection, home: Home, search: Search, *, limit: int, cursor: str | None
) -> Page:
    """One page. Raises `RequestError` for a cursor that no page has given, and a limit beyond 500.

    A cursor names the last picture of its page, so pictures that come meanwhile move nothing.
    """
    if not 1 <= limit <= MOST:
        raise RequestError(f"limit is {limit}, but must be between 1 and {MOST}.")
    wanted = _conditions(search, sqlite=connection.dialect.name == "sqlite")
    total = connection.scalar(select(func.count()).select_from(pictures).where(*wanted))
    key = tuple_(pictures.c.created, pictures.c.id)
    statement = select(*COLUMNS).where(*wanted)
    if cursor is not None:
        statement = statement.where(key < tuple_(*_read(cursor)))
    statement = statement.order_by(pictures.c.created.desc(), pictures.c.id.desc())
    rows = list(connection.execute(statement.limit(limit + 1)).mappings())
    found = entries(connection, home, rows[:limit])
    return Page(found, _write(found[-1]) if len(rows) > limit else None, total or 0)


def _conditions(search: Search, *, sqlite: bool) -> list[ColumnElement[bool] | TextClause]:
    c = pictures.c
    wanted: list[ColumnElement[bool] | TextClause] = []
    if search.trash:
        wanted += [c.trashed.is_not(None), c.emptied.is_(None)]
    else:
        wanted.append(c.trashed.is_(None))  # what is being emptied is in the trash
    query = parse(search.text)
    if query.wanted:
        wanted.append(_holding(query.wanted, sqlite=sqlite))
    if query.unwanted:
        wanted.append(_lacking(query.unwanted, sqlite=sqlite))
    if search.seed is not None:
        wanted.append(c.seed == str(search.seed))
    if search.model is not None:
        wanted.append(c.model == model_name(search.model))
    if search.sampler is not None:
        wanted.append(c.sampler == sampler_name(search.sampler))
    if search.source is not None:
        wanted.append(c.source == clean(search.source))
    if search.after is not None:
        wanted.append(c.created >= search.after)
    if search.before is not None:
        wanted.append(c.created < search.before)
    if search.favourite is not None:
        wanted.append(c.favourite.is_(search.favourite))
    if search.tag is not None:
        tagged = select(picture_tags.c.picture).where(picture_tags.c.tag == clean(search.tag))
        wanted.append(c.id.in_(tagged))
    return wanted


def _holding(phrases: tuple[Phrase, ...], *, sqlite: bool) -> TextClause:
    """Every one of the phrases."""
    if sqlite:
        found = text(f"{_SERIAL} IN ({_FOUND} :holding)")
        return found.bindparams(holding=fts5(phrases, every=True))
    found = text("lexemes @@ CAST(:holding AS tsquery)")
    return found.bindparams(holding=tsquery(phrases, every=True))


def _lacking(phrases: tuple[Phrase, ...], *, sqlite: bool) -> TextClause:
    """Not one of the phrases."""
    if sqlite:
        found = text(f"{_SERIAL} NOT IN ({_FOUND} :lacking)")
        return found.bindparams(lacking=fts5(phrases, every=False))
    found = text("NOT lexemes @@ CAST(:lacking AS tsquery)")
    return found.bindparams(lacking=tsquery(phrases, every=False))


def _write(entry: Entry) -> str:
    return base64.urlsafe_b64encode(json.dumps([entry.created, entry.id]).encode()).decode()


def _read(cursor: str) -> tuple[float, str]:
    try:
        value: object = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list):
        created, *rest = cast("list[object]", value)[:3] or [None]
        if isinstance(created, float) and math.isfinite(created) and len(rest) == 1:
            name = rest[0]
            if isinstance(name, str) and name.isascii() and "\0" not in name:
                return created, name
    raise RequestError(f"cursor {cursor!r:.60} is of no page; leave it out for the first one.")
