"""The route that tells a request's fields, from the schema that a request is read by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from sfumato.limits import OWN, SAYS_MORE_OF, SEEDS
from sfumato.numerics import DIFFERENCES
from sfumato.server import schemas
from sfumato.server.native.errors import room
from sfumato.server.services import Services

__all__ = ["routes", "told"]

_KINDS: Mapping[str, schemas.FieldKind] = {
    "string": "text",
    "integer": "whole",
    "number": "real",
    "boolean": "flag",
}
_NUMERICS = frozenset(each.field for each in DIFFERENCES)
_LISTS: Mapping[str, schemas.FieldKind] = {
    "number": "reals",
    "integer": "wholes",
    "string": "names",
}


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("lists")
    fields = told()

    @router.get("/api/fields")
    def list_fields() -> list[schemas.FieldTold]:
        """All that a request may say: what it is, what it may be, and what it means."""
        return fields

    return router


def told() -> list[schemas.FieldTold]:
    """Every field of `RequestWanted`, in its order."""
    rows: Mapping[str, dict[str, Any]] = schemas.RequestWanted.model_json_schema()["properties"]
    return [_field(name, row) for name, row in rows.items()]


def _field(name: str, row: Mapping[str, Any]) -> schemas.FieldTold:
    ways: list[Mapping[str, Any]] = row.get("anyOf", [row])
    said = next(way for way in ways if way.get("type") != "null")
    return schemas.FieldTold(
        name=name,
        kind=_kind(name, said, row),
        about=row["description"],
        usual=row.get("default"),
        open=any(way.get("type") == "null" for way in ways),
        least=said.get("minimum", said.get("exclusiveMinimum")) if name not in SEEDS else None,
        most=said.get("maximum") if name not in SEEDS else None,
        choices=said.get("enum", []),
        needs=_need(name),
        follows="like" if name in _NUMERICS else None,
    )


def _kind(name: str, said: Mapping[str, Any], row: Mapping[str, Any]) -> schemas.FieldKind:
    if name in SEEDS:
        return "seed"
    if "enum" in said:
        return "choice"
    if said.get("type") == "array":
        return _LISTS.get(said["items"].get("type", ""), "other")
    if len(row.get("anyOf", ())) > 2:  # a picture, by its hash or as answers write it
        return "other"
    kind = _KINDS.get(said.get("type", ""), "other")
    return "name" if kind == "text" and row.get("default") is None else kind


def _need(name: str) -> schemas.NeedTold | None:
    if name in OWN:
        field, way = OWN[name]
        return schemas.NeedTold(field=field, value=way)
    if name == "path_seed":
        return schemas.NeedTold(field="wander", value=True)
    needed = SAYS_MORE_OF.get(name)
    return None if needed is None else schemas.NeedTold(field=needed, value=None)
