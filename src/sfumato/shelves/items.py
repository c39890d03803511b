"""One thing on the shelves, and what is told about it from its header alone."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

from sfumato.catalog import CATALOG
from sfumato.errors import WeightsError
from sfumato.resolve import Defaults
from sfumato.shelves.folders import Owner
from sfumato.shelves.walk import Found
from sfumato.weights import detect
from sfumato.weights.detect import Role, inspect
from sfumato.weights.few import Few
from sfumato.weights.remembered import keep, known, state

__all__ = ["Item", "told"]


@dataclass(frozen=True)
class Item:
    """A model, a part of one, or an add-on.

    `name` is what it is asked for by; nothing else on the shelves has it. `path` is for whoever
    opens it, and no client of a server sees it. `kind` says in words what it is, and `spec_name` is
    its row in the catalog if this version opens it by itself. `bytes` are those on the disk.
    `sha256` is None for what is big and was never read. `trouble` says why it cannot be opened.
    `few` is how a model is used that was distilled for few steps.
    """

    name: str
    path: Path
    role: Role
    kind: str
    spec_name: str | None
    precision: str
    bytes: int
    owner: Owner
    sha256: str | None = None
    trouble: str | None = None
    few: Few | None = None

    @property
    def last(self) -> str:
        """The name without any folder."""
        return self.name.rpartition("/")[2]

    @property
    def bundled(self) -> bool:
        """Whether it came with sfumato."""
        return self.owner == "bundled"

    @property
    def family(self) -> str:
        """The family of models in the catalog; `unknown` for what this version does not open."""
        return "unknown" if self.spec_name is None else CATALOG[self.spec_name].family

    @property
    def defaults(self) -> Defaults | None:
        """How it likes to be used."""
        if self.spec_name is None:
            return None
        usual = CATALOG[self.spec_name].defaults
        return usual if self.few is None else self.few.defaults(usual)


def told(found: Iterable[Found], index: Path | None) -> tuple[Item, ...]:
    """What each file is. `index` is a JSON file of what was told before about unchanged files.

    What cannot be opened is an item too, with its trouble; in the cache of huggingface_hub, where
    models of all kinds of programs lie, only what painting uses is.
    """
    edition = _edition()
    before = {} if index is None else known(index)
    if before.get("") != edition:  # another version may recognise other things
        before = {}
    rows = dict[str, object]()
    items = list[Item]()
    try:
        for one in found:
            key = str(one.path)
            try:
                stamp = state(one.path)
            except OSError as error:
                items.append(_broken(one, f"{one.path} cannot be read: {error.strerror}.", 0))
                continue
            row = _kept(before.get(key), stamp)
            if row is None:
                row = _row(one.path)
            rows[key] = [stamp, row]
            items.append(_item(one, row, stamp[0]))
    finally:  # a first look that is broken off has looked at some
        if index is not None and any(before.get(key) != row for key, row in rows.items()):
            keep(index, before | rows | {"": edition})
    return tuple(item for item in items if (item.owner, item.role) != ("Hugging Face", "other"))


def _kept(row: object, stamp: list[int]) -> Mapping[str, object] | None:
    """A row of the index, if it is one and the file is what it was then."""
    if not isinstance(row, list) or len(cast(list[object], row)) != 2 or row[0] != stamp:
        return None
    found = cast(list[object], row)[1]
    if not isinstance(found, dict) or not ("trouble" in found or found.keys() >= _FIELDS):
        return None
    return cast(dict[str, object], found)


_FIELDS = frozenset({"role", "kind", "spec", "precision", "few"})


def _row(path: Path) -> dict[str, object]:
    """What is remembered about a file or folder."""
    try:
        found = inspect(path)
    except WeightsError as error:
        return {"trouble": str(error)}
    return {
        "role": found.role,
        "kind": found.kind,
        "spec": found.spec_name if found.spec_name in CATALOG else None,
        "precision": found.precision,
        "few": None if found.few is None else asdict(found.few),
    }


def _item(one: Found, row: Mapping[str, object], size: int) -> Item:
    if (trouble := row.get("trouble")) is not None:
        return _broken(one, str(trouble), size)
    role = str(row["role"])
    if role == "other" and one.folder.role is not None and row["kind"] == UNKNOWN:
        role = one.folder.role  # such as an embedding, whose keys are anybody's
    return Item(
        name=one.name,
        path=one.path,
        role=cast(Role, role) if role in get_args(Role) else "other",
        kind=str(row["kind"]),
        spec_name=None if row["spec"] is None else str(row["spec"]),
        precision=str(row["precision"]),
        bytes=size,
        owner=one.folder.owner,
        few=_few(row["few"]),
    )


def _few(row: object) -> Few | None:
    """What `_row` keeps of a model of few steps; a damaged row is none."""
    if not isinstance(row, dict):
        return None
    try:
        return Few(**cast("dict[str, Any]", row))
    except TypeError:
        return None


UNKNOWN = "of a kind unknown here"


def _broken(one: Found, trouble: str, size: int) -> Item:
    """What cannot be opened counts as what its folder is for: asked for, it says what is wrong."""
    role = one.folder.role
    if role is None:
        role = "other" if one.folder.owner == "Hugging Face" else "model"
    return Item(
        name=one.name,
        path=one.path,
        role=role,
        kind="not a model that this version opens",
        spec_name=None,
        precision="none",
        bytes=size,
        owner=one.folder.owner,
        trouble=trouble,
    )


def _edition() -> list[list[int]]:
    """What changes when the code that recognises models does."""
    rooms = Path(detect.__file__).parent
    files = (*rooms.rglob("*.py"), rooms.with_name("catalog.py"))
    return sorted(state(file) for file in files if file.is_file())
