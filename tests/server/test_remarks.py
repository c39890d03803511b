"""What hinders nothing and may surprise is told in every dialect, beside the pictures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from sfumato.request import Request
from sfumato.server.remarks import remarks
from sfumato.server.services import Services
from sfumato.server.settings import Settings
from sfumato.shelves import Shelves, a1111
from tests.shelves.files import SD3, sparse

STRANGE = 'mini was never shown "sextant", and may paint something else.'
OTHERWISE = (
    "mini calls nothing as this prompt does; where one of its own names comes near, it reads that "
    "first."
)
ABSENT = (
    "bare.safetensors paints without its T5 (text encoder 3), which its files do not hold, "
    "and hears less of the prompt."
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    sparse(tmp_path / "web/models/Stable-diffusion/bare.safetensors", SD3)
    return Settings(home=tmp_path / "home", port=0, shelves=Shelves(a1111(tmp_path / "web")))


def test_a_job_is_told_with_its_remarks(client: TestClient) -> None:
    def told(**request: str) -> list[str]:
        answer = client.post("/api/jobs", json={"request": request})
        assert answer.status_code == 202, answer.text
        job = answer.json()["job"]
        assert client.get(f"/api/jobs/{job['id']}").json()["job"]["remarks"] == job["remarks"]
        return job["remarks"]

    assert told(prompt="a red fox, flat") == []
    assert told(prompt="a sextant, flat") == [STRANGE, OTHERWISE]
    assert told(prompt="") == []
    assert told(prompt="a sextant, flat", model="bare") == [ABSENT]


def test_a_negative_prompt_without_effect_is_told(services: Services) -> None:
    wish = Request("a fox", negative="blurry", model="mini")
    assert remarks(services.shelf, wish) == ()
    (said,) = remarks(services.shelf, replace(wish, guidance=1.0))
    assert "negative has no effect with guidance 1" in said


def test_a1111_clients_find_them_among_the_comments(client: TestClient) -> None:
    def comments(**sent: object) -> str:
        answer = client.post("/sdapi/v1/txt2img", json=sent)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.json()["info"])["comments"]

    assert comments(prompt="a red fox") == ""
    assert comments(prompt="a sextant") == f"{STRANGE}\n{OTHERWISE}"
    chosen = {"sd_model_checkpoint": "bare.safetensors"}
    assert comments(prompt="a fox", override_settings=chosen) == ABSENT


def test_openai_clients_find_them_in_the_answer_and_in_the_last_events(
    client: TestClient,
) -> None:
    openai = OpenAI(api_key="none", base_url="http://127.0.0.1:7860/v1", http_client=client)
    images = openai.images
    assert "remarks" not in images.generate(prompt="a red fox").model_dump()
    assert images.generate(prompt="a sextant").model_dump()["remarks"] == [STRANGE, OTHERWISE]
    sent = {"prompt": "a fox", "model": "bare", "stream": True}
    events = client.post("/v1/images/generations", json=sent).text
    last = json.loads(events.split("data: ")[-1])
    assert last["type"] == "image_generation.completed"
    assert last["remarks"] == [ABSENT]


def test_a_model_that_is_gone_or_damaged_has_no_remarks(services: Services, tmp_path: Path) -> None:
    wish = Request("a fox", model="bare.safetensors")
    assert remarks(services.shelf, wish) == (ABSENT,)
    assert remarks(services.shelf, replace(wish, model="nobody")) == ()
    (tmp_path / "web/models/Stable-diffusion/bare.safetensors").write_bytes(b"damaged")
    assert remarks(services.shelf, wish) == ()
    (tmp_path / "web/models/Stable-diffusion/bare.safetensors").unlink()
    assert remarks(services.shelf, wish) == ()
