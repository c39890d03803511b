"""The parts of a server without HTTP, on any database, with workers that a test starts itself."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from sfumato.errors import SfumatoError
from sfumato.request import Request
from sfumato.server.database import Database
from sfumato.server.events import Hub
from sfumato.server.home import Home
from sfumato.server.inputs import Inputs
from sfumato.server.jobs import Job, Jobs
from sfumato.server.library import Library
from sfumato.server.painter import Painter
from sfumato.server.settings import Limits
from sfumato.server.trail import count_frames, read_frame
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
    def working(
        self, make: Callable[[], Painter] | None = None, *, beside: float = 0.0
    ) -> Iterator[Worker]:
        """A worker that paints until the block ends; usually it keeps and shows each step."""
        parts = self.jobs, self.library, self.home, self.hub
        worker = Worker(make or (lambda: self.painter), *parts, beside=beside)
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

    def stopped_at(self, step: int, request: Request, *, beside: float = 0.0) -> Job:
        """A job whose worker was stopped when it had made so many steps."""
        self.painter.hold(step)
        with self.working(beside=beside) as worker:
            job = self.submit(request)
            self.painter.held()
            stopping = threading.Thread(target=worker.stop)
            stopping.start()
            assert worker._stopping.wait(PATIENCE)
            self.painter.release()
            stopping.join(PATIENCE)
            assert not stopping.is_alive()
        return self.jobs.get(job.id)

    def asked(self, worker: Worker, identity: str) -> Future[Image.Image]:
        """Somebody, in a thread, waits for the first step of a picture to be developed."""
        image: Future[Image.Image] = Future()

        def ask() -> None:
            try:
                image.set_result(worker.develop(identity, 1))
            except SfumatoError as error:
                image.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        end = time.monotonic() + PATIENCE
        while not worker._waiting:
            assert time.monotonic() < end
            time.sleep(0.001)
        return image

    def frames(self, identity: str) -> list[int]:
        """The steps of a picture that were kept."""
        trail = self.home.trail(identity)
        kept = [read_frame(trail, number + 1) for number in range(count_frames(trail))]
        return [frame.step for frame in kept if frame is not None]

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
