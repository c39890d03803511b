"""How much memory this machine can still give a process, as far as its system tells."""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["available"]

_ROOT = Path("/")


def available(root: Path = _ROOT) -> int | None:
    """Bytes that can be had without another program losing any; None where nobody tells.

    Linux's own estimate and what is left of swap (`MemAvailable` and `SwapFree`, proc_meminfo(5)),
    or less where a control group of this process may not take so much (`memory.max` of cgroup v2,
    `memory.limit_in_bytes` of v1). `root` is where `proc` and `sys` are.
    """
    try:
        told = (root / "proc/meminfo").read_text("ascii")
        rows = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        free = sum(int(rows[name].split()[0]) for name in ("MemAvailable", "SwapFree")) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None
    return max(0, min((free, *_groups(root))))


def _groups(root: Path) -> Iterator[int]:
    """What each control group that this process is in may still take; pages of files are let go."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":  # version 2
            home, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            home = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        else:
            continue
        place = home / path.lstrip("/")
        for group in (place, *(up for up in place.parents if up.is_relative_to(home))):
            left = _left(group, names)
            if left is not None:
                yield left


def _left(group: Path, names: tuple[str, str, str]) -> int | None:
    """What a control group may still take; None for one without a limit."""
    limit, usage, all_in = names  # `all_in` begins the names of what its children have, too
    try:
        most = int((group / limit).read_text("ascii"))  # "max" is none
        used = int((group / usage).read_text("ascii"))
        rows = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Also those that were read twice, as a model's are that was loaded before.
        files = (f"{all_in}inactive_file", f"{all_in}active_file")
        return most - used + sum(int(rows.get(name, 0)) for name in files)
    except (OSError, ValueError):
        return None
