"""All that can be set about a server, in one place: where it listens, who may, and how much."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from sfumato.errors import SfumatoError
from sfumato.shelves import Shelves

__all__ = ["Limits", "Settings", "SettingsError"]

MIN_TOKEN, MIN_PASSWORD = 16, 8  # characters
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")


class SettingsError(SfumatoError):
    """A server that would be open to strangers, or could not be reached by anybody."""


@dataclass(frozen=True)
class Limits:
    """How much one server takes on; what is beyond is refused before it costs anything.

    ``queue``          jobs that wait; the next one is refused with 429 and Retry-After
    ``pixels``         of one picture, width x height
    ``steps``          of one picture
    ``count``          pictures of one job
    ``letters``        of a prompt, and of a negative prompt
    ``upload_bytes``   of one picture that is sent
    ``upload_pixels``  of one picture that is sent, told before it is decoded
    ``body_bytes``     of one request's whole body
    ``body_seconds``   until the whole of a body must have arrived
    ``header_bytes``   of one request's line and headers
    ``header_seconds`` until they must have arrived
    ``write_seconds``  that a client may leave an answer unread
    ``connections``    open at once, from all clients
    """

    queue: int = 100
    pixels: int = 2048 * 2048
    steps: int = 150
    count: int = 16
    letters: int = 10_000
    upload_bytes: int = 32 * 2**20
    upload_pixels: int = 64_000_000
    body_bytes: int = 64 * 2**20
    body_seconds: float = 30.0
    header_bytes: int = 32 * 2**10
    header_seconds: float = 10.0
    write_seconds: float = 60.0
    connections: int = 512


@dataclass(frozen=True)
class Settings:
    """One server.

    ``home``      the folder of its pictures, inputs and database
    ``database``  a URL as SQLAlchemy reads it; None is SQLite in ``home``
    ``model``     what a request gets that names none: a name on the shelves, or a path
    ``shelves``   the models that requests may name
    ``token``     what a client must show as ``Authorization: Bearer``; or ``user``, ``password``
    ``hosts``     names, beside loopback's own, that may stand in a request's Host header
    ``origins``   other sites whose pages may call this server (CORS); none unless named

    Raises SettingsError for what would leave the server open, or could never work.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 7860
    database: str | None = None
    model: str = "mini"
    shelves: Shelves = field(default_factory=Shelves, repr=False)
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}, but must be between 0 and 65535.")
        self._check_secrets()
        for name in self.hosts:
            if not _NAME.fullmatch(name) and not is_address(name):
                raise SettingsError(
                    f"{name!r:.80} is no host name; give it without http:// and port, in lower "
                    "case, such as pictures.example.org."
                )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"{origin!r:.80} is no origin; give scheme, name and port as a browser sends "
                    "them, such as http://localhost:3000. There is no way to allow all."
                )
        if not self.closed and not self.guarded:
            raise SettingsError(
                f"{self.host} can be reached by others, so the server needs a token, or a user "
                "and a password.\nWithout them it listens on 127.0.0.1 only."
            )

    @property
    def closed(self) -> bool:
        """Whether only this machine can reach it. A name that is not localhost counts as open."""
        return is_loopback(self.host)

    @property
    def guarded(self) -> bool:
        """Whether clients must show who they are."""
        return self.token is not None or self.password is not None

    def _check_secrets(self) -> None:
        if (self.user is None) != (self.password is None):
            raise SettingsError("a user and a password belong together; give both or neither.")
        if self.user is not None and (not self.user.isprintable() or ":" in self.user):
            raise SettingsError("the user's name may hold no colon and no control character.")
        if self.user == "":
            raise SettingsError("the user's name is empty; give one.")
        if self.password is not None and len(self.password) < MIN_PASSWORD:
            raise SettingsError(
                f"the password has {len(self.password)} characters; "
                f"it must have at least {MIN_PASSWORD}."
            )
        if self.token is None:
            return
        if not re.fullmatch(r"[!-~]*", self.token):
            raise SettingsError("the token may hold only ASCII letters, digits and signs.")
        if len(self.token) < MIN_TOKEN:
            raise SettingsError(
                f"the token has {len(self.token)} characters; it must have at least {MIN_TOKEN}. "
                "This makes a good one: python -c 'import secrets; print(secrets.token_hex(16))'"
            )


def is_address(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine alone: localhost, 127.0.0.0/8 or ::1."""
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)
