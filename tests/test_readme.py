"""What the README shows is true: its Python runs, its commands exist, its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/api.md",
    "docs/architecture.md",
    "docs/choosing.md",
    "docs/dialects.md",
    "docs/families.md",
    "docs/model/README.md",
    "docs/models.md",
    "docs/page.md",
    "docs/prompts.md",
    "docs/samplers.md",
    "docs/serve.md",
    "docs/train.md",
)


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_the_python_of_the_readme_paints(tmp_path: Path) -> None:
    # One program, in the order of the page: the later blocks use what the first one made.
    code = "".join(blocks("python"))
    done = subprocess.run(
        (sys.executable, "-W", "error", "-c", code), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fox.png").read_bytes().startswith(b"\x89PNG")


def test_the_readme_opens_with_the_three_commands() -> None:
    assert commands()[:3] == [
        ["make", "picture", "PROMPT=a red fox, 3d", "SEED=7"],
        ["make", "serve"],
        ["make", "test"],
    ]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_is_understood(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if words[0] == "make":
        known = subprocess.run(("make", "-n", *words[1:]), cwd=ROOT, capture_output=True)
        assert known.returncode == 0
    elif words[0] == "sfumato":
        room = [word for word in words[1:3] if word.isalpha()]
        assert main([*room, "--help"]) == 0
        told = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in told, f"{option} is not an option of {room}"
    else:
        assert words[0] == "pip"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    lost = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert lost == []
