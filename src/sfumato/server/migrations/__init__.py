"""How a database gets its tables: one file for each change since the first, run by Alembic."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from sfumato.server.errors import DatabaseError

__all__ = ["HEAD", "upgrade", "version"]

HEAD = "0005"  # the newest file in versions/
_VERSIONS = ("0001", "0002", "0003", "0004", "0005")


def version(connection: Connection) -> str:
    """The version of the tables that are there; empty for none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")) or "")


def upgrade(connection: Connection, found: str, name: str) -> None:
    """Brings the tables from version ``found`` to HEAD within the open transaction.

    Raises DatabaseError for a version that is not ours, and for tables that are not.
    """
    if found and found not in _VERSIONS:
        raise DatabaseError(
            f"The database {name} has version {found}, but this sfumato knows {HEAD} at the "
            "latest. Start the newer sfumato that wrote it."
        )
    if not found and inspect(connection).has_table("jobs"):
        raise DatabaseError(
            f"The database {name} has a table 'jobs' that is not sfumato's. Give another one."
        )
    # Loaded only here: at most starts there is nothing to change, and Alembic takes its time.
    from sfumato.server.migrations.run import run

    run(connection, HEAD)
