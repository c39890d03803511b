"""How a key table is written and read.

A table says, for each module of one of our networks, what a published layout calls it. It is made
for one config: rows with a wildcard, such as `blocks.*.norm1`, are written out once a number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Pieces:
    """A tensor of ours that a layout keeps in other pieces, or otherwise laid.

    `names` are joined along the rows; of that, `part` is (i, n): the i-th of n equal shares of the
    rows. `turned` exchanges rows and columns, `swapped` the first and the second half of the rows.
    """

    names: tuple[str, ...]
    part: tuple[int, int] = (0, 1)
    turned: bool = False
    swapped: bool = False

    def __str__(self) -> str:
        return " + ".join(self.names)


@dataclass(frozen=True, slots=True)
class Place:
    """The keys of a file that make one tensor of ours, and how: see `Pieces`."""

    keys: tuple[str, ...]
    pieces: Pieces

    def shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
        """What comes of tensors of these shapes; None where they do not fit one another."""
        if len({shape[1:] for shape in shapes}) != 1 or any(not shape for shape in shapes):
            return shapes[0] if len(shapes) == 1 else None
        rows, rest = sum(shape[0] for shape in shapes), shapes[0][1:]
        if rows % self.pieces.part[1] or (self.pieces.swapped and rows % 2):
            return None
        whole = (rows // self.pieces.part[1], *rest)
        return whole[::-1] if self.pieces.turned else whole


Row = tuple[str, str | Pieces]
Plain = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The names that one layout gives to one network.

    `rows` maps the path of our module, or of one tensor of ours, to theirs; None where the layout
    is our own. A name that holds `{leaf}` (as `in_proj_{leaf}`) gets "weight" or "bias" there, any
    other of a module has it behind a dot. `prefixes` are what may lead all their keys, the usual
    one first. `older` pairs an ending of theirs with the one that earlier files have in its place.
    `extras` are patterns of keys that are known to come along and not to be needed.
    """

    rows: Mapping[str, str | Pieces] | None
    prefixes: tuple[str, ...]
    older: tuple[Plain, ...] = ()
    extras: tuple[str, ...] = ()

    def places(self, ours: str) -> Iterator[Place]:
        """Where our tensor may lie in a file, the usual place first."""
        module, _, leaf = ours.rpartition(".")
        if self.rows is None:
            row, ending = module, f".{leaf}"
        elif ours in self.rows:
            row, ending = self.rows[ours], ""
        else:
            row, ending = self.rows[module], f".{leaf}"
        pieces = row if isinstance(row, Pieces) else Pieces((row,))
        forms = [pieces.names]
        for a, b in self.older:
            if any(name.endswith(a) for name in pieces.names):
                forms.append(tuple(name.removesuffix(a) + b for name in pieces.names))
        for prefix in self.prefixes:
            for names in forms:
                keys = tuple(f"{prefix}{_with_leaf(name, leaf, ending)}" for name in names)
                yield Place(keys, pieces)

    def candidates(self, ours: str) -> Iterator[str]:
        """The keys under which our tensor may lie whole in a file, the usual one first."""
        for place in self.places(ours):
            (key,) = place.keys
            yield key

    def usual(self, ours: str) -> str:
        """The key that the layout gives to our tensor today."""
        return next(self.candidates(ours))

    def holds(self, key: str) -> bool:
        """Whether a key of a file belongs to this network."""
        return key.startswith(self.prefixes)

    def is_extra(self, key: str) -> bool:
        """Whether a key is known to come along without being needed."""
        return any(fnmatchcase(key, pattern) for pattern in self.extras)


def _with_leaf(name: str, leaf: str, ending: str) -> str:
    return name.replace("{leaf}", leaf) if "{leaf}" in name else f"{name}{ending}"


def under(ours: str, theirs: str, rows: Iterable[Row], count: int = 0) -> Iterator[Row]:
    """The rows of one place: both sides led by where it lies, each `*` as 0 ... count - 1."""
    for a, b in rows:
        for number in range(count) if "*" in a else (0,):
            n = str(number)
            ready = _led(b, theirs, n)
            yield f"{ours}{a.replace('*', n)}", ready


def _led(row: str | Pieces, prefix: str, number: str) -> str | Pieces:
    if isinstance(row, Pieces):
        names = tuple(f"{prefix}{name.replace('*', number)}" for name in row.names)
        return replace(row, names=names)
    return f"{prefix}{row.replace('*', number)}"
