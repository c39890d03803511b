"""A server that kills itself, as `kill -9` does, at the n-th thing it does to disk or database.

Run as `python -m tests.server.victim KIND FOLDER POINT`, or with several points: then one process
loads everything once, and forks a child for each of them, because loading takes most of the time.
It writes what it was promised, and after a restart what is there, as JSON files into FOLDER.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sqlalchemy import Engine, event, text

from sfumato.request import Request
from sfumato.server.database import Database
from sfumato.server.events import Changed, Event, Stepped
from sfumato.server.migrations import HEAD, version
from sfumato.server.migrations.run import run
from sfumato.server.painter import Painter, Run, Step
from tests.server.fake import PATIENCE, FakePainter
from tests.server.shop import Shop, shop_in

JOBS = (
    Request(prompt="a red fox", seed=7, steps=3, count=2),
    Request(prompt="an owl", seed=11, steps=2),
)
# What Python tells its auditors of, where a kill makes a difference.
MOMENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "sfumato.step"})


class Fuse:
    """Counts the moments from `light` on, and at the one that was chosen ends the process."""

    def __init__(self, point: int) -> None:
        self.left, self.lit, self.lock = point, False, threading.Lock()

    def light(self) -> None:
        sys.addaudithook(self._audit)
        event.listen(Engine, "before_cursor_execute", self._moment)
        event.listen(Engine, "commit", self._moment)
        self.lit = True

    def _audit(self, name: str, told: tuple[object, ...]) -> None:
        if name in MOMENTS and (name == "sfumato.step" or "home" in str(told[0])):
            self._moment()

    def _moment(self, *_: object) -> None:
        with self.lock:
            self.left -= 1
            if self.lit and self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Stepping(FakePainter):
    """A painter in the middle of whose steps one may be killed."""

    def before(self, request: Request, index: int) -> None:
        sys.audit("sfumato.step")
        super().before(request, index)


def first_life(folder: Path, point: int) -> None:
    """Accept jobs, paint them, and be killed somewhere on the way."""
    fuse = Fuse(point)
    with shop_in(folder / "home") as shop:
        shop.painter = Stepping()
        fuse.light()
        promised: list[str] = []
        for request in JOBS:
            promised.append(shop.submit(request).id)
            note(folder / "promised.json", promised)
        done = listen(shop)  # to look again and again would be moments too
        with shop.working():
            for _ in promised:
                assert done.acquire(timeout=PATIENCE)


def listen(shop: Shop) -> threading.Semaphore:
    """Counts the jobs that have ended."""
    publish, done = shop.hub.publish, threading.Semaphore(0)

    def tell(happened: Event) -> None:
        publish(happened)
        if isinstance(happened, Changed) and happened.job.ended:
            done.release()

    shop.hub.publish = tell  # type: ignore[method-assign]
    return done


def second_life(folder: Path) -> None:
    """Start again, paint what is left, and say what there is."""
    with shop_in(folder / "home") as shop:
        with shop.working():
            for identity in shop.jobs.in_flight():
                shop.ended(identity)
        note(folder / "found.json", {"steps": shop.painter.steps, **found(shop)})


def found(shop: Shop) -> dict[str, object]:
    """All jobs and pictures, and every file of the home but the database's."""
    jobs = {job.id: [job.state, job.painted, *job.pictures] for job in shop.jobs.list()}
    entries = shop.library.search().entries
    pictures = {e.id: hashlib.sha256(Image.open(e.file).tobytes()).hexdigest() for e in entries}
    files = [path for path in shop.home.folder.rglob("*") if path.is_file()]
    names = [path.relative_to(shop.home.folder).as_posix() for path in files]
    kept = sorted(name for name in names if "/" in name)
    return {"jobs": jobs, "pictures": pictures, "files": kept}


def note(file: Path, value: object) -> None:
    """What a client was told: there at once, whatever becomes of this process."""
    beside = file.with_suffix(".part")
    beside.write_text(json.dumps(value))
    beside.rename(file)


def migrating(folder: Path, point: int) -> None:
    """Bring a database with a picture from its first version up to date."""
    database = Database(f"sqlite:///{folder}/old.db")
    Fuse(point).light()
    database.migrate()


def prepare(database: Database) -> None:
    """A database of the first version, with one picture."""
    with database.write() as connection:
        run(connection, "0001")
        connection.execute(text(OLD_PICTURE))


