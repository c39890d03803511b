"""The database: durable, brought up to date wholly or not at all, and clear when it cannot be."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from sfumato.server.database import METADATA, Database
from sfumato.server.errors import DatabaseError
from sfumato.server.migrations import HEAD, version
from sfumato.server.migrations.run import run


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def differences(database: Database) -> list[str]:
    """What the tables have that METADATA has not, and the other way, but for full-text search."""
    with database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA)
    words = [repr(each) for each in found]
    return [each for each in words if "pictures_words" not in each and "lexemes" not in each]


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    database.migrate()
    assert differences(database) == []


def test_the_comparison_can_see_a_difference(database: Database) -> None:
    database.migrate()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN surplus INTEGER"))
    assert len(differences(database)) == 1


def test_a_migrated_database_is_left_alone(database: Database) -> None:
    database.migrate()
    with database.write() as connection:
        connection.execute(text("INSERT INTO picture_tags SELECT 'a', 'b' WHERE 1 = 0"))
        assert version(connection) == HEAD
    database.migrate()
    with database.read() as connection:
        assert version(connection) == HEAD


def test_an_older_database_keeps_its_rows_and_its_words_are_found(database: Database) -> None:
    with database.write() as connection:
        run(connection, "0001")
        values = "'p', 'j', 0, 1.5, 'f', 8, 8, '', '', '', '', '', '', 's', '', '', 'red fox', "
        columns = "id, job, number, created, file, width, height, prompt, negative, model, sampler,"
        columns += " schedule, source, sha256, recipe, parameters, words, favourite"
        no = "0" if database.sqlite else "false"
        connection.execute(text(f"INSERT INTO pictures ({columns}) VALUES ({values}{no})"))
    database.migrate()
    found = (
        "SELECT p.id FROM pictures p JOIN pictures_words w ON w.rowid = p.serial "
        "WHERE pictures_words MATCH 'fox'"
        if database.sqlite
        else "SELECT id FROM pictures WHERE lexemes @@ to_tsquery('simple', 'fox')"
    )
    with database.read() as connection:
        assert connection.scalars(text(found)).all() == ["p"]


def test_a_failed_migration_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            run(connection, HEAD)
            assert inspect(connection).has_table("pictures")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []


def test_a_newer_database_is_refused_and_left_as_it_is(database: Database) -> None:
    database.migrate()
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"version 9999.*newer sfumato"):
        database.migrate()
    with database.read() as connection:
        assert version(connection) == "9999"


def test_tables_of_somebody_else_are_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE jobs (id INTEGER)"))
    with pytest.raises(DatabaseError, match="not sfumato's"):
        database.migrate()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "sfumato.db"
    file.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(DatabaseError, match=r"sfumato\.db.*not a database"):
        Database(f"sqlite:///{file}").migrate()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="unable to open"):
        Database(f"sqlite:///{tmp_path}/missing/x.db").migrate()


def test_a_mistake_in_a_statement_is_no_matter_of_circumstances(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(OperationalError, match="no such table"), database.read() as connection:
        connection.execute(text("SELECT 1 FROM nowhere"))
    database.close()


@pytest.mark.parametrize("url", ["mysql://u:secret@h/n", "no url: secret"])
def test_a_url_of_another_kind_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(DatabaseError, match="expected") as told:
        Database(url).migrate()
    assert "secret" not in str(told.value)


def test_a_sqlite_commit_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with database.write() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert pragmas == ["wal", 2, 1]  # 2 is FULL


def test_a_transaction_that_need_not_last_is_all_there_and_the_next_one_lasts(
    database: Database,
) -> None:
    """It is not waited for; whatever comes after it on the same connection is, as ever."""
    database.migrate()
    ask = "PRAGMA synchronous" if database.sqlite else "SHOW synchronous_commit"
    found: list[object] = []
    for lasting in (True, False, True):
        with database.write(lasting=lasting) as connection:
            found.append(connection.scalar(text(ask)))
            connection.execute(text("UPDATE alembic_version SET version_num = version_num || 'x'"))
    assert found == ([2, 1, 2] if database.sqlite else ["on", "off", "on"])
    with database.read() as connection:
        assert version(connection) == HEAD + "xxx"


def test_writers_wait_for_one_another(database: Database) -> None:
    """Each reads and then writes; were two at it at once, a count would be lost or refused."""
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counted (n INTEGER)"))
        connection.execute(text("INSERT INTO counted VALUES (0)"))

    def count() -> None:
        for _ in range(10):
            with database.write(alone=True) as connection:
                n = connection.scalar(text("SELECT n FROM counted"))
                connection.execute(text(f"UPDATE counted SET n = {n} + 1"))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.scalar(text("SELECT n FROM counted")) == 40


def test_a_reader_sees_one_moment(database: Database) -> None:
    if not database.sqlite:
        pytest.skip("PostgreSQL shows each statement its own moment, which nobody here minds")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counted (n INTEGER)"))
    with database.read() as reader:
        assert reader.scalar(text("SELECT count(*) FROM counted")) == 0
        with database.write() as writer:
            writer.execute(text("INSERT INTO counted VALUES (1)"))
        assert reader.scalar(text("SELECT count(*) FROM counted")) == 0
