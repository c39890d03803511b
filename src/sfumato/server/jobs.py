"""The queue: what is accepted is on disk, is rendered once, and is never forgotten.

Every change is one transaction. How far a picture has come is kept in memory, and on disk by the
worker (`steps.py`): a commit for each step would cost more than many a step.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from sfumato import request_json
from sfumato.errors import RequestError
from sfumato.request import Request
from sfumato.server.admission import Wish, check_limits, identity, referred, seeded
from sfumato.server.database import Database, jobs
from sfumato.server.errors import NoSuchJob, QueueFull
from sfumato.server.events import Changed, Event, Hub, Painted
from sfumato.server.home import new_id, picture_id
from sfumato.server.inputs import Inputs
from sfumato.server.job import ENDED, IN_FLIGHT, STATES, Job, State, read_job, read_jobs
from sfumato.server.settings import Limits

__all__ = ["ENDED", "IN_FLIGHT", "STATES", "Job", "Jobs", "State"]

MEASURED = 10  # jobs from which is learnt how long one takes
RETRY_SECONDS = (1.0, 600.0)
UNMEASURED_SECONDS = 10.0


@dataclass
class _Live:
    """What is known of a running job in memory only."""

    step: int = 0
    steps: int = 0
    cancelled: bool = False
    skipped: bool = False


class Jobs:
    """The jobs of one server. Every method may be called from any thread."""

    def __init__(self, database: Database, inputs: Inputs, limits: Limits, hub: Hub) -> None:
        self.inputs, self.limits, self.hub = inputs, limits, hub
        self._database = database
        self._live: dict[str, _Live] = {}
        self._news = threading.Condition()
        self._ticket = 0

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
            name, joined = self._accept(connection, request, wish, client)
            job = self._read(connection, name)
        self.hub.publish(Changed(job))
        self.wake()
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
        with self._database.write(alone=True) as connection:
            names = [self._accept(connection, each, wish, client)[0] for each in wanted]
            also(connection, names)
            accepted = [self._read(connection, name) for name in dict.fromkeys(names)]
        for job in accepted:
            self.hub.publish(Changed(job))
        self.wake()
        return accepted

    def get(self, identity: str) -> Job:
        """The job as it is now; raises NoSuchJob."""
        return self._lively(read_job(self._database, identity))

    def get_many(self, identities: Sequence[str]) -> dict[str, Job]:
        """Those of the jobs that there are, by their ids."""
        with self._database.read() as connection:
            found = connection.execute(select(jobs).where(jobs.c.id.in_(identities)))
            return {job.id: self._lively(job) for job in read_jobs(connection, list(found))}

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
        return [self._lively(job) for job in page]

    def position(self, identity: str) -> int:
        """How many jobs are claimed before this one; 0 for the next, and for one not waiting."""
        with self._database.read() as connection:
            row = _row(connection, identity)
            if row.state != "queued":
                return 0
            ahead = or_(
                jobs.c.priority > row.priority,
                and_(jobs.c.priority == row.priority, jobs.c.id < identity),
            )
            return _count(connection, jobs.c.state == "queued", ahead)

    def cancel(self, identity: str) -> Job:
        """Ends a waiting job at once, a running one within a step; an ended one stays as it is."""
        return self._change(identity, _cancelled)

    def skip(self, identity: str) -> Job:
        """Gives up the picture that is being painted, within a step; the job goes on to the next.

        A job that is not running stays as it is.
        """
        with self._news:
            if (live := self._live.get(identity)) is not None:
                live.skipped = True
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
        self.wake()

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
        with self._database.write() as connection:
            # On SQLite a writer is alone; on PostgreSQL another worker passes over this row.
            row = connection.execute(queued.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            started = time.time() if row.started is None else row.started
            _set(connection, row.id, {"state": "running", "started": started, "error": ""})
            with self._news:
                self._live[row.id] = _Live()
            job = self._read(connection, row.id)
        self.hub.publish(Changed(job))
        return job

    def ticket(self) -> int:
        """Taken before a look for work, so that `wait` misses nothing that came meanwhile."""
        with self._news:
            return self._ticket

    def wait(self, ticket: int) -> None:
        """Returns when there is news since ``ticket``: a job, or a `wake`."""
        with self._news:
            self._news.wait_for(lambda: self._ticket != ticket)

    def wake(self) -> None:
        """Makes every `wait` return."""
        with self._news:
            self._ticket += 1
            self._news.notify_all()

    def cancelling(self, identity: str) -> bool:
        """Whether a running job is to end; asked at each step, so it costs nothing."""
        with self._news:
            live = self._live.get(identity)
            return live is not None and live.cancelled

    def skipping(self, identity: str) -> bool:
        """Whether the picture that is being painted is to be given up; told once."""
        with self._news:
            live = self._live.get(identity)
            if live is None or not live.skipped:
                return False
            live.skipped = False
            return True

    def progressed(self, identity: str, step: int, steps: int) -> None:
        """A step was made: shown to whoever asks, and not written down."""
        with self._news:
            if (live := self._live.get(identity)) is not None:
                live.step, live.steps = step, steps

    def painted(self, identity: str, number: int, seconds: float, *, last: bool) -> Job:
        """Picture ``number`` is in the library, and with the ``last`` one the job is done.

        ``seconds`` of painting went into it.
        """
        made = Painted(identity, number, picture_id(identity, number))
        return self._further(identity, number, seconds, last=last, first=made)

    def passed(self, identity: str, number: int, seconds: float, *, last: bool) -> Job:
        """As `painted`, for a picture that was skipped and is nowhere."""
        return self._further(identity, number, seconds, last=last, first=None)

    def _further(
        self, identity: str, number: int, seconds: float, *, last: bool, first: Event | None
    ) -> Job:
        self.progressed(identity, 0, 0)

        def further(row: Row[Any]) -> dict[str, object]:
            values: dict[str, object] = {"painted": number + 1, "seconds": row.seconds + seconds}
            return values | _ended("done") if last else values

        return self._change(identity, further, first=first)

    def ended(self, identity: str, state: State, *, error: str = "") -> Job:
        """The worker is through with a job: done, failed with ``error``, or cancelled."""

        def end(row: Row[Any]) -> dict[str, object]:
            return {} if row.state in ENDED else {"error": error, **_ended(state)}

        return self._change(identity, end)

    def release(self, identity: str, *, why: str = "") -> Job:
        """The worker stops in the middle of a job, which waits to be claimed again.

        ``why`` is told to those who wait for it. One that was to be cancelled is, with that.
        """

        def back(row: Row[Any]) -> dict[str, object]:
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

    def _accept(
        self, connection: Connection, request: Request, wish: Wish, client: str
    ) -> tuple[str, bool]:
        """The id of the request's job, and whether that was there already."""
        asked = identity(request)
        complete = seeded(request)
        key = asked if complete == request else None
        found = _same(connection, key, wish.idempotency, asked)
        if found is not None:
            _join(connection, found, wish)
            return str(found.id), True
        self._require_room(connection)
        latest = connection.scalar(select(func.max(jobs.c.id)))
        now = time.time()
        name = new_id(now, latest or "")
        values: dict[str, object] = {
            "id": name,
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
        connection.execute(insert(jobs).values(values))
        return name, False

    def _require_room(self, connection: Connection) -> None:
        waiting = _count(connection, jobs.c.state == "queued")
        if waiting < self.limits.queue:
            return
        done = select(jobs.c.seconds).where(jobs.c.state == "done")
        took = connection.scalars(done.order_by(jobs.c.id.desc()).limit(MEASURED)).all()
        low, high = RETRY_SECONDS
        mean = sum(took) / len(took) if took else UNMEASURED_SECONDS
        raise QueueFull(
            f"{waiting} jobs wait already, as many as may. Try again in about {mean:.0f} seconds.",
            retry_after=min(max(mean, low), high),
        )

    def _change(
        self,
        identity: str,
        change: Callable[[Row[Any]], dict[str, object]],
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

    def _changed(
        self, connection: Connection, identity: str, change: Callable[[Row[Any]], dict[str, object]]
    ) -> tuple[Job, bool]:
        """The job after a change within a transaction, and whether there was one."""
        row = _row(connection, identity, mine=True)
        values = change(row)
        if not values:
            return self._lively(*read_jobs(connection, [row])), False
        _set(connection, identity, values)
        with self._news:
            live = self._live.get(identity)
            if live is not None and values.get("cancelled"):
                live.cancelled = True
            if values.get("state", "running") != "running":
                self._live.pop(identity, None)
        return self._read(connection, identity), True

    def _read(self, connection: Connection, identity: str) -> Job:
        return self._lively(*read_jobs(connection, [_row(connection, identity)]))

    def _lively(self, job: Job) -> Job:
        with self._news:
            live = self._live.get(job.id)
            return job if live is None else job.at(live.step, live.steps)


def _row(connection: Connection, identity: str, *, mine: bool = False) -> Row[Any]:
    found = select(jobs).where(jobs.c.id == identity)
    row = connection.execute(found.with_for_update() if mine else found).one_or_none()
    if row is None:
        raise NoSuchJob(f"There is no job {identity!r:.80}.")
    return row


def _set(connection: Connection, identity: str, values: dict[str, object]) -> None:
    changed = update(jobs).where(jobs.c.id == identity)
    connection.execute(changed.values({"revision": jobs.c.revision + 1, **values}))


def _count(connection: Connection, *where: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(jobs).where(*where)) or 0


def _ended(state: State) -> dict[str, object]:
    """What the end of a job changes; nobody joins it from now on."""
    return {"state": state, "finished": time.time(), "key": None}


def _running(row: Row[Any]) -> bool:
    return row.state == "running"


def _cancelled(row: Row[Any]) -> dict[str, object]:
    """What cancelling changes; nobody joins the job from now on."""
    if row.state == "queued":
        return {"cancelled": True, **_ended("cancelled")}
    return {"cancelled": True, "key": None} if _running(row) else {}


def _left(row: Row[Any]) -> dict[str, object]:
    """What changes when one of those who wait for a job is gone."""
    if row.state in ENDED:
        return {}
    if row.parties > 1:
        return {"parties": row.parties - 1}
    return {"parties": 0, **_cancelled(row)}


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
            _set(connection, row.id, {"idempotency": None})
    if key is None:
        return None
    return connection.execute(select(jobs).where(jobs.c.key == key).with_for_update()).one_or_none()


def _join(connection: Connection, row: Row[Any], wish: Wish) -> None:
    """One more party to a job in flight, which then serves all their wishes."""
    if row.state in ENDED:
        return
    tags = list(dict.fromkeys([*json.loads(row.tags), *wish.tags]))
    joined: dict[str, object] = {
        "parties": row.parties + 1,
        "priority": max(row.priority, wish.priority),
        "previews": max(row.previews, wish.previews),
        "tags": json.dumps(tags),
    }
    _set(connection, row.id, joined)
