"""How a key table is written and read.

A table says, for each module of one of our networks, what a published layout calls it. It is made
for one config: rows with a wildcard, such as `blocks.*.norm1`, are written out once a number.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The names that one layout gives to one network.

    `rows` maps the path of our module to theirs; None where the layout is our own. `prefixes` are
    what may lead all their keys, the usual one first. `older` pairs an ending of theirs with the
    one that earlier files have in its place. `extras` are patterns of keys that are known to come
    along and not to be needed.
    """

    rows: Mapping[str, str] | None
    prefixes: tuple[str, ...]
    older: tuple[Row, ...] = ()
    extras: tuple[str, ...] = ()

    def candidates(self, ours: str) -> Iterator[str]:
        """The keys under which our tensor may lie in a file, the usual one first."""
        module, _, leaf = ours.rpartition(".")
        theirs = module if self.rows is None else self.rows[module]
        names = [theirs]
        names += [theirs.removesuffix(a) + b for a, b in self.older if theirs.endswith(a)]
        for prefix in self.prefixes:
            for name in names:
                yield f"{prefix}{name}.{leaf}"

    def usual(self, ours: str) -> str:
        """The key that the layout gives to our tensor today."""
        return next(self.candidates(ours))

    def holds(self, key: str) -> bool:
        """Whether a key of a file belongs to this network."""
        return key.startswith(self.prefixes)

    def is_extra(self, key: str) -> bool:
        """Whether a key is known to come along without being needed."""
        return any(fnmatchcase(key, pattern) for pattern in self.extras)


def under(ours: str, theirs: str, rows: Iterable[Row], count: int = 0) -> Iterator[Row]:
    """The rows of one place: both sides led by where it lies, each `*` as 0 ... count - 1."""
    for a, b in rows:
        for number in range(count) if "*" in a else (0,):
            n = str(number)
            yield f"{ours}{a.replace('*', n)}", f"{theirs}{b.replace('*', n)}"