OLD_PICTURE = (
    "INSERT INTO pictures (id, job, number, created, file, width, height, prompt, negative, model,"
    " sampler, schedule, source, sha256, recipe, parameters, words, favourite) VALUES ('p', 'j', 0,"
    " 1.5, 'f', 8, 8, '', '', '', '', '', '', 's', '', '', 'red fox', false)"
)


def migrated(folder: Path) -> None:
    """Say what version the kill left, and whether it can be brought up to date now."""
    database = Database(f"sqlite:///{folder}/old.db")
    with database.read() as connection:
        left = version(connection)
    database.migrate()
    with database.read() as connection:
        now = version(connection)
        words = "SELECT count(*) FROM pictures_words WHERE pictures_words MATCH 'fox'"
        pictures = connection.scalar(text(words))
    note(folder / "found.json", {"left": left, "now": now == HEAD, "pictures": pictures})


@dataclass
class Doomed:
    """An engine whose process is killed in the middle of the step after `step`."""

    engine: Painter
    step: int

    def __post_init__(self) -> None:
        self.device, self.precision, self.model = "cpu", "fp32", self.engine.model

    def submit(self, request: Request, *, state: bytes | None = None) -> Run:
        return DoomedRun(self.engine.submit(request, state=state), self.step)

    def develop(self, request: Request, estimate: bytes) -> Image.Image:
        return self.engine.develop(request, estimate)


@dataclass
class DoomedRun:
    """A run of a `Doomed` engine."""

    run: Run
    step: int

    def __post_init__(self) -> None:
        self.request, self.sha256, self.result = self.run.request, self.run.sha256, self.run.result

    def __iter__(self) -> Iterator[Step]:
        for step in self.run:
            yield step
            if step.index == self.step:
                kill = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGKILL))
                kill.start()


# Small, and with noise in each step, so that a wrong place in its stream shows.
REAL = Request(prompt="a red fox", seed=7, steps=12, width=64, height=64, sampler="euler_ancestral")


def real_first_life(folder: Path, point: int) -> None:
    """The bundled model, killed in the middle of a step."""
    from sfumato.engine import Engine

    with shop_in(folder / "home") as shop:
        note(folder / "promised.json", [shop.submit(REAL).id])
        with shop.working(lambda: Doomed(Engine("cpu", "fp32"), point)):
            shop.ended(shop.jobs.list()[0].id)


def real_second_life(folder: Path) -> None:
    """Goes on, and paints the same without a break."""
    from sfumato.engine import Engine

    engine = Engine("cpu", "fp32")
    told: list[int] = []
    with shop_in(folder / "home") as shop:
        publish = shop.hub.publish

        def tell(happened: Event) -> None:
            told.extend([happened.step] if isinstance(happened, Stepped) else [])
            publish(happened)

        shop.hub.publish = tell  # type: ignore[method-assign]
        with shop.working(lambda: engine):
            job = shop.ended(shop.jobs.list()[0].id)
        whole = engine.submit(REAL).result().pictures[0].image
        same = shop.pixels(job) == [whole.tobytes()]
        frames = shop.frames(job.pictures[0])
    note(folder / "found.json", {"steps": told, "same": same, "frames": frames})


@dataclass(frozen=True)
class Kind:
    """What is done until the kill, and after it."""

    first: Callable[[Path, int], None]
    second: Callable[[Path], None]


KINDS: Mapping[str, Kind] = {
    "painting": Kind(first_life, second_life),
    "migrating": Kind(migrating, migrated),
    "real": Kind(real_first_life, real_second_life),
}


def forked(life: Callable[[], None]) -> int:
    """Live in a child of this process; its exit status, negative if it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            life()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(kind: str, folder: Path, points: list[int]) -> None:
    """Each point in a folder of its own; ends at the first that lies behind the end of all."""
    lives = KINDS[kind]
    for point in points:
        place = folder / str(point)
        place.mkdir()
        if kind == "migrating":
            forked(lambda place=place: prepare(Database(f"sqlite:///{place}/old.db")))
        ended = forked(lambda place=place, point=point: lives.first(place, point))
        after = forked(lambda place=place: lives.second(place))
        note(place / "ended.json", [ended, after])
        if ended != -signal.SIGKILL:
            break


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [int(point) for point in sys.argv[3:]])
