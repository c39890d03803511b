"""The way a picture came: its frames survive a kill, and a damaged one is not shown."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.request import Request
from sfumato.server.trail import MAX_FRAMES, Frame, Trail, chosen, count_frames, read_frame

FOX = Request(prompt="a fox", seed=7, steps=3)


def frames(path: Path) -> list[Frame | None]:
    return [read_frame(path, number) for number in range(1, count_frames(path) + 1)]


def test_frames_come_back_with_their_steps_and_request(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "job", 0)
    trail.add(1, b"first")
    trail.add(3, b"")
    trail.finish(tmp_path / "deep" / "t", FOX)
    assert frames(tmp_path / "deep" / "t") == [Frame(FOX, 1, b"first"), Frame(FOX, 3, b"")]
    assert list((tmp_path / "job").iterdir()) == []


@pytest.mark.parametrize("number", [0, 2, -1, 10**9])
def test_a_frame_that_is_not_there_is_none(tmp_path: Path, number: int) -> None:
    trail = Trail(tmp_path, 0)
    trail.add(1, b"first")
    trail.finish(tmp_path / "t", FOX)
    assert read_frame(tmp_path / "t", number) is None


def test_no_trail_has_no_frames(tmp_path: Path) -> None:
    assert count_frames(tmp_path / "none") == 0
    assert read_frame(tmp_path / "none", 1) is None
    (tmp_path / "other").write_bytes(b"another file, and long enough for a header")
    assert count_frames(tmp_path / "other") == 0
    assert read_frame(tmp_path / "other", 1) is None


def test_a_picture_that_goes_on_keeps_the_frames_up_to_its_step(tmp_path: Path) -> None:
    trail = Trail(tmp_path, 0)
    for step in (1, 2, 3):
        trail.add(step, bytes([step]))
        trail.keep()
    again = Trail(tmp_path, 0, after=2)  # the third was made, but its state was not kept
    again.add(3, b"c")
    again.finish(tmp_path / "t", FOX)
    estimates = [frame.estimate for frame in frames(tmp_path / "t") if frame]
    assert estimates == [b"\1", b"\2", b"c"]


def test_a_picture_that_is_painted_anew_has_only_new_frames(tmp_path: Path) -> None:
    old = Trail(tmp_path, 0)
    old.add(1, b"old")
    old.keep()
    trail = Trail(tmp_path, 0)
    trail.add(1, b"new")
    trail.finish(tmp_path / "t", FOX)
    assert frames(tmp_path / "t") == [Frame(FOX, 1, b"new")]


def test_pictures_of_a_job_do_not_mix(tmp_path: Path) -> None:
    first, second = Trail(tmp_path, 0), Trail(tmp_path, 1)
    first.add(1, b"0")
    second.add(1, b"1")
    first.finish(tmp_path / "t", FOX)
    assert frames(tmp_path / "t") == [Frame(FOX, 1, b"0")]


def test_a_record_that_was_cut_ends_the_trail(tmp_path: Path) -> None:
    trail = Trail(tmp_path, 0)
    trail.add(1, b"first")
    trail.keep()
    whole = (tmp_path / "trail-0").read_bytes()
    trail.add(2, b"second")
    trail.keep()
    both = (tmp_path / "trail-0").read_bytes()
    for cut in range(len(whole), len(both)):
        (tmp_path / "trail-0").write_bytes(both[:cut])
        Trail(tmp_path, 0, after=9).finish(tmp_path / "t", FOX)
        assert frames(tmp_path / "t") == [Frame(FOX, 1, b"first")]


def test_damage_anywhere_gives_no_wrong_estimate(tmp_path: Path) -> None:
    trail = Trail(tmp_path, 0)
    trail.add(1, b"first")
    trail.add(2, b"second")
    trail.finish(tmp_path / "t", replace(FOX, prompt="a"))
    data = (tmp_path / "t").read_bytes()
    for at in range(len(data)):
        (tmp_path / "t").write_bytes(data[:at])
        for number in (1, 2):
            found = read_frame(tmp_path / "t", number)
            assert found is None or found.estimate == (b"first", b"second")[number - 1]
    for at in range(len(data) - len(b"firstsecond"), len(data)):
        (tmp_path / "t").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert None in frames(tmp_path / "t")


def test_a_disk_that_is_full_costs_the_trail_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "job").write_text("a file where a folder must be")
    trail = Trail(tmp_path / "job", 0)
    for step in (1, 2):
        trail.add(step, b"estimate")
        trail.keep()
    assert caplog.text.count("cannot keep the trail") == 1
    trail.finish(tmp_path / "t", FOX)
    assert count_frames(tmp_path / "t") == 0


def test_steps_that_were_never_kept_are_in_the_finished_trail(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "job", 0)
    trail.add(1, b"first")
    trail.keep()
    trail.add(2, b"second")
    trail.finish(tmp_path / "t", FOX)
    assert frames(tmp_path / "t") == [Frame(FOX, 1, b"first"), Frame(FOX, 2, b"second")]


@pytest.mark.parametrize("steps", [1, 5, 63, 64])
def test_a_short_run_keeps_every_step(steps: int) -> None:
    assert chosen(steps) == set(range(1, steps + 1))


@pytest.mark.parametrize("steps", [65, 100, 150, 1000])
def test_a_long_run_keeps_even_steps_and_the_last(steps: int) -> None:
    kept = sorted(chosen(steps))
    gaps = [after - before for before, after in zip([0, *kept], kept, strict=False)]
    assert len(kept) == MAX_FRAMES
    assert kept[-1] == steps
    assert max(gaps) - min(gaps) <= 1
