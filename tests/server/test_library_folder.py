"""A folder is taken in file by file; what is no picture is told or passed over."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from sfumato.errors import PictureError
from sfumato.images import encode
from sfumato.server.database import Database
from sfumato.server.events import Hub
from sfumato.server.home import Home
from sfumato.server.library import Imported, Library
from sfumato.server.settings import Limits
from tests.server.test_library import foreign


@pytest.fixture
def library(tmp_path: Path):
    home = Home(tmp_path / "home")
    database = Database(home.database_url)
    with home.lock():
        database.migrate()
        yield Library(database, home, Hub(database), Limits(upload_bytes=5000))
        database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "b.png").write_bytes(foreign("b", seed=1))
    (folder / "a.JPG").write_bytes(encode(Image.new("RGB", (8, 8)), "JPEG"))
    (folder / "deep" / "c.webp").write_bytes(encode(Image.new("RGB", (8, 8)), "WEBP"))
    (folder / "deep" / "er" / "d.png").write_bytes(foreign("d", seed=2))
    return folder


def names(results: list[Imported]) -> list[str]:
    return [result.path.name for result in results]


def test_all_pictures_of_all_folders_come_in_in_order(library: Library, folder: Path):
    results = list(library.import_folder(folder))
    assert names(results) == ["a.JPG", "b.png", "c.webp", "d.png"]
    assert all(result.new and result.entry is not None for result in results)
    assert [result.entry.source for result in results if result.entry] == [
        *("other", "a1111", "other", "a1111")
    ]
    assert library.search().total == 4


def test_the_second_time_nothing_is_new(library: Library, folder: Path):
    first = list(library.import_folder(folder))
    second = list(library.import_folder(folder))
    assert not any(result.new for result in second)
    assert [result.entry for result in second] == [result.entry for result in first]
    assert library.search().total == 4


def test_the_files_keep_their_dates_and_stay_as_they_are(library: Library, folder: Path):
    os.utime(folder / "b.png", (1_600_000_000, 1_600_000_000))
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    results = {result.path.name: result.entry for result in library.import_folder(folder)}
    entry = results["b.png"]
    assert entry is not None
    assert entry.created == 1_600_000_000
    assert entry.file.parent == library.home.pictures / "2020" / "09" / "13"
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert entry.file.read_bytes() == before[folder / "b.png"]


def test_what_is_hidden_linked_or_no_picture_is_passed_over(
    library: Library, folder: Path, tmp_path: Path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(foreign("secret", seed=9))
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "linked").symlink_to(outside)
    (folder / "round").symlink_to(folder)
    (folder / ".hidden.png").write_bytes(foreign(seed=8))
    (folder / ".trash").mkdir()
    (folder / ".trash" / "x.png").write_bytes(foreign(seed=7))
    (folder / "b.txt").write_text("a caption")
    results = list(library.import_folder(folder))
    assert names(results) == ["a.JPG", "b.png", "c.webp", "d.png"]


def test_what_cannot_be_kept_is_told_and_the_rest_comes_in(library: Library, folder: Path):
    (folder / "a1.png").write_bytes(foreign()[:60])
    (folder / "a2.png").write_bytes(bytes(5001))
    (folder / "a3.png").write_bytes(b"")
    os.mkfifo(folder / "a4.png")
    results = list(library.import_folder(folder))
    told = {result.path.name: result.error for result in results if result.entry is None}
    assert told.keys() == {"a1.png", "a2.png", "a3.png", "a4.png"}
    assert "has 5,001 bytes, but at most 5,000" in told["a2.png"]
    assert "is not a PNG, JPEG or WebP picture" in told["a3.png"]
    assert "no regular file" in told["a4.png"]
    assert library.search().total == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed_is_told(library: Library, folder: Path):  # pragma: no cover
    (folder / "deep").chmod(0)
    results = list(library.import_folder(folder))
    (folder / "deep").chmod(0o755)
    assert [result.error for result in results if not result.entry] == [
        "cannot be read: permission denied"
    ]


def test_a_folder_that_goes_away_meanwhile_is_told(library: Library, folder: Path):
    files = library.import_folder(folder)
    assert next(files).path.name == "a.JPG"
    shutil.rmtree(folder / "deep")
    (folder / "b.png").unlink()
    told = [(result.path.name, result.error) for result in files]
    assert [name for name, _ in told] == ["b.png", "deep"]
    assert all("no such file" in error for _, error in told)


def test_one_file_stands_for_itself(library: Library, folder: Path):
    assert names(list(library.import_folder(folder / "b.png"))) == ["b.png"]


def test_the_library_does_not_take_in_itself(library: Library, folder: Path, tmp_path: Path):
    list(library.import_folder(folder))
    assert len(list(library.import_folder(tmp_path))) == 4  # the home lies in there
    for own in (library.home.folder, library.home.pictures):
        with pytest.raises(PictureError, match="belongs to the library"):
            list(library.import_folder(own))
    with pytest.raises(PictureError, match="there is no folder"):
        list(library.import_folder(tmp_path / "none"))
