"""The models that a server has, by name: a client's word is looked up here, and is never a path."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sfumato.catalog import CATALOG, model_spec
from sfumato.errors import RequestError, WeightsError
from sfumato.familiar import familiar
from sfumato.shelves import Item, Role
from sfumato.spec import BertConfig
from sfumato.text.names import Names
from sfumato.weights.few import hurried

if TYPE_CHECKING:
    from PIL.Image import Image

    from sfumato.request import Request
    from sfumato.server.painter import Enlarging, Painter, Run
    from sfumato.server.settings import Settings
    from sfumato.spec import ModelSpec
    from sfumato.vocabulary import Vocabulary

__all__ = ["Knows", "OnShelf", "Shelf"]

SMALL = 256 * 2**20  # bytes that are hashed while somebody waits; more only if remembered


@dataclass(frozen=True)
class Knows:
    """What a model's header says of how it hears prompts.

    ``words`` are those that it was trained with; None where it says none. ``absent`` are the
    readers of prompts that it paints without, for its file does not hold them. ``names`` are what
    it calls things; None where it has no names.
    """

    words: frozenset[str] | None
    absent: tuple[str, ...]
    names: Names | None = None


def _knows(item: Item) -> Knows:
    from sfumato.weights.detect import recognise  # numpy again
    from sfumato.weights.files import open_weights
    from sfumato.weights.named import named
    from sfumato.weights.parts import absent_from

    weights = open_weights(item.path)
    layout, spec = recognise(weights).layout, item.spec_name
    lacks = () if spec is None or layout is None else absent_from(weights, CATALOG[spec], layout)
    own = () if spec is None else _names(named(CATALOG[spec], weights))
    return Knows(familiar(weights.metadata), lacks, Names(own) if own else None)


def _names(spec: ModelSpec) -> tuple[str, ...]:
    configs = (part.config for part in spec.texts)
    return next((config.names for config in configs if isinstance(config, BertConfig)), ())


class Shelf:
    """What of the shelves of its settings a server offers, its own model first."""

    def __init__(self, settings: Settings) -> None:
        self._shelves, self._model = settings.shelves, settings.model
        self._lock = threading.Lock()
        self._rows: tuple[Item, ...] | None = None
        self._known: dict[str, tuple[list[int], Knows]] = {}

    @property
    def default(self) -> Item:
        """The model that a request gets that names none."""
        return self.rows()[0]

    def rows(self) -> tuple[Item, ...]:
        """All models, the server's own one first; folders are looked into once, and on `refresh`.

        Raises SfumatoError where the server's own model is none.
        """
        with self._lock:
            if self._rows is None:
                own = self._shelves.locate(self._model).path.absolute()
                if all(item.path != own for item in self._shelves.items()):
                    self._shelves = self._shelves.also(own)
                items = [self._hashed(item) for item in self._shelves.items("model")]
                if all(item.path != own for item in items):
                    raise RequestError(f"{self._model} is no model that can be painted with.")
                self._rows = tuple(sorted(items, key=lambda item: item.path != own))
            return self._rows

    def others(self, role: Role) -> tuple[Item, ...]:
        """What there is beside models: the VAEs, the embeddings, the LoRAs."""
        return self._shelves.items(role)

    def refresh(self) -> None:
        """Look into the folders again."""
        with self._lock:
            self._shelves.refresh()
            self._rows = None

    def find(self, words: str) -> str:
        """The name of the model that a client means, as `Shelves.find` reads it.

        Raises RequestError with the nearest names.
        """
        self.rows()  # for which the server's own model joins the shelves
        return self._shelves.find(words).name

    def spec(self, name: str) -> ModelSpec:
        """What the model of this name is made of.

        Raises RequestError for one that is not here, and with its trouble for one that is of no
        kind that this version opens.
        """
        item = self._item(name)
        if item.spec_name is None:
            raise RequestError(f"{item.name} cannot be opened: it is {item.kind}.")
        return hurried(model_spec(item.spec_name), item.few)

    def knows(self, name: str) -> Knows:
        """With which words the model of this name was trained, and which readers it lacks.

        Its header is read once, and again when the file is another. Raises RequestError for one
        that is not here, WeightsError for a file that is damaged.
        """
        from sfumato.weights.remembered import state

        item = self._item(name)
        try:
            stamp = state(item.path)
        except OSError as error:
            raise WeightsError(f"{item.name} cannot be read: {error.strerror}.") from error
        before = self._known.get(item.name)
        if before is None or before[0] != stamp:
            before = self._known[item.name] = (stamp, _knows(item))
        return before[1]

    def _item(self, name: str) -> Item:
        found = self.find(name)
        return next(row for row in self.rows() if row.name == found)

    def vocabulary(self) -> Vocabulary:
        """The embeddings that prompts may name."""
        from sfumato.vocabulary import Vocabulary  # reads vectors, for which numpy takes its time

        files = ((item.name, item.path) for item in self.others("embedding"))
        return Vocabulary(files, self._shelves.hashes)

    def same(self, name: str, sha256: str | None) -> str:
        """The name here of a recipe's model: its sha256 decides, as far as it is known.

        Raises RequestError where what has the name is known to be another.
        """
        found = None if sha256 is None else self._known_by(sha256)
        item = self._shelves.find(name) if found is None else found
        if found is None and sha256 is not None and self._hash_of(item) not in (None, sha256):
            raise RequestError(f"{item.name} is another model than that of the picture.")
        return item.name

    def _known_by(self, sha256: str) -> Item | None:
        return next((row for row in self.rows() if row.sha256 == sha256), None)

    def _hash_of(self, item: Item) -> str | None:
        return next((row.sha256 for row in self.rows() if row.path == item.path), None)

    def place(self, name: str | None) -> str:
        """What an engine calls the model of this name: a path, or a name of the catalog."""
        if name is None and self._model in CATALOG:
            return self._model
        if name is None:
            return str(self._shelves.locate(self._model).path.absolute())
        item = next(row for row in self.rows() if row.name == self.find(name))
        return item.name if item.bundled else str(item.path)

    def _hashed(self, item: Item) -> Item:
        small = item.bytes <= SMALL and item.trouble is None
        if item.sha256 is not None or not small or item.path.is_dir():
            return item
        try:
            return replace(item, sha256=self._shelves.sha256(item))
        except WeightsError:  # it went away, or is being written
            return item


@dataclass(frozen=True)
class OnShelf:
    """A painter whose requests name models as the shelf does."""

    painter: Painter
    shelf: Shelf

    @property
    def device(self) -> object:
        """The painter's."""
        return self.painter.device

    @property
    def precision(self) -> str:
        """The painter's."""
        return self.painter.precision

    @property
    def model(self) -> str:
        """The server's own model, by its name."""
        return self.shelf.default.name

    def submit(self, request: Request, *, state: bytes | None = None) -> Run:
        """As `Painter.submit`; RequestError for a model that is not on the shelf any more."""
        return self.painter.submit(self._placed(request), state=state)

    def develop(self, request: Request, estimate: bytes) -> Image:
        """As `Painter.develop`."""
        return self.painter.develop(self._placed(request), estimate)

    def _placed(self, request: Request) -> Request:
        place = self.shelf.place
        refiner = None if request.refiner is None else place(request.refiner)
        return replace(own_parts(request), model=place(request.model), refiner=refiner)

    def enlarge(self, image: Image, factor: int) -> Enlarging:
        """As `Painter.enlarge`."""
        return self.painter.enlarge(image, factor)


def own_parts(request: Request) -> Request:
    """The same request, which names no part of a model apart: a stranger's words open no file."""
    for name in ("vae", "text_encoders"):
        if getattr(request, name):
            raise RequestError(
                f"{name} is given, and this server opens no parts of a model by name; leave it out."
            )
    return request
