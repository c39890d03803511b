"""What the native API tells of a prompt's tokens: the words of `sfumato tokens --json`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sfumato.server.app import compose
from sfumato.server.services import build
from sfumato.server.settings import Settings
from sfumato.shelves import Shelves, a1111
from tests.server.calm import calm_client
from tests.server.fake import FakePainter
from tests.shelves.files import EMBEDDING, SD3, SD15, T5, sparse


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with calm_client(tmp_path_factory.mktemp("calm") / "home") as client:
        yield client


def test_a_prompt_is_told_in_tokens_with_their_weights(calm: TestClient) -> None:
    answer = calm.post("/api/tokens", json={"request": {"prompt": "a (red:1.5) fox"}})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["model"], told["embeddings"], told["networks"]) == ("mini", {}, [])
    prompt, negative = told["heard"]
    assert (prompt["what"], prompt["step"], prompt["count"]) == ("prompt", 1, 3)
    assert (negative["what"], negative["count"]) == ("negative", 0)
    (chunk,) = prompt["chunks"]
    assert [(each["text"], each["weight"]) for each in chunk["tokens"]] == [
        ("a", 1.0),
        ("red", 1.5),
        ("fox", 1.0),
    ]
    assert chunk["room"] == 30


def test_what_painting_would_refuse_is_told(calm: TestClient) -> None:
    prompt = "a <lora:soft:1> " + "fox " * 30 + "狐"
    told = calm.post("/api/tokens", json={"request": {"prompt": prompt}}).json()
    assert told["networks"] == ["<lora:soft:1>"]
    assert told["heard"][0]["beyond"] == "fox 狐"
    assert told["heard"][0]["unknown"] == ["狐"]


def test_what_the_model_was_never_shown_is_told(calm: TestClient) -> None:
    prompt = {"prompt": "a sextant amidst a fox, flat"}
    told = calm.post("/api/tokens", json={"request": prompt}).json()
    assert told["strange"] == ["sextant", "amidst"]


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        ({"prompt": "a", "model": "nobody"}, "model", "nobody"),
        ({"prompt": "a", "weighting": "loud"}, "weighting", "loud"),
        ({"prompt": "a " * 6000}, "prompt", "at most 10000"),
        ({"prompt": "embedding:ghost"}, None, "embedding 'ghost'"),
    ],
)
def test_what_cannot_be_read_is_refused(
    calm: TestClient, request_: dict[str, str], field: str | None, words: str
) -> None:
    answer = calm.post("/api/tokens", json={"request": request_})
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["field"] == field


def test_a_reader_that_the_model_paints_without_is_told(tmp_path: Path) -> None:
    shop = tmp_path / "web/models/Stable-diffusion"
    sparse(shop / "bare.safetensors", SD3)
    sparse(shop / "whole.safetensors", {**SD3, **T5})
    settings = Settings(home=tmp_path / "home", port=0, shelves=Shelves(a1111(tmp_path / "web")))
    client = TestClient(compose(build(settings, FakePainter)), base_url="http://127.0.0.1")

    def absent(model: str) -> list[str]:
        body = {"request": {"prompt": "a fox", "model": model}}
        return client.post("/api/tokens", json=body).json()["absent"]

    assert absent("bare") == ["T5 (text encoder 3)"]
    assert absent("whole") == absent("mini") == []
    sparse(shop / "bare.safetensors", {**SD3, **T5})
    assert absent("bare") == []  # another file now, and looked into again


def test_models_and_embeddings_are_those_of_the_shelves(tmp_path: Path) -> None:
    sparse(tmp_path / "web/models/Stable-diffusion/fox.safetensors", SD15)
    sparse(tmp_path / "web/models/Stable-diffusion/odd.safetensors", {"x": (4, 4)})
    sparse(tmp_path / "web/embeddings/sad.safetensors", EMBEDDING)
    settings = Settings(home=tmp_path / "home", port=0, shelves=Shelves(a1111(tmp_path / "web")))
    client = TestClient(compose(build(settings, FakePainter)), base_url="http://127.0.0.1")
    body = {"request": {"prompt": "a sad fox", "model": "fox"}}
    told = client.post("/api/tokens", json=body).json()
    assert (told["model"], told["embeddings"]) == ("fox.safetensors", {"sad": 2})
    tokens = told["heard"][0]["chunks"][0]["tokens"]
    assert [(each["text"], each["learnt"]) for each in tokens] == [
        ("a", False),
        ("sad", True),
        ("sad", True),
        ("fox", False),
    ]
    odd = client.post("/api/tokens", json={"request": {"prompt": "a", "model": "odd"}})
    assert odd.status_code == 422, odd.text
