"""The three ways to make a picture again, each run: by a shell, by Python, by a server."""

import json
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sfumato.catalog import BUNDLED
from sfumato.cli import main
from sfumato.embedding import Embedding
from sfumato.limits import MAX_SEED, SEEDS
from sfumato.recipe import Picture, Result
from sfumato.request import Request
from sfumato.request_json import to_dict
from sfumato.resolve import Defaults
from sfumato.server.calls import Server, calls
from sfumato.shelves import Shelves
from sfumato.source import Source
from tests.cli.fake import FakeEngine
from tests.server.conftest import LiveServer
from tests.server.fake import FakePainter

HERE = Server("http://127.0.0.1:7860", defaults=Defaults(20, 3.0, "euler", "karras", 128, 96))
# Says what the shell made of the words, and fetches nothing.
STAND_INS = """
sfumato() {{ "{python}" -I -S -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"; }}
curl() {{ :; }}
"""
PICTURE = Source.picture(Image.new("RGB", (16, 8), "red"))
MASK = Source.mask(Image.new("L", (16, 8), 255))

REQUESTS = [
    Request(),
    Request("a red fox, 3d", seed=7),
    Request('it\'s "quoted" $HOME `id` \\ !x', negative="$(rm -rf /) ; & | > <", seed=MAX_SEED),
    Request("-h", negative="--seed=3"),
    Request("--", negative="-"),
    Request("two\nlines\ttab", negative="\x1b[31m bell \x07"),
    Request("狐 🦊 é \u2028 \u202e", seed=1),
    Request("x", seed=0, steps=1, guidance=0.0, rescale=0.5, width=64, height=128, count=3),
    Request("x", sampler="euler_ancestral", schedule="karras", wander=True, path_seed=0),
    Request("x", seed=3, variation_strength=0.2, variation_seed=MAX_SEED - 1),
    Request("x", seed_width=64, seed_height=96),
    Request("x", stream="nv", model="other.safetensors", guidance=7.5),
    Request("x", width=64),
    Request("x", height=64),
    Request("x", image=PICTURE, strength=0.3, fit="pad"),
    Request("x", image=PICTURE, mask=MASK, mask_blur=0, mask_fill="noise", mask_padding=32),
    Request("x", image=PICTURE, mask=MASK, mask_invert=True),
]


def sized(request: Request) -> Request:
    """With the side that `HERE` knows of, where only the other was given."""
    if (request.width is None) == (request.height is None):
        return request
    return replace(request, width=request.width or 128, height=request.height or 96)


