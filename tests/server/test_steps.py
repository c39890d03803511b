"""The last step on disk: whole or not there, and never another picture's."""

from pathlib import Path
from typing import NoReturn

import pytest

from sfumato.server.home import Home
from sfumato.server.steps import Steps, sweep


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(Home(tmp_path), "abc")


def test_the_last_step_is_the_one_that_is_kept(steps: Steps) -> None:
    assert steps.load(0) is None
    steps.save(0, 1, b"one")
    steps.save(0, 2, b"two")
    assert steps.load(0) == (2, b"two")
    steps.save(0, 3, b"3")
    assert steps.load(0) == (3, b"3")
    assert sorted(file.name for file in steps.folder.iterdir()) == ["state-0", "state-1"]


def test_a_step_of_another_picture_is_none(steps: Steps) -> None:
    steps.save(1, 2, b"two")
    assert steps.load(0) is None
    assert steps.load(1) == (2, b"two")


def test_a_step_that_was_cut_or_changed_anywhere_gives_the_one_before(steps: Steps) -> None:
    steps.save(0, 6, b"the step before")
    steps.save(0, 7, b"a state of some bytes")
    file = steps.folder / "state-0"
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at])
        assert steps.load(0) == (6, b"the step before")
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert steps.load(0) == (6, b"the step before")
    file.write_bytes(data)
    assert steps.load(0) == (7, b"a state of some bytes")


def test_where_nothing_can_be_written_the_older_step_stays(
    steps: Steps, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps.save(0, 1, b"one")

    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        steps.save(0, 2, b"two")
    assert steps.load(0) == (1, b"one")
    assert "No space left" in caplog.text


def test_whoever_goes_on_replaces_the_older_step_first(tmp_path: Path) -> None:
    """A kill in the middle of the first step that is kept then costs nothing of the last life."""
    for saved in ((1, 2), (1, 2, 3)):
        before = Steps(Home(tmp_path), f"job{len(saved)}")
        for step in saved:
            before.save(0, step, b"%d" % step)
        newest = {file.name: file.read_bytes() for file in before.folder.iterdir()}
        again = Steps(Home(tmp_path), f"job{len(saved)}")
        last = saved[-1]
        assert again.load(0) == (last, b"%d" % last)
        again.save(0, last + 1, b"next")
        (same,) = [n for n, data in newest.items() if (again.folder / n).read_bytes() == data]
        (again.folder / f"state-{1 - int(same[-1])}").write_bytes(b"cut")
        assert again.load(0) == (last, b"%d" % last)


def test_clearing_leaves_nothing(steps: Steps, tmp_path: Path) -> None:
    steps.save(0, 1, b"one")
    steps.clear()
    steps.clear()
    assert list((tmp_path / "steps").iterdir()) == []


def test_what_is_left_of_ended_jobs_is_swept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    sweep(home, set)
    for job in ("a", "b", "c"):
        Steps(home, job).save(0, 1, b"x")
    sweep(home, lambda: {"b"})
    (home.steps / "0.part").write_bytes(b"a frame that was nearly kept")
    sweep(home, lambda: {"b"})
    assert [folder.name for folder in home.steps.iterdir()] == ["b"]


def test_both_files_damaged_is_none(steps: Steps) -> None:
    steps.save(0, 1, b"one")
    steps.save(0, 2, b"two")
    for file in steps.folder.iterdir():
        file.write_bytes(b"")
    assert steps.load(0) is None
