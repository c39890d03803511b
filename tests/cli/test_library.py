"""`sfumato library` takes pictures in, finds them, throws them away and fetches them back."""

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.server.home import Home
from tests.cli.conftest import Answer, Sfumato

TEXT = "{}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: {}, Size: 8x8, Model: dream"


def picture(path: Path, prompt: str, seed: int) -> None:
    chunks = PngInfo()
    chunks.add_text("parameters", TEXT.format(prompt, seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (seed, 0, 0)).save(path, pnginfo=chunks)


@pytest.fixture
def library(sfumato: Sfumato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sfumato:
    """`sfumato library …` with a home of its own and two pictures in the folder `mine`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    picture(tmp_path / "mine" / "a.png", "a red fox", 1)
    picture(tmp_path / "mine" / "deep" / "b.png", "a cat\x1b[2J\nasleep", 2)

    def run(*words: str) -> Answer:
        return sfumato("library", *words)

    return run


def ids(answer: Answer) -> list[str]:
    """The first column of a list, without its head."""
    return [line.split()[0] for line in answer.out.splitlines()[1:]]


def test_a_folder_is_taken_in_once(library: Sfumato, tmp_path: Path):
    first = library("import", "mine")
    assert (first.status, first.out) == (0, "2 pictures taken in\n")
    assert (tmp_path / "share" / "sfumato" / "pictures").is_dir()
    picture(tmp_path / "c.png", "a dog", 3)
    again = library("import", "mine", "c.png")
    assert again.out == "1 picture taken in, 2 in the library already\n"


def test_what_cannot_be_taken_in_is_named_and_the_status_tells(library: Sfumato, tmp_path: Path):
    (tmp_path / "mine" / "bad.png").write_bytes(b"no picture")
    answer = library("import", "mine")
    assert answer.status == 2
    assert answer.out == "2 pictures taken in, 1 left out\n"
    assert "mine/bad.png: the picture is not a PNG, JPEG or WebP picture." in answer.err


def test_a_place_that_is_not_there_is_refused_before_anything_comes_in(library: Sfumato):
    assert "there is no nothing" in library("import", "mine", "nothing").refused()
    assert library("search").out == ""


def test_pictures_are_listed_and_found(library: Sfumato):
    library("import", "mine")
    listed = library("search")
    assert "2 pictures" in listed.err
    head, *rows = listed.out.splitlines()
    assert head.split() == ["id", "made", "size", "seed", "prompt"]
    assert len(rows) == 2
    assert any(row.endswith("8 x 8  2     a cat\\x1b[2J asleep") for row in rows)
    for words, found in (
        (["fox"], 1),
        (['"red fox"'], 1),
        (["--", "-fox"], 1),
        (["--seed", "2"], 1),
        (["--model", "dream", "--sampler", "Euler a", "--source", "a1111"], 2),
        (["--after", "2020-01-01"], 2),
        (["--before", "2020-01-01T12:00"], 0),
        (["--tag", "x"], 0),
        (["--favourites"], 0),
        (["--limit", "1"], 1),
    ):
        assert len(ids(library("search", *words))) == found, words
    assert "2 pictures, 1 shown" in library("search", "--limit", "1").err


def test_the_files_alone_can_be_listed(library: Sfumato):
    library("import", "mine")
    (file,) = library("search", "fox", "--files").out.splitlines()
    assert Path(file).is_file()


@pytest.mark.parametrize("day", ["tomorrow", "2026-13-01", "9999-99-99", ""])
def test_a_day_that_is_none_is_refused(library: Sfumato, day: str):
    assert "must be a day such as 2026-11-25" in library("search", "--after", day).refused()


def test_the_trash_gives_back_and_is_emptied(library: Sfumato, monkeypatch: pytest.MonkeyPatch):
    library("import", "mine")
    one, other = ids(library("search"))
    assert library("trash", one, other).out.startswith("2 pictures in the trash")
    assert library("search").out == ""
    assert sorted(ids(library("search", "--trash"))) == sorted([one, other])
    assert library("restore", other).out == "1 picture in the library again\n"
    monkeypatch.setattr("builtins.input", lambda _: "n")
    monkeypatch.setattr("typer.confirm", _refuse)
    assert library("empty").status == 130
    assert ids(library("search", "--trash")) == [one]
    assert library("empty", "--yes").out == "1 picture removed for good\n"
    assert library("empty").out == "the trash is empty\n"
    assert ids(library("search")) == [other]


def _refuse(text: str, *, abort: bool, err: bool) -> None:
    import typer

    assert text == "Remove 1 picture for good?"
    raise typer.Abort


def test_nothing_is_thrown_away_if_one_of_them_is_not_there(library: Sfumato):
    library("import", "mine")
    one, _ = ids(library("search"))
    for command in ("trash", "restore"):
        assert "there is no picture 'nothing'" in library(command, one, "nothing").refused()
    assert library("search", "--trash").out == ""


def test_another_home_is_another_library(library: Sfumato):
    library("import", "mine", "--home", "elsewhere")
    assert library("search").out == ""
    assert len(ids(library("search", "--home", "elsewhere"))) == 2


def test_a_library_that_a_server_has_is_left_alone(library: Sfumato, tmp_path: Path):
    home = Home(tmp_path / "share" / "sfumato")
    with home.lock():
        assert "Another sfumato server uses" in library("import", "mine").refused()


def test_a_long_import_tells_how_far_it_is(library: Sfumato, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sfumato.cli.librarian._TELL_SECONDS", -1.0)
    assert library("import", "mine").err.splitlines() == [
        "1 picture taken in",
        "2 pictures taken in",
    ]


def test_what_a_kill_has_left_is_told(library: Sfumato, tmp_path: Path):
    library("import", "mine")
    (file, _) = library("search", "--files").out.splitlines()
    Path(file).unlink()
    answer = library("search")
    assert len(ids(answer)) == 2