def words_of(command: str) -> list[str]:
    """What a real shell hands to `sfumato`."""
    script = STAND_INS.format(python=sys.executable) + command
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def by_command(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """The request that the command line makes of a command."""
    monkeypatch.chdir(folder)
    for source, name in ((PICTURE, "image"), (MASK, "mask")):
        source.image().save(folder / f"{name}-{source.sha256[:12]}.png")
    engine = FakeEngine()
    name, *rest = words_of(command)
    assert main([name, "--quiet", *rest], make_engine=engine.make) == 0
    return engine.submitted[0]


class Saved(Picture):
    """A picture that only says where it was saved to."""

    def __init__(self, request: Request) -> None:
        vars(self)["recipe"] = types.SimpleNamespace(request=request)

    def save(self, path: str | Path) -> None:
        Path(path).touch()


class StandIn:
    """`sfumato` as a program imports it; it remembers what it was asked for."""

    def __init__(self) -> None:
        self.model: str | None = None
        self.shelves: Shelves | None = None
        self.request: Request | None = None

    def load(self, model: str | None = None, *, shelves: Shelves | None = None) -> "StandIn":
        self.model, self.shelves = model, shelves
        return self

    def submit(self, request: Request) -> "StandIn":
        self.request = request
        return self

    def result(self) -> Result:
        assert self.request is not None
        return Result((Saved(self.request),), 0.0)


def by_python(
    program: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Request, str | None]:
    """The request that a program submits, and the model that it loads. It saves what it gets."""
    monkeypatch.chdir(folder)
    for source, name in ((PICTURE, "image"), (MASK, "mask")):
        source.image().save(folder / f"{name}-{source.sha256[:12]}.png")
    stand_in = StandIn()
    module = types.ModuleType("sfumato")
    vars(module).update(load=stand_in.load, Request=Request, Source=Source)
    monkeypatch.setitem(sys.modules, "sfumato", module)
    exec(compile(program, "call.py", "exec"), {})
    monkeypatch.undo()
    assert stand_in.request is not None
    assert (folder / f"{stand_in.request.seed}.png").exists()
    return stand_in.request, stand_in.model


def body_of(http: str) -> Any:
    """The JSON that a real shell hands to curl."""
    script = (
        f'curl() {{ "{sys.executable}" -I -S -c \'import json, sys; '
        'print(json.dumps(sys.argv[1:]))\' "$@"; }\n' + http
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    words = json.loads(done.stdout)
    return json.loads(words[words.index("-d") + 1])


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: repr(each.prompt)[:20])
def test_the_command_makes_the_same_request(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = by_command(calls(request_, HERE).command, tmp_path, monkeypatch)
    # The command line submits one picture after the other.
    assert made == sized(request_).single(0)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: repr(each.prompt)[:20])
def test_the_program_makes_the_same_request(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, model = by_python(calls(request_, HERE).python, tmp_path, monkeypatch)
    assert (made, model) == (_without_model(sized(request_)), request_.model)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: repr(each.prompt)[:20])
def test_the_http_call_says_the_same_request(request_: Request) -> None:
    said = body_of(calls(request_, HERE).http)["request"]
    seeds = {name: int(said[name]) for name in SEEDS if name in said}
    sources = {
        name: source.to_dict()
        for name, source in (("image", PICTURE), ("mask", MASK))
        if name in said and said[name] == source.sha256
    }
    assert {**to_dict(Request()), **said, **seeds, **sources} == to_dict(sized(request_))


@settings(max_examples=15)
@given(
    prompt=st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1), max_size=30),
    negative=st.text(
        st.characters(exclude_categories=["Cs"], min_codepoint=1, max_codepoint=0x2FF), max_size=9
    ),
    seed=st.integers(0, MAX_SEED),
)
def test_any_text_comes_through_a_shell_and_through_python(
    prompt: str, negative: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = calls(Request(prompt, negative, seed=seed), HERE)
    assert body_of(written.http)["request"]["prompt"] == prompt
    with pytest.MonkeyPatch.context() as monkeypatch:
        made, _ = by_python(written.python, tmp_path_factory.getbasetemp(), monkeypatch)
    assert (made.prompt, made.negative, made.seed) == (prompt, negative, seed)
    if "\0" in prompt + negative:
        assert written.command.startswith("# ")
        return
    words = words_of(written.command)
    assert prompt in words
    assert negative in words or f"--negative={negative}" in words or not negative


def _without_model(request: Request) -> Request:
    return replace(request, model=None)


def test_a_side_of_a_picture_of_unknown_shape_is_asked_for() -> None:
    command = calls(Request("x", width=64), Server("http://127.0.0.1:1")).command
    assert command.startswith("# ")
    assert "height" in command


def test_what_a_request_starts_from_is_fetched_first() -> None:
    request = Request("x", image=PICTURE, mask=MASK)
    lines = calls(request, HERE).command.splitlines()
    names = [f"image-{PICTURE.sha256[:12]}.png", f"mask-{MASK.sha256[:12]}.png"]
    for line, name, source in zip(lines[:2], names, (PICTURE, MASK), strict=True):
        assert line == f"curl -fsS -o {name} {HERE.url}/api/inputs/{source.sha256}"
        assert name in lines[2]
        assert name in calls(request, HERE).python


def test_the_servers_own_model_is_said_elsewhere() -> None:
    server = Server("http://127.0.0.1:1", model="big.safetensors")
    written = calls(Request("x"), server)
    assert "--model big.safetensors" in written.command
    assert 'sfumato.load("big.safetensors", shelves=shelves())' in written.python
    assert "model" not in body_of(written.http)["request"]
    same = Request("x", model="big.safetensors")
    assert calls(same, server) == written
    other = calls(Request("x", model=BUNDLED), server)
    assert body_of(other.http)["request"]["model"] == BUNDLED
    assert BUNDLED not in other.command + other.python
    assert "sfumato.load()" in other.python


@pytest.mark.parametrize(
    "request_",
    [
        Request("x", refiner="fine"),
        Request("x", upscale=2, upscaler="crisp"),
        Request("glitter", embeddings=(Embedding("glitter"),)),
    ],
)
def test_what_lies_on_shelves_is_found_there_in_python_too(request_: Request) -> None:
    written = calls(replace(request_, seed=1), HERE).python
    assert "sfumato.load(shelves=shelves())" in written


@pytest.mark.parametrize(
    ("login", "says"),
    [
        ("token", '-H "Authorization: Bearer $SFUMATO_TOKEN"'),
        ("user", '-u "$SFUMATO_USER:$SFUMATO_PASSWORD"'),
    ],
)
def test_a_guarded_server_is_called_with_the_name_of_a_secret(login: str, says: str) -> None:
    server = Server(HERE.url, login=login)
    request = Request("x", image=PICTURE)
    assert says in calls(request, server).http
    assert says in calls(request, server).command


def test_only_what_differs_from_the_usual_is_said() -> None:
    said = body_of(calls(Request("x", seed=5, image=PICTURE, count=1), HERE).http)["request"]
    assert said == {"prompt": "x", "seed": "5", "image": PICTURE.sha256}


def test_the_calls_that_a_server_writes_make_its_picture_again(
    live_server: LiveServer, fake_painter: FakePainter, tmp_path: Path
) -> None:
    """The curl call is done for real: equal requests in flight are one job."""
    asked = {"prompt": "it's a fox 🦊", "seed": str(MAX_SEED), "steps": 3}
    body = json.dumps({"request": asked})
    kind = "Content-Type: application/json"
    address = f"{live_server.url}/api/calls"
    fake_painter.hold()
    said = subprocess.run(
        ["curl", "-fsS", "-H", kind, "-d", body, address], capture_output=True, check=True
    ).stdout
    written = json.loads(said)
    answers = [
        json.loads(
            subprocess.run(["bash", "-c", written["http"]], capture_output=True, check=True).stdout
        )
        for _ in range(2)
    ]
    assert answers[0]["job"]["request"]["prompt"] == asked["prompt"]
    assert answers[0]["job"]["request"]["seed"] == asked["seed"]
    assert [answer["joined"] for answer in answers] == [False, True]
    assert words_of(written["command"])[:3] == ["generate", asked["prompt"], "--seed"]


def test_own_levels_are_written_as_each_reader_takes_them() -> None:
    told = calls(Request("fox", sigmas=(14.5, 3, 1), interval=(0.5, 6)), Server("http://x"))
    assert "--sigmas 14.5,3,1" in told.command
    assert "--interval 0.5,6" in told.command
    assert "sigmas=(14.5, 3.0, 1.0)," in told.python
    assert '"sigmas": [14.5, 3.0, 1.0]' in told.http


def test_a_switch_that_is_off_is_written_as_off() -> None:
    told = calls(Request("fox", like="comfy", whole_times=False), Server("http://x"))
    assert "--no-whole-times" in told.command
    assert "whole_times=False," in told.python
