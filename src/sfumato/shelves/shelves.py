"""All models that there are, and the ways to find one: by name, by path, by sha256."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from sfumato.catalog import CATALOG
from sfumato.errors import RequestError, WeightsError
from sfumato.shelves.folders import Folder
from sfumato.shelves.items import Item, told
from sfumato.shelves.walk import SUFFIXES, Found, look, without_suffix
from sfumato.shipped import shipped
from sfumato.weights.detect import Role
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest, recalled
from sfumato.weights.remembered import known

__all__ = ["Place", "Shelves"]

# "name.safetensors [0123456789]", as A1111 shows a model.
_HASH_BEHIND = re.compile(r" *\[([0-9a-fA-F]{6,64})\]$")
_HASH = re.compile(r"[0-9a-f]{10,64}")
SHOWN = 3  # names in a refusal

ROLES: Mapping[Role | None, str] = {
    None: "model or part of one",
    "model": "model",
    "denoiser": "denoiser",
    "vae": "VAE",
    "text_encoder": "text encoder",
    "embedding": "embedding",
    "lora": "LoRA",
    "other": "file",
}


@dataclass(frozen=True)
class Place:
    """Where a model lies, and the name that a recipe gives it: without any folder."""

    path: Path
    name: str


class Shelves:
    """The bundled models and those in `folders`, in this order.

    `hashes` is the file in which the sha256 of big files is remembered, `index` the one in which it
    is remembered what files are. `troubles` are those that were met on the way to the folders.
    Folders are looked into when somebody asks first, and on `refresh`; only headers are read.
    Threads may share it.
    """

    def __init__(
        self,
        folders: Sequence[Folder] = (),
        *,
        hashes: Path | None = None,
        index: Path | None = None,
        troubles: Sequence[str] = (),
    ) -> None:
        self.folders, self.hashes = tuple(folders), hashes
        self._index, self._before = index, tuple(troubles)
        self._lock = threading.Lock()
        self._known: tuple[tuple[Item, ...], tuple[str, ...]] | None = None

    # ---- what there is ----------------------------------------------------------------------

    def items(self, role: Role | None = None) -> tuple[Item, ...]:
        """Everything, the bundled models first; or what has this role."""
        return tuple(item for item in self._look()[0] if role in (None, item.role))

    @property
    def troubles(self) -> tuple[str, ...]:
        """What could not be looked into, a line each."""
        return self._look()[1]

    def refresh(self) -> None:
        """Look into the folders again."""
        with self._lock:
            self._known = None

    def also(self, place: Path) -> "Shelves":
        """These, with a model that lies elsewhere before all others."""
        return Shelves(
            (Folder(place), *self.folders),
            hashes=self.hashes,
            index=self._index,
            troubles=self._before,
        )

    def _look(self) -> tuple[tuple[Item, ...], tuple[str, ...]]:
        with self._lock:
            if self._known is None:
                seen = look(self.folders)
                rows = {} if self.hashes is None else known(self.hashes)
                items = told((*_bundled(), *seen.found), self._index)
                items = tuple(replace(item, sha256=_hash_known(item, rows)) for item in items)
                self._known = items, self._before + seen.troubles
            return self._known

    # ---- by name ----------------------------------------------------------------------------

    def locate(self, asked: str, role: Role | None = "model") -> Place:
        """The place of what a user of this machine calls `asked`: a name, or a path.

        >>> shelves.locate("vae-ft-mse-840000", "vae").path
        >>> shelves.locate("easynegative", "embedding").path   # all: shelves.items("embedding")

        `role` None is for whatever it is. A file that is there by this path comes before a name,
        and a name before a folder. Raises RequestError for what is neither, or fits several, with
        their names. Whether it is what it should be is told by whoever opens it.
        """
        if role in ("model", None) and asked in CATALOG:
            return self._catalogued(asked)
        path = Path(asked)
        try:
            is_file, there = path.is_file(), path.exists()
        except OSError as error:  # a name too long to exist, or a folder that may not be entered
            raise WeightsError(f"{asked:.60} cannot be read: {error.strerror}.") from error
        if is_file:
            return _by(path)
        found = self._matches(asked, role)
        is_path = there or len(path.parts) > 1 or asked.lower().endswith(SUFFIXES)
        if not found and is_path and "\0" not in asked:
            here = path.absolute()
            return next((_place(item) for item in self.items() if item.path == here), _by(path))
        return _place(self._single(found, asked, role))

    def find(self, words: str, role: Role | None = "model") -> Item:
        """What is on the shelves by this name, never by a path: a stranger's words open nothing.

        Case does not matter, and folder and suffix may be left out; or the beginning of a name is
        enough where only one begins so; or the sha256, or ten digits of it. A hash in brackets
        behind a name, as A1111 shows it, is passed over. Raises RequestError as `locate` does.
        """
        return self._single(self._matches(words, role), words, role)

    def _matches(self, words: str, role: Role | None) -> list[Item]:
        items = self.items(role)
        asked = _HASH_BEHIND.sub("", words.strip()).replace("\\", "/").lower()
        if not asked:
            return []
        for fits in _SPELLINGS:
            if found := [item for item in items if fits(item, asked)]:
                return found
        return []

    def _single(self, found: Sequence[Item], words: str, role: Role | None) -> Item:
        """The only one; several that are the same bytes are one."""
        what, shown = ROLES[role], f"{words[:80]!r}"
        hashes = {item.sha256 for item in found}
        if len(found) == 1 or (len(hashes) == 1 and None not in hashes):
            return found[0]
        if found:
            names = ", ".join(item.name for item in found[:SHOWN])
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise RequestError(
                f"{shown} fits {len(found)} {what}s: {names}{more}. Give one of these names."
            )
        names = {item.name.lower(): item.name for item in self.items(role)}
        near = [names[key] for key in get_close_matches(words.lower(), names, n=SHOWN, cutoff=0.4)]
        if not near:
            near = list(names.values())[:SHOWN]
        hint = f"Did you mean {' or '.join(near)}?" if near else "See: sfumato models."
        if self.troubles:
            hint += f"\n({self.troubles[0]}.)"
        raise RequestError(f"There is no {what} {shown}. {hint}")

    def _catalogued(self, name: str) -> Place:
        """The model of a catalog's row: the bundled one, or a file that somebody named so."""
        for bundled in _bundled():  # without a look into any folder
            if bundled.name == name:
                if not bundled.path.exists():
                    raise WeightsError(
                        f"The bundled model is not at {bundled.path}. Install sfumato again."
                    )
                return Place(bundled.path, name)
        found = [i for i in self.items("model") if without_suffix(i.last.lower()) == name]
        if not found:
            raise RequestError(
                f"{name} is a kind of model, and its weights do not come with sfumato. "
                "Give the path of its file or folder."
            )
        return _place(self._single(found, name, "model"))

    # ---- by sha256 --------------------------------------------------------------------------

    def sha256(self, item: Item) -> str:
        """The sha256 that a recipe names; read if it is not known. Raises WeightsError."""
        if item.sha256 is not None:
            return item.sha256
        return digest(open_weights(item.path), self.hashes)

    def known_by(self, sha256: str) -> Item | None:
        """The model of which it is known, without reading one, that this is its sha256."""
        return next((item for item in self.items("model") if item.sha256 == sha256), None)

    def unread(self, named: str = "") -> list[Item]:
        """The models whose sha256 is not known yet, those first that are named as a recipe says."""
        items = [i for i in self.items("model") if i.sha256 is None and i.trouble is None]
        alike = without_suffix(named.lower())
        return sorted(items, key=lambda item: without_suffix(item.last.lower()) != alike)


