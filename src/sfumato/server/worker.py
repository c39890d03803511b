"""The one thread that paints: it takes the next job, and the next, and survives whatever happens.

Everything that touches the painter happens on this thread, because a painter is for one thread.
"""

from __future__ import annotations

import io
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from PIL.Image import Image

from sfumato.errors import SfumatoError
from sfumato.server.errors import DatabaseError, NoSuchPicture, QueueFull, unavailable
from sfumato.server.events import Hub
from sfumato.server.home import Home
from sfumato.server.jobs import Job, Jobs, State
from sfumato.server.pace import Speeds
from sfumato.server.painter import Painter
from sfumato.server.painting import Easel, Painting
from sfumato.server.steps import sweep
from sfumato.server.trail import MAX_FRAMES, count_frames, read_frame, replaced

if TYPE_CHECKING:
    from sfumato.server.library import Library

__all__ = ["About", "Worker"]

HINDERED = (
    "The server cannot write to its disk, or not use its database; its log says why. "
    "This job goes on when it can."
)
FAULT = "A fault of sfumato's own stopped this job; the server's log says which."
STOPPING = "The server is stopping; ask again when it is back."
MAX_WAITING = 64
WAIT_SECONDS = 120.0
AGAIN_SECONDS = 1.0
REST_SECONDS = 0.1  # without a job, before something is done that nobody waits for
UNSEEN = 1000  # pictures whose thumbnails are made without being asked for
BESIDE_SECONDS = 0.1  # so often at most something is done for those who may come later
WEBP_QUALITY = 85
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What a worker paints with; ``error`` says why it cannot, empty if it can."""

    ready: bool
    device: str
    precision: str
    model: str
    error: str


@dataclass(frozen=True)
class _Wanted:
    """A picture that somebody waits for, and is made beside the jobs.

    ``model`` is that of the jobs between whose steps it can be made; None: only between two jobs.
    """

    make: Callable[[Painter], Image]
    model: str | None
    image: Future[Image]


class _Held:
    """Holds any error of a block, so that the thread goes on: the one place where that is right."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error
        return True


