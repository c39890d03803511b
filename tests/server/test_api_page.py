"""What docs/api.md shows is done as it stands there, against a real server."""

import json
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from sfumato.server.schemas import Job, Picture, RequestWanted
from tests.server.conftest import LiveServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
THERE = "http://127.0.0.1:7860"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_shell_of_the_page_does_what_it_says(live_server: LiveServer, tmp_path: Path) -> None:
    answers: list[str] = []
    job = ""
    for block in blocks("sh"):
        done = subprocess.run(
            ["bash", "-e", "-c", block.replace(THERE, live_server.url)],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "JOB": job},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (block, done.stderr)
        assert '"error":{' not in done.stdout, (block, done.stdout)
        answers.append(done.stdout)
        job = job or json.loads(done.stdout)["job"]["id"]
    assert '"state":"done"' in answers[1]
    assert answers[1].rstrip().splitlines()[-2] == "event: job"
    with Image.open(tmp_path / "fox.png") as image:
        assert image.format == "PNG"
    assert '"tags":["sea"]' in answers[3]
    assert len(json.loads(answers[4])["sheet"]["cells"]) == 6
    assert '"tags":["animals"]' in answers[5]
    assert '"strength":0.6' in answers[6]
    assert json.loads(answers[7])["exact"] is True
    assert set(json.loads(answers[8])) == {"command", "python", "http"}
    assert json.loads(answers[9])["heard"][0]["count"] == 3
    assert json.loads(answers[10])["name"] == "sfumato"


def test_the_program_of_the_page_paints(live_server: LiveServer, tmp_path: Path) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program.replace(THERE, live_server.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("*-0.png")
    with Image.open(made) as image:
        assert image.size == (32, 24)


def test_the_page_names_every_field() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for model in (RequestWanted, Job, Picture):
        for name in model.model_fields:
            assert re.search(rf"\b{name}\b", text), name