def _hash_known(item: Item, rows: Mapping[str, object]) -> str | None:
    try:
        return recalled(item.path, rows) or _blob(item)
    except OSError:
        return None


def _by(path: Path) -> Place:
    return Place(path, path.name or path.absolute().name)


def _place(item: Item) -> Place:
    return Place(item.path, item.last)


# What a user may write for a name, from the strictest to the laxest.
_SPELLINGS: Sequence[Callable[[Item, str], bool]] = (
    lambda item, asked: item.name.lower() == asked,
    lambda item, asked: without_suffix(item.name.lower()) == asked,
    lambda item, asked: item.last.lower() == asked,
    lambda item, asked: without_suffix(item.last.lower()) == asked,
    lambda item, asked: (
        item.sha256 is not None
        and _HASH.fullmatch(asked) is not None
        and item.sha256.startswith(asked)
    ),
    lambda item, asked: item.last.lower().startswith(asked) or item.name.lower().startswith(asked),
)


def _blob(item: Item) -> str | None:
    """huggingface_hub keeps a big file under its sha256, and links to it from its name."""
    if item.owner != "Hugging Face":
        return None
    name = item.path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def _bundled() -> Iterator[Found]:
    for spec in CATALOG.values():
        if spec.asset is not None:
            path = shipped(spec.asset)
            yield Found(spec.name, path, Folder(path.parent, "bundled", "model"))
