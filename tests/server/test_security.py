"""The guard: each thing that it refuses would pass without it, and what is ours passes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from sfumato.server.auth import FREE_TRIES, Doorkeeper
from sfumato.server.security import HEADERS, Guard, cookie_name, session_of
from sfumato.server.settings import Limits, Settings

TOKEN = "0123456789abcdef"
OWN = "http://127.0.0.1:7860"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def refuse(path: str, status: int, message: str, headers: Mapping[str, str] | None) -> Response:
    return PlainTextResponse(f"refused: {message}", status, headers)


async def echo(request: Request) -> Response:
    """How many bytes came; so a test sees that the request got through."""
    return PlainTextResponse(f"{len(await request.body())} bytes")


def guarded(settings: Settings) -> TestClient:
    """A client of an app that has nothing but the guard."""
    middleware = Middleware(
        Guard, settings=settings, doorkeeper=Doorkeeper(settings), refuse=refuse
    )
    routes = [Route("/{path:path}", echo, methods=METHODS)]
    app = Starlette(routes=routes, middleware=[middleware])
    return TestClient(app, base_url=OWN, client=("127.0.0.1", 50000), follow_redirects=False)


@pytest.fixture
def open_(tmp_path: Path) -> TestClient:
    """A server on loopback without secrets."""
    return guarded(Settings(home=tmp_path))


@pytest.fixture
def closed(tmp_path: Path) -> TestClient:
    """A server for everybody who has the token."""
    return guarded(Settings(home=tmp_path, host="0.0.0.0", token=TOKEN, hosts=("box",)))


# The Host header


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:7860",
        "127.0.0.1:1",
        "127.1.2.3:7860",
        "localhost",
        "LocalHost:7860",
        "[::1]",
        "[::1]:7860",
        "[0:0:0:0:0:0:0:1]:7860",
    ],
)
def test_loopback_goes_by_its_own_names(open_: TestClient, host: str) -> None:
    assert open_.get("/api/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:7860",
        "localhost.example.org",
        "127.0.0.1.example.org",
        "example.org#127.0.0.1",
        "127.0.0.1@example.org",
        "127.0.0.1:7860:7860",
        "127.0.0.1:x",
        "192.168.1.5",
        "0.0.0.0",
        "[::]",
        "::1",
        "[fe80::1]",
        "[::1",
        "2130706433",
        "",
        " ",
        "127.0.0.1, example.org",
    ],
)
def test_a_name_that_points_here_by_somebody_elses_will_is_refused(
    open_: TestClient, host: str
) -> None:
    for path in ("/", "/api/jobs", "/login", "/css/page.css"):
        answer = open_.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert "--allow-host" in answer.text


def test_a_request_has_exactly_one_host(open_: TestClient) -> None:
    twice = [("host", "127.0.0.1"), ("host", "127.0.0.1")]
    assert open_.get("/", headers=twice).status_code == 403


def test_a_server_for_others_goes_by_named_hosts_and_by_any_address(closed: TestClient) -> None:
    show = {"authorization": f"Bearer {TOKEN}"}
    for host in ("box", "BOX:7860", "192.168.1.5:7860", "[fe80::1]:7860", "localhost"):
        assert closed.get("/api/jobs", headers={**show, "host": host}).status_code == 200
    for host in ("example.org", "box.example.org", "0.0.0.0"):
        assert closed.get("/api/jobs", headers={**show, "host": host}).status_code == 403


# Pages of other sites


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.org"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://127.0.0.1:78600"},
        {"origin": "http://localhost:7860"},
        {"origin": "ftp://127.0.0.1:7860"},
        {"origin": "http://127.0.0.1:7860.example.org"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "what-comes-next"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"origin": "https://example.org", "sec-fetch-site": "same-origin"},
    ],
    ids=str,
)
def test_a_page_of_another_site_gets_nothing(
    open_: TestClient, method: str, headers: dict[str, str]
) -> None:
    answer = open_.request(method, "/api/jobs", headers=headers)
    assert answer.status_code == 403
    assert "bytes" not in answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": OWN},
        {"origin": OWN, "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_our_own_page_and_programs_pass(
    open_: TestClient, method: str, headers: dict[str, str]
) -> None:
    assert open_.request(method, "/api/jobs", headers=headers).status_code == 200


def test_behind_a_proxy_that_speaks_tls_our_page_is_still_ours(tmp_path: Path) -> None:
    client = guarded(Settings(home=tmp_path, hosts=("pictures.example.org",)))
    headers = {"host": "pictures.example.org", "origin": "https://pictures.example.org"}
    assert client.post("/api/jobs", headers=headers).status_code == 200


def test_a_link_on_another_page_leads_to_our_page_and_no_further(open_: TestClient) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert open_.get("/", headers=link).status_code == 200
    assert open_.post("/", headers=link).status_code == 403
    assert open_.get("/api/trash", headers=link).status_code == 403
    assert open_.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403


# Other sites that were named


@pytest.fixture
def friendly(tmp_path: Path) -> TestClient:
    return guarded(
        Settings(home=tmp_path, token=TOKEN, origins=("http://localhost:3000",)),
    )


def test_a_named_site_may_ask_and_read(friendly: TestClient) -> None:
    asked = {
        "origin": "http://localhost:3000",
        "sec-fetch-site": "cross-site",
        "access-control-request-method": "POST",
        "access-control-request-private-network": "true",
    }
    before = friendly.options("/api/jobs", headers=asked)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert before.headers["access-control-allow-private-network"] == "true"
    assert "authorization" in before.headers["access-control-allow-headers"]
    show = {"origin": "http://localhost:3000", "authorization": f"Bearer {TOKEN}"}
    answer = friendly.post("/api/jobs", headers=show)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "Origin" in answer.headers["vary"]


def test_a_named_site_needs_the_token_like_everybody(friendly: TestClient) -> None:
    answer = friendly.post("/api/jobs", headers={"origin": "http://localhost:3000"})
    assert answer.status_code == 401
    assert "access-control-allow-credentials" not in answer.headers


def test_another_site_is_not_told_that_one_is_named(friendly: TestClient) -> None:
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    answer = friendly.options("/api/jobs", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


# Who it is


@pytest.mark.parametrize("words", ["", " ", "Bearer", "Bearer x", "Basic", "Basic x", "nonsense"])
def test_what_a_client_shows_does_not_matter_where_nobody_is_asked(
    open_: TestClient, words: str
) -> None:
    assert open_.get("/api/jobs", headers={"authorization": words}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/jobs", "/sdapi/v1/options", "/openapi.json", "/x"])
def test_without_the_token_nothing_is_told(closed: TestClient, path: str) -> None:
    answer = closed.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "bytes" not in answer.text
    shown = closed.get(path, headers={"authorization": f"Bearer {TOKEN}"})
    assert shown.status_code == 200


@pytest.mark.parametrize("path", ["/login", "/css/login.css", "/js/login.js", "/favicon.svg"])
def test_the_login_and_what_it_is_made_of_are_open(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/login/../api/jobs",
        "//login",
        "/api/login",
        "/css",
        "/loginx",
        "/js/%2e%2e/index.html",
        "/css/%2e%2e",
    ],
)
def test_what_only_looks_like_the_login_is_not_open(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 401


def test_a_browser_is_led_to_the_login(closed: TestClient) -> None:
    answer = closed.get("/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    posted = closed.post("/api/jobs", headers={"accept": "text/html"})
    assert posted.status_code == 401


def test_who_guesses_is_told_to_wait(closed: TestClient) -> None:
    for _ in range(FREE_TRIES):
        guess = closed.get("/api/jobs", headers={"authorization": "Bearer guess"})
        assert guess.status_code == 401
    waits = closed.get("/api/jobs", headers={"authorization": "Bearer guess"})
    assert waits.status_code == 429
    assert int(waits.headers["retry-after"]) >= 1


def test_a_session_is_found_among_other_cookies(settings: Settings) -> None:
    request = Request(
        {"type": "http", "headers": [(b"cookie", b"a=1; sfumato-0=name=x; sfumato-7860=b")]}
    )
    assert session_of(request.headers, settings) == "name=x"
    assert cookie_name(settings) == "sfumato-0"


# What every answer says


@pytest.mark.parametrize("path", ["/", "/api/jobs"])
@pytest.mark.parametrize("host", ["127.0.0.1", "example.org"])
def test_every_answer_is_dressed_also_a_refusal(open_: TestClient, path: str, host: str) -> None:
    answer = open_.get(path, headers={"host": host})
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"
    assert "Origin" in answer.headers["vary"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_policy_lets_no_page_be_framed_and_no_script_be_slipped_in() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["img-src"] == "'self' blob: data:"
    assert "unsafe" not in str(policy)
    assert not {"script-src", "style-src", "connect-src"} & policy.keys()  # as default-src


# How much, and how slowly


def small(tmp_path: Path, **limits: Any) -> Settings:
    return Settings(home=tmp_path, limits=replace(Limits(), **limits))


def test_a_body_that_is_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    client = guarded(small(tmp_path, body_bytes=100))
    assert client.post("/x", content=b"x" * 100).text == "100 bytes"
    assert client.post("/x", content=b"x" * 101).status_code == 413
    huge = client.post("/x", content=b"", headers={"content-length": "9" * 400})
    assert huge.status_code == 413


def test_a_body_that_does_not_say_its_length_is_counted(tmp_path: Path) -> None:
    client = guarded(small(tmp_path, body_bytes=100))
    assert client.post("/x", content=iter([b"x" * 50] * 2)).text == "100 bytes"
    assert client.post("/x", content=iter([b"x" * 50] * 3)).status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_compressed_body_is_not_unpacked(open_: TestClient, encoding: str) -> None:
    answer = open_.post("/x", content=b"x", headers={"content-encoding": encoding})
    assert answer.status_code == 415


def test_a_control_character_in_a_path_gets_no_further(open_: TestClient) -> None:
    for path in ("/api/jobs/%00", "/css/%0a", "/%7f"):
        assert open_.get(path).status_code == 400


def called(guard: Guard, messages: AsyncIterator[Message]) -> list[Message]:
    """What the guard sends for a POST whose body comes as `messages`."""
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        await guard(scope, messages.__anext__, send)

    asyncio.run(run())
    return sent


def test_a_body_that_drips_is_given_up_and_its_connection_closed(tmp_path: Path) -> None:
    settings = small(tmp_path, body_seconds=0.05)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except HTTPException as error:
            answer = PlainTextResponse(error.detail, error.status_code, error.headers)
            await answer(scope, receive, send)

    async def dripping() -> AsyncIterator[Message]:
        while True:
            await asyncio.sleep(0.01)
            yield {"type": "http.request", "body": b"x", "more_body": True}

    start, _ = called(Guard(app, settings, Doorkeeper(settings), refuse), dripping())
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]


def test_once_a_body_is_whole_the_client_may_wait_for_its_picture(tmp_path: Path) -> None:
    settings = small(tmp_path, body_seconds=0.01)
    after: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            after.append((await receive())["type"])
        await PlainTextResponse("painted")(scope, receive, send)

    async def patient() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": b"x", "more_body": False}
        await asyncio.sleep(0.05)
        yield {"type": "http.disconnect"}

    sent = called(Guard(app, settings, Doorkeeper(settings), refuse), patient())
    assert sent[0]["status"] == 200
    assert after == ["http.request", "http.disconnect"]


def test_there_is_no_websocket(open_: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect) as refused, open_.websocket_connect("/api/events"):
        pass
    assert refused.value.code == 1008
