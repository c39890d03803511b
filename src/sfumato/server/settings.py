"""All that can be set about a server, in one place: where it listens, who may, and how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Limits", "Settings"]


@dataclass(frozen=True)
class Limits:
    """How much one server takes on; what is beyond is refused before it costs anything.

    ``queue``          jobs that wait; the next one is refused with 429 and Retry-After
    ``pixels``         of one picture, width x height
    ``steps``          of one picture
    ``count``          pictures of one job
    ``upload_bytes``   of one picture that is sent
    ``upload_pixels``  of one picture that is sent, told before it is decoded
    ``body_bytes``     of one request's whole body
    ``body_seconds``   until the whole of a body must have arrived
    """

    queue: int = 100
    pixels: int = 2048 * 2048
    steps: int = 150
    count: int = 16
    upload_bytes: int = 32 * 2**20
    upload_pixels: int = 64_000_000
    body_bytes: int = 64 * 2**20
    body_seconds: float = 30.0


@dataclass(frozen=True)
class Settings:
    """One server.

    ``home``      the folder of its pictures, inputs and database
    ``database``  a URL as SQLAlchemy reads it; None is SQLite in ``home``
    ``model``     what a request gets that names none
    ``models``    folders of checkpoints that requests may name by their file names
    ``token``     what a client must show as ``Authorization: Bearer``; or ``user``, ``password``
    ``hosts``     names, beside loopback's own, that may stand in a request's Host header
    ``origins``   other sites whose pages may call this server (CORS); none unless named
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 7860
    database: str | None = None
    model: str = "mini"
    models: tuple[Path, ...] = ()
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
