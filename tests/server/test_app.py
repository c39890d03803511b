"""The app as a whole: its page, its errors in each dialect's words, its login, and its lifespan."""

import json
import logging
import re
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from sfumato.server import a1111, native, openai
from sfumato.server.app import compose, create_app
from sfumato.server.auth import FREE_TRIES
from sfumato.server.errors import HomeError
from sfumato.server.page import PAGE, TYPES, _state  # pyright: ignore[reportPrivateUsage]
from sfumato.server.security import HEADERS
from sfumato.server.services import Services, build
from sfumato.server.settings import Settings
from tests.server.fake import PATIENCE, FakePainter

TOKEN = "token-0123456789abcdef"
PASSWORD = "a password nobody guesses"
OPEN = {"/login", "/logout"}


def routes(services: Services) -> list[APIRoute]:
    """Every route of the three dialects."""
    found = [route for dialect in (native, a1111, openai) for route in _flat(dialect, services)]
    assert len(found) > 50
    return found


def _flat(dialect: Any, services: Services) -> Iterator[APIRoute]:
    waiting = [dialect.router(services)]
    while waiting:
        for route in waiting.pop().routes:
            if isinstance(route, APIRoute):
                yield route
            else:
                waiting.append(route.original_router)


@pytest.fixture
def closed(services: Services) -> Services:
    """The same services for those only who show the token, or user and password."""
    settings = replace(services.settings, token=TOKEN, user="ada", password=PASSWORD)
    return replace(services, settings=settings)


@pytest.fixture
def stranger(closed: Services) -> TestClient:
    return TestClient(
        compose(closed),
        base_url="http://127.0.0.1:7860",
        client=("127.0.0.1", 50000),
        follow_redirects=False,
    )


# The page


