"""What the native API tells of the server itself: its model, its limits, its names, its door."""

from dataclasses import fields
from pathlib import Path

from starlette.testclient import TestClient

from sfumato.catalog import BUNDLED, CATALOG
from sfumato.diffusion.table import SAMPLER_ROWS, SCHEDULE_ROWS
from sfumato.server.app import compose
from sfumato.server.services import build, running
from sfumato.server.settings import Limits, Settings
from sfumato.shelves import Folder, Shelves, a1111
from tests.server.fake import FakePainter
from tests.server.test_native_jobs import ended, send
from tests.shelves.files import EMBEDDING, LORA, SD15, VAE, of, sparse

TOKEN = "a-token-of-some-length"


def test_about_tells_the_painter_once_it_is_there(client: TestClient) -> None:
    ended(client, send(client)["id"])
    about = client.get("/api/about").json()
    assert about["name"] == "sfumato"
    assert (about["model"], about["device"], about["precision"]) == (BUNDLED, "cpu", "fp32")
    assert about["ready"] is True
    assert about["login"] is False


def test_about_answers_before_the_model_is_loaded(tmp_path: Path) -> None:
    services = build(Settings(home=tmp_path / "home", port=0), FakePainter)
    about = TestClient(compose(services), base_url="http://127.0.0.1").get("/api/about").json()
    assert (about["ready"], about["device"], about["precision"]) == (False, None, None)
    assert about["model"] == BUNDLED


def test_the_limits_that_are_told_are_those_that_hold(client: TestClient) -> None:
    told = client.get("/api/about").json()["limits"]
    assert told == {name: getattr(Limits(), name) for name in told}
    assert set(told) < {field.name for field in fields(Limits)}


def test_the_models_are_told_the_default_first(client: TestClient) -> None:
    first, *rest = client.get("/api/models").json()
    assert (first["name"], first["default"], first["bundled"]) == (BUNDLED, True, True)
    assert first["defaults"]["steps"] == CATALOG[BUNDLED].defaults.steps
    assert not any(row["default"] for row in rest)


def test_no_list_tells_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.safetensors").write_bytes(b"no model")
    settings = Settings(
        home=tmp_path / "home", port=0, shelves=Shelves([Folder(tmp_path / "models")])
    )
    client = TestClient(compose(build(settings, FakePainter)), base_url="http://127.0.0.1")
    for path in ("/api/models", "/api/about"):
        assert str(tmp_path) not in client.get(path).text
    (row,) = [row for row in client.get("/api/models").json() if not row["bundled"]]
    assert (row["name"], row["defaults"]) == ("broken.safetensors", None)


def test_every_sampler_and_schedule_is_told_with_a_sentence(client: TestClient) -> None:
    told = client.get("/api/samplers").json()
    assert [row["name"] for row in told["samplers"]] == [row.name for row in SAMPLER_ROWS]
    assert [row["name"] for row in told["schedules"]] == [row.name for row in SCHEDULE_ROWS]
    assert all(row["summary"].endswith(".") for rows in told.values() for row in rows)
    euler = next(row for row in told["samplers"] if row["name"] == "euler_ancestral")
    assert (euler["title"], euler["stochastic"], euler["cost"]) == ("Euler a", True, 1)
    assert "k_euler_a" in euler["aliases"]


def test_a_guarded_server_says_so_and_tells_no_secret(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", port=0, token=TOKEN)
    with running(build(settings, FakePainter)) as services:
        client = TestClient(compose(services), base_url="http://127.0.0.1:7860")
        stranger = client.get("/api/about")
        assert stranger.status_code == 401
        assert stranger.json()["error"]["message"]
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert client.get("/api/about").json()["login"] is True
        written = client.post("/api/calls", json={"request": {"prompt": "x"}})
        assert "$SFUMATO_TOKEN" in written.json()["http"]
        assert TOKEN not in written.text


def test_the_calls_have_the_address_that_was_called(client: TestClient) -> None:
    written = client.post("/api/calls", json={"request": {"prompt": "a fox", "width": 64}}).json()
    assert "http://127.0.0.1:7860/api/jobs" in written["http"]
    assert written["command"] == "sfumato generate 'a fox' --size 64x128"
    assert "width=64" in written["python"]
    wrong = client.post("/api/calls", json={"request": {"steps": 0}})
    assert wrong.json()["error"]["field"] == "steps"


def test_a1111_s_lists_are_made_of_the_same_shelves(tmp_path: Path) -> None:
    sparse(tmp_path / "web/models/VAE/soft.safetensors", VAE)
    sparse(tmp_path / "web/models/Lora/line.safetensors", LORA)
    sparse(tmp_path / "web/embeddings/sad.safetensors", EMBEDDING)
    fox = sparse(tmp_path / "web/models/Stable-diffusion/fox.safetensors", SD15)
    shelves = Shelves(a1111(tmp_path / "web"))
    settings = Settings(home=tmp_path / "home", port=0, shelves=shelves)
    client = TestClient(compose(build(settings, FakePainter)), base_url="http://127.0.0.1")
    told = {
        name: client.get(f"/sdapi/v1/{name}").json()
        for name in ("sd-models", "sd-vae", "loras", "embeddings")
    }
    assert told["sd-models"][1]["title"] == f"fox.safetensors [{of(fox)[:10]}]"
    assert told["sd-vae"] == [{"model_name": "soft.safetensors", "filename": "soft.safetensors"}]
    assert [row["name"] for row in told["loras"]] == ["line"]
    assert list(told["embeddings"]["loaded"]) == ["sad"]
    assert str(tmp_path) not in str(told)
