"""What the OpenAPI document says of a request is what `Request` takes, field by field."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel
from starlette.testclient import TestClient

from sfumato.errors import RequestError
from sfumato.recipe import Recipe
from sfumato.request import Request
from sfumato.resolve import Defaults
from sfumato.server.schemas import DefaultsTold, RecipeTold, RequestTold, RequestWanted
from sfumato.source import Source
from tests.server.calm import calm_client

SOURCES = ("image", "mask")
PICTURE = Source.picture(Image.new("RGB", (8, 8)))
MASK = Source.mask(Image.new("L", (8, 8), 255))
# What a field is of no use without.
BESIDE: dict[str, dict[str, Any]] = {
    "strength": {"image": PICTURE},
    "fit": {"image": PICTURE},
    "path_seed": {"wander": True},
    "apg_along": {"guidance_rule": "apg"},
    "apg_longest": {"guidance_rule": "apg"},
    "zero_steps": {"guidance_rule": "zero_star"},
    "mimic_scale": {"threshold": "mimic"},
    "mimic_quantile": {"threshold": "mimic"},
    "imagen_quantile": {"threshold": "imagen"},
    "imagen_limit": {"threshold": "imagen"},
    "refiner_at": {"refiner": "another"},
    "variation_seed": {"variation_strength": 0.2},
    "seed_width": {"seed_height": 64},
    "seed_height": {"seed_width": 64},
    **{
        f"mask_{name}": {"image": PICTURE, "mask": MASK}
        for name in ("blur", "fill", "padding", "invert")
    },
}


def forms(name: str) -> list[dict[str, Any]]:
    """The kinds of value that the document allows for a field."""
    told = RequestWanted.model_json_schema()["properties"][name]
    return told.get("anyOf", [told])


def bounded() -> Iterator[tuple[str, dict[str, Any]]]:
    for field in fields(Request):
        for form in forms(field.name):
            if "maximum" in form or "enum" in form:
                yield field.name, form


def taken(name: str, value: object) -> bool:
    values: dict[str, Any] = {**BESIDE.get(name, {}), name: value}
    try:
        Request(**values)
    except RequestError:
        return False
    return True


def test_every_field_of_a_request_may_be_sent_and_is_told() -> None:
    names = [field.name for field in fields(Request)]
    assert list(RequestWanted.model_fields) == names
    assert list(RequestTold.model_fields) == names


def test_what_is_left_out_is_what_it_is_in_python() -> None:
    sent = RequestWanted()
    assert {name: getattr(sent, name) for name in RequestWanted.model_fields} == {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in fields(Request)
    }


@pytest.mark.parametrize(("name", "form"), [*bounded()], ids=lambda each: str(each)[:20])
def test_the_bounds_that_are_told_are_the_bounds(name: str, form: dict[str, Any]) -> None:
    if "enum" in form:
        assert all(taken(name, value) for value in form["enum"])
        assert not taken(name, "none of them")
        return
    step = form.get("multipleOf", 1)
    assert taken(name, form["maximum"])
    assert not taken(name, form["maximum"] + step)
    if "exclusiveMinimum" in form:
        assert not taken(name, form["exclusiveMinimum"])
        assert taken(name, form["exclusiveMinimum"] + 0.5)
    else:
        assert taken(name, form["minimum"])
        assert not taken(name, form["minimum"] - step)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with calm_client(tmp_path_factory.mktemp("told") / "home") as client:
        yield openapi(client)


def openapi(client: TestClient) -> dict[str, Any]:
    assert isinstance(client.app, FastAPI)
    return client.app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        if path.startswith("/api/"):
            for method, operation in methods.items():
                yield f"{method.upper()} {path}", operation


def test_every_route_of_the_contract_is_there(document: dict[str, Any]) -> None:
    assert {label for label, _ in operations(document)} == {
        "GET /api/about",
        "GET /api/models",
        "GET /api/samplers",
        "POST /api/inputs",
        "GET /api/inputs/{sha256}",
        "POST /api/jobs",
        "GET /api/jobs",
        "GET /api/jobs/{id}",
        "POST /api/jobs/{id}/cancel",
        "GET /api/jobs/{id}/events",
        "GET /api/events",
        "POST /api/sheets",
        "GET /api/sheets",
        "GET /api/sheets/{id}",
        "POST /api/sheets/{id}/cancel",
        "GET /api/sheets/{id}/ladder",
        "GET /api/sheets/{id}/picture",
        "DELETE /api/sheets/{id}",
        "POST /api/tokens",
        "GET /api/fields",
        "POST /api/pictures/{id}/verify",
        "GET /api/pictures/{id}/verify/{job}",
        "GET /api/pictures/{id}/why/{other}",
        "GET /api/pictures",
        "POST /api/pictures",
        "GET /api/pictures/{id}",
        "PATCH /api/pictures/{id}",
        "DELETE /api/pictures/{id}",
        "POST /api/pictures/{id}/restore",
        "DELETE /api/trash",
        "GET /api/pictures/{id}/file",
        "GET /api/pictures/{id}/thumb",
        "GET /api/pictures/{id}/frames/{step}",
        "GET /api/pictures/{id}/diff/{other}",
        "POST /api/read",
        "POST /api/calls",
    }


def test_every_route_has_a_name_of_its_own_and_says_what_it_does(document: dict[str, Any]) -> None:
    named = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(named)) == len(named)
    for label, operation in operations(document):
        assert operation["operationId"].isidentifier(), label
        assert operation["description"].rstrip().endswith("."), label
        assert len(operation["tags"]) == 1, label


def test_every_error_has_the_one_shape(document: dict[str, Any]) -> None:
    for label, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                kind = answer["content"]["application/json"]["schema"]
                assert kind == {"$ref": "#/components/schemas/NativeError"}, (label, status)


def test_no_other_dialect_has_taken_one_of_our_names(document: dict[str, Any]) -> None:
    """Two models of one name are told apart by FastAPI with the long names of their modules."""
    names = document["components"]["schemas"]
    assert not [name for name in names if "schemas__" in name]


@pytest.mark.parametrize(("told", "held"), [(RecipeTold, Recipe), (DefaultsTold, Defaults)])
def test_a_recipe_and_a_models_defaults_are_told_with_all_that_they_hold(
    told: type[BaseModel], held: type
) -> None:
    """A field that is missing here would make each picture's own page, or every page, a fault."""
    assert set(told.model_fields) == {field.name for field in fields(held)}
