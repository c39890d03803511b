"""Commands that make no picture answer without torch, and the names complete."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from sfumato.cli.complete import samplers, schedules
from sfumato.diffusion.table import SAMPLER_ROWS, SCHEDULE_ROWS
from tests.cli.conftest import Sfumato

HEAVY = ("torch", "numpy", "tokenizers", "safetensors", "scipy")

COMMANDS: dict[str, tuple[list[str], int]] = {
    "nothing": ([], 0),
    "help": (["--help"], 0),
    "version": (["--version"], 0),
    "help for generate": (["generate", "--help"], 0),
    "samplers": (["samplers"], 0),
    "help for train": (["train", "--help"], 0),
    "an unknown word to train": (["train", "nonsense"], 2),
    "an unknown option of train": (["train", "--nonsense"], 2),
    "models": (["models"], 0),
    "a file that is no model": (["models", "inspect", "fox.png"], 2),
    "a picture's recipe": (["info", "ours.png"], 0),
    "a picture without a recipe": (["info", "fox.png"], 2),
    "no steps": (["generate", "fox", "--steps", "0"], 2),
    "an unknown sampler": (["generate", "fox", "--sampler", "oiler"], 2),
    "a picture that cannot be made again": (["generate", "--from", "fox.png"], 2),
    "a start without a picture": (["generate", "fox", "--image", "none.png"], 2),
    "a mask of another shape": (
        ["generate", "fox", "--image", "fox.png", "--mask", "ours.png", "--fit", "pad"],
        2,
    ),
    "a picture that is not there to upscale": (["upscale", "none.png"], 2),
    "a sheet without an axis": (["sheet", "fox"], 2),
    "an unknown format": (["generate", "fox", "--out", "fox.bmp"], 2),
}
# One process for all: a module stays imported, so the first command that is to blame is named.
LOOK = f"""
import contextlib, io, json, sys
from sfumato.cli import main
for name, (words, expected) in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = main(words)
    assert status == expected, (name, status)
    found = [module for module in {HEAVY} if module in sys.modules]
    assert not found, (name, found)
print("light")
"""


def test_a_light_command_does_not_import_torch(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "fox", "--out", "ours.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "fox.png")
    words = [sys.executable, "-c", LOOK, json.dumps(COMMANDS)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "light\n", done.stderr


def test_python_m_sfumato_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "sfumato", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("sfumato ")


def test_no_words_are_answered_with_the_commands(sfumato: Sfumato):
    answer = sfumato()
    assert answer.status == 0
    assert all(name in answer.out for name in ("generate", "info", "models", "samplers"))


def test_an_unknown_command_is_refused_with_the_nearest(sfumato: Sfumato):
    assert "Did you mean 'generate'" in sfumato("generat", "fox").refused()


def test_the_list_of_samplers_has_them_all(sfumato: Sfumato):
    out = sfumato("samplers").out
    for row in (*SAMPLER_ROWS, *SCHEDULE_ROWS):
        assert any(
            line.startswith(f"{row.name} ") and row.title in line for line in out.split("\n")
        )


def test_the_list_of_models_begins_with_the_bundled_one(sfumato: Sfumato):
    answer = sfumato("models")
    assert answer.out.splitlines()[1].split()[0] == "mini"
    assert "models add FILE" in answer.err


def test_inspect_tells_what_a_file_is_or_is_not(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "note.safetensors").write_bytes(b"hello")
    sfumato("models", "inspect", "note.safetensors").refused()
    sfumato("models", "inspect", "none.safetensors").refused()


def test_names_complete():
    assert [name for name, _ in samplers("dpmpp_2m")] == [
        row.name for row in SAMPLER_ROWS if row.name.startswith("dpmpp_2m")
    ]
    assert ("karras", "Karras") in schedules("KAR")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sfumato generate fox --sampler eul", ["euler", "euler_ancestral"]),
        ("sfumato generate fox --schedule kar", ["karras"]),
        ("sfumato gen", ["generate"]),
    ],
)
def test_the_shell_is_answered(line: str, expected: list[str]):
    env = {
        **os.environ,
        "_SFUMATO_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    code = "import sys; from sfumato.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == expected, done.stderr
