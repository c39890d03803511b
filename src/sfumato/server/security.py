"""The guard before every route: who asks, from where, and how much of it and how slowly.

A server on loopback is still reached by every page that the user's browser has open. What keeps
them out are the Host header (a name that an attacker made to point here: "DNS rebinding"), the
Origin header and Sec-Fetch-Site (a page of another site).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfumato.server.auth import Doorkeeper, Wait
from sfumato.server.settings import Limits, Settings, is_address, is_loopback

__all__ = ["HEADERS", "Guard", "Refuse", "address_of", "cookie_name"]

# status, message, headers -> an answer in the words of the dialect that the path belongs to.
Refuse = Callable[[str, int, str, Mapping[str, str] | None], Response]

HEADERS: Mapping[str, str] = {
    "content-security-policy": "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' blob: data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with that, browsers send the login form with "Origin: null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "x-robots-tag": "noindex",
}
# What a browser without a session may have: the login page and what it is made of.
# No name in it begins with a dot: "/js/../index.html" is the page itself.
_OPEN = re.compile(
    r"/(?:login|logout|favicon\.(?:svg|ico)|icons\.svg|robots\.txt|(?:css|js)(?:/[^./][^/]*)+)"
)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_PREFLIGHT: Mapping[str, str] = {
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, last-event-id",
    "access-control-max-age": "600",
}


@final
class Guard:
    """ASGI middleware around one app."""

    def __init__(
        self, app: ASGIApp, settings: Settings, doorkeeper: Doorkeeper, refuse: Refuse
    ) -> None:
        self._app, self._settings, self._doorkeeper = app, settings, doorkeeper
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is refused; hand on the rest, with bounds on its body."""
        if scope["type"] == "websocket":  # there is none here
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        send = _dressed(send, origin if origin in self._settings.origins else "")
        answer = self._judge(scope, headers)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive, self._settings.limits), send)

    def _judge(self, scope: Scope, headers: Headers) -> Response | None:
        """What to answer instead of the app; None if it may have the request."""
        path, method = str(scope["path"]), str(scope["method"])

        def no(status: int, message: str, more: Mapping[str, str] | None = None) -> Response:
            return self._refuse(path, status, message, more)

        if any(ord(letter) < 32 or letter == "\x7f" for letter in path):
            return no(400, "the path holds a control character.")
        if not self._is_host(headers.getlist("host")):
            return no(
                403,
                "this server does not go by that name; --allow-host NAME allows one.",
            )
        origin = headers.get("origin", "")
        named = origin in self._settings.origins
        if named and method == "OPTIONS" and "access-control-request-method" in headers:
            return Response(status_code=204, headers=_preflight(headers))
        if not named and not _is_own(headers, method, path):
            return no(
                403,
                "pages of other sites may not use this server; --cors SITE allows one.",
            )
        return self._unknown(scope, headers, no) or self._too_much(headers, no)

    def _unknown(
        self, scope: Scope, headers: Headers, no: Callable[..., Response]
    ) -> Response | None:
        path = str(scope["path"])
        if _OPEN.fullmatch(path):
            return None
        admitted = self._doorkeeper.admits(
            headers.get("authorization", ""),
            session_of(headers, self._settings),
            address_of(scope),
        )
        if isinstance(admitted, Wait):
            seconds = str(int(admitted.seconds) + 1)
            return no(
                429, f"too many wrong passwords; wait {seconds} seconds.", {"retry-after": seconds}
            )
        if admitted:
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return no(
            401,
            "this server wants a token (Authorization: Bearer ...), or a user and a password.",
            {"www-authenticate": 'Bearer realm="sfumato"'},
        )

    def _too_much(self, headers: Headers, no: Callable[..., Response]) -> Response | None:
        if headers.get("content-encoding", "identity").lower() != "identity":
            return no(415, "a compressed body is not read; send it as it is.")
        length, limit = headers.get("content-length", "0"), self._settings.limits.body_bytes
        if length.isdecimal() and int(length[:20]) > limit:
            return no(413, too_big(limit))
        return None

    def _is_host(self, given: list[str]) -> bool:
        """Whether the one Host header names this server.

        An address cannot be made to point here by anybody's name server, so a server that is not
        on loopback goes by any address.
        """
        matched = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if matched is None:
            return False
        host = matched[1].strip("[]").lower()
        settings = self._settings
        if is_loopback(host) or host in settings.hosts:
            return True
        if is_address(host):
            return not settings.closed and not ip_address(host).is_unspecified
        return host == settings.host.lower()


def address_of(scope: Scope) -> str:
    """The address at the other end of the connection."""
    client = scope.get("client")
    return "" if client is None else str(client[0])


def cookie_name(settings: Settings) -> str:
    """Browsers keep one set of cookies for all ports of a host, so the port is in the name."""
    return f"sfumato-{settings.port}"


def session_of(headers: Headers, settings: Settings) -> str:
    """The name of the session in a request's cookies, or nothing."""
    start = f"{cookie_name(settings)}="
    for part in headers.get("cookie", "").split(";"):
        if part.strip().startswith(start):
            return part.strip().removeprefix(start)
    return ""


def too_big(limit: int) -> str:
    """What a body with more than `limit` bytes is told."""
    return f"the body has more than {limit:,} bytes, the most that this server reads."


def _is_own(headers: Headers, method: str, path: str) -> bool:
    """Whether a request comes from our own page, or from a program that is no browser."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        # A browser leaves out the scheme's own port in both, so they can be compared as they are.
        return origin.lower() in (
            f"{scheme}://{headers['host'].lower()}" for scheme in ("http", "https")
        )
    if site in (None, "same-origin", "none"):
        return True
    # A link on another page may lead to ours, and no further.
    return path == "/" and method == "GET" and headers.get("sec-fetch-mode") == "navigate"


def _preflight(headers: Headers) -> dict[str, str]:
    more = dict(_PREFLIGHT)
    if headers.get("access-control-request-private-network") == "true":
        more["access-control-allow-private-network"] = "true"
    return more


def _dressed(send: Send, origin: str) -> Send:
    """`send` that adds the headers which every answer has; `origin` is a site that was named."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            headers.add_vary_header("Origin")
            if origin:
                headers["access-control-allow-origin"] = origin
                headers["access-control-expose-headers"] = "retry-after"
                headers["cross-origin-resource-policy"] = "cross-origin"
        await send(message)

    return dressed


def _bounded(receive: Receive, limits: Limits) -> Receive:
    """`receive` that gives up on a body with too many bytes, or that takes too long to come."""
    begun, length, whole = time.monotonic(), 0, False

    async def bounded() -> Message:
        nonlocal length, whole
        if whole:  # from here on the app only waits for the client to hang up
            return await receive()
        left = max(begun + limits.body_seconds - time.monotonic(), 0.001)
        try:
            message = await asyncio.wait_for(receive(), left)
        except TimeoutError as error:
            raise HTTPException(
                408,
                f"the body did not come within {limits.body_seconds:g} seconds.",
                {"connection": "close"},
            ) from error
        if message["type"] == "http.request":
            length += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if length > limits.body_bytes:
                raise HTTPException(413, too_big(limits.body_bytes))
        return message

    return bounded
