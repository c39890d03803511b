"""The laws of the house hold in every file, and each law is shown to bite."""

import ast
import re
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests import house

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sfumato"

# The rooms and files that each law leaves alone. The reader of `.ckpt` files runs a pickle's
# program with every name in it answered by a stand-in of ours, and these take any call.
LAWS: dict[house.Rule, tuple[str, ...]] = {
    house.names_a_device: ("engine.py",),
    house.reads_the_process: ("cli",),
    house.catches_everything: (),
    house.keeps_global_state: (),
    # typer hands a command its options by keyword, and those are the rows of a table.
    house.takes_any_keyword: ("weights/checkpoint_pickle.py", "cli/taking.py"),
    house.prints: ("cli",),
    house.draws_from_the_global_stream: (),
    house.patches: (),
    # The command that serves takes the port itself, so that it can say what is wrong with it.
    # And whoever types `models get` wants it.
    house.reaches_the_network: ("train", "cli/serving.py", "shelves/hub.py"),
    house.calls_somebody: ("train",),
    house.runs_foreign_code: ("weights/checkpoint_pickle.py",),
}

BREACHES = [
    (house.names_a_device, 'model.to("cuda")'),
    (house.names_a_device, 'device = f"cuda:{i}"'),
    (house.names_a_device, "torch.backends.mps.is_available()"),
    (house.names_a_device, "torch.cuda.empty_cache()"),
    (house.reads_the_process, 'import os\nos.environ["HOME"]'),
    (house.reads_the_process, "import os\nos.getenv('HOME')"),
    (house.reads_the_process, "from os import environ"),
    (house.reads_the_process, "import sys\nsys.argv[1:]"),
    (house.catches_everything, "try:\n    f()\nexcept Exception:\n    pass"),
    (house.catches_everything, "try:\n    f()\nexcept (OSError, Exception):\n    raise"),
    (house.catches_everything, "try:\n    f()\nexcept BaseException:\n    pass"),
    (house.catches_everything, "try:\n    f()\nexcept:\n    pass"),
    (house.keeps_global_state, "cache = {}"),
    (house.keeps_global_state, "NAMES: list[str] = ['a']"),
    (house.keeps_global_state, "seen = set()"),
    (house.keeps_global_state, "import collections\nseen = collections.defaultdict(list)"),
    (house.keeps_global_state, "SQUARES = [i * i for i in range(3)]"),
    (house.keeps_global_state, "last = 0\ndef f():\n    global last\n    last = 1"),
    (house.takes_any_keyword, "def f(**kwargs): pass"),
    (house.takes_any_keyword, "async def f(a, **rest): pass"),
    (house.prints, "print('hello')"),
    (house.prints, "import sys\nsys.stderr.write('hello')"),
    (house.draws_from_the_global_stream, "torch.manual_seed(7)"),
    (house.draws_from_the_global_stream, "torch.cuda.manual_seed_all(7)"),
    (house.draws_from_the_global_stream, "torch.randn(3)"),
    (house.draws_from_the_global_stream, "torch.randn_like(x)"),
    (house.draws_from_the_global_stream, "x.new_empty(3).normal_()"),
    (house.draws_from_the_global_stream, "np.random.seed(7)"),
    (house.draws_from_the_global_stream, "np.random.rand(3)"),
    (house.draws_from_the_global_stream, "random.choice(names)"),
    (house.patches, "module.forward = faster"),
    (house.patches, "import torch\ntorch.nn.functional.gelu = faster"),
    (house.patches, "setattr(module, 'forward', faster)"),
    (house.reaches_the_network, "import urllib.request"),
    (house.reaches_the_network, "from http import client"),
    (house.reaches_the_network, "import requests.adapters"),
    (house.reaches_the_network, "import aiohttp"),
    (house.reaches_the_network, "from huggingface_hub import hf_hub_download"),
    (house.calls_somebody, "import asyncio\nawait asyncio.open_connection(host, port)"),
    (house.calls_somebody, "line, _ = await loop.create_connection(make, host, port)"),
    (house.calls_somebody, "import socket\nsocket.create_connection(('example.org', 80))"),
    (house.calls_somebody, "from urllib.request import urlopen\nurlopen(address)"),
    (house.calls_somebody, "socket.socket().connect_ex(address)"),
    (house.runs_foreign_code, "import pickle"),
    (house.runs_foreign_code, "from pickle import loads"),
    (house.runs_foreign_code, "torch.load(path)"),
    (house.runs_foreign_code, "torch.load(path, weights_only=False)"),
    (house.runs_foreign_code, "eval(text)"),
    (house.has_no_opening, "import os"),
    (house.has_no_opening, '"""   """'),
]

