"""Sheets: one request, painted with some of its fields changed from cell to cell, as many jobs.

A sheet and all of its jobs are accepted in one transaction, and the jobs are like any others: a
server that is killed goes on with them, and the sheet finds them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy import Connection, Row, Select, UpdateBase, delete, func, insert, select, update

from sfumato import request_json
from sfumato.choose import Sheet as Plan
from sfumato.errors import RequestError
from sfumato.request import Request
from sfumato.server.admission import Wish
from sfumato.server.database import Database, sheets
from sfumato.server.errors import NotFound
from sfumato.server.home import new_id
from sfumato.server.jobs import Job, Jobs

__all__ = ["AxisKept", "Cell", "NoSuchSheet", "Sheet", "Sheets"]


class NoSuchSheet(NotFound):
    """No sheet has this id."""


@dataclass(frozen=True)
class AxisKept:
    """One side of a sheet: the field that changes, what is replaced in it, and the values."""

    field: str
    needle: str | None
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet: its place along x, y and z, from 0, and its job."""

    place: tuple[int, int, int]
    job: Job


@dataclass(frozen=True)
class Sheet:
    """A sheet as it is now. ``request``: what its cells have in common, with its seed drawn."""

    id: str
    created: float
    request: Request
    axes: tuple[AxisKept, ...]
    cells: tuple[Cell, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, and how many sheets."""
        x, y, z = (*(len(axis.values) for axis in self.axes), 1, 1)[:3]
        return x, y, z


class Sheets:
    """The sheets of one server. Every method may be called from any thread."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database, self._jobs = database, jobs

    def submit(
        self, plan: Plan, wanted: Sequence[Request], *, client: str, priority: int = 0
    ) -> Sheet:
        """Accepts a plan whose cells are ``wanted``; on disk, with all its jobs, when it returns.

        Its pictures are tagged with "sheet" and its id. Raises what `Jobs.submit` does, and
        RequestError for more cells than jobs may wait.
        """
        most = self._jobs.limits.queue
        if len(wanted) > most:
            raise RequestError(
                f"the sheet would have {len(wanted)} pictures, but on this server at most {most} "
                "jobs may wait; give fewer values."
            )
        with self._database.read() as connection:
            latest = connection.scalar(select(func.max(sheets.c.id)))
        now = time.time()
        name = new_id(now, latest or "")

        def keep(connection: Connection, jobs: list[str]) -> None:
            values = {
                "id": name,
                "created": now,
                "request": json.dumps(request_json.to_dict(plan.base.references)),
                "axes": json.dumps([axis.to_dict() for axis in plan.axes]),
                "jobs": json.dumps(jobs),
            }
            connection.execute(insert(sheets).values(values))

        wish = Wish(priority=priority, tags=(f"sheet {name}",))
        self._jobs.submit_all(wanted, wish, client=client, also=keep)
        return self.get(name)

    def get(self, identity: str) -> Sheet:
        """The sheet as it is now; raises NoSuchSheet."""
        found = self._read(select(sheets).where(sheets.c.id == identity))
        if not found:
            raise _missing(identity)
        return found[0]

    def list(self, *, limit: int) -> list[Sheet]:
        """The newest sheets first."""
        return self._read(select(sheets).order_by(sheets.c.id.desc()).limit(limit))

    def cancel(self, identity: str) -> Sheet:
        """Gives up all cells that are not finished, unless somebody else waits for them too.

        A sheet is given up once: a second time changes nothing.
        """
        given_up = update(sheets).where(sheets.c.id == identity).values(cancelled=True)
        self._jobs.leave_all(lambda connection: self._abandoned(connection, identity, given_up))
        return self.get(identity)

    def delete(self, identity: str) -> Sheet:
        """Gives a sheet up and forgets it; how it was left. Its jobs and pictures stay."""
        sheet = self.get(identity)
        gone = delete(sheets).where(sheets.c.id == identity)
        self._jobs.leave_all(lambda connection: self._abandoned(connection, identity, gone))
        jobs = self._jobs.get_many([cell.job.id for cell in sheet.cells])
        return replace(
            sheet, cells=tuple(Cell(cell.place, jobs[cell.job.id]) for cell in sheet.cells)
        )

    def _abandoned(
        self, connection: Connection, identity: str, change: UpdateBase
    ) -> Sequence[str]:
        """Changes a sheet, and names the jobs in which it has a part until then."""
        found = select(sheets).where(sheets.c.id == identity).with_for_update()
        row = connection.execute(found).one_or_none()
        if row is None:
            raise _missing(identity)
        connection.execute(change)
        return [] if row.cancelled else json.loads(row.jobs)

    def _read(self, statement: Select[Any]) -> list[Sheet]:
        with self._database.read() as connection:
            rows = list(connection.execute(statement))
        listed = {row.id: json.loads(row.jobs) for row in rows}
        jobs = self._jobs.get_many([job for ids in listed.values() for job in ids])
        return [self._sheet(row, [jobs[job] for job in listed[row.id]]) for row in rows]

    def _sheet(self, row: Row[Any], jobs: list[Job]) -> Sheet:
        axes = tuple(
            AxisKept(axis["field"], axis["needle"], tuple(axis["values"]))
            for axis in json.loads(row.axes)
        )
        x, y, z = (*(range(len(axis.values)) for axis in axes), range(1), range(1))[:3]
        places = [(i, j, k) for k, j, i in product(z, y, x)]
        return Sheet(
            id=row.id,
            created=row.created,
            request=request_json.from_dict(json.loads(row.request)),
            axes=axes,
            cells=tuple(Cell(place, job) for place, job in zip(places, jobs, strict=True)),
        )


def _missing(identity: str) -> NoSuchSheet:
    return NoSuchSheet(f"There is no sheet {identity!r:.80}.")
