"""`sfumato info` says how a picture was made, and no stranger's text steers the terminal."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.recipe import read
from tests.cli.conftest import Sfumato
from tests.cli.fake import SHA256


def foreign(path: Path, text: str) -> None:
    chunks = PngInfo()
    chunks.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)


def test_info_tells_the_recipe(sfumato: Sfumato):
    sfumato("generate", "a fox\nin snow", "--seed", "5", "--wander", "--out", "a.png")
    answer = sfumato("info", "a.png")
    assert answer.status == 0
    assert answer.out.splitlines() == [
        "prompt    a fox",
        "          in snow",
        "seed      5",
        "path      123",
        "steps     4",
        "sampler   euler_ancestral",
        "schedule  karras",
        "guidance  5",
        "size      32 x 24",
        "noise     CPU",
        "model     mini",
        "          A fake, fake",
        f"          sha256 {SHA256}",
        "made by   sfumato 0.1.0, numerics 1",
        "          torch 2.13.0, cpu, fp32",
        "          in 0.0 s",
    ]


@pytest.mark.parametrize(
    ("words", "row"),
    [
        (["--interval", "0.5,5"], "interval 0.5,5"),
        (["--guidance-rule", "apg", "--apg-along", "0.25"], "apg along 0.25"),
        (["--guidance-rule", "zero_star"], "guidance rule zero_star"),
        (["--sigmas", "5,2.5,1"], "sigmas 5,2.5,1"),
        (["--clip-skip", "2"], "clip skip 2"),
        (["--rescale", "0.7"], "rescale 0.7"),
        (["--like", "comfy"], "like comfy"),
        (["--like", "comfy", "--rounding", "round"], "rounding round"),
        (["--whole-times"], "whole times yes"),
        (["--like", "comfy", "--no-whole-times"], "whole times no"),
        (["--wander", "--path-seed", "9"], "path 9"),
        (["--variation-strength", "0.5", "--variation-seed", "3"], "variation 3, strength 0.5"),
        (["--upscale", "2"], "made larger 2 times, by realesr-animevideov3"),
    ],
)
def test_whatever_is_not_as_usual_is_told(sfumato: Sfumato, words: list[str], row: str):
    sfumato("generate", "a fox", "--seed", "5", "--out", "a.png", *words)
    assert row in [" ".join(line.split()) for line in sfumato("info", "a.png").out.splitlines()]


def test_what_is_as_the_tool_has_it_is_not_told_again(sfumato: Sfumato):
    sfumato("generate", "a fox", "--like", "comfy", "--out", "a.png")
    assert "rounding" not in sfumato("info", "a.png").out


def test_a_field_that_is_new_is_told_by_itself(sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch):
    """As if `steps` were a field that `info` has no words for."""
    monkeypatch.setattr("sfumato.cli.info._TOLD", frozenset())
    sfumato("generate", "a fox", "--steps", "3", "--count", "1", "--out", "a.png")
    lines = [" ".join(line.split()) for line in sfumato("info", "a.png").out.splitlines()]
    assert lines.count("steps 3") == 2
    assert "width 32" in lines


def test_info_shows_a_text_as_it_is(sfumato: Sfumato):
    sfumato("generate", "version 2.0", "--negative", "1.0", "--model", "fox-v1.0", "--out", "a.png")
    out = sfumato("info", "a.png").out.splitlines()
    assert {"prompt    version 2.0", "negative  1.0", "model     fox-v1.0"} <= set(out)


def test_info_for_programs_is_json(sfumato: Sfumato):
    sfumato("generate", "狐 \x1b[2J", "--out", "a.png")
    answer = sfumato("info", "a.png", "--json")
    found = json.loads(answer.out)
    recipe = read("a.png").recipe
    assert recipe is not None
    assert found["recipe"] == json.loads(json.dumps(asdict(recipe)))
    assert found["request"]["prompt"] == "狐 \x1b[2J"
    assert found["parameters"] == recipe.parameters()


def test_info_reads_a_picture_of_a1111(sfumato: Sfumato, tmp_path: Path):
    foreign(tmp_path / "a.png", "fox\nSteps: 2, Sampler: Euler a, Seed: 3, Hypernet: ink")
    answer = sfumato("info", "a.png")
    assert answer.status == 0
    assert "sampler       Euler a" in answer.out
    assert "not followed  Hypernet: ink" in answer.out
    assert "made by another program" in answer.out
    assert json.loads(sfumato("info", "a.png", "--json").out)["recipe"] is None


def test_control_characters_of_a_stranger_are_written_out(sfumato: Sfumato, tmp_path: Path):
    text = "fox \x1b]0;owned\x07 \x9b31m \u202e\nSteps: 2, Sampler: Euler, Seed: 3, \x1b[31m: x"
    foreign(tmp_path / "a.png", text)
    out = sfumato("info", "a.png").out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert r"fox \x1b]0;owned\x07 \x9b31m \u202e" in out


def test_a_terminal_without_unicode_is_served(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "狐", "--out", "a.png")
    done = subprocess.run(
        [sys.executable, "-m", "sfumato", "info", "a.png"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert r"prompt    \u72d0" in done.stdout


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.png", "there is no picture none.png"),
        ("text.png", "text.png is not a PNG, JPEG or WebP picture"),
        ("plain.png", "plain.png carries no recipe"),
        ("short.png", "short.png is not a PNG, JPEG or WebP"),
        (".", ". is a folder"),
    ],
)
def test_what_has_no_recipe_is_refused(sfumato: Sfumato, tmp_path: Path, name: str, expected: str):
    (tmp_path / "text.png").write_text("text")
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    data = (tmp_path / "plain.png").read_bytes()
    (tmp_path / "short.png").write_bytes(data[:40])
    assert expected in sfumato("info", name).refused()
