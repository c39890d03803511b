"""What other processes make ahead is what would be made here, and they end with who asked."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sfumato.errors import SfumatoError
from sfumato.train.ahead import Ahead

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no processes"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]
_LARGE = 300_000  # bytes: more than a pipe holds, as pictures are


def squared(number: int) -> int:
    return number**2


def large(number: int) -> bytes:
    return bytes([number % 256]) * _LARGE


def odd(number: int) -> int:
    if number % 2 == 0:
        raise SfumatoError(f"{number} is even")
    return number


@contextmanager
def running(ahead: Ahead[bytes]) -> Generator[list[BaseProcess]]:
    """Asks for the first, and gives the processes begun for it; ends them."""
    before = {process.pid for process in active_children()}
    ahead(1)
    try:
        yield [process for process in active_children() if process.pid not in before]
    finally:
        ahead.close()


@pytest.mark.parametrize("processes", [0, 1, 2, 3])
@pytest.mark.parametrize("start", [0, 1, 5])
def test_the_same_is_given_with_and_without_processes_from_any_start(
    processes: int, start: int
) -> None:
    ahead = Ahead(squared, processes)
    numbers = range(start, start + 7)
    assert [ahead(number) for number in numbers] == [number**2 for number in numbers]
    ahead.close()


@pytest.mark.parametrize("processes", [0, 2])
def test_it_begins_anew_at_another_number(processes: int) -> None:
    ahead = Ahead(large, processes)
    numbers = (1, 2, 3, 40, 41, 7, 7, 1)
    assert [ahead(number)[0] for number in numbers] == list(numbers)
    ahead.close()
    assert ahead(9) == large(9)
    ahead.close()


@pytest.mark.parametrize("processes", [0, 2])
def test_an_error_is_raised_where_its_result_is_asked_for(processes: int) -> None:
    ahead = Ahead(odd, processes)
    assert ahead(1) == 1
    with pytest.raises(SfumatoError, match=r"^2 is even$"):
        ahead(2)
    assert ahead(3) == 3
    ahead.close()


def test_so_many_processes_work_and_close_ends_them() -> None:
    with running(Ahead(large, 3)) as processes:
        assert len(processes) == 3
        assert all(process.is_alive() for process in processes)
    assert not any(process.is_alive() for process in processes)
    with running(Ahead(large, 0)) as processes:
        assert processes == []


def test_a_process_killed_from_outside_is_told_with_what_to_do() -> None:
    ahead = Ahead(large, 2)
    with running(ahead) as processes:
        for process in processes:  # each in the midst of handing a result over
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        with pytest.raises(SfumatoError, match=r"was killed; .*\n.*workers"):
            list(map(ahead, range(2, 5)))


CHILD = """
import os, signal, sys
from multiprocessing import active_children
from sfumato.train.ahead import Ahead
from tests.train.test_ahead import large
if sys.argv[1] == "heard":  # as a training hears it: between two steps
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
ahead = Ahead(large, 2)
ahead(1)
print(*(process.pid for process in active_children()), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
ahead.close()
"""


@pytest.mark.parametrize("how", ["closed", "heard", "killed"])
def test_no_process_outlives_who_asked_however_that_one_ends(how: str) -> None:
    command = (sys.executable, "-c", CHILD, how)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as asker:
        try:
            told, said = asker.communicate(timeout=20)  # the pipes close when all have ended
        except subprocess.TimeoutExpired:
            os.killpg(asker.pid, signal.SIGKILL)
            raise
    assert said == ""
    assert len(told.split()) == 2
    assert asker.returncode == (-signal.SIGKILL if how == "killed" else 0)


def test_nothing_is_made_after_the_last(tmp_path: Path) -> None:
    def made(number: int) -> int:
        (tmp_path / str(number)).touch()
        return number

    with closing(Ahead(made, 2, last=3)) as ahead:
        assert [ahead(number) for number in range(4)] == [0, 1, 2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2", "3"}


def test_a_fault_of_ours_ends_the_process_and_is_told_as_one() -> None:
    def broken(number: int) -> float:
        return 1 / (number - 2)

    with closing(Ahead(broken, 2)) as ahead:
        assert ahead(1) == -1
        with pytest.raises(RuntimeError, match="making 2 failed"):
            ahead(2)
