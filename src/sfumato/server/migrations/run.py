"""Alembic, driven from within: no ini file, no working directory, no command line."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

__all__ = ["run"]


def run(connection: Connection, target: str) -> None:
    """Every change up to ``target`` that is missing, in the transaction that the caller opened."""
    config = Config()
    config.set_main_option("script_location", "sfumato.server:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, target)
