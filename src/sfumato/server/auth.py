"""Who may come in: a token, or a user and a password, or the session that a login has opened.

Every comparison takes the same time whether it fails early or late, and guessing is slowed down.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from sfumato.server.settings import Settings

__all__ = ["Doorkeeper", "Patience", "Wait"]

SESSIONS = 256  # open at once; the one that was idle longest makes room
SESSION_SECONDS = 30 * 24 * 3600.0
FREE_TRIES = 5  # wrong passwords from one address before it must wait
LONGEST_WAIT = 60.0  # seconds
ADDRESSES = 4096  # remembered for their wrong passwords


@dataclass(frozen=True)
class Wait:
    """Too many wrong ones: nothing is looked at for so many seconds."""

    seconds: float


@final
class Patience:
    """Wrong guesses by address: from the sixth on, each doubles the wait, up to a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        _, until = self._wrong.get(address, (0, 0.0))
        return max(until - self._clock(), 0.0)

    def wrong(self, address: str) -> None:
        """One more wrong guess."""
        count = self._wrong.pop(address, (0, 0.0))[0] + 1
        beyond = count - FREE_TRIES
        wait = 0.0 if beyond < 0 else min(2.0 ** min(beyond, 16), LONGEST_WAIT)
        self._wrong[address] = (count, self._clock() + wait)
        while len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """What was wrong before is forgotten."""
        self._wrong.pop(address, None)


@final
class Doorkeeper:
    """Knows the secrets of one server and the sessions that were opened with them.

    It is only ever called from the thread of the event loop, so it needs no lock.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.needed = settings.guarded
        self.patience = Patience(clock)
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._token = None if settings.token is None else self._digest(settings.token)
        self._user = None if settings.user is None else self._digest(settings.user)
        self._password = None if settings.password is None else self._digest(settings.password)
        # By the digest of their names, so that looking one up tells nothing by the time it takes.
        self._sessions: OrderedDict[bytes, float] = OrderedDict()

    def admits(self, authorization: str, session: str, address: str) -> bool | Wait:
        """Whether a request with these headers may come in; always, where nobody need be asked.

        A right token and a session always do. A password waits when there were too many wrong ones
        from its address, or it could be guessed.
        """
        if not self.needed or (session and self._has_session(session)):
            return True
        scheme, _, rest = authorization.strip().partition(" ")
        rest = rest.strip()
        if scheme.lower() == "bearer" and rest:
            if self._is_token(rest):
                return True
            return self._wrong(address)
        if scheme.lower() == "basic" and rest:
            pair = _basic(rest)
            return self._wrong(address) if pair is None else self._is_known(*pair, address)
        return False

    def login(self, token: str, user: str, password: str, address: str) -> str | Wait | None:
        """The name of a new session; None for a wrong token or password."""
        known = self._is_token(token) or self._is_known(user, password, address)
        if isinstance(known, Wait):
            return known
        if not known:
            return None
        self.patience.right(address)
        name = secrets.token_urlsafe(32)
        self._sessions[self._digest(name)] = self._clock() + SESSION_SECONDS
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return name

    def logout(self, session: str) -> None:
        """End a session, if there is one of this name."""
        self._sessions.pop(self._digest(session), None)

    def _has_session(self, name: str) -> bool:
        key = self._digest(name)
        until = self._sessions.get(key, 0.0)
        if until <= self._clock():
            self._sessions.pop(key, None)
            return False
        self._sessions.move_to_end(key)
        return True

    def _is_token(self, token: str) -> bool:
        return self._token is not None and hmac.compare_digest(self._digest(token), self._token)

    def _is_known(self, user: str, password: str, address: str) -> bool | Wait:
        if self._is_token(password):  # for clients that know Basic only: any user, and the token
            return True
        wait = self.patience.wait(address)
        if wait > 0:
            return Wait(wait)
        if self._user is None or self._password is None:
            return self._wrong(address)
        same_user = hmac.compare_digest(self._digest(user), self._user)
        same_password = hmac.compare_digest(self._digest(password), self._password)
        return True if same_user & same_password else self._wrong(address)

    def _wrong(self, address: str) -> bool | Wait:
        """Count it. While the address waits, that is what it is told."""
        wait = self.patience.wait(address)
        if wait > 0:
            return Wait(wait)
        self.patience.wrong(address)
        return False

    def _digest(self, text: str) -> bytes:
        """Of one length for all, under a key that was drawn: what is compared tells nothing."""
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _basic(encoded: str) -> tuple[str, str] | None:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):  # no base64, or no UTF-8
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None
