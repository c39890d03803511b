"""What is known of running jobs in memory only: how far each is, and what clients want of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sfumato.server.job import Job

__all__ = ["Bell", "Live"]


@dataclass
class _Running:
    step: int = 0
    steps: int = 0
    cancelled: bool = False
    skipped: bool = False


class Live:
    """The jobs that run. Any thread may ask at any time, for it costs nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}

    def begin(self, identity: str) -> None:
        """A job runs from now on."""
        with self._lock:
            self._running[identity] = _Running()

    def end(self, identity: str) -> None:
        """It does not any more."""
        with self._lock:
            self._running.pop(identity, None)

    def cancel(self, identity: str) -> None:
        """A job that runs is to end."""
        with self._lock:
            if (running := self._running.get(identity)) is not None:
                running.cancelled = True

    def skip(self, identity: str) -> None:
        """The picture that is being painted is to be given up."""
        with self._lock:
            if (running := self._running.get(identity)) is not None:
                running.skipped = True

    def progressed(self, identity: str, step: int, steps: int) -> None:
        """A step was made."""
        with self._lock:
            if (running := self._running.get(identity)) is not None:
                running.step, running.steps = step, steps

    def cancelling(self, identity: str) -> bool:
        """Whether a job is to end."""
        with self._lock:
            running = self._running.get(identity)
            return running is not None and running.cancelled

    def skipping(self, identity: str) -> bool:
        """Whether its picture is to be given up; told once."""
        with self._lock:
            running = self._running.get(identity)
            if running is None or not running.skipped:
                return False
            running.skipped = False
            return True

    def shown(self, job: Job) -> Job:
        """The job with its step, which the database does not know."""
        with self._lock:
            running = self._running.get(job.id)
            return job if running is None else job.at(running.step, running.steps)


class Bell:
    """Wakes those who wait for news; whoever takes a ticket before his look misses none."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._ticket = 0

    def ticket(self) -> int:
        """What `wait` is given."""
        with self._news:
            return self._ticket

    def wait(self, ticket: int, seconds: float | None = None) -> bool:
        """Returns when it has rung since ``ticket``, or after so many seconds; whether it has."""
        with self._news:
            return self._news.wait_for(lambda: self._ticket != ticket, seconds)

    def ring(self) -> None:
        """Makes every `wait` return."""
        with self._news:
            self._ticket += 1
            self._news.notify_all()