FINE = [
    (house.names_a_device, '"""Runs on cuda and mps."""\nsteps = "steps"'),
    (house.names_a_device, 'Option("auto", help="auto, cpu, cuda or mps")'),
    (house.reads_the_process, "import sys\nsys.platform"),
    (house.catches_everything, "try:\n    f()\nexcept BaseException:\n    tidy()\n    raise"),
    (house.catches_everything, "try:\n    f()\nexcept OSError:\n    pass"),
    (house.keeps_global_state, "NAMES: Mapping[str, int] = {'a': 1}\n__all__ = ['f']"),
    (house.keeps_global_state, "NAMES: Final[Sequence[str]] = ['a']\nPAIR = (1, 2)"),
    (house.keeps_global_state, "def f():\n    seen = set()\n    return seen"),
    (house.takes_any_keyword, "def f(*parts, name): g(**fields)"),
    (house.draws_from_the_global_stream, "torch.randn(3, generator=g)"),
    (house.draws_from_the_global_stream, "np.random.default_rng(7)\nrandom.Random(7)"),
    (house.draws_from_the_global_stream, "generator.manual_seed(7)\nrng.normal(3)"),
    (house.patches, "self.weight = value"),
    (house.reaches_the_network, "import urllib.parse"),
    (house.calls_somebody, "engine.connect()\nsocket.create_server(address)"),
    (house.runs_foreign_code, "torch.load(path, weights_only=True)"),
    (house.has_no_opening, '"""What this is."""'),
]


def name_of(value: object) -> str:
    return getattr(value, "__name__", "") or repr(value)[:40]


def sources(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def breaches(rule: house.Rule, paths: list[Path]) -> list[str]:
    """`file:line: what` for every breach of `rule` in `paths`."""
    return [
        f"{path.relative_to(ROOT)} {what}"
        for path in paths
        for what in rule(ast.parse(path.read_text(encoding="utf-8")))
    ]


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git keeps and that is still there."""
    git = ("git", "-c", f"safe.directory={ROOT}", "ls-files", "-z")
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@pytest.mark.parametrize(("rule", "code"), BREACHES, ids=name_of)
def test_a_breach_is_seen(rule: house.Rule, code: str) -> None:
    assert list(rule(ast.parse(code)))


@pytest.mark.parametrize(("rule", "code"), FINE, ids=name_of)
def test_what_is_allowed_passes(rule: house.Rule, code: str) -> None:
    assert not list(rule(ast.parse(code)))


@pytest.mark.parametrize("rule", LAWS, ids=name_of)
def test_the_package_keeps_the_law(rule: house.Rule) -> None:
    free = tuple(SOURCE / room for room in LAWS[rule])
    held = [
        path
        for path in sources("src")
        if not any(path == room or room in path.parents for room in free)
    ]
    assert len(held) > 10
    assert breaches(rule, held) == []


def test_every_file_opens_with_a_sentence() -> None:
    assert breaches(house.has_no_opening, sources("src", "tests", "benchmarks", "tools")) == []


def foreign(text: str) -> list[str]:
    """Paths of one machine, and hosts that a project must not choose for its users."""
    # Put together from pieces, so that this file does not find itself.
    roots = "|".join(("work", "root", "tmp/w", "opt/[a-z]+"))
    hosts = "|".join(("pypi", "pythonhosted", "npmjs", r"download\.pytorch"))
    path = rf"(?<![\w.~$)}}/-])/(?:{roots})(?:/|\b)"
    return re.findall(path, text) + re.findall(rf"(?:{hosts})\.(?:org|com)", text)


@pytest.mark.parametrize(
    "line",
    [
        "see /" + "work/main/README.md",
        'open("/' + 'root/x")',
        "/" + "opt/wheels/torch.whl",
        "pip install -i https://" + "pypi" + ".org/simple",
        "registry." + "npmjs" + ".org",
    ],
)
def test_a_path_or_host_of_one_machine_is_seen(line: str) -> None:
    assert foreign(line)


@pytest.mark.parametrize("line", ["src/work/x", "https://example.org/root/x", "a network/work"])
def test_other_paths_are_not_taken_for_one_of_a_machine(line: str) -> None:
    assert not foreign(line)


def test_no_file_names_a_path_of_one_machine() -> None:
    found: list[str] = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture, or weights
            continue
        found += [f"{path.relative_to(ROOT)}: {what}" for what in foreign(text)]
    assert found == []


def test_the_repository_stays_small() -> None:
    assert len(tracked()) > 50
    assert sum(path.stat().st_size for path in tracked()) < 56 * 2**20


def loaded_by(statement: str) -> set[str]:
    """The top-level modules in memory after `statement` in a new interpreter."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("statement", ["import sfumato", "import sfumato.cli"])
def test_importing_does_not_load_torch(statement: str) -> None:
    assert "torch" in loaded_by("import torch")
    assert "torch" not in loaded_by(statement)


def test_importing_the_whole_server_does_not_load_torch() -> None:
    rooms = sorted((SOURCE / "server").rglob("*.py"))
    names = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in rooms
        if "migrations" not in path.parts  # Alembic runs them
    ]
    assert "sfumato.server.app" in names
    assert not {"torch", "scipy"} & loaded_by(f"import {', '.join(names)}")


def test_the_command_line_does_not_load_the_server() -> None:
    assert "fastapi" in loaded_by("import sfumato.server.app")
    loaded = loaded_by("from sfumato.cli.app import command; command()")
    assert not {"fastapi", "uvicorn", "sqlalchemy", "starlette"} & loaded


def test_a_test_that_connects_fails() -> None:
    with socket.socket() as line, pytest.raises(AssertionError, match="connects"):
        line.connect(("127.0.0.1", 9))


def test_a_test_of_a_server_connects_to_loopback_and_no_further(loopback: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as line:
        line.connect(server.getsockname())
    with socket.socket() as line, pytest.raises(AssertionError, match="connects"):
        line.connect(("192.0.2.1", 9))