class Worker:
    """Paints the jobs of one queue with one painter; several may share a queue.

    ``make_painter`` is called on the worker's own thread, and again at the next job if it fails;
    for ``beside`` see `painting.Easel.seconds`.
    """

    def __init__(
        self,
        make_painter: Callable[[], Painter],
        jobs: Jobs,
        library: Library,
        home: Home,
        hub: Hub,
        *,
        beside: float = BESIDE_SECONDS,
    ) -> None:
        self.jobs, self.library, self.home, self.hub = jobs, library, home, hub
        self._make_painter = make_painter
        self._painter: Painter | None = None
        self._error = ""
        self._hindered = False  # by disk or database, in the middle of a job
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: deque[_Wanted] = deque()
        self._lock = threading.Lock()
        self._unseen: deque[str] = deque(maxlen=UNSEEN)  # pictures without a thumbnail
        self._easel = Easel(
            jobs, library, home, hub, Speeds(), self._between, self._unseen.append, beside
        )

    # For everybody

    def start(self) -> None:
        """Begins to load the model and then to paint; returns at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="painter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends within a step, and returns when it has; a job that ran goes on at the next start."""
        self._stopping.set()
        self.jobs.bell.ring()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._give_up_frames()

    @property
    def ready(self) -> bool:
        """Whether the painter, and with it its model, is loaded."""
        return self._painter is not None

    @property
    def state(self) -> About:
        """What is painted with."""
        painter = self._painter
        if painter is None:
            return About(False, "", "", "", self._error)
        return About(True, str(painter.device), painter.precision, painter.model, "")

    def frames(self, picture_id: str) -> int:
        """How many steps of a picture can be looked at; 0 where none was kept."""
        return count_frames(self.home.trail(picture_id))

    def develop(self, picture_id: str, step: int) -> Image:
        """A picture as it was at its kept step ``step``, from 1, at full size.

        Made on the worker's thread, between two steps of a job of the same model or before the
        next job. Raises NoSuchPicture, and QueueFull if too many wait for theirs.
        """
        frame = read_frame(self.home.trail(picture_id), step)
        if frame is None:
            raise _no_frame(picture_id, step)

        def make(painter: Painter) -> Image:
            return painter.develop(self.jobs.inputs.fill(frame.request), frame.estimate)

        return self._made(make, frame.request.model, "develop this step")

    def enlarge(self, image: Image, factor: int) -> Image:
        """An RGB picture ``factor`` (2 or 4) times as wide and high, by the painter's network.

        Made on the worker's thread, before the next job. Raises QueueFull if it takes too long.
        """

        def make(painter: Painter) -> Image:
            work = painter.enlarge(image, factor)
            for _ in work:
                if self._stopping.is_set():
                    raise SfumatoError(STOPPING)
            return work.picture()

        return self._made(make, None, "enlarge this picture")

    def _made(self, make: Callable[[Painter], Image], model: str | None, what: str) -> Image:
        """What is wanted, once the worker's thread has made it."""
        wanted = _Wanted(make, model, Future())
        with self._lock:
            if self._thread is None or self._stopping.is_set():
                raise SfumatoError(STOPPING)
            if len(self._waiting) >= MAX_WAITING:
                raise QueueFull("Too many pictures are waited for; try again.", 1.0)
            self._waiting.append(wanted)
        self.jobs.bell.ring()
        try:
            return wanted.image.result(WAIT_SECONDS)
        except TimeoutError as error:
            wanted.image.cancel()
            raise QueueFull(
                f"The painter was too busy to {what}; try again.", AGAIN_SECONDS
            ) from error

    def frame(self, picture_id: str, step: int) -> bytes:
        """The same as a WebP file, which is kept where there is room."""
        if not 1 <= step <= MAX_FRAMES:
            raise _no_frame(picture_id, step)
        path = self.home.frames(picture_id) / f"{step:02d}.webp"
        if path.exists():
            return path.read_bytes()
        buffer = io.BytesIO()
        self.develop(picture_id, step).save(buffer, "WEBP", quality=WEBP_QUALITY)
        try:
            replaced(path, buffer.getvalue(), self.home.steps)
        except OSError as error:  # it is shown all the same
            _LOG.warning("cannot keep the step %s: %s", path, error.strerror)
        return buffer.getvalue()

    # The thread

    def _run(self) -> None:
        with _Held() as held:
            sweep(self.home, self.jobs.in_flight)
        if held.error is not None:
            _LOG.error("cannot tidy %s", self.home.steps, exc_info=held.error)
        self._load()
        while not self._stopping.is_set():
            ticket = self.jobs.bell.ticket()
            self._make(lambda _: True)
            job: Job | None = None
            if self._hindered and not self._may_go_on():
                self._stopping.wait(AGAIN_SECONDS)
                continue
            with _Held() as held:
                job = self.jobs.claim()
            if held.error is not None:
                _LOG.error("cannot look for a job", exc_info=held.error)
                self._stopping.wait(AGAIN_SECONDS)
            elif job is not None:
                self._paint(job)
            elif not self._stopping.is_set():
                self._rest(ticket)

    def _rest(self, ticket: int) -> None:
        """Waits for news, and makes thumbnails meanwhile: not while an answer is on its way."""
        while self._unseen and not self.jobs.bell.wait(ticket, REST_SECONDS):
            with _Held() as held:
                self.library.thumbnail(self._unseen.popleft())
            if held.error is not None and not isinstance(held.error, SfumatoError):
                _LOG.error("cannot make a thumbnail", exc_info=held.error)
        self.jobs.bell.wait(ticket)

    def _load(self) -> None:
        with _Held() as held:
            self._painter = self._make_painter()
        self._error = "" if held.error is None else self._words(held.error, "the model")

    def _paint(self, job: Job) -> None:
        if self._painter is None:
            self._load()
        if self._painter is None:
            self._settle(job, "failed", self._error)
            return
        painting = Painting(self._easel, self._painter, job)
        outcome = "done"
        with _Held() as held:
            outcome = painting.run()
        if isinstance(held.error, SfumatoError) and unavailable(held.error) is not None:
            # Not the job's fault: it goes on from its last step when there is room again.
            self._hindered = True
            self._settle(job, "queued", HINDERED)
            return
        if held.error is not None:
            self._settle(job, "failed", self._words(held.error, f"job {job.id}"))
        elif outcome == "cancelled":
            self._settle(job, "cancelled", "")
        elif outcome == "stopped":
            self._settle(job, "queued", "")
            return
        painting.clear()

    def _settle(self, job: Job, state: State, error: str) -> None:
        """Writes down how it went; a database that cannot be written now is tried until it can."""
        while True:
            with _Held() as held:
                if state == "queued":
                    self.jobs.release(job.id, why=error)
                else:
                    self.jobs.ended(job.id, state, error=error)
            if held.error is None:
                return
            _LOG.error("cannot write how job %s ended", job.id, exc_info=held.error)
            if self._stopping.wait(AGAIN_SECONDS):
                return  # it is found running at the next start, and goes on

    def _may_go_on(self) -> bool:
        """Whether what kept the last job from being finished is over: disk and database answer."""
        with _Held() as held:
            self.home.probe()
            self.jobs.hold()
        if held.error is not None and not isinstance(held.error, OSError | DatabaseError):
            _LOG.error("cannot look whether jobs may go on", exc_info=held.error)
        self._hindered = held.error is not None
        return not self._hindered

    def _between(self, job: Job) -> bool:
        """After a step of ``job``: makes what its model can, and says whether to stop."""
        model = job.request.model
        self._make(lambda wanted: wanted.model == model)
        return self._stopping.is_set()

    def _make(self, suits: Callable[[_Wanted], bool]) -> None:
        """Makes what is waited for and suits: another model would push out the one at work."""
        with self._lock:
            now = [each for each in self._waiting if suits(each)]
            self._waiting = deque(each for each in self._waiting if not suits(each))
        for each in now:
            if not each.image.set_running_or_notify_cancel():
                continue
            image: Image | None = None
            with _Held() as held:
                if self._painter is None:
                    raise SfumatoError(self._error)
                image = each.make(self._painter)
            if image is None:
                each.image.set_exception(held.error)
            else:
                each.image.set_result(image)

    def _words(self, error: Exception, what: str) -> str:
        """What a client is told of an error; a fault of ours goes to the log instead."""
        if isinstance(error, SfumatoError):
            # Where the server's folder lies is not the client's business.
            return str(error).replace(f"{self.home.folder}{os.sep}", "")
        _LOG.error("a fault of sfumato's own in %s", what, exc_info=error)
        return FAULT

    def _give_up_frames(self) -> None:
        with self._lock:
            while self._waiting:
                self._waiting.popleft().image.set_exception(SfumatoError(STOPPING))


def _no_frame(picture_id: str, step: int) -> NoSuchPicture:
    return NoSuchPicture(f"There is no step {step} of the picture {picture_id:.80}.")
