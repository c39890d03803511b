"""A request as plain JSON, and back: what recipes, queues and sheets keep of it."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches

from sfumato.embedding import embeddings_from_json, embeddings_to_json
from sfumato.errors import PictureError, RequestError
from sfumato.request import Request
from sfumato.source import Source

__all__ = ["from_dict", "to_dict"]


def to_dict(request: Request) -> dict[str, object]:
    """A request as plain JSON; of its pictures only the references."""
    values = {f.name: getattr(request, f.name) for f in fields(request)}
    for name in ("image", "mask"):
        source = values[name]
        values[name] = source.to_dict() if isinstance(source, Source) else None
    values["embeddings"] = embeddings_to_json(request.embeddings)
    return values


def from_dict(values: Mapping[str, object]) -> Request:
    """The request that `to_dict` wrote; a field that is not there has its usual value.

    Raises RequestError for a field that no request has, and for any value that it refuses.
    """
    known = [f.name for f in fields(Request)]
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, n=2, cutoff=0.5)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise RequestError(f"A request has no field {name!r:.40}.{hint}")
    given = dict(values)
    try:
        if given.get("image") is not None:
            given["image"] = Source.from_dict(given["image"])
        if given.get("mask") is not None:
            given["mask"] = Source.from_dict(given["mask"], "L")
    except PictureError as error:
        raise RequestError(str(error)) from error
    if "embeddings" in given:
        given["embeddings"] = embeddings_from_json(given["embeddings"])
    return Request(**given)  # pyright: ignore[reportArgumentType] - checked by Request
