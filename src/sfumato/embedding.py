"""An embedding that a prompt names, as requests and recipes hold it: by its name and its hash."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sfumato.checks import came, named
from sfumato.errors import RequestError

__all__ = [
    "Embedding",
    "embeddings",
    "embeddings_from_json",
    "embeddings_from_text",
    "embeddings_to_json",
    "embeddings_to_text",
]

MOST = 100  # in one request
_PAIR = re.compile(r"(.*?)(?:: *([0-9a-f]{8,64}))?", re.DOTALL)
_HASH = re.compile(r"(?:[0-9a-f]{8,64})?")


@dataclass(frozen=True)
class Embedding:
    """A learnt word: the name that prompts have for it, and the sha256 of its file.

    The hash may be its beginning alone (AUTOMATIC1111 writes 12 digits), or "" for any file of that
    name; a request that is resolved has all of it. Raises RequestError.
    """

    name: str
    sha256: str = ""

    def __post_init__(self) -> None:
        named("embeddings", self.name)
        if not (isinstance(self.sha256, str) and _HASH.fullmatch(self.sha256)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise RequestError(
                f"embeddings has the sha256 {came(self.sha256)} for {self.name:.40}, but must have "
                "8 to 64 hexadecimal digits, or none."
            )


def embeddings(name: str, value: object) -> tuple[Embedding, ...]:
    """The check of `Request.embeddings`. Raises RequestError."""
    found = cast("tuple[Embedding, ...]", value if type(value) is tuple else ("none",))
    if not all(type(each) is Embedding for each in found):
        raise RequestError(
            f"{name} is {came(cast(object, value))}, but must be a tuple of Embedding."
        )
    if len(found) > MOST:
        raise RequestError(f"{name} has {len(found)} embeddings, but may have {MOST} at the most.")
    if len({each.name.lower() for each in found}) < len(found):
        raise RequestError(f"{name} names one embedding twice; name each once.")
    return found


def embeddings_to_text(given: Sequence[Embedding]) -> str:
    """As AUTOMATIC1111 writes them into a picture, `name: hash, name: hash`, of 12 digits each."""
    return ", ".join(f"{each.name}: {each.sha256[:12]}".rstrip(": ") for each in given)


def embeddings_from_text(text: str) -> tuple[Embedding, ...]:
    """What `embeddings_to_text` wrote; the hashes may be left out. Raises RequestError."""
    pairs = (_PAIR.fullmatch(each.strip()) for each in text.split(","))
    return tuple(Embedding(pair[1].strip(), pair[2] or "") for pair in pairs if pair is not None)


def embeddings_to_json(given: Sequence[Embedding] | None) -> list[dict[str, str]] | None:
    """As plain JSON."""
    if given is None:
        return None
    return [{"name": each.name, "sha256": each.sha256} for each in given]


def embeddings_from_json(value: object) -> tuple[Embedding, ...] | None:
    """What `embeddings_to_json` wrote. Raises RequestError."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise RequestError(f"embeddings is {came(value)}, but must be a list.")
    found: list[Embedding] = []
    for row in cast("list[object]", value):
        if not isinstance(row, Mapping):
            raise RequestError(f"embeddings holds {came(row)}, but must hold objects.")
        fields = dict(cast("Mapping[str, object]", row))
        if not {"name"} <= fields.keys() <= {"name", "sha256"}:
            raise RequestError("embeddings must hold objects with a name and a sha256.")
        found.append(Embedding(cast(str, fields["name"]), cast(str, fields.get("sha256", ""))))
    return tuple(found)
