"""One server for the tests that leave no trace: one for each of them would cost minutes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from sfumato.server.app import compose
from sfumato.server.services import build, running
from sfumato.server.settings import Settings
from tests.server.fake import FakePainter


@contextmanager
def calm_client(home: Path, *hosts: str) -> Iterator[TestClient]:
    """A client of a server whose painter nobody holds; it may be called by `hosts`, too."""
    painter = FakePainter()
    with (
        running(build(Settings(home=home, port=0, hosts=hosts), lambda: painter)) as services,
        TestClient(compose(services), base_url="http://127.0.0.1:7860") as client,
    ):
        yield client
