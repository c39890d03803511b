"""The parts that every dialect is given: made once, handed in whole, run together."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyio import CapacityLimiter

if TYPE_CHECKING:
    from sfumato.server.database import Database
    from sfumato.server.events import Hub
    from sfumato.server.home import Home
    from sfumato.server.inputs import Inputs
    from sfumato.server.jobs import Jobs
    from sfumato.server.library import Library
    from sfumato.server.painter import Painter
    from sfumato.server.settings import Settings
    from sfumato.server.sheets import Sheets
    from sfumato.server.shelf import Shelf
    from sfumato.server.worker import Worker

__all__ = ["Services", "build", "running", "tidy"]

DECODERS = 2  # pictures that are decoded at once, for all clients together


@dataclass(frozen=True)
class Services:
    """What a dialect may use; none of them makes one of these for itself.

    Whoever decodes a picture that a client sent takes a turn of ``decoding``: one of the largest
    size fills some hundred megabytes.
    """

    settings: Settings
    home: Home
    database: Database
    jobs: Jobs
    sheets: Sheets
    library: Library
    inputs: Inputs
    shelf: Shelf
    hub: Hub
    worker: Worker
    decoding: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(DECODERS))


def build(settings: Settings, make_painter: Callable[[], Painter]) -> Services:
    """The parts of one server, tied together. Nothing is opened and nothing runs yet."""
    from sfumato.server.database import Database
    from sfumato.server.events import Hub
    from sfumato.server.home import Home
    from sfumato.server.inputs import Inputs
    from sfumato.server.jobs import Jobs
    from sfumato.server.library import Library
    from sfumato.server.sheets import Sheets
    from sfumato.server.shelf import OnShelf, Shelf
    from sfumato.server.worker import Worker

    home, shelf = Home(settings.home), Shelf(settings)
    database = Database(settings.database or home.database_url)
    hub = Hub(database)
    inputs, library = Inputs(home), Library(database, home, hub, settings.limits)
    jobs = Jobs(database, inputs, settings.limits, hub)
    return Services(
        settings=settings,
        home=home,
        database=database,
        jobs=jobs,
        sheets=Sheets(database, jobs),
        library=library,
        inputs=inputs,
        shelf=shelf,
        hub=hub,
        worker=Worker(lambda: OnShelf(make_painter(), shelf), jobs, library, home, hub),
    )


def stop(services: Services) -> None:
    """Let nothing go on: painting ends within one step, and every open stream of events ends."""
    services.worker.stop()
    services.hub.close()


def tidy(services: Services) -> int:
    """Remove the pictures that clients sent and that nothing needs any more; how many they were."""
    from sfumato.server.references import referred

    return services.inputs.sweep(lambda: referred(services.database))


@contextmanager
def running(services: Services) -> Generator[Services]:
    """Hold the home, bring its database up to date, and paint until the block ends.

    Raises SfumatoError when another server has the home, or its database cannot be used.
    """
    with services.home.lock():
        try:
            services.database.migrate()
            services.jobs.recover()
            services.library.reconcile()
            tidy(services)
            services.worker.start()
            try:
                yield services
            finally:
                services.worker.stop()
        finally:
            services.database.close()
