"""The parts of a server without HTTP, on any database, with workers that a test starts itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from sfumato.request import Request
from sfumato.server.database import Database
from sfumato.server.events import Hub
from sfumato.server.home import Home
from sfumato.server.inputs import Inputs
from sfumato.server.jobs import Job, Jobs
from sfumato.server.library import Library
from sfumato.server.painter import Painter
from sfumato.server.settings import Limits
from sfumato.server.worker import Worker
from tests.server.fake import PATIENCE, FakePainter

FOX = Request(prompt="a red fox", seed=7)


@dataclass
class Shop:
    """One server's parts. `painter` is what `working()` paints with unless it is given another."""

    home: Home
    database: Database
    hub: Hub
    inputs: Inputs
    jobs: Jobs
    library: Library
    painter: FakePainter = field(default_factory=FakePainter)

    def submit(self, request: Request = FOX, *, priority: int = 0, previews: int = 0) -> Job:
        return self.jobs.submit(request, client="native", priority=priority, previews=previews)[0]

    @contextmanager
    def working(self, make: Callable[[], Painter] | None = None) -> Iterator[Worker]:
        """A worker that paints until the block ends."""
        worker = Worker(
            make or (lambda: self.painter), self.jobs, self.library, self.home, self.hub
        )
        worker.start()
        try:
            yield worker
        finally:
            self.painter.release()
            worker.stop()

    def ended(self, identity: str) -> Job:
        """The job, once it has ended."""
        return self.until(identity, lambda job: job.ended)

    def until(self, identity: str, holds: Callable[[Job], bool]) -> Job:
        """The job, once something holds of it."""
        end = time.monotonic() + PATIENCE
        while not holds(job := self.jobs.get(identity)):
            assert time.monotonic() < end, f"it never came: {job}"
            time.sleep(0.005)
        return job

    def pixels(self, job: Job) -> list[bytes]:
        """The pixels of a job's pictures, read from their files."""
        files = [self.library.get(identity).file for identity in job.pictures]
        return [Image.open(file).tobytes() for file in files]


@contextmanager
def shop_in(folder: Path, url: str | None = None, limits: Limits | None = None) -> Iterator[Shop]:
    """A shop in this folder, opened as a server does it."""
    home = Home(folder)
    database = Database(url or home.database_url)
    hub, inputs = Hub(database), Inputs(home)
    jobs = Jobs(database, inputs, limits or Limits(), hub)
    with home.lock():
        try:
            database.migrate()
            jobs.recover()
            library = Library(database, home, hub)
            library.reconcile()
            yield Shop(home, database, hub, inputs, jobs, library)
        finally:
            database.close()
