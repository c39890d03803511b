"""`kill -9` at any moment: no accepted job, no finished picture and no bit of one is lost.

`tests/server/victim.py` is the server that is killed, in processes of its own. Between two points
of a sweep lies one statement to the database, or one opened, renamed or removed file.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sfumato.server.migrations import HEAD
from tests.server.fake import FakePainter
from tests.server.shop import shop_in
from tests.server.victim import JOBS

ROOT = Path(__file__).resolve().parents[2]
KILLED, WELL = -9, 0
# Some 140 moments are there in all, and each was tried; these meet every kind of them.
PAINTING = (*range(0, 130, 6), 1000)
MIGRATING = tuple(range(60))


def sweep(kind: str, folder: Path, points: Iterable[int]) -> list[Path]:
    """The folders of all points at which a server was killed, and of the one that lived."""
    command = [sys.executable, "-m", "tests.server.victim", kind, str(folder)]
    command += [str(point) for point in points]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(folder.iterdir(), key=lambda place: int(place.name))


def told(place: Path, name: str) -> Any:
    file = place / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else []


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sweep("painting", tmp_path_factory.mktemp("painting"), PAINTING)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[list[bytes]]:
    """The pixels of the same jobs, never interrupted."""
    with shop_in(tmp_path_factory.mktemp("whole")) as shop:
        shop.painter = FakePainter()
        with shop.working():
            return [shop.pixels(shop.ended(shop.submit(each).id)) for each in JOBS]


def test_the_server_was_killed_at_every_point_but_the_last(swept: list[Path]) -> None:
    ends = [told(place, "ended") for place in swept]
    assert ends == [[KILLED, WELL]] * (len(PAINTING) - 1) + [[WELL, WELL]]


def test_every_accepted_job_is_done_after_a_restart(swept: list[Path]) -> None:
    for place in swept:
        jobs = told(place, "found")["jobs"]
        assert set(told(place, "promised")) <= set(jobs)
        assert {state for state, *_ in jobs.values()} <= {"done"}
    assert len(told(swept[-1], "promised")) == len(JOBS)


def test_no_picture_is_lost_and_none_is_there_twice(swept: list[Path]) -> None:
    for place in swept:
        found = told(place, "found")
        ids: list[str] = []
        for job, (_, painted, *pictures) in found["jobs"].items():
            assert pictures == [f"{job}-{number}" for number in range(painted)]
            ids += pictures
        assert sorted(found["pictures"]) == sorted(ids)
        assert len(set(found["pictures"].values())) == len(ids)


def test_every_picture_is_to_the_bit_what_it_is_uninterrupted(
    swept: list[Path], whole: list[list[bytes]]
) -> None:
    expected = [hashlib.sha256(pixels).hexdigest() for job in whole for pixels in job]
    for place in swept:
        found = told(place, "found")
        got = [
            found["pictures"][each]
            for job in sorted(found["jobs"])
            for each in found["jobs"][job][2:]
        ]
        assert got == expected[: len(got)]


def test_nothing_half_written_stays(swept: list[Path]) -> None:
    for place in swept:
        files = told(place, "found")["files"]
        assert [name for name in files if name.endswith(".part")] == []
        assert [name for name in files if name.startswith("steps/")] == []
        pictures = [name for name in files if name.startswith("pictures/")]
        assert len(pictures) == len(told(place, "found")["pictures"])


def test_no_step_is_made_again_but_the_one_that_was_cut(swept: list[Path]) -> None:
    """What the second life paints falls from all to none, however late the kill."""
    total = sum((job.steps or 0) * job.count for job in JOBS)
    again = [told(place, "found")["steps"] for place in swept]
    early = [place for place in swept if len(told(place, "promised")) == len(JOBS)]
    first, *_, last = [told(place, "found")["steps"] for place in early]
    assert max(again) == first == total
    assert last == 0
    assert any(0 < steps < total for steps in again)


def test_a_migration_is_old_or_new_and_its_rows_are_there(tmp_path: Path) -> None:
    places = sweep("migrating", tmp_path, MIGRATING)
    assert 8 < len(places) < len(MIGRATING)  # the last one lived
    assert [told(place, "ended")[0] for place in places] == [KILLED] * (len(places) - 1) + [WELL]
    for place in places:
        found = told(place, "found")
        assert found["left"] in ("0001", HEAD)
        assert (found["now"], found["pictures"]) == (True, 1)
    assert told(places[0], "found")["left"] == "0001"


def test_the_bundled_model_goes_on_from_its_last_step_to_the_same_bits(tmp_path: Path) -> None:
    (place,) = sweep("real", tmp_path, [4])
    assert told(place, "ended") == [KILLED, WELL]
    found = told(place, "found")
    assert found["same"]
    assert found["steps"] == list(range(found["steps"][0], 13))
    assert found["steps"][0] > 4
    assert found["frames"] == list(range(1, 13))
