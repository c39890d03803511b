"""`sfumato serve` as a user has it: its first line, its last, its secrets, its connections."""

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.cli.serving import PORT, Order, address, settings_of
from sfumato.errors import SfumatoError
from sfumato.server.settings import Settings, SettingsError
from tests.server.fake import FakePainter

PATIENCE = 60.0
NEW = (sys.executable, "-m", "sfumato")
TOKEN = "token-0123456789abcdef"
# What any connection to elsewhere begins with, also one that C code of Python's own makes. The
# process ends at once, so that no handler can hide it.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        os.write(2, f"CONNECTS: {event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(watch)
from sfumato.cli import main
sys.exit(main())
"""
# The same with a painter that waits at its third step for a file, and then hurries if another is.
FAKE = """
import sys, time
from pathlib import Path
from tests.server.fake import FakePainter
from sfumato.cli import main
gate = Path(sys.argv.pop(1))
class Painter(FakePainter):
    def before(self, request, index):
        super().before(request, index)
        while index == 3 and not gate.exists():
            time.sleep(0.01)
        if index > 3 and not gate.with_name("fast").exists():
            time.sleep(0.05)
sys.exit(main(make_engine=lambda device, precision, model: Painter()))
"""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    first: str

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        data = None if body is None else json.dumps(body)
        line.request(method, path, data, {"content-type": "application/json"})
        answer = line.getresponse()
        read = answer.status, answer.read()
        line.close()
        return read

    def json(self, method: str, path: str, body: object = None) -> dict[str, object]:
        status, data = self.ask(method, path, body)
        assert status < 300, data
        return json.loads(data)

    def ended(self, number: signal.Signals) -> tuple[int, str]:
        """The exit status after a signal, and what was said on standard error."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


