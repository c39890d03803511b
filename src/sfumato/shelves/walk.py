"""What lies in a folder of models: files and diffusers folders, each with a name to ask for it by.

Nothing is opened. Links are followed, each folder once, so that a circle of links has an end.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.shelves.folders import Folder
from sfumato.weights.detect import Role
from sfumato.weights.files import STEMS

__all__ = ["SUFFIXES", "Found", "Look", "look", "without_suffix"]

SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".gguf")
# Endings that any kind of file has, so that they count only where nothing else is kept.
LOOSE = (".bin", ".pth")
LOOSE_ROLES: tuple[Role, ...] = ("vae", "text_encoder", "embedding", "lora")


@dataclass(frozen=True)
class Found:
    """A file, or the folder of a whole model, and the name that it has in its folder."""

    name: str
    path: Path
    folder: Folder


@dataclass(frozen=True)
class Look:
    """What was found, in the order of folders and names, and what could not be looked into."""

    found: tuple[Found, ...]
    troubles: tuple[str, ...]


def look(folders: Iterable[Folder]) -> Look:
    """Look into all folders. The same file met twice, by a link or an inner folder, counts once."""
    found: list[Found] = []
    troubles: list[str] = []
    names, places = set[str](), set[str]()
    for folder in folders:
        if not folder.optional and not folder.path.exists():
            troubles.append(f"{folder.path} is not there, so its models are left out")
            continue
        for one in _within(folder, troubles):
            place = os.path.realpath(one.path)
            if place not in places:
                places.add(place)
                found.append(replace(one, name=_free(one, names)))
                names.add(found[-1].name)
    return Look(tuple(found), tuple(troubles))


def _within(folder: Folder, troubles: list[str]) -> Iterator[Found]:
    if folder.owner == "Hugging Face":
        yield from _snapshots(folder, troubles)
        return
    if folder.path.is_file():
        yield Found(folder.path.name, folder.path.absolute(), folder)
        return
    for path in _models(folder.path, folder.role in LOOSE_ROLES, troubles):
        below = path.relative_to(folder.path).as_posix()
        yield Found(path.absolute().name if below == "." else below, path.absolute(), folder)


def _free(one: Found, taken: set[str]) -> str:
    """The name, led by as many of its outer folders as it takes to be the only one."""
    name, outer = one.name, one.path
    for _ in range(name.count("/") + 1):
        outer = outer.parent
    while name in taken and outer != outer.parent:
        name, outer = f"{outer.name}/{name}", outer.parent
    return name


def _models(root: Path, loose: bool, troubles: list[str]) -> Iterator[Path]:
    """The files and model folders below `root`, in the order of their names; hidden ones are not.

    The parts of a model folder are no models of their own.
    """
    seen = set[tuple[int, int]]()

    def trouble(error: OSError) -> None:
        if Path(error.filename) != root or root.exists():
            troubles.append(f"{error.filename} cannot be looked into: {error.strerror}")

    for place, inner, names in os.walk(root, onerror=trouble, followlinks=True):
        here = Path(place)
        try:
            identity = here.stat()
        except OSError as error:
            trouble(error)
            inner.clear()
            continue
        if (identity.st_dev, identity.st_ino) in seen:
            inner.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if (whole := "model_index.json" in names) or _is_part(names):
            inner.clear()
            yield here
            if not whole:
                continue  # the files are the part; beside a whole model lie others
        endings = SUFFIXES + LOOSE if loose else SUFFIXES
        for name in sorted(names):
            if name.lower().endswith(endings) and not name.startswith("."):
                yield here / name


def _is_part(names: list[str]) -> bool:
    """Whether a folder with these files is a part of a diffusers folder, by itself."""
    files = tuple(f"{stem}." for stem in STEMS) + tuple(f"{stem}-" for stem in STEMS)
    return "config.json" in names and any(
        name.startswith(files) and name.endswith((".safetensors", ".bin", ".index.json"))
        for name in names
    )


# ---- the cache of huggingface_hub -----------------------------------------------------------


def _snapshots(folder: Folder, troubles: list[str]) -> Iterator[Found]:
    """The models of each repository: by the name of it for `main`, with @ for another revision."""
    try:
        repositories = sorted(folder.path.glob("models--*--*/"))
    except OSError as error:
        troubles.append(f"{folder.path} cannot be looked into: {error.strerror}")
        return
    for repository in repositories:
        _, owner, name = repository.name.split("--", 2)
        for revision, snapshot in _revisions(repository, troubles):
            lead = f"{owner}/{name}{revision}"
            for path in _models(snapshot, False, troubles):
                below = path.relative_to(snapshot).as_posix()
                yield Found(lead if below == "." else f"{lead}/{below}", path.absolute(), folder)


def _revisions(repository: Path, troubles: list[str]) -> Iterator[tuple[str, Path]]:
    """Each snapshot once, `main` first: what is written behind the repository's name, and where."""
    named: dict[str, str] = {}
    refs = repository / "refs"
    try:
        for ref in sorted(refs.rglob("*"), key=lambda ref: (ref != refs / "main", ref)):
            if ref.is_file():
                commit = ref.read_text("utf-8", errors="replace").strip()
                label = ref.relative_to(refs).as_posix()
                named.setdefault(commit, "" if label == "main" else f"@{label}")
        inner = repository / "snapshots"
        snapshots = sorted(inner.iterdir()) if inner.is_dir() else []
    except OSError as error:
        troubles.append(f"{repository} cannot be looked into: {error.strerror}")
        return
    order = list(named)
    snapshots.sort(key=lambda s: order.index(s.name) if s.name in named else len(order))
    for snapshot in snapshots:
        if snapshot.is_dir():
            yield named.get(snapshot.name, f"@{snapshot.name[:8]}"), snapshot


def without_suffix(name: str) -> str:
    """A name without the ending of a model file."""
    low = name.lower()
    ends = (end for end in SUFFIXES + LOOSE if low.endswith(end))
    return name[: -len(end)] if (end := next(ends, "")) else name
