"""The command as a user has it: the bundled model, a real engine, files on a disk."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from sfumato.cli import main
from sfumato.recipe import read

MACHINE = ["--device", "cpu", "--precision", "fp32"]


def sfumato(*words: str) -> None:
    assert main([*words, *MACHINE]) == 0


def same(a: str, b: str) -> bool:
    with Image.open(a) as one, Image.open(b) as other:
        return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_picture_is_made_again_from_itself_to_the_bit(capsys: pytest.CaptureFixture[str]):
    words = ["a red fox, 3d", "--seed", "7", "--steps", "2", "--sampler", "euler_ancestral"]
    sfumato("generate", *words, "--wander", "--out", "a.png")
    capsys.readouterr()
    sfumato("generate", "--from", "a.png", "--out", "b.webp")
    assert "the same as a.png, to the bit" in capsys.readouterr().out
    assert same("a.png", "b.webp")
    sfumato("generate", "--from", "b.webp", "--no-wander", "--out", "c.png")
    assert not same("a.png", "c.png")


def test_a_picture_of_a_run_equals_its_seed_alone():
    sfumato(
        "generate", "a red fox", "--seed", "7", "--steps", "2", "--count", "2", "--out", "a.png"
    )
    sfumato("generate", "a red fox", "--seed", "8", "--steps", "2", "--out", "b.png")
    assert same("a-2.png", "b.png")
    assert not same("a-1.png", "b.png")


def test_a_film_strip_and_an_animation_end_with_the_picture():
    words = ["--seed", "7", "--steps", "3", "--filmstrip", "s.png", "--animate", "a.webp"]
    sfumato("generate", "a red fox", *words, "--out", "a.png")
    with Image.open("a.png") as picture, Image.open("s.png") as sheet, Image.open("a.webp") as film:
        assert sheet.size[0] == 2 * 32 + 3 * 128 + 2 * 12
        last = sheet.crop((32 + 280 + 8, 32 + 8, 32 + 280 + 120, 32 + 120))
        assert ImageChops.difference(last, picture.crop((8, 8, 120, 120))).getbbox() is None
        film.seek(film.n_frames - 1)  # type: ignore[attr-defined]
        assert ImageChops.difference(film.convert("RGB"), picture).getbbox() is None


def test_words_that_fall_off_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["generate", "fox " * 60 + "the very tail", *MACHINE]) == 2
    assert "tail" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_fresh_process_makes_the_same_picture(tmp_path: Path):
    words = ["generate", "a red fox", "--seed", "7", "--steps", "2", *MACHINE]
    sfumato(*words[:-4], "--out", "a.png")
    done = subprocess.run(
        [sys.executable, "-m", "sfumato", *words, "--out", "b.png", "--quiet"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "b.png\n"
    assert same("a.png", "b.png")
    assert read("a.png").request == read("b.png").request
