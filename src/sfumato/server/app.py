"""The whole server as one ASGI app: three dialects, a page, and a guard before them all."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from sfumato.server import a1111, native, openai
from sfumato.server.auth import Doorkeeper, Wait
from sfumato.server.page import PAGE, TYPES, Page
from sfumato.server.painter import Painter
from sfumato.server.security import HEADERS, Guard, address_of, cookie_name, session_of
from sfumato.server.services import Services, build, running
from sfumato.server.settings import Settings

__all__ = ["compose", "create_app"]

LOGIN_BYTES = 8192  # of the login form
_LOG = logging.getLogger("sfumato.server")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(settings: Settings, make_painter: Callable[[], Painter]) -> FastAPI:
    """The app of one server; it holds its home and paints as long as its lifespan lasts.

    `make_painter` is called once, in the thread that will paint. What is wrong with the home or
    the database is raised as SfumatoError when the lifespan begins.
    """
    services = build(settings, make_painter)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        with running(services):
            yield

    return compose(services, lifespan)


def compose(services: Services, lifespan: Lifespan | None = None) -> FastAPI:
    """The app of services that somebody else runs."""
    settings = services.settings
    doorkeeper = Doorkeeper(settings)
    app = FastAPI(
        title="sfumato",
        version=version("sfumato"),
        summary="Stable Diffusion: a prompt, a seed and a number of steps become a picture.",
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
        # What is asked of this server is sent to nobody, whatever the environment says.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=lifespan,
        middleware=[
            Middleware(Guard, settings=settings, doorkeeper=doorkeeper, refuse=refuse),
        ],
    )
    app.state.services = services
    for dialect in (native, a1111, openai):
        app.include_router(dialect.router(services))
    _add_login(app, settings, doorkeeper)
    app.router.default = Page(directory=PAGE, html=True)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _broken)
    return app


def refuse(path: str, status: int, message: str, headers: Mapping[str, str] | None) -> Response:
    """An error in the words of the dialect that `path` belongs to."""
    if path.startswith("/api/"):
        return native.error(status, message, headers=headers)
    if path.startswith("/sdapi/"):
        return a1111.error(status, message, headers=headers)
    if path.startswith("/v1/"):
        return openai.error(status, message, headers=headers)
    return PlainTextResponse(f"{message}\n", status, headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refuse(request.scope["path"], error.status_code, _sentence(error), error.headers)


def _sentence(error: HTTPException) -> str:
    plain: Mapping[int, str] = {
        404: "there is nothing of this name here.",
        405: "this cannot be done with it; see the Allow header.",
    }
    # Starlette's own words are the bare name of the status.
    named = error.detail in ("Not Found", "Method Not Allowed")
    return plain[error.status_code] if named else error.detail


def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has it all, and the client learns nothing but that."""
    _LOG.error("a fault in %s %s", request.method, request.scope["path"], exc_info=error)
    answer = refuse(
        request.scope["path"], 500, "a fault in sfumato itself; its log says more.", None
    )
    # This answer is made outside of the guard.
    answer.headers.update({**HEADERS, "cache-control": "no-store"})
    return answer


def _add_login(app: FastAPI, settings: Settings, doorkeeper: Doorkeeper) -> None:
    """The page's way in: a form that opens a session. Programs show their secret each time."""

    def form() -> Response:
        if not doorkeeper.needed:
            return RedirectResponse("/", 303)
        html = (PAGE / "login.html").read_bytes()
        return Response(html, media_type=TYPES[".html"], headers={"cache-control": "no-store"})

    async def login(request: Request) -> Response:
        fields = await _fields(request)
        session = doorkeeper.login(
            fields.get("token", ""),
            fields.get("user", ""),
            fields.get("password", ""),
            address_of(request.scope),
        )
        if isinstance(session, Wait):
            return RedirectResponse(f"/login?wait={int(session.seconds) + 1}", 303)
        if session is None:
            return RedirectResponse("/login?wrong=1", 303)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            cookie_name(settings),
            session,
            httponly=True,
            samesite="strict",
            # A proxy speaks TLS for us; only the browser knows, and says so.
            secure=request.headers.get("origin", "").startswith("https://"),
        )
        return answer

    async def logout(request: Request) -> Response:
        doorkeeper.logout(session_of(request.headers, settings))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(cookie_name(settings), httponly=True, samesite="strict")
        return answer

    app.add_api_route("/login", form, methods=["GET"], include_in_schema=False)
    app.add_api_route("/login", login, methods=["POST"], include_in_schema=False)
    app.add_api_route("/logout", logout, methods=["POST"], include_in_schema=False)


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a small form; the last of two with one name."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LOGIN_BYTES:
            raise HTTPException(413, "this form is too long.")
    try:
        found = parse_qs(body.decode(), strict_parsing=False, max_num_fields=10)
    except ValueError as error:
        raise HTTPException(400, "this is no form.") from error
    return {name: values[-1] for name, values in found.items()}