@contextmanager
def served(*words: str | Path, code: str = WATCH, **environment: str) -> Generator[Served]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SFUMATO_")}
    process = subprocess.Popen(
        (sys.executable, "-c", code, *map(str, words)),
        cwd=ROOT,
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate(timeout=PATIENCE)[1]
        yield Served(process, int(first.split(":")[2].split()[0]), first)
    finally:
        process.kill()
        process.communicate()


def until_done(server: Served, job: str) -> dict[str, object]:
    end = time.monotonic() + PATIENCE
    while True:
        told = server.json("GET", f"/api/jobs/{job}")["job"]
        assert isinstance(told, dict)
        if told["state"] not in ("queued", "running"):
            return told
        assert time.monotonic() < end, told
        time.sleep(0.02)


def until_deaf(port: int) -> None:
    """Wait until nobody listens there: the server knows that it has to stop."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("the server does not stop listening")


def submitted(server: Served, **request: object) -> str:
    told = server.json("POST", "/api/jobs", {"request": request})["job"]
    assert isinstance(told, dict)
    return str(told["id"])


def test_a_real_server_paints_in_three_dialects_and_connects_to_nobody(
    tmp_path: Path, loopback: None
) -> None:
    with served("serve", "--home", tmp_path / "home", "--port", "0") as server:
        assert server.first == f"sfumato is at http://127.0.0.1:{server.port}   (Ctrl-C ends it)\n"
        assert server.ask("GET", "/")[0] == 200
        asked = {"prompt": "a red fox, 3d", "seed": 7, "steps": 2}
        assert until_done(server, submitted(server, **asked))["state"] == "done"
        server.json("POST", "/sdapi/v1/txt2img", asked)
        server.json("POST", "/v1/images/generations", {"prompt": "a red fox, 3d"})
        assert server.json("GET", "/api/pictures?q=fox")["total"] == 3
        for path in ("/sdapi/v1/sd-models", "/sdapi/v1/progress", "/v1/models", "/openapi.json"):
            assert server.ask("GET", path)[0] == 200
        address = {"image": "http://127.0.0.1:9/a.png"}
        assert server.ask("POST", "/sdapi/v1/png-info", address)[0] in (400, 404, 422)
        status, said = server.ended(signal.SIGTERM)
    assert status == 0, said
    assert "CONNECTS" not in said
    assert "mini is ready" in said
    assert said.endswith("stopped\n")


def test_the_watch_over_connections_bites() -> None:
    code = WATCH.replace("from sfumato.cli import main", "import socket").replace(
        "sys.exit(main())", "socket.create_connection(('127.0.0.1', 9))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True)
    assert done.returncode == 99
    assert "CONNECTS: socket.getaddrinfo" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_was_running_goes_on_at_the_next_start(
    tmp_path: Path, loopback: None, number: signal.Signals
) -> None:
    gate = tmp_path / "gate"
    words = (gate, "serve", "--home", tmp_path / "home", "--port", "0")
    with served(*words, code=FAKE) as server:
        jobs = [submitted(server, prompt="a fox", seed=seed, steps=100) for seed in (1, 2)]
        while server.json("GET", f"/api/jobs/{jobs[0]}")["job"]["step"] != 2:  # type: ignore[index]
            time.sleep(0.01)
        server.process.send_signal(number)
        until_deaf(server.port)
        gate.touch()  # only now the step ends that it was in
        _, said = server.process.communicate(timeout=PATIENCE)
        assert server.process.returncode == 0, said
        assert "2 unfinished jobs go on at the next start" in said
    (tmp_path / "fast").touch()
    with served(*words, code=FAKE) as server:
        assert [until_done(server, job)["state"] for job in jobs] == ["done", "done"]
        assert server.ended(number)[1].endswith("stopped\n")


def test_a_device_that_is_not_there_ends_the_server_with_advice(tmp_path: Path) -> None:
    done = subprocess.run(
        (*NEW, "serve", "--home", tmp_path, "--port", "0", "--device", "cuda:99"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert "cuda:99" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def taken() -> Iterator[int]:
    """A port that somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as line:
        yield line.getsockname()[1]


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """What is said by a server that does not start."""

    def run(*words: str | Path) -> str:
        make = lambda device, precision, model: FakePainter()  # noqa: E731
        assert main(["serve", *map(str, words)], make_engine=make) == 2
        told = capsys.readouterr()
        assert told.out == ""
        return told.err

    return run


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(
    refused: Refused, tmp_path: Path
) -> None:
    with taken() as port:
        said = refused("--home", tmp_path, "--port", str(port))
    assert f"port {port} is taken" in said


def test_a_port_that_nobody_asked_for_may_be_the_next_one_and_that_is_told(
    tmp_path: Path, loopback: None
) -> None:
    with suppress(OSError), socket.create_server(("127.0.0.1", PORT)):  # or somebody else has it
        with served("gate", "serve", "--home", tmp_path, code=FAKE) as server:
            assert server.port in range(PORT + 1, PORT + 10)
            assert f"port {PORT} is taken" in server.ended(signal.SIGINT)[1]
        return
    with served("gate", "serve", "--home", tmp_path, code=FAKE) as server:
        assert server.port in range(PORT + 1, PORT + 10)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The server sets up the log of its process, which here is that of all tests."""
    root, errors = logging.getLogger(), logging.getLogger("uvicorn.error")
    before = root.handlers[:], root.level, errors.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    errors.setLevel(before[2])


def test_the_page_is_there_while_the_model_still_loads(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, loopback: None
) -> None:
    with taken() as port:
        pass
    seen: list[object] = []

    def make(device: str, precision: str, model: str) -> FakePainter:
        """Called in the thread of the painter; the server is not to wait for it."""
        seen.append((device, precision, model))
        end = time.monotonic() + PATIENCE
        while len(seen) < 3:
            assert time.monotonic() < end
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            for path in ("/", "/api/about")[len(seen) - 1 :]:
                try:
                    line.request("GET", path)
                except ConnectionError:
                    time.sleep(0.01)
                    break
                seen.append(line.getresponse().read())
            line.close()
        raise SfumatoError("this is enough")

    words = ("serve", "--home", str(tmp_path / "home"), "--port", str(port), "--device", "cpu")
    status = main(words, make_engine=make)  # type: ignore[arg-type] - the server's own kind
    told = capsys.readouterr()
    assert status == 2
    assert "this is enough" in told.err
    assert told.out == f"sfumato is at http://127.0.0.1:{port}   (Ctrl-C ends it)\n"
    assert seen[0] == ("cpu", "auto", "mini")
    assert b"<!doctype html>" in bytes(seen[1]).lower()  # type: ignore[call-overload]
    assert json.loads(seen[2])["ready"] is False  # type: ignore[arg-type]


def test_the_browser_is_opened_when_that_is_asked_for(tmp_path: Path, loopback: None) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >"{tmp_path}/opened.part"\n')
    with browser.open("a") as file:
        file.write(f'mv "{tmp_path}/opened.part" "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    words = ("gate", "serve", "--home", tmp_path / "home", "--port", "0", "--open")
    with served(*words, code=FAKE, BROWSER=str(browser)) as server:
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "opened").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert (tmp_path / "opened").read_text() == f"http://127.0.0.1:{server.port}\n"


def test_an_address_that_is_not_this_machine_s_is_an_error(
    refused: Refused, tmp_path: Path
) -> None:
    said = refused("--home", tmp_path, "--host", "127.0.0.1.", "--port", "0")
    assert "127.0.0.1." in said
    (tmp_path / "token").write_text(TOKEN)
    words = ("--home", tmp_path, "--host", "192.0.2.1", "--port", "0")
    said = refused(*words, "--token-file", tmp_path / "token")
    assert "cannot listen on 192.0.2.1" in said
    assert "--host 127.0.0.1" in said


def test_an_open_address_is_refused_before_anything_is_made(
    refused: Refused, tmp_path: Path
) -> None:
    said = refused("--home", tmp_path / "home", "--host", "0.0.0.0", "--port", "0")
    assert "needs a token" in said
    assert not (tmp_path / "home").exists()


def test_a_secret_on_the_command_line_is_refused(refused: Refused, tmp_path: Path) -> None:
    for words in (("--token", TOKEN), ("--password", TOKEN)):
        said = refused("--home", tmp_path, *words)
        assert "No such option" in said
        assert TOKEN not in said
    said = refused("--home", tmp_path, "--database", f"postgresql://ada:{TOKEN}@box/pictures")
    assert "SFUMATO_DATABASE" in said
    assert TOKEN not in said


def test_a_home_that_another_server_has_is_refused(
    refused: Refused, tmp_path: Path, loopback: None
) -> None:
    words = ("serve", "--home", tmp_path, "--port", "0")
    with served(tmp_path / "gate", *words, code=FAKE):
        assert "Another sfumato server" in refused("--home", tmp_path, "--port", "0")


def test_with_a_token_from_the_environment_only_who_has_it_comes_in(
    tmp_path: Path, loopback: None
) -> None:
    words = ("gate", "serve", "--home", tmp_path, "--port", "0", "--host", "0.0.0.0")
    with served(*words, code=FAKE, SFUMATO_TOKEN=TOKEN) as server:
        assert server.ask("GET", "/api/about")[0] == 401
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        line.request("GET", "/api/about", headers={"authorization": f"Bearer {TOKEN}"})
        assert line.getresponse().status == 200
        line.close()
        assert TOKEN not in server.ended(signal.SIGINT)[1]


# The settings alone


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SFUMATO_")]:
        monkeypatch.delenv(name)


def test_without_a_word_it_listens_on_loopback_and_keeps_its_data_where_data_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    settings = settings_of(Order())
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", PORT, "mini")
    assert settings.home == tmp_path / "sfumato"
    assert not settings.guarded


def test_secrets_come_from_files_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nnot this line\n")
    (tmp_path / "password").write_text("  a long password \n")
    monkeypatch.setenv("SFUMATO_TOKEN", "token-of-the-environment")
    monkeypatch.setenv("SFUMATO_USER", "ada")
    monkeypatch.setenv("SFUMATO_DATABASE", "postgresql://ada:secret@box/pictures")
    settings = settings_of(
        Order(home=tmp_path, token_file=tmp_path / "token", password_file=tmp_path / "password")
    )
    assert (settings.token, settings.user, settings.password) == (TOKEN, "ada", "a long password")
    assert settings.database == "postgresql://ada:secret@box/pictures"
    assert settings_of(Order(home=tmp_path, user="bob", password_file=tmp_path / "password")).user


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="token"):
        settings_of(Order(home=tmp_path, token_file=file))


def test_names_are_taken_as_people_write_them(tmp_path: Path) -> None:
    order = Order(
        home=tmp_path,
        host="[::1]",
        hosts=("Pictures.Example.org",),
        origins=("http://LocalHost:3000/",),
    )
    settings = settings_of(order)
    assert settings.host == "::1"
    assert settings.hosts == ("pictures.example.org",)
    assert settings.origins == ("http://localhost:3000",)


@pytest.mark.parametrize(
    ("host", "hosts", "told"),
    [
        ("127.0.0.1", (), "http://127.0.0.1:80"),
        ("::1", (), "http://[::1]:80"),
        ("localhost", (), "http://localhost:80"),
        ("0.0.0.0", (), "http://127.0.0.1:80"),
        ("::", ("box",), "http://box:80"),
    ],
)
def test_the_address_is_one_that_a_browser_understands(
    tmp_path: Path, host: str, hosts: tuple[str, ...], told: str
) -> None:
    assert address(Settings(tmp_path, host, 80, hosts=hosts, token=TOKEN)) == told


def test_a_folder_of_models_that_is_none_and_an_unknown_model_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["serve", "--home", str(tmp_path / "home")]
    assert main([*home, "--models", str(tmp_path / "none")]) == 2
    assert "none is not a folder" in capsys.readouterr().err
    assert main([*home, "--model", "mimi"]) == 2
    assert "There is no model 'mimi'. Did you mean mini?" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_all_that_can_be_wrong_is_the_user_s_to_mend(tmp_path: Path) -> None:
    assert issubclass(SettingsError, SfumatoError)
    with pytest.raises(SettingsError):
        settings_of(Order(home=tmp_path, port=99999))
