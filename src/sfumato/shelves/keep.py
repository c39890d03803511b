"""Models taken into our own folder and out of it again, whole or not at all.

A copy grows under a hidden name and gets its own at the end, so that a kill or a full disk leaves
nothing that looks like a model; what was copied by then is used the next time.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from sfumato.errors import OutputError, RequestError, WeightsError
from sfumato.shelves.folders import OWN
from sfumato.shelves.items import Item
from sfumato.shelves.walk import LOOSE, LOOSE_ROLES, SUFFIXES
from sfumato.weights.detect import Inspection, Role, inspect
from sfumato.weights.hashes import learn, sha256
from sfumato.weights.remembered import state

__all__ = ["Added", "Tell", "add", "remove"]

Tell = Callable[[int, int], None]  # (bytes that are done, bytes in all)
CHUNK = 8 * 2**20
PART = ".part"  # behind a dot and the name


@dataclass(frozen=True)
class Added:
    """Where a model lies now, what it was recognised as, and whether it lay there before."""

    path: Path
    role: Role
    kind: str
    new: bool


def add(
    source: Path,
    root: Path,
    *,
    role: Role | None = None,
    link: bool = False,
    hashes: Path | None = None,
    tell: Tell = lambda done, total: None,
) -> Added:
    """Copy a model file or folder into our own folder `root`, or link to it, once it is recognised.

    `role` says what it is for where the file does not. The copy is read again and compared. Raises
    WeightsError for what is no model, RequestError for what has no place here or whose name is
    taken by another, OutputError where it cannot be written.
    """
    source = source.absolute()
    found = inspect(source)
    role = _role(found, role)
    _check_name(source, role)
    target = root / _folder(role) / source.name
    with _alone(root):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(target):
                _require_same(source, target, hashes)
                return Added(target, role, found.kind, False)
            if link:
                target.symlink_to(source, target_is_directory=source.is_dir())
            else:
                _copy(source, target, hashes, tell)
        except OSError as error:
            raise _unwritable(error, target) from error
    return Added(target, role, found.kind, True)


def _role(found: Inspection, said: Role | None) -> Role:
    if found.role != "other" and said not in (None, found.role):
        raise RequestError(f"{found.path.name} is {found.kind}, and no {said}; leave out --as.")
    role = said if found.role == "other" else found.role
    if role is None or role == "other":
        raise RequestError(
            f"{found.path.name} is {found.kind}. "
            f"If it is one of these, add --as with its name: {', '.join(OWN.values())}."
        )
    return role


def _folder(role: Role) -> str:
    return next(name for name, kind in OWN.items() if kind == role)


def _check_name(source: Path, role: Role) -> None:
    """Refuse a name under which it would not be found again."""
    name = source.name
    endings = SUFFIXES + LOOSE if role in LOOSE_ROLES else SUFFIXES
    if name.startswith(".") or not name.isprintable() or not name:
        raise RequestError(f"{name!r:.80} is hidden or holds control characters; rename it first.")
    if source.is_file() and not name.lower().endswith(endings):
        raise RequestError(f"{name:.80} does not end in {', '.join(endings)}; rename it first.")


@contextmanager
def _alone(root: Path) -> Generator[None]:
    """One `add` or `remove` at a time."""
    lock = FileLock(root / ".lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"another sfumato is working in {root}; try again afterwards.") from error
    except OSError as error:
        raise _unwritable(error, root) from error
    try:
        yield
    finally:
        lock.release()


def _require_same(source: Path, target: Path, hashes: Path | None) -> None:
    """What has the name must be the same model."""
    if target.exists() and source.samefile(target):
        return
    pairs = list(_pairs(source, target))
    held = {there for there, _ in _pairs(target, target) if there.exists()}
    alike = {there for _, there in pairs} == held and all(
        state(here)[0] == state(there)[0] for here, there in pairs
    )
    if not alike or any(sha256(here, hashes) != sha256(there, hashes) for here, there in pairs):
        raise RequestError(
            f"{target} is there, and is another. Rename {source.name}, or first: "
            f"sfumato models remove {target.name}"
        )


def _copy(source: Path, target: Path, hashes: Path | None, tell: Tell) -> None:
    part = target.with_name(f".{target.name}{PART}")
    pairs = list(_pairs(source, part))
    _clear_strangers(part, {there for _, there in pairs})
    total = sum(state(here)[0] for here, _ in pairs)
    _require_room(target, total - sum(state(there)[0] for _, there in pairs if there.exists()))
    done = 0
    digests: list[str] = []
    try:
        for here, there in pairs:
            there.parent.mkdir(parents=True, exist_ok=True)
            digests.append(_copy_file(here, there, lambda size, d=done: tell(d + size, total)))
            done += state(here)[0]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _clear(part)
        raise
    part.replace(target)
    if target.is_file():
        learn(target, digests[0], hashes)


def _pairs(source: Path, part: Path) -> Iterator[tuple[Path, Path]]:
    """Each file and its copy; of a folder all files in it, hidden ones left out."""
    if not source.is_dir():
        yield source, part
        return
    for place, inner, names in os.walk(source):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            here = Path(place, name)
            yield here, part / here.relative_to(source)


def _clear_strangers(part: Path, wanted: set[Path]) -> None:
    """Delete of an earlier copy what this one does not have: it was of another model."""
    if not part.is_dir():
        if part not in wanted:
            part.unlink(missing_ok=True)
        return
    if part in wanted:
        shutil.rmtree(part)
        return
    for place, folders, names in os.walk(part, topdown=False):
        for name in names:
            if Path(place, name) not in wanted:
                Path(place, name).unlink()
        for name in folders:
            if not any(Path(place, name).iterdir()):
                Path(place, name).rmdir()


def _copy_file(source: Path, target: Path, tell: Callable[[int], None]) -> str:
    """Copy what `target` does not have yet, read all of it again, and return its sha256."""
    before = state(source)
    read = hashlib.sha256()
    with source.open("rb") as file, target.open("r+b" if target.exists() else "w+b") as copy:
        _go_on(file, copy, read.update, tell)
        while chunk := file.read(CHUNK):
            copy.write(chunk)
            read.update(chunk)
            tell(file.tell())
        copy.truncate()
        copy.flush()
        os.fsync(copy.fileno())
    if state(source) != before:
        raise WeightsError(f"{source} changed while it was copied; try again when it is whole.")
    if sha256(target) != read.hexdigest():
        raise OutputError(f"what was written to {target.parent} reads differently; check the disk.")
    return read.hexdigest()


def _go_on(
    file: BinaryIO, copy: BinaryIO, seen: Callable[[bytes], None], tell: Callable[[int], None]
) -> None:
    """Stand both where an earlier copy stopped, or where it differs."""
    while there := copy.read(CHUNK):
        here = file.read(len(there))
        if here != there:
            file.seek(-len(here), os.SEEK_CUR)
            copy.seek(-len(there), os.SEEK_CUR)
            return
        seen(here)
        tell(file.tell())


def _require_room(target: Path, need: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if need > free:
        raise OutputError(
            f"{target.name} needs {need / 1e9:.2f} GB in {target.parent}, where {free / 1e9:.2f} "
            "are free. Make room, or add it with --link."
        )


def _unwritable(error: OSError, place: Path) -> OutputError:
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"{place} cannot be written: {reason}.")


# ---- out again ------------------------------------------------------------------------------


def remove(item: Item, root: Path | None) -> None:
    """Delete a model for good; of a link only the link. Raises OutputError.

    From the cache of huggingface_hub the bytes go too, unless another revision needs them.
    """
    assert not item.bundled
    try:
        if item.owner == "Hugging Face":
            _remove_from_hub(item.path)
        elif root is not None and item.owner == "sfumato":
            with _alone(root):
                _remove(item.path)
        else:
            _remove(item.path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{item.path} cannot be removed: {reason}.") from error


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    gone = path.with_name(f".{path.name}{PART}")  # out of sight at once, whatever happens then
    _clear(gone)
    path.rename(gone)
    _clear(gone)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_from_hub(path: Path) -> None:
    repository = next(above for above in path.parents if above.name == "snapshots").parent
    files = [path] if not path.is_dir() else [p for p in path.rglob("*") if not p.is_dir()]
    blobs = {Path(os.path.realpath(file)) for file in files if file.is_symlink()}
    for file in files:
        file.unlink()
    kept = {os.path.realpath(p) for p in (repository / "snapshots").rglob("*") if p.is_symlink()}
    inside = Path(os.path.realpath(repository / "blobs"))
    for blob in blobs:
        if blob.parent == inside and str(blob) not in kept:
            blob.unlink(missing_ok=True)
    for folder in sorted((repository / "snapshots").rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
