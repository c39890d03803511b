"""The server's folder: its names, its lock, and what is told when it cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.server.errors import HomeError, NoSuchInput, NotFound
from sfumato.server.home import Home, job_of, new_id, picture_id

NOW = 1_800_000_000.0


def test_ids_sort_by_time() -> None:
    assert new_id(NOW) < new_id(NOW + 0.001) < new_id(NOW + 1e6)


def test_an_id_sorts_behind_the_latest_though_the_clock_was_set_back() -> None:
    latest = new_id(NOW)
    for _ in range(5):
        after = new_id(NOW - 1e7, latest)
        assert after > latest
        latest = after


def test_a_clock_before_1970_still_gives_ids() -> None:
    assert len(new_id(-5.0)) == len(new_id(NOW)) == 20


def test_a_pictures_id_tells_its_job_and_number() -> None:
    job = new_id(NOW)
    assert job_of(picture_id(job, 12)) == (job, 12)


@pytest.mark.parametrize("name", ["i" + "0" * 31, "x-1", "", "../" + "0" * 17 + "-1"])
def test_another_id_tells_no_job(name: str) -> None:
    assert job_of(name) is None


def test_a_second_server_is_refused_by_the_name_of_the_folder(tmp_path: Path) -> None:
    with Home(tmp_path).lock():
        second = Home(tmp_path).lock()
        with pytest.raises(HomeError, match="Another sfumato") as told:
            second.__enter__()
    assert str(tmp_path) in str(told.value)


def test_another_process_is_refused_and_let_in_after(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sfumato.server.home import Home\n"
        "with Home(Path(sys.argv[1])).lock(): print('in')"
    )

    def enter() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with Home(tmp_path).lock():
        assert "Another sfumato server" in enter().stderr
    assert enter().stdout == "in\n"


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    place = tmp_path / "home"
    place.write_text("a file")
    with pytest.raises(HomeError, match=r"Cannot write in .*--home"), Home(place).lock():
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(HomeError, match="Permission denied"), Home(tmp_path).lock():
        pass


def test_a_home_on_a_full_device_is_told() -> None:
    with pytest.raises(HomeError, match="Cannot write"), Home(Path("/dev/full")).lock():
        pass


def test_a_picture_lies_by_the_day_of_its_making_in_utc(tmp_path: Path) -> None:
    home = Home(tmp_path)
    path = home.picture("ab-1", NOW)
    assert home.relative(path) == "pictures/2027/01/15/ab-1.png"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "A", "a" * 65, "a\0", "a-1-2", "a\n"])
def test_what_is_no_id_becomes_no_path(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    for place in (home.thumb, home.trail, home.frames, home.step):
        with pytest.raises(NotFound):
            place(name)
    with pytest.raises(NotFound):
        home.picture(name, NOW)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_what_is_no_sha256_becomes_no_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoSuchInput):
        Home(tmp_path).input(name)


def test_every_place_lies_in_the_folder(tmp_path: Path) -> None:
    home = Home(tmp_path)
    places = [home.thumb("a-1"), home.trail("a-1"), home.frames("a"), home.step("a")]
    places += [home.picture("a-1", NOW), home.input("a" * 64)]
    assert len(set(places)) == len(places)
    assert all(tmp_path in place.parents for place in places)
