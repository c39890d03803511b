"""The queue: what is accepted is on disk, is rendered once, and is never forgotten.

Every change is one transaction. How far a picture has come is kept in memory, and on disk by the
worker (`steps.py`): a commit for each step would cost more than many a step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from sfumato.request import Request
from sfumato.server.acceptance import accept
from sfumato.server.admission import Wish, check_limits, identity
from sfumato.server.database import Database, jobs
from sfumato.server.events import Changed, Event, Hub, Painted
from sfumato.server.home import picture_id
from sfumato.server.inputs import Inputs
from sfumato.server.job import (
    ENDED,
    IN_FLIGHT,
    STATES,
    Job,
    State,
    change_row,
    count_jobs,
    job_row,
    read_job,
    read_jobs,
)
from sfumato.server.live import Bell, Live
from sfumato.server.settings import Limits

__all__ = ["ENDED", "IN_FLIGHT", "STATES", "Job", "Jobs", "Keep", "State"]

# What a change of a job's row sets, which is nobody else's meanwhile; nothing for no change.
Change = Callable[[Connection, Row[Any]], dict[str, object]]
# What puts a finished picture into the library, with these tags.
Keep = Callable[[Connection, tuple[str, ...]], object]


class Jobs:
    """The jobs of one server. Every method may be called from any thread.

    ``live`` is what is known of those that run, ``bell`` rings for each that comes.
    """

    def __init__(self, database: Database, inputs: Inputs, limits: Limits, hub: Hub) -> None:
        self.inputs, self.limits, self.hub = inputs, limits, hub
        self._database = database
        self.live, self.bell = Live(), Bell()

    # For clients

    def submit(
        self,
        request: Request,
        *,
        client: str,
        priority: int = 0,
        previews: int = 0,
        tags: tuple[str, ...] = (),
        idempotency: str | None = None,
    ) -> tuple[Job, bool]:
        """Accepts a request; it is on disk when this returns. True: it joined a job that was there.

        A request with a given seed joins an equal one that is in flight. One whose seed is still to
        be drawn is a wish for a picture of its own, and joins only by ``idempotency``: a client's
        name for this wish, which also finds a job that has ended, unless it was cancelled. Raises
        RequestError, QueueFull, and NoSuchInput for a reference to a picture that is not here.
        """
        wish = Wish(priority, previews, tags, idempotency)
        self._prepare(request)
        with self._database.write(alone=True) as connection:
            row, joined = accept(connection, request, wish, client, self.limits.queue)
            job = self._job(connection, row)
        self.hub.publish(Changed(job))
        self.bell.ring()
        return job, joined

    def submit_all(
        self,
        wanted: Sequence[Request],
        wish: Wish,
        *,
        client: str,
        also: Callable[[Connection, list[str]], None],
    ) -> list[Job]:
        """Accepts all of these requests or none, in their order, each as `submit` does.

        ``also`` is called with the jobs' ids within the same transaction. Raises as `submit` does.
        """
        for request in wanted:
            self._prepare(request)
        most = self.limits.queue
        with self._database.write(alone=True) as connection:
            rows = [accept(connection, each, wish, client, most)[0] for each in wanted]
            also(connection, [row.id for row in rows])
            latest = {row.id: row for row in rows}  # of two that are one job, the second
            accepted = read_jobs(connection, list(latest.values()))
        accepted = [self.live.shown(job) for job in accepted]
        for job in accepted:
            self.hub.publish(Changed(job))
        self.bell.ring()
        return accepted

    def get(self, identity: str) -> Job:
        """The job as it is now; raises NoSuchJob."""
        return self.live.shown(read_job(self._database, identity))

    def get_many(self, identities: Sequence[str]) -> dict[str, Job]:
        """Those of the jobs that there are, by their ids."""
        with self._database.read() as connection:
            found = connection.execute(select(jobs).where(jobs.c.id.in_(identities)))
            return {job.id: self.live.shown(job) for job in read_jobs(connection, list(found))}

    def cut_off(self, request: Request, client: str, moment: float) -> Job | None:
        """The newest job of this request, of a kind of client, that was in flight at a moment.

        A server that ended then has cut its client off. One that failed or was cancelled is none.
        """
        asked = jobs.c.asked == identity(request), jobs.c.client == client
        before = jobs.c.created < moment, or_(jobs.c.finished.is_(None), jobs.c.finished >= moment)
        found = select(jobs).where(*asked, *before, jobs.c.state.not_in(("failed", "cancelled")))
        with self._database.read() as connection:
            newest = found.order_by(jobs.c.id.desc()).limit(1)
            rows = read_jobs(connection, list(connection.execute(newest)))
        return self.live.shown(rows[0]) if rows else None

    def list(
        self, *, states: Sequence[str] = (), limit: int = 50, before: str | None = None
    ) -> list[Job]:
        """The newest jobs first: those in one of ``states``, older than the job ``before``."""
        found = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if states:
            found = found.where(jobs.c.state.in_(states))
        if before is not None:
            found = found.where(jobs.c.id < before)
        with self._database.read() as connection:
            page = read_jobs(connection, list(connection.execute(found)))
        return [self.live.shown(job) for job in page]

    def position(self, identity: str) -> int:
        """How many jobs are claimed before this one; 0 for the next, and for one not waiting."""
        with self._database.read() as connection:
            row = job_row(connection, identity)
            if row.state != "queued":
                return 0
            ahead = or_(
                jobs.c.priority > row.priority,
                and_(jobs.c.priority == row.priority, jobs.c.id < identity),
            )
            return count_jobs(connection, jobs.c.state == "queued", ahead)

    def cancel(self, identity: str) -> Job:
        """Ends a waiting job at once, a running one within a step; an ended one stays as it is."""
        return self._change(identity, _cancelled)

    def skip(self, identity: str) -> Job:
        """Gives up the picture that is being painted, within a step; the job goes on to the next.

        A job that is not running stays as it is.
        """
        self.live.skip(identity)
        return self.get(identity)

    def cancel_running(self) -> list[Job]:
        """Cancels whatever is being painted."""
        running = select(jobs.c.id).where(jobs.c.state == "running")
        with self._database.read() as connection:
            found = [str(row.id) for row in connection.execute(running)]
        return [self.cancel(identity) for identity in found]

    def leave(self, identity: str) -> Job:
        """One of the clients that wait for a job is gone; the last one takes the job with him."""
        return self._change(identity, _left)

    def leave_all(self, whose: Callable[[Connection], Sequence[str]]) -> None:
        """As `leave`, each of the jobs that ``whose`` names, in one transaction with what it does.

        A job that is named twice is left by two.
        """
        with self._database.write() as connection:
            # In one order, so that two who leave the same jobs do not wait for each other.
            names = sorted(whose(connection))
            changed = [self._changed(connection, name, _left) for name in names]
        for job, news in changed:
            if news:
                self.hub.publish(Changed(job))

    # For workers

    def recover(self) -> None:
        """At the start of a server: what was running when it ended goes back to the queue."""
        running = jobs.c.state == "running"
        with self._database.write(alone=True) as connection:
            gone = update(jobs).where(running, jobs.c.cancelled)
            connection.execute(gone.values(_ended("cancelled")))
            connection.execute(update(jobs).where(running).values(state="queued"))
        self.bell.ring()

    def in_flight(self) -> set[str]:
        """The ids of all jobs that wait or run."""
        found = select(jobs.c.id).where(jobs.c.state.in_(IN_FLIGHT))
        with self._database.read() as connection:
            return set(connection.scalars(found))

    def hold(self) -> None:
        """Raises DatabaseError where the database is away, or another server's by now."""
        self._database.hold()

    def claim(self) -> Job | None:
        """The next job, for the one worker that gets it: by priority, then by age."""
        self._database.hold()
        order = (jobs.c.priority.desc(), jobs.c.id)
        queued = select(jobs).where(jobs.c.state == "queued").order_by(*order).limit(1)
        # A claim that a power cut undoes is a job that waits, as after any other end.
        with self._database.write(lasting=False) as connection:
            # On SQLite a writer is alone; on PostgreSQL another worker passes over this row.
            row = connection.execute(queued.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            started = time.time() if row.started is None else row.started
            values = {"state": "running", "started": started, "error": ""}
            row = change_row(connection, row.id, values)
            self.live.begin(row.id)
            job = self._job(connection, row)
        self.hub.publish(Changed(job))
        return job

    def painted(
        self, identity: str, number: int, seconds: float, *, last: bool, keep: Keep | None = None
    ) -> Job:
        """Picture ``number`` is finished, and with the ``last`` one the job is done.

        ``keep`` puts it into the library, within the same transaction: there is no moment at which
        one of them knows it and the other does not. Without, it is there already. ``seconds`` of
        painting went into it.
        """
        made = Painted(identity, number, picture_id(identity, number))
        return self._further(identity, number, seconds, last=last, first=made, keep=keep)

    def passed(self, identity: str, number: int, seconds: float, *, last: bool) -> Job:
        """As `painted`, for a picture that was skipped and is nowhere."""
        return self._further(identity, number, seconds, last=last, first=None)

    def _further(
        self,
        identity: str,
        number: int,
        seconds: float,
        *,
        last: bool,
        first: Event | None,
        keep: Keep | None = None,
    ) -> Job:
        def further(connection: Connection, row: Row[Any]) -> dict[str, object]:
            if keep is not None:  # those who joined meanwhile may have brought some tags
                keep(connection, tuple(json.loads(row.tags)))
            values: dict[str, object] = {"painted": number + 1, "seconds": row.seconds + seconds}
            return values | _ended("done") if last else values

        self.live.progressed(identity, 0, 0)
        return self._change(identity, further, first=first)

    def ended(self, identity: str, state: State, *, error: str = "") -> Job:
        """The worker is through with a job: done, failed with ``error``, or cancelled."""

        def end(_: Connection, row: Row[Any]) -> dict[str, object]:
            return {} if row.state in ENDED else {"error": error, **_ended(state)}

        return self._change(identity, end)

    def release(self, identity: str, *, why: str = "") -> Job:
        """The worker stops in the middle of a job, which waits to be claimed again.

        ``why`` is told to those who wait for it. One that was to be cancelled is, with that.
        """

        def back(_: Connection, row: Row[Any]) -> dict[str, object]:
            if row.cancelled and _running(row):
                return _ended("cancelled")
            return {"state": "queued", "error": why} if _running(row) else {}

        return self._change(identity, back)

    # Within

    def _prepare(self, request: Request) -> None:
        """Holds it to the limits, and keeps its pictures."""
        check_limits(request, self.limits)
        for source in (request.image, request.mask):
            if source is not None and source.pixels is not None:
                self.inputs.put(source)
            elif source is not None:
                self.inputs.get(source.sha256)

    def _change(
        self,
        identity: str,
        change: Change,
        *,
        first: Event | None = None,
    ) -> Job:
        """Sets what ``change`` says of the row, which is nobody else's meanwhile.

        All who follow are told ``first``, if there is something, and then the change.
        """
        with self._database.write() as connection:
            job, news = self._changed(connection, identity, change)
        if first is not None and news:
            self.hub.publish(first)
        if news:
            self.hub.publish(Changed(job))
        return job

    def _changed(self, connection: Connection, identity: str, change: Change) -> tuple[Job, bool]:
        """The job after a change within a transaction, and whether there was one."""
        row = job_row(connection, identity, mine=True)
        values = change(connection, row)
        if not values:
            return self._job(connection, row), False
        row = change_row(connection, identity, values)
        if values.get("cancelled"):
            self.live.cancel(identity)
        if values.get("state", "running") != "running":
            self.live.end(identity)
        return self._job(connection, row), True

    def _job(self, connection: Connection, row: Row[Any]) -> Job:
        return self.live.shown(*read_jobs(connection, [row]))


def _ended(state: State) -> dict[str, object]:
    """What the end of a job changes; nobody joins it from now on."""
    return {"state": state, "finished": time.time(), "key": None}


def _running(row: Row[Any]) -> bool:
    return row.state == "running"


def _cancelled(_: Connection, row: Row[Any]) -> dict[str, object]:
    """What cancelling changes; nobody joins the job from now on."""
    if row.state == "queued":
        return {"cancelled": True, **_ended("cancelled")}
    return {"cancelled": True, "key": None} if _running(row) else {}


def _left(connection: Connection, row: Row[Any]) -> dict[str, object]:
    """What changes when one of those who wait for a job is gone."""
    if row.state in ENDED:
        return {}
    if row.parties > 1:
        return {"parties": row.parties - 1}
    return {"parties": 0, **_cancelled(connection, row)}
