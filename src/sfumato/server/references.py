"""Which pictures that clients sent are still needed: by a job, or to make a picture again."""

from __future__ import annotations

import re

from sqlalchemy import or_, select

from sfumato.server.database import Database, jobs, pictures
from sfumato.server.job import IN_FLIGHT

__all__ = ["referred"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def referred(database: Database) -> set[str]:
    """The hashes in all jobs that wait or run, and in all recipes, also of what lies in the trash.

    Those of models are among them, and hurt nobody.
    """
    waiting = select(jobs.c.request).where(jobs.c.state.in_(IN_FLIGHT))
    made = select(pictures.c.recipe).where(pictures.c.recipe != "", pictures.c.emptied.is_(None))
    starting = made.where(
        or_(*(pictures.c.recipe.not_like(f'%"{part}": null%') for part in ("image", "mask")))
    )
    found: set[str] = set()
    with database.read() as connection:
        for statement in (waiting, starting):
            for text in connection.scalars(statement):
                found.update(_SHA256.findall(text))
    return found
