"""A job as everybody sees it: a request that was accepted, and how far it has come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from sfumato import request_json
from sfumato.request import Request
from sfumato.server.database import Database, jobs, pictures
from sfumato.server.errors import NoSuchJob

__all__ = [
    "ENDED",
    "IN_FLIGHT",
    "STATES",
    "Job",
    "State",
    "change_row",
    "count_jobs",
    "job_row",
    "read_job",
    "read_jobs",
]

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")
IN_FLIGHT: tuple[State, ...] = ("queued", "running")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One accepted request at one moment. Times are seconds since 1970.

    - `request`: its seed is drawn; image and mask are references, without pixels.
    - `painted`: pictures that are finished; `pictures`: their ids, less those deleted since.
    - `step` of `steps`: of the picture that is being painted; both 0 before its first step.
    - `parties`: how many clients wait for it. `seconds`: of painting, by a steady clock.
    - `error`: why it failed; of one that waits, why it could not go on.
    - `revision`: rises with each change, so that of two the later can be told.
    """

    id: str
    state: State
    priority: int
    created: float
    started: float | None
    finished: float | None
    client: str
    request_text: str = field(repr=False)
    previews: int
    tags: tuple[str, ...]
    painted: int
    step: int
    steps: int
    error: str
    pictures: tuple[str, ...]
    parties: int = 1
    seconds: float = 0.0
    revision: int = 0

    @cached_property
    def request(self) -> Request:
        """What was asked for; read when somebody looks."""
        return request_json.from_dict(json.loads(self.request_text))

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def count(self) -> int:
        """How many pictures were asked for."""
        return self.request.count

    @property
    def picture(self) -> int:
        """The number of the picture that is being painted, from 0; the last one at the end."""
        return min(self.painted, self.count - 1)

    def at(self, step: int, steps: int) -> Job:
        """The same job further on."""
        return replace(self, step=step, steps=steps)


def read_job(database: Database, identity: str) -> Job:
    """The job as the database has it; raises NoSuchJob."""
    with database.read() as connection:
        (job,) = read_jobs(connection, [job_row(connection, identity)])
    return job


def read_jobs(connection: Connection, rows: list[Row[Any]]) -> list[Job]:
    """The jobs of these rows, with the ids of their pictures."""
    kept: dict[str, list[str]] = {row.id: [] for row in rows if row.painted}
    if not kept:  # as for every job that has just come
        return [_job(row, ()) for row in rows]
    mine = pictures.c.job.in_(kept)
    order = (pictures.c.job, pictures.c.number)
    found = select(pictures.c.job, pictures.c.id).where(mine, pictures.c.emptied.is_(None))
    for job, picture in connection.execute(found.order_by(*order)):
        kept[job].append(picture)
    return [_job(row, tuple(kept.get(row.id, ()))) for row in rows]


def job_row(connection: Connection, identity: str, *, mine: bool = False) -> Row[Any]:
    """The row of a job; ``mine`` until the transaction's end. Raises NoSuchJob."""
    found = select(jobs).where(jobs.c.id == identity)
    row = connection.execute(found.with_for_update() if mine else found).one_or_none()
    if row is None:
        raise NoSuchJob(f"There is no job {identity!r:.80}.")
    return row


def change_row(connection: Connection, identity: str, values: Mapping[str, object]) -> Row[Any]:
    """Sets columns of a job's row, and counts that as a change; the row as it is then."""
    changed = update(jobs).where(jobs.c.id == identity)
    changes = changed.values({"revision": jobs.c.revision + 1, **values})
    return connection.execute(changes.returning(jobs)).one()


def count_jobs(connection: Connection, *where: ColumnElement[bool]) -> int:
    """How many jobs there are of which all of this holds."""
    return connection.scalar(select(func.count()).select_from(jobs).where(*where)) or 0


def _job(row: Row[Any], painted: tuple[str, ...]) -> Job:
    return Job(
        id=row.id,
        state=row.state,
        priority=row.priority,
        created=row.created,
        started=row.started,
        finished=row.finished,
        client=row.client,
        request_text=row.request,
        previews=row.previews,
        tags=tuple(json.loads(row.tags)),
        painted=row.painted,
        step=row.step,
        steps=row.steps,
        error=row.error,
        pictures=painted,
        parties=row.parties,
        seconds=row.seconds,
        revision=row.revision,
    )
