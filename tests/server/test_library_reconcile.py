"""A kill at any moment loses no picture: what nearly came in comes in, what nearly went goes."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import delete, insert, update

from sfumato.images import Texts, encode
from sfumato.server.database import Database, jobs, pictures
from sfumato.server.events import Hub
from sfumato.server.home import Home
from sfumato.server.library import Entry, Library, Report, Search
from tests.server.test_library import Room, foreign, paint

JOB = "0123456789abcdef0123"


@pytest.fixture
def room(tmp_path: Path, database_url: str) -> Iterator[Room]:
    home, database = Home(tmp_path / "home"), Database(database_url)
    with home.lock():
        database.migrate()
        yield Room(home, database)
        database.close()


def forget(room: Room, *entries: Entry) -> None:
    """As if a kill had come between a picture's file and its row."""
    with room.database.write() as connection:
        ids = [entry.id for entry in entries]
        connection.execute(delete(pictures).where(pictures.c.id.in_(ids)))


def test_in_order_there_is_nothing_to_do(room: Room):
    room.add()
    report = room.library.reconcile()
    assert report == Report()
    assert report.lines() == []


def test_a_picture_without_a_row_comes_back_with_its_recipe_job_and_number(room: Room):
    entry = room.library.add(paint("a fox 狐"), id=f"{JOB}-3", job=JOB, number=3)
    forget(room, entry)
    assert room.found() == []
    report = room.library.reconcile()
    assert report.returned == (entry.id,)
    assert "found again" in report.lines()[0]
    again = room.library.get(entry.id)
    assert again.created == pytest.approx(entry.created)
    for name in ("id", "job", "number", "file", "sha256", "recipe", "parameters", "seed", "width"):
        assert getattr(again, name) == getattr(entry, name)
    assert room.found(text="狐") == [entry.id]
    assert room.library.reconcile() == Report()
    # The worker that was killed paints it once more, or finds it; it is there once.
    room.library.add(paint("a fox 狐"), id=f"{JOB}-3", job=JOB, number=3)
    assert room.found() == [entry.id]


def test_it_comes_back_with_the_tags_of_its_job(room: Room):
    """A sheet's pictures are found by their tag, also the one that a kill cut off from its row."""
    entry = room.library.add(paint(), id=f"{JOB}-0", job=JOB, number=0, tags=("sheet 12", "keep"))
    forget(room, entry)
    told = {"priority": 0, "created": 1.5, "client": "native", "request": "{}", "previews": 0}
    row = {"id": JOB, "state": "running", "asked": "", "tags": '["sheet 12", "keep"]', **told}
    with room.database.write() as connection:
        connection.execute(insert(jobs).values(row))
    assert room.library.reconcile().returned == (entry.id,)
    assert room.library.get(entry.id).tags == ("keep", "sheet 12")
    assert room.found(Search(tag="sheet 12")) == [entry.id]


def test_imports_come_back_too(room: Room):
    entry = room.library.import_file(foreign("a fox", "", 5), name="x", created=1_600_000_000)
    forget(room, entry)
    assert room.library.reconcile().returned == (entry.id,)
    assert room.library.get(entry.id) == entry


def test_a_whole_library_comes_back_from_its_files(room: Room):
    entries = [room.add(paint(f"fox {n}")) for n in range(3)]
    entries += [room.library.import_file(foreign(seed=n), name="x") for n in range(3)]
    forget(room, *entries)
    assert len(room.library.reconcile().returned) == 6
    assert room.found() == [entry.id for entry in reversed(entries)]


def test_a_users_own_file_in_the_folder_comes_in_where_it_lies(room: Room):
    path = room.home.pictures / "holiday" / "a fox.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(foreign("a fox"))
    (name,) = room.library.reconcile().returned
    entry = room.library.get(name)
    assert (entry.file, entry.prompt) == (path, "a fox")
    assert room.library.reconcile() == Report()


def test_no_file_of_a_user_is_ever_removed(room: Room):
    entry = room.add()
    folder = entry.file.parent
    kept = {
        folder / "copy.png": entry.file.read_bytes(),
        folder / "broken.png": b"\x89PNG\r\n\x1a\nbroken",
        folder / "notes.txt": b"notes",
        folder / ".hidden.png": foreign(seed=3),
        folder / ".sfumato-mine.part": b"mine",
        folder / f"{JOB}-0.webp": b"",
    }
    for path, data in kept.items():
        path.write_bytes(data)
    (folder / "link.png").symlink_to(entry.file)
    report = room.library.reconcile()
    names = [room.home.relative(path) for path in kept]
    assert report == Report(unreadable=tuple(sorted([names[1], names[5]])), spare=(names[0],))
    assert len(report.lines()) == 2
    assert {path: path.read_bytes() for path in kept} == kept
    assert (folder / "link.png").is_symlink()
    assert room.found() == [entry.id]


