"""How a request becomes a job, within a transaction: it joins an equal one, or is one more."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from sfumato import request_json
from sfumato.errors import RequestError
from sfumato.request import Request
from sfumato.server.admission import Wish, identity, referred, seeded
from sfumato.server.database import jobs
from sfumato.server.errors import QueueFull
from sfumato.server.home import new_id
from sfumato.server.job import ENDED, change_row, count_jobs

__all__ = ["accept"]

MEASURED = 10  # jobs from which is learnt how long one takes
RETRY_SECONDS = (1.0, 600.0)
UNMEASURED_SECONDS = 10.0


def accept(
    connection: Connection, request: Request, wish: Wish, client: str, most: int
) -> tuple[Row[Any], bool]:
    """The row of the request's job, and whether that was there already.

    ``most`` jobs may wait. Raises QueueFull, and RequestError for a name that another wish has.
    """
    asked = identity(request)
    complete = seeded(request)
    key = asked if complete == request else None
    found = _same(connection, key, wish.idempotency, asked)
    if found is not None:
        return _join(connection, found, wish), True
    _require_room(connection, most)
    latest = connection.scalar(select(func.max(jobs.c.id)))
    now = time.time()
    values: dict[str, object] = {
        "id": new_id(now, latest or ""),
        "state": "queued",
        "priority": wish.priority,
        "created": now,
        "key": key,
        "client": client,
        "request": json.dumps(request_json.to_dict(referred(complete))),
        "previews": wish.previews,
        "tags": json.dumps(wish.tags),
        "idempotency": wish.idempotency,
        "asked": asked,
    }
    return connection.execute(insert(jobs).values(values).returning(jobs)).one(), False


def _require_room(connection: Connection, most: int) -> None:
    waiting = count_jobs(connection, jobs.c.state == "queued")
    if waiting < most:
        return
    done = select(jobs.c.seconds).where(jobs.c.state == "done")
    took = connection.scalars(done.order_by(jobs.c.id.desc()).limit(MEASURED)).all()
    low, high = RETRY_SECONDS
    mean = sum(took) / len(took) if took else UNMEASURED_SECONDS
    raise QueueFull(
        f"{waiting} jobs wait already, as many as may. Try again in about {mean:.0f} seconds.",
        retry_after=min(max(mean, low), high),
    )


def _same(
    connection: Connection, key: str | None, idempotency: str | None, asked: str
) -> Row[Any] | None:
    """The job that a request joins, if there is one."""
    if idempotency is not None:
        named = select(jobs).where(jobs.c.idempotency == idempotency).with_for_update()
        row = connection.execute(named).one_or_none()
        if row is not None and row.asked != asked:
            raise RequestError(
                f"The idempotency key {idempotency!r} was used for another request; "
                "take a fresh one for each request."
            )
        if row is not None and not row.cancelled:
            return row
        if row is not None:  # its client was cut off, and now asks again
            change_row(connection, row.id, {"idempotency": None})
    if key is None:
        return None
    return connection.execute(select(jobs).where(jobs.c.key == key).with_for_update()).one_or_none()


def _join(connection: Connection, row: Row[Any], wish: Wish) -> Row[Any]:
    """One more party to a job in flight, which then serves all their wishes; its row."""
    if row.state in ENDED:
        return row
    tags = list(dict.fromkeys([*json.loads(row.tags), *wish.tags]))
    joined: dict[str, object] = {
        "parties": row.parties + 1,
        "priority": max(row.priority, wish.priority),
        "previews": max(row.previews, wish.previews),
        "tags": json.dumps(tags),
    }
    return change_row(connection, row.id, joined)
