"""`make picture` hands the prompt on as it was typed, says what is missing, and works only once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDER = "import json, sys; print(json.dumps(sys.argv[1:]))"


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in the repository, apart from the make that may be running this test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("M")}
    return subprocess.run(
        ("make", "--no-print-directory", *words),
        cwd=ROOT,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def venv(tmp_path: Path) -> str:
    """An environment that looks ready, and whose `sfumato` only tells what it was given."""
    (tmp_path / "bin").mkdir()
    for name in ("python", "sfumato"):
        program = tmp_path / "bin" / name
        program.write_text(f"#!{sys.executable}\n{RECORDER}\n")
        program.chmod(0o755)
    (tmp_path / ".runtime").touch()
    return f"VENV={tmp_path}"


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The words that `sfumato` was given."""
    words, *where = done.stdout.splitlines()
    assert not where or where[0].startswith("(here, sfumato is ")
    return json.loads(words)


@pytest.mark.parametrize(
    "prompt",
    [
        "a red fox, 3d",
        """it's a "red" fox""",
        "costs $5, $HOME, $(HOME), ${HOME}, $$ and $(shell touch broken)",
        "`touch broken`; touch broken && false | cat > broken",
        "100% #1 \\ back\\nslash * ? [a] ~ !",
        "--seed",
        "$(",
        "two  spaces  ",
        "two\nlines",
        "ein Fuchs im Schnee, käsegelb 🦊",
        "",
    ],
)
def test_a_prompt_arrives_as_it_was_typed(venv: str, prompt: str) -> None:
    done = make(venv, "picture", f"PROMPT={prompt}")
    assert told(done) == ["generate", "--", prompt]
    assert not (ROOT / "broken").exists()


def test_options_are_handed_on_when_given(venv: str) -> None:
    done = make(venv, "picture", "PROMPT=x", "SEED=0", "OUT=my pictures/a.png", "WANDER=1")
    expected = ["generate", "--seed", "0", "--out", "my pictures/a.png", "--wander", "--", "x"]
    assert told(done) == expected


def test_the_environment_is_not_taken_for_an_option(venv: str) -> None:
    done = make(venv, "picture", "PROMPT=x", MODEL="other", OUT="elsewhere.png")
    assert told(done) == ["generate", "--", "x"]


def test_the_page_is_served_without_a_word(venv: str) -> None:
    assert told(make(venv, "serve")) == ["serve"]
    assert told(make(venv, "serve", PORT="1", HOST="box", HOME_="x", MODELS="y")) == ["serve"]


def test_what_is_typed_is_handed_to_the_server(venv: str) -> None:
    done = make(venv, "serve", "PORT=0", "HOST=::1", "MODELS=my models", "DEVICE=cpu", "OPEN=1")
    words = ["serve", "--host", "::1", "--port", "0", "--models", "my models", "--device", "cpu"]
    assert told(done) == [*words, "--open"]


def test_a_missing_prompt_is_told(venv: str) -> None:
    done = make(venv, "picture")
    assert done.returncode == 2
    assert 'make picture PROMPT="a red fox, 3d" SEED=7' in done.stderr


def test_a_failing_run_fails(venv: str) -> None:
    Path(venv.removeprefix("VENV="), "bin", "sfumato").write_text("#!/bin/sh\nexit 130\n")
    assert make(venv, "picture", "PROMPT=x").returncode != 0


def test_what_is_ready_is_not_made_again(venv: str) -> None:
    again = make(venv, "-n", "picture", "PROMPT=x")
    assert "install" not in again.stdout
    pins = Path(venv.removeprefix("VENV="), ".runtime")
    os.utime(pins, (0, 0))
    stale = make(venv, "-n", "picture", "PROMPT=x")
    assert "-r requirements/runtime.txt" in stale.stdout


def test_help_is_the_default_and_names_every_target() -> None:
    done = make()
    assert done.returncode == 0
    for target in ("picture", "serve", "test", "lint", "data", "train", "pins", "clean"):
        assert f"make {target}" in done.stdout


def fake_python(folder: Path, name: str, *, version: tuple[int, int], venv: bool) -> None:
    """An interpreter of another version, which may lack what a Debian keeps in a package apart."""
    program = folder / name
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.version_info = {(*version, 0)}\n"
        "if sys.argv[1] == '-c':\n"
        f"    if 'ensurepip' in sys.argv[2] and not {venv}: sys.exit(1)\n"
        "    exec(sys.argv[2])\n"
        "elif sys.argv[1:3] == ['-m', 'venv']:\n"
        f"    print('{name} made', sys.argv[3])\n"
        "else:\n"
        "    sys.exit(1)\n"
    )
    program.chmod(0o755)


def make_venv(path: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "requirements" / "make-venv.sh"
    for tool in ("rm", "sh"):
        (path / tool).symlink_to(f"/bin/{tool}")
    return subprocess.run(
        (script, path / "new"), env={"PATH": str(path)}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        ({"python3": (3, 11)}, "python3"),
        ({"python3": (3, 12), "python3.13": (3, 13)}, "python3"),
        ({"python3": (3, 10), "python3.11": (3, 11)}, "python3.11"),
        ({"python3": (3, 14), "python3.12": (3, 12)}, "python3.12"),
        ({"python3": (3, 14)}, "python3"),
    ],
)
def test_the_machines_own_python_is_taken_if_it_can_be(
    tmp_path: Path, versions: dict[str, tuple[int, int]], chosen: str
) -> None:
    for name, version in versions.items():
        fake_python(tmp_path, name, version=version, venv=True)
    assert f"{chosen} made" in make_venv(tmp_path).stdout


def test_an_old_python_is_refused_with_advice(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", version=(3, 10), venv=True)
    done = make_venv(tmp_path)
    assert done.returncode == 2
    assert "sudo apt install python3 python3-venv" in done.stderr


def test_a_missing_venv_package_is_named(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", version=(3, 12), venv=False)
    done = make_venv(tmp_path)
    assert done.returncode == 2
    assert "sudo apt install python3.12-venv" in done.stderr
    assert not (tmp_path / "new").exists()


def ci(path: Path, *programs: str, **environment: str) -> list[str]:
    """What `.ci/run` calls on a machine that has these programs."""
    log = path / "log"
    for name in (*programs, "make"):
        program = path / name
        said = 'echo "${SFUMATO_ROOT:-0}"' if name == "id" else f'echo "{name} $*" >>"{log}"'
        program.write_text(f"#!/bin/sh\n{said}\n")
        program.chmod(0o755)
    for tool in ("sh", "dirname"):
        (path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    subprocess.run((ROOT / ".ci" / "run",), env={"PATH": str(path), **environment}, check=True)
    return log.read_text().splitlines()


def test_the_integration_brings_a_browser_where_it_may(tmp_path: Path) -> None:
    calls = ci(tmp_path, "apt-get", "id")
    assert [call.split()[0] for call in calls] == ["apt-get", "apt-get", "make"]
    assert calls[1].endswith(" chromium")
    assert calls[2] == "make test"


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_the_integration_takes_the_browser_that_is_there(tmp_path: Path, name: str) -> None:
    assert ci(tmp_path, "apt-get", "id", name) == ["make test"]


def test_the_integration_installs_nothing_where_it_may_not(tmp_path: Path) -> None:
    for number, given in enumerate(({"SFUMATO_ROOT": "1000"}, {"SFUMATO_CHROMIUM": "x"})):
        (tmp_path / str(number)).mkdir()
        assert ci(tmp_path / str(number), "apt-get", "id", **given) == ["make test"]
    (tmp_path / "bare").mkdir()
    assert ci(tmp_path / "bare") == ["make test"]
