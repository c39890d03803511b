"""What memory is free is read off Linux's own files, and a control group may give less."""

from pathlib import Path

import pytest

from sfumato.memory import available

GIB = 2**30
MEMINFO = (
    "MemTotal:       24684092 kB\nMemFree:         1000000 kB\nMemAvailable:    8388608 kB\n"
    "SwapTotal:       2097152 kB\nSwapFree:        1048576 kB\nHugePages_Total:       0\n"
)


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def group(folder: str, most: str, used: int, evictable: int) -> dict[str, str]:
    return {
        f"sys/fs/cgroup{folder}/memory.max": most,
        f"sys/fs/cgroup{folder}/memory.current": str(used),
        f"sys/fs/cgroup{folder}/memory.stat": f"anon 5\ninactive_file {evictable}\n",
    }


def test_it_is_what_is_available_and_the_free_swap(tmp_path: Path) -> None:
    assert available(machine(tmp_path, {})) == 9 * GIB


def test_a_control_group_gives_less_and_pages_of_files_are_let_go(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/box/inner\n"}
    files |= group("/box", str(4 * GIB), 3 * GIB, GIB) | group("/box/inner", "max\n", 2 * GIB, 0)
    assert available(machine(tmp_path, files)) == 2 * GIB


def test_pages_of_files_that_were_read_twice_are_let_go_too(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", **group("", str(4 * GIB), 3 * GIB, GIB)}
    files["sys/fs/cgroup/memory.stat"] += f"active_file {GIB}\n"
    assert available(machine(tmp_path, files)) == 3 * GIB


def test_a_control_group_of_the_first_version_is_heeded(tmp_path: Path) -> None:
    home = "sys/fs/cgroup/memory/box"
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n",
        f"{home}/memory.limit_in_bytes": str(3 * GIB),
        f"{home}/memory.usage_in_bytes": str(2 * GIB),
        f"{home}/memory.stat": "active_file 7\ntotal_inactive_file 1024\ntotal_active_file 512\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),  # what means: none
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "4096",
        "sys/fs/cgroup/memory/memory.stat": "",
    }
    assert available(machine(tmp_path, files)) == GIB + 1536


def test_a_group_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", **group("", str(GIB), 2 * GIB, 0)}
    assert available(machine(tmp_path, files)) == 0


@pytest.mark.parametrize("told", ["", "MemAvailable: many kB\nSwapFree: 1 kB\n", "SwapFree: 1 kB"])
def test_a_system_that_does_not_tell_is_not_guessed_at(tmp_path: Path, told: str) -> None:
    assert available(machine(tmp_path, {"proc/meminfo": told})) is None
    assert available(tmp_path / "windows") is None
