"""What clients are told when the server's own disk or database fails it: 503, and not where."""

import base64
import io
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from starlette.testclient import TestClient

from sfumato.errors import OutputError
from sfumato.server.errors import unavailable
from sfumato.server.settings import Settings

BRIEF: dict[str, Any] = {"prompt": "a fox", "steps": 2}
JOBS = [
    ("/api/jobs", {"request": BRIEF}),
    ("/sdapi/v1/txt2img", BRIEF),
    ("/v1/images/generations", BRIEF),
]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("sfumato.server.database._BUSY_SECONDS", 0.01)
    return Settings(home=tmp_path / "home", port=0)


@contextmanager
def locked(home: Path) -> Generator[None]:
    """Another program writes to the database, and takes its time."""
    with closing(sqlite3.connect(home / "sfumato.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize(("path", "body"), JOBS)
def test_a_database_that_somebody_keeps_locked_is_told_as_such_by_every_dialect(
    client: TestClient,
    settings: Settings,
    path: str,
    body: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with locked(settings.home):
        answer = client.post(path, json=body)
    assert answer.status_code == 503
    assert "not use its database" in answer.text
    assert str(settings.home) not in answer.text
    assert "database is locked" in caplog.text
    assert client.post(path, json=body).status_code in (200, 202)


@pytest.mark.parametrize("path", ["/api/inputs", "/api/pictures", "/sdapi/v1/img2img"])
def test_a_full_disk_is_told_without_the_name_of_the_folder(
    client: TestClient,
    settings: Settings,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    if path.startswith("/api/"):
        answer = client.post(path, content=png())
    else:
        images = [base64.b64encode(png()).decode()]
        answer = client.post(path, json={"prompt": "a fox", "steps": 8, "init_images": images})
    assert answer.status_code == 503
    assert "cannot write to its disk" in answer.text
    assert str(settings.home) not in answer.text
    assert f"cannot write {settings.home}" in caplog.text


def test_a_picture_that_cannot_be_written_as_was_asked_is_not_the_disks_fault() -> None:
    assert unavailable(OutputError("the recipe is too long for a JPEG (64 kB).")) is None
