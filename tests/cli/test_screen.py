"""The terminal is told in plain words, in a bar where there is one, and never steered by a text."""

import os
import re
import sys
from pathlib import Path

import pytest

from sfumato.cli.screen import Progress, columns, duration, error, plain, rate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3900, "1 h 05 min"),
    ],
)
def test_a_duration_is_as_exact_as_one_reads_it(seconds: float, text: str):
    assert duration(seconds) == text


def test_a_slow_rate_is_told_per_step():
    assert rate(10, 4) == "2.5 steps/s"
    assert rate(2, 7) == "3.5 s a step"
    assert rate(0, 7) == ""


def test_plain_text_keeps_letters_and_lines_and_writes_out_the_rest():
    assert plain("狐 é\n\x1b[31m\t\x00") == "狐 é\n\\x1b[31m\\t\\x00"


def test_an_error_has_two_lines_at_most(capsys: pytest.CaptureFixture[str]):
    error("one\n  two\n\nthree")
    assert capsys.readouterr().err == "error: one\n  two three\n"


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]):
    columns([("a", "bb", ""), ("ccc", "d", "e")], head=("x", "y", "z"))
    assert capsys.readouterr().out == "x    y   z\na    bb\nccc  d   e\n"


def test_the_time_left_counts_all_pictures(capsys: pytest.CaptureFixture[str]):
    now = [0.0]
    progress = Progress(2, clock=lambda: now[0])
    progress.begin(0, 4)
    now[0] = 3.0
    progress.step(0, 1, 4)
    line = capsys.readouterr().err.strip()
    assert line == "picture 1 of 2: step 1 of 4, 3.0 s a step, 21 s left"


def test_lines_come_once_a_second(capsys: pytest.CaptureFixture[str]):
    now = [0.0]
    progress = Progress(1, clock=lambda: now[0])
    progress.begin(0, 4)
    for index in range(1, 101):
        now[0] += 0.1
        progress.step(0, index, 100)
    lines = capsys.readouterr().err.splitlines()
    assert 10 <= len(lines) <= 12


DRAW = """
import sys, time
from sfumato.cli import main
from tests.cli.fake import FakeEngine
engine = FakeEngine(lambda picture, step: time.sleep(0.1))
sys.exit(main(["generate", "[bold]fox[/]", "--count", "2", "--seed", "4"], make_engine=engine.make))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_a_bar_and_then_only_the_result(tmp_path: Path):
    import pty

    root = Path(__file__).parents[2]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        env = {**os.environ, "PYTHONPATH": str(root), "TERM": "xterm", "COLUMNS": "100"}
        os.execve(sys.executable, [sys.executable, "-c", DRAW], env)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "loading the model" in text
    assert re.search(r"picture 2 of 2 .* step 3 of 4 +\d+\.\d steps/s +\d\.\d s left", text)
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    assert lines[-1] == "again: sfumato generate '[bold]fox[/]' --seed 4 --count 2"
    assert any(line.startswith("out/bold-fox-5.png  ") for line in lines)
