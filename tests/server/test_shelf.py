"""The shelf: what is on it, what a client's word finds there, and that no word becomes a path."""

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from sfumato.catalog import CATALOG
from sfumato.errors import RequestError
from sfumato.request import Request
from sfumato.server.settings import Settings
from sfumato.server.shelf import OnShelf, Shelf
from sfumato.shelves import Folder, Shelves
from sfumato.weights.hashes import sha256
from tests.server.fake import FakePainter

ASSET = Path(str(resources.files("sfumato").joinpath("assets", str(CATALOG["mini"].asset))))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder as people have them: files in folders, some that are no models, one hidden."""
    root = tmp_path / "models"
    for name in ("fox.safetensors", "sub/fox.safetensors", "sub/Old Fox.ckpt", "notes.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not a model")
    (root / ".hidden.safetensors").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / ".cache" / "part.safetensors").write_bytes(b"")
    (root / "ours.safetensors").symlink_to(ASSET)
    folder = root / "folder"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(b"")
    return root


@pytest.fixture
def shelf(settings: Settings, models: Path) -> Shelf:
    return Shelf(replace(settings, shelves=Shelves([Folder(models)])))


def test_the_bundled_model_comes_first_and_needs_no_folder(settings: Settings) -> None:
    (row,) = Shelf(settings).rows()
    assert (row.name, row.bundled, row.path) == ("mini", True, ASSET)
    assert row.defaults == CATALOG["mini"].defaults
    assert row.sha256 == sha256(ASSET)
    assert Shelf(settings).default == row


def test_files_and_folders_are_found_and_nothing_else(shelf: Shelf) -> None:
    names = [row.name for row in shelf.rows()]
    assert names == [
        "mini",
        "fox.safetensors",
        "ours.safetensors",
        "folder",
        "sub/Old Fox.ckpt",
        "sub/fox.safetensors",
    ]


def test_a_file_is_told_for_what_it_is(shelf: Shelf) -> None:
    rows = {row.name: row for row in shelf.rows()}
    assert rows["ours.safetensors"].family == "mini"
    assert rows["ours.safetensors"].defaults == CATALOG["mini"].defaults
    assert rows["ours.safetensors"].sha256 == sha256(ASSET)
    assert rows["fox.safetensors"].family == "unknown"
    assert rows["fox.safetensors"].defaults is None


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("mini", "mini"),
        ("MINI", "mini"),
        ("ours.safetensors", "ours.safetensors"),
        ("ours", "ours.safetensors"),
        (" ours.safetensors [0123456789] ", "ours.safetensors"),
        ("mini [0123456789]", "mini"),
        ("fox", "fox.safetensors"),
        ("sub/fox.safetensors", "sub/fox.safetensors"),
        ("sub\\fox.safetensors", "sub/fox.safetensors"),
        ("Old Fox.ckpt", "sub/Old Fox.ckpt"),
        ("old fox", "sub/Old Fox.ckpt"),
        ("folder", "folder"),
    ],
)
def test_a_model_is_found_as_people_write_it(shelf: Shelf, words: str, name: str) -> None:
    assert shelf.find(words) == name


@pytest.mark.parametrize(
    "words",
    [
        "",
        "foxx",
        "sd15",
        "notes.txt",
        ".hidden",
        "folder/unet/weights.safetensors",
        "../models/fox.safetensors",
        "./fox.safetensors",
        "/etc/passwd",
        "C:\\Windows\\win.ini",
        "fox.safetensors\0",
        "x" * 10_000,
    ],
)
def test_a_word_that_names_nothing_here_is_refused_and_opens_nothing(
    shelf: Shelf, words: str
) -> None:
    with pytest.raises(RequestError, match="There is no model") as refused:
        shelf.find(words)
    assert len(str(refused.value)) < 400


def test_a_file_by_its_whole_path_is_refused_although_it_is_there(
    shelf: Shelf, models: Path
) -> None:
    for path in (models / "fox.safetensors", ASSET):
        with pytest.raises(RequestError, match="There is no model"):
            shelf.find(str(path))


def test_the_nearest_names_are_told(shelf: Shelf) -> None:
    with pytest.raises(RequestError, match=r"Did you mean .*fox\.safetensors"):
        shelf.find("foks.safetensors")


def test_a_new_file_is_seen_after_a_refresh(shelf: Shelf, models: Path) -> None:
    shelf.rows()
    (models / "new.safetensors").write_bytes(b"")
    assert "new.safetensors" not in [row.name for row in shelf.rows()]
    shelf.refresh()
    assert shelf.find("new") == "new.safetensors"


def test_the_server_s_own_model_may_be_a_path_and_comes_first(
    settings: Settings, models: Path
) -> None:
    own = replace(
        settings, model=str(models / "ours.safetensors"), shelves=Shelves([Folder(models)])
    )
    shelf = Shelf(own)
    names = [row.name for row in shelf.rows()]
    assert names[:2] == ["ours.safetensors", "mini"]
    assert names.count("ours.safetensors") == 1
    assert shelf.default.name == "ours.safetensors"
    assert shelf.place(None) == str(models / "ours.safetensors")


def test_two_folders_may_hold_files_of_one_name(settings: Settings, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "fox.safetensors").write_bytes(folder.encode())
    shelf = Shelf(
        replace(settings, shelves=Shelves([Folder(tmp_path / "one"), Folder(tmp_path / "two")]))
    )
    assert [row.name for row in shelf.rows()] == ["mini", "fox.safetensors", "two/fox.safetensors"]
    assert shelf.place("two/fox.safetensors") == str(tmp_path / "two" / "fox.safetensors")
    assert shelf.place("fox") == str(tmp_path / "one" / "fox.safetensors")


def test_the_painter_is_given_the_place_and_the_client_never_sees_it(
    shelf: Shelf, models: Path
) -> None:
    painter = FakePainter()
    on = OnShelf(painter, shelf)
    run = on.submit(Request("a fox", model="ours"))
    assert painter.submitted[0].model == str(models / "ours.safetensors")
    assert run.request.model == "ours.safetensors"
    on.submit(Request("a fox"))
    assert painter.submitted[1].model == "mini"
    (*_, last) = run
    assert on.develop(run.request, last.estimate()).size == (32, 24)
    assert (on.device, on.precision, on.model) == ("cpu", "fp32", "mini")


def test_a_model_that_is_gone_from_the_shelf_is_refused(shelf: Shelf, models: Path) -> None:
    on = OnShelf(FakePainter(), shelf)
    (models / "fox.safetensors").unlink()
    (models / "sub" / "fox.safetensors").unlink()
    shelf.refresh()
    with pytest.raises(RequestError, match="There is no model"):
        on.submit(Request("a fox", model="fox.safetensors"))