def test_the_page_is_at_the_root(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.lower().startswith("<!doctype html>")


def test_every_file_of_the_page_is_served_as_what_it_is(client: TestClient) -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        answer = client.get(f"/{path.relative_to(PAGE).as_posix()}")
        assert answer.status_code == 200
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"] == TYPES[path.suffix]
        assert answer.headers["cache-control"] == "no-cache"
        for name, value in HEADERS.items():
            assert answer.headers[name] == value


def test_a_file_that_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/")
    again = client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head("/").headers["content-length"] == str(len(first.content))


def test_the_front_page_names_its_modules_so_that_they_are_kept(client: TestClient) -> None:
    named = re.findall(r'="((?:js|css)/[^"]+)"', client.get("/").text)
    plain = re.findall(r'="((?:js|css)/[^"]+)"', (PAGE / "index.html").read_text("utf-8"))
    assert len(named) == len(plain) > 40
    for place, file in zip(named, plain, strict=True):
        folder, state, name = place.split("/")
        assert f"{folder}/{name}" == file
        answer = client.get(f"/{place}")
        assert answer.content == (PAGE / file).read_bytes()
        assert answer.headers["content-type"] == TYPES[Path(file).suffix]
        assert "immutable" in answer.headers["cache-control"]
        assert state.startswith("at-")
    old = client.get("/js/at-0123456789abcdef/main.js")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    for nothing in ("js/at-0123456789abcdef/none.js", "js/at-0123456789abcdef/../../app.py"):
        assert client.get(f"/{nothing}").status_code == 404


def test_a_module_that_changes_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_text("1")
    before = _state(tmp_path)
    assert _state(tmp_path) == before
    (tmp_path / "js" / "main.js").write_text("22")
    assert _state(tmp_path) != before


def test_the_page_asks_nothing_of_another_host() -> None:
    """What is named there is no address to load from: a namespace, or a link to be clicked."""
    for path in PAGE.rglob("*"):
        words = ['src="http', "src='http", "url(http", 'from "http', 'import("http', '="//']
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text("utf-8")
            for word in words + (["@import"] if path.suffix == ".css" else []):
                assert word not in text, (path, word)


# Errors


MISSING = (
    ("GET", "/nothing", 404),
    ("GET", "/css", 404),
    ("GET", "/css/nothing.css", 404),
    ("POST", "/nothing", 404),
    ("DELETE", "/login", 405),
    ("GET", "/docs", 404),
    ("GET", "/redoc", 404),
    ("GET", "/api/nothing", 404),
    ("POST", "/api/nothing", 404),
    ("PUT", "/api/jobs", 405),
    ("GET", "/sdapi/v1/nothing", 404),
    ("DELETE", "/sdapi/v1/txt2img", 405),
    ("GET", "/v1/nothing", 404),
    ("DELETE", "/v1/images/generations", 405),
)


def test_what_is_not_there_is_told_in_the_dialect_s_words(client: TestClient) -> None:
    for method, path, status in MISSING:
        answer = client.request(method, path)
        assert answer.status_code == status, path
        assert "Not Found" not in answer.text
        if path.startswith("/api/"):
            assert answer.json()["error"]["message"]
        elif path.startswith("/sdapi/"):
            assert {"error", "detail", "body", "errors"} == answer.json().keys()
        elif path.startswith("/v1/"):
            assert {"message", "type", "param", "code"} == answer.json()["error"].keys()
        else:
            assert answer.headers["content-type"].startswith("text/plain")
        assert status != 405 or answer.headers["allow"]


def test_a_fault_of_ours_tells_the_log_and_not_the_client(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("it says too much")

    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    for path in ("/broken", "/api/broken", "/sdapi/v1/broken", "/v1/broken"):
        app.add_api_route(path, broken)
        caplog.clear()
        with caplog.at_level(logging.ERROR, "sfumato.server"):
            answer = client.get(f"{path}?word=private")
        assert answer.status_code == 500
        assert "too much" not in answer.text
        assert "Traceback" not in answer.text
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "it says too much" in caplog.text
        assert "private" not in caplog.text


# Nothing a client sends becomes a path

HOSTILE = (
    "%2e%2e",
    "%2e%2e/%2e%2e/secret.txt",
    "..%2f..%2fsecret.txt",
    "%2e%2e%2f%2e%2e%2fsecret.txt",
    "..%5c..%5csecret.txt",
    "....//....//secret.txt",
    "%252e%252e%252fsecret.txt",
    "%2fetc%2fpasswd",
    "C:%5csecret.txt",
    "secret.txt%00.png",
    "%c0%ae%c0%ae%2fsecret.txt",
    "x" * 5000,
    "%F0%9F%A6%8A",
)


@pytest.fixture
def secret(services: Services) -> Path:
    """A file beside the home and one in it that no route has any business with."""
    for folder in (services.home.folder.parent, services.home.folder):
        (folder / "secret.txt").write_text("TOP SECRET")
    return services.home.folder.parent / "secret.txt"


def tree(folder: Path) -> set[str]:
    """The files below a folder, without those that a database makes beside itself."""
    return {str(path) for path in folder.rglob("*") if "sfumato.db" not in path.name}


def test_no_path_parameter_leads_out_of_the_home(
    client: TestClient, services: Services, secret: Path
) -> None:
    before = tree(secret.parent)
    with_words = [route for route in routes(services) if "{" in route.path]
    assert len(with_words) > 8
    for route, hostile in product(with_words, HOSTILE):
        path = route.path_format
        for name in route.param_convertors:
            path = path.replace("{" + name + "}", hostile)
        for method in route.methods or ():
            answer = client.request(method, path)
            assert 400 <= answer.status_code < 500, (method, path)
            assert b"TOP SECRET" not in answer.content
    assert tree(secret.parent) == before


def test_no_name_of_a_static_file_leads_out_of_the_page(client: TestClient, secret: Path) -> None:
    absolute = [each.replace("secret.txt", str(secret).lstrip("/")) for each in HOSTILE]
    for start, name in product(("/", "/css/", "/js/", "//"), (*HOSTILE, *absolute)):
        answer = client.get(f"http://127.0.0.1:7860{start}{name}")
        assert answer.status_code in (200, 307, 400, 404)
        assert b"TOP SECRET" not in answer.content
        assert b"root:" not in answer.content


def test_no_model_s_name_opens_a_file(client: TestClient, secret: Path) -> None:
    for model in ("../secret.txt", "/etc/passwd", "file:///etc/passwd", str(secret)):
        asked = {"prompt": "a fox", "model": model}
        override = {"prompt": "a fox", "override_settings": {"sd_model_checkpoint": model}}
        for path, body in (
            ("/api/jobs", {"request": asked}),
            ("/v1/images/generations", asked),
            ("/sdapi/v1/txt2img", override),
        ):
            answer = client.post(path, json=body)
            assert 400 <= answer.status_code < 500, path
            assert "TOP SECRET" not in answer.text
            assert "There is no model" in answer.text


# What is sent is bounded


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has very many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG whose text of some kilobytes unpacks to a hundred megabytes."""
    packed = zlib.compress(bytes(100 * 2**20), 9)
    whole = b"zTXtparameters\0\0" + packed
    chunk = struct.pack(">I", len(whole) - 4) + whole + struct.pack(">I", zlib.crc32(whole))
    plain = bomb(8, 8)
    return plain[:33] + chunk + plain[33:]


def test_a_bomb_is_refused_by_every_route_that_takes_pictures(client: TestClient) -> None:
    bombs = (bomb(60_000, 60_000), bomb(2**31 - 1, 2**31 - 1), bomb(9_000, 9_000), text_bomb())
    for data in bombs:
        assert len(data) < 200_000
        _refused_everywhere(client, data)


def _refused_everywhere(client: TestClient, data: bytes) -> None:
    encoded = b64encode(data).decode()
    picture = {"content-type": "image/png"}
    answers = [
        client.post("/api/inputs?as=picture", content=data, headers=picture),
        client.post("/api/read", content=data, headers=picture),
        client.post("/api/pictures", content=data, headers=picture),
        client.post("/sdapi/v1/png-info", json={"image": encoded}),
        client.post("/sdapi/v1/img2img", json={"init_images": [encoded]}),
        client.post("/v1/images/edits", files={"image": ("a.png", data)}, data={"prompt": "a fox"}),
    ]
    assert [answer for answer in answers if not 400 <= answer.status_code < 500] == []


def test_a_body_that_is_too_big_is_told_in_the_dialect_s_words(
    services: Services, fake_painter: FakePainter
) -> None:
    limits = replace(services.settings.limits, body_bytes=1000)
    settings = replace(services.settings, limits=limits)
    client = TestClient(compose(replace(services, settings=settings)), "http://127.0.0.1")
    for path in ("/api/jobs", "/sdapi/v1/txt2img", "/v1/images/generations", "/login"):
        told = client.post(path, content=b" " * 1001)
        counted = client.post(path, content=iter([b" " * 600] * 2))
        assert (told.status_code, counted.status_code) == (413, 413), path
    assert client.post("/api/jobs", content=b" " * 1001).json()["error"]["message"]
    assert fake_painter.submitted == []


# Who it is


def test_no_route_of_any_dialect_is_open(stranger: TestClient, closed: Services) -> None:
    for route in routes(closed):
        for method in route.methods or ():
            answer = stranger.request(method, route.path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, (method, route.path)
    for path in ("/openapi.json", "/index.html", "/nothing"):
        assert stranger.get(path).status_code == 401


def test_an_empty_authorization_fails_nowhere_when_nobody_is_asked(
    client: TestClient, services: Services
) -> None:
    for path in ("/", "/api/about", "/sdapi/v1/options", "/v1/models"):
        assert client.get(path, headers={"authorization": ""}).status_code == 200


def test_each_dialect_takes_the_secret_in_its_own_way(stranger: TestClient) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert stranger.get("/v1/models", headers=bearer).status_code == 200
    assert stranger.get("/sdapi/v1/options", auth=("ada", PASSWORD)).status_code == 200
    assert stranger.get("/sdapi/v1/options", auth=("anybody", TOKEN)).status_code == 200
    assert stranger.get("/sdapi/v1/options", auth=("ada", TOKEN[:-1])).status_code == 401


def test_secrets_stand_in_no_answer_and_in_no_log(
    stranger: TestClient, closed: Services, caplog: pytest.LogCaptureFixture
) -> None:
    show = {"authorization": f"Bearer {TOKEN}"}
    seen: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for route in routes(closed):
            if "GET" in (route.methods or ()) and not route.path.endswith("/events"):
                answer = stranger.get(route.path, headers=show)
                seen.append(answer.text + str(answer.headers))
        for path in ("/", "/login", "/openapi.json"):
            seen.append(stranger.get(path, headers=show).text)
        for field in ("token", "password"):
            wrong = {"user": "ada", field: "a wrong secret of somebody"}
            answer = stranger.post("/login", data=wrong)
            seen.append(answer.text + str(answer.headers))
        stranger.get("/api/jobs", auth=("ada", "a wrong secret of somebody"))
    assert len(seen) > 20
    for word in (TOKEN, PASSWORD, "a wrong secret of somebody", "YTp3cm9uZw"):
        assert word not in "".join(seen)
        assert word not in caplog.text


def test_the_login_opens_a_session_and_the_logout_ends_it(stranger: TestClient) -> None:
    assert stranger.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
    form = stranger.get("/login")
    assert form.status_code == 200
    assert "<form" in form.text
    own = {"origin": "http://127.0.0.1:7860"}
    answer = stranger.post("/login", data={"user": "ada", "password": PASSWORD}, headers=own)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert stranger.get("/api/jobs").status_code == 200
    assert stranger.get("/", headers={"accept": "text/html"}).status_code == 200
    kept = dict(stranger.cookies)
    assert stranger.post("/logout", headers=own).headers["location"] == "/login"
    assert stranger.get("/api/jobs").status_code == 401
    stranger.cookies.update(kept)
    assert stranger.get("/api/jobs").status_code == 401


def test_a_login_over_tls_sets_a_cookie_for_tls_only(stranger: TestClient) -> None:
    answer = stranger.post(
        "/login", data={"token": TOKEN}, headers={"origin": "https://127.0.0.1:7860"}
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_wrong_login_opens_nothing(stranger: TestClient) -> None:
    halves: tuple[dict[str, str], ...] = ({}, {"token": ""}, {"token": "x"}, {"user": "ada"})
    for fields in (*halves[:FREE_TRIES], {"user": "", "password": PASSWORD}):
        answer = stranger.post("/login", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?wrong=1")
        assert "set-cookie" not in answer.headers


def test_guessing_at_the_login_is_slowed(stranger: TestClient) -> None:
    for _ in range(FREE_TRIES):
        stranger.post("/login", data={"user": "ada", "password": "guess"})
    answer = stranger.post("/login", data={"user": "ada", "password": PASSWORD})
    assert answer.headers["location"].startswith("/login?wait=")


def test_another_site_cannot_log_anybody_in(stranger: TestClient) -> None:
    answer = stranger.post(
        "/login", data={"token": TOKEN}, headers={"origin": "https://example.org"}
    )
    assert answer.status_code == 403


def test_a_login_form_that_is_none_is_refused(stranger: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    long = b"token=" + b"x" * 10_000
    for body, status in ((long, 413), (b"&".join([b"a=1"] * 50), 400), (b"\xff", 400)):
        answer = stranger.post("/login", content=body, headers=headers)
        assert answer.status_code == status
        assert "set-cookie" not in answer.headers


def test_where_nobody_is_asked_the_login_leads_to_the_page(client: TestClient) -> None:
    assert client.get("/login", follow_redirects=False).headers["location"] == "/"


# The whole


def test_the_schema_names_no_other_host(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert len(schema["paths"]) > 20
    assert "http://" not in json.dumps(schema).replace("http://localhost", "")


def test_a_home_is_one_server_s_and_free_again_after_it(settings: Settings) -> None:
    painter = FakePainter()

    def app() -> FastAPI:
        return create_app(settings, lambda: painter)

    with TestClient(app(), base_url="http://127.0.0.1") as first:
        job = first.post("/api/jobs", json={"request": {"prompt": "a fox"}}).json()["job"]
        with pytest.raises(HomeError, match="Another sfumato server"), TestClient(app()):
            pass
        end = time.monotonic() + PATIENCE
        while first.get(f"/api/jobs/{job['id']}").json()["job"]["state"] != "done":
            assert time.monotonic() < end
            time.sleep(0.01)
    with TestClient(app(), base_url="http://127.0.0.1") as again:
        assert again.get(f"/api/jobs/{job['id']}").json()["job"]["state"] == "done"
        assert again.get("/api/pictures").json()["total"] == 1


def test_building_opens_nothing(settings: Settings) -> None:
    build(settings, FakePainter)
    assert not settings.home.exists()