def test_half_written_files_are_removed(room: Room):
    entry = room.add()
    part = entry.file.with_name(".sfumato-0123456789abcdef.part")
    small = room.home.folder / "thumbs" / "0123456789abcdef.part"
    small.parent.mkdir()
    for path in (part, small):
        path.write_bytes(b"half")
    assert room.library.reconcile() == Report(parts=2)
    assert not part.exists()
    assert not small.exists()


def test_a_row_whose_file_is_gone_is_told_and_kept(room: Room):
    entry = room.add()
    entry.file.unlink()
    for _ in range(2):
        assert room.library.reconcile() == Report(missing=(entry.id,))
    assert room.found() == [entry.id]


@pytest.mark.parametrize("gone", ["nothing", "file", "thumb", "all"])
def test_an_emptying_that_was_cut_off_is_finished(room: Room, gone: str):
    entry, kept = room.add(), room.add()
    room.library.thumbnail(entry.id)
    trail, frames = room.home.trail(entry.id), room.home.frames(entry.id)
    frames.mkdir(parents=True)
    trail.parent.mkdir(parents=True, exist_ok=True)
    trail.write_bytes(b"x")
    (frames / "1.webp").write_bytes(b"x")
    with room.database.write() as connection:
        marks = {"trashed": 1.0, "emptied": 2.0}
        connection.execute(update(pictures).where(pictures.c.id == entry.id).values(marks))
    thumb = room.home.thumb(entry.id)
    for name, path in (("file", entry.file), ("thumb", thumb), ("thumb", trail)):
        if gone in (name, "all"):
            path.unlink()
    assert room.found(Search(trash=True)) == []
    assert room.library.reconcile() == Report(emptied=1)
    assert not any(path.exists() for path in (entry.file, thumb, trail, frames))
    assert room.found() == [kept.id]
    assert room.library.reconcile() == Report()


CHILD = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from sqlalchemy import event
    from sfumato.server.database import Database
    from sfumato.server.events import Hub
    from sfumato.server.home import Home
    from sfumato.server.library import Library, Search
    from tests.server.test_library import foreign, paint

    home = Home(Path(sys.argv[1]))
    database = Database(home.database_url)
    doing, left = sys.argv[2], int(sys.argv[3])
    watched = {"os.rename", "os.remove", "os.open", "os.rmdir", "os.mkdir", "shutil.rmtree"}
    armed = False

    def die(what, args):
        global left
        if armed and what in watched and "sfumato.db" not in str(args[:1]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    with home.lock():
        database.migrate()
        library = Library(database, home, Hub(database))
        library.import_file(foreign(seed=1), name="first")
        if doing == "emptying":
            for seed in range(2, 4):
                library.trash(library.import_file(foreign(seed=seed), name="x").id)
        armed = True
        if doing == "adding":
            library.add(paint(), id="0123456789abcdef0123-0", job="0123456789abcdef0123", number=0)
            library.thumbnail("0123456789abcdef0123-0")
        else:
            library.empty_trash()
        print("done")
""")


@pytest.mark.parametrize("doing", ["adding", "emptying"])
def test_a_kill_at_any_touch_of_the_disk_leaves_all_or_nothing(tmp_path: Path, doing: str):
    """The child is killed before its first, second, … touch, until it comes through alive."""
    for touch in range(60):
        folder = tmp_path / str(touch)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(folder), doing, str(touch)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        alive = child.stdout == "done\n"
        assert alive or child.returncode == -9, child.stderr
        home = Home(folder)
        database = Database(home.database_url)
        with home.lock():
            database.migrate()
            library = Library(database, home, Hub(database))
            report = library.reconcile()
            assert (report.missing, report.unreadable, report.spare) == ((), (), ())
            entries = library.search().entries
            trash = library.search(Search(trash=True)).entries
            files = {path for path in home.folder.rglob("*") if path.suffix in (".png", ".part")}
            assert files == {entry.file for entry in (*entries, *trash)}
            for entry in entries:
                library.thumbnail(entry.id)
            # Either nothing has begun, or everything is done.
            if doing == "emptying":
                assert len(entries) == 1
                assert len(trash) in (0, 2)
            else:
                assert len(entries) in (1, 2)
            assert library.reconcile() == Report()
            database.close()
        if alive:
            assert touch > 3
            return
    pytest.fail("the child never came to an end")


def test_a_picture_too_big_to_be_sent_is_no_stranger_at_home(room: Room):
    """Limits are for what comes in; a file that lies in the folder is only glanced at."""
    path = room.home.pictures / "a.png"
    path.write_bytes(encode(Image.new("1", (9000, 8000)), "PNG", Texts()))
    assert len(room.library.reconcile().returned) == 1
