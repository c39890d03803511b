"""What is told of a request's fields is what holds of them."""

from dataclasses import fields

import pytest
from starlette.testclient import TestClient

from sfumato.errors import RequestError
from sfumato.limits import OWN, SAYS_MORE_OF
from sfumato.numerics import CHOICES
from sfumato.request import Request
from sfumato.server.native.fields import told
from sfumato.server.schemas import FieldTold

FIELDS = {field.name: field for field in told()}
NUMBERS = [field for field in FIELDS.values() if field.most is not None]


def test_every_field_of_a_request_is_told_with_a_sentence(client: TestClient) -> None:
    rows = client.get("/api/fields").json()
    assert [row["name"] for row in rows] == [field.name for field in fields(Request)]
    assert all(row["about"].endswith(".") for row in rows)
    assert {row["name"]: row["kind"] for row in rows} == {
        name: field.kind for name, field in FIELDS.items()
    }


def test_the_usual_values_are_those_of_a_request() -> None:
    for field in fields(Request):
        usual = field.default if not isinstance(field.default, tuple) else [*field.default]
        assert FIELDS[field.name].usual == usual, field.name
        assert FIELDS[field.name].open == (field.default is None), field.name


def test_fields_have_the_kinds_that_a_form_shows() -> None:
    kinds = {name: field.kind for name, field in FIELDS.items()}
    assert kinds["prompt"] == "text"
    assert kinds["sampler"] == "name"
    assert kinds["steps"] == "whole"
    assert kinds["guidance"] == "real"
    assert kinds["wander"] == kinds["whole_times"] == "flag"
    assert kinds["like"] == kinds["stream"] == kinds["upscale"] == "choice"
    assert kinds["sigmas"] == "reals"
    assert kinds["pag_layers"] == "wholes"
    assert kinds["text_encoders"] == "names"
    assert kinds["seed"] == kinds["path_seed"] == "seed"
    assert {name for name, kind in kinds.items() if kind == "other"} == {
        "image",
        "mask",
        "embeddings",
    }


@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.name)
def test_a_number_beyond_what_is_told_is_refused(field: FieldTold) -> None:
    assert field.most is not None
    assert field.least is not None
    for value in (field.least - 8, field.most + 8):
        number = int(value) if field.kind == "whole" else value
        with pytest.raises(RequestError, match=field.name):
            Request(**{field.name: number})  # type: ignore[arg-type]


def test_what_needs_another_field_says_which() -> None:
    needs = {name: field.needs.field for name, field in FIELDS.items() if field.needs}
    assert needs == {
        **SAYS_MORE_OF,
        **{name: field for name, (field, _) in OWN.items()},
        "path_seed": "wander",
    }
    assert {name for name, field in FIELDS.items() if field.follows == "like"} == set(CHOICES) | {
        "whole_times",
        "discard_penultimate",
        "fixed_shift",
    }
    longest = FIELDS["apg_longest"].needs
    assert longest is not None
    assert longest.value == "apg"
