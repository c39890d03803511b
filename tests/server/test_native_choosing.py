"""What is told to those who choose: a ladder's advice, a verdict on a picture, why two differ."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from sfumato.server.services import Services
from tests.server.fake import FakePainter
from tests.server.test_native_jobs import ended
from tests.server.test_native_jobs import send as paint
from tests.server.test_native_pictures import A1111, png
from tests.server.test_native_sheets import full, send

Json = dict[str, Any]


def picture(client: TestClient, **request: object) -> str:
    """The id of a picture that was painted."""
    return ended(client, paint(client, **{"prompt": "a fox", "seed": 7, **request})["id"])[
        "pictures"
    ][0]["id"]


def test_a_sheet_of_steps_is_a_ladder_once_it_is_full(
    client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold(1)
    id = send(client, {"prompt": "a fox"}, x="steps=2,4,6", y="seed=1,2")["id"]
    assert client.get(f"/api/sheets/{id}/ladder").json() == {"ladder": None}
    fake_painter.release()
    full(client, id)
    ladder = client.get(f"/api/sheets/{id}/ladder").json()["ladder"]
    assert [rung["steps"] for rung in ladder["rungs"]] == [2, 4, 6]
    assert [len(rung["changes"]) for rung in ladder["rungs"]] == [2, 2, 2]
    assert ladder["rungs"][-1]["changes"] == [0, 0]
    assert max(ladder["rungs"][0]["changes"]) > ladder["near"]
    # This painter's pictures have nothing to do with one another.
    assert (ladder["recommended"], ladder["settled"]) == (None, False)
    assert ladder["reason"]
    assert ladder["headline"] == "no number of steps can be recommended"


@pytest.mark.parametrize(
    "axes",
    [
        {"x": "guidance=2,3,4"},
        {"x": "steps=2,3"},
        {"x": "steps=4,3,2"},
        {"x": "steps=2,3,4", "y": "guidance=1,2"},
    ],
)
def test_another_sheet_is_no_ladder(client: TestClient, axes: dict[str, str]) -> None:
    id = send(client, {"prompt": "a fox"}, **axes)["id"]
    answer = client.get(f"/api/sheets/{id}/ladder")
    assert answer.status_code == 422
    assert "this sheet is no ladder" in answer.json()["error"]["message"]


def test_a_picture_is_verified_by_its_own_recipe(client: TestClient) -> None:
    id = picture(client, steps=3)
    answer = client.post(f"/api/pictures/{id}/verify")
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    assert answer.headers["location"] == f"/api/pictures/{id}/verify/{job['id']}"
    twin = ended(client, job["id"])["pictures"][0]
    assert twin["tags"] == ["verify"]
    verdict = client.get(answer.headers["location"]).json()["verdict"]
    assert (verdict["equal"], verdict["words"]) == (True, "equal to the bit")
    assert (verdict["reasons"], verdict["picture"]) == ([], twin["id"])
    assert verdict["distance"]["psnr"] is None


def test_a_picture_that_was_changed_is_told_with_how_far_and_why(
    client: TestClient, services: Services
) -> None:
    id = picture(client, steps=3)
    entry = services.library.get(id)
    image, recipe = services.library.image(id), entry.recipe
    assert recipe is not None
    image.putpixel((0, 0), (1, 2, 3))
    from sfumato.images import save

    save(image, entry.file, recipe.texts())
    job = client.post(f"/api/pictures/{id}/verify").json()["job"]
    ended(client, job["id"])
    verdict = client.get(f"/api/pictures/{id}/verify/{job['id']}").json()["verdict"]
    assert not verdict["equal"]
    assert 0 < verdict["distance"]["share"] <= 3 / (32 * 24 * 3)
    assert "its pixels were changed after it was made" in verdict["reasons"][0]


def test_a_verdict_waits_for_the_twin_and_takes_no_other_job(
    client: TestClient, fake_painter: FakePainter
) -> None:
    id, other = picture(client, steps=3), paint(client, prompt="an owl", seed=1)["id"]
    ended(client, other)
    assert client.get(f"/api/pictures/{id}/verify/{other}").status_code == 404
    fake_painter.hold(1)
    job = client.post(f"/api/pictures/{id}/verify").json()["job"]["id"]
    assert client.get(f"/api/pictures/{id}/verify/{job}").json() == {"verdict": None}
    fake_painter.release()


def test_what_another_program_made_cannot_be_verified(client: TestClient) -> None:
    id = client.post("/api/pictures", content=png(text=A1111)).json()["id"]
    answer = client.post(f"/api/pictures/{id}/verify")
    assert answer.status_code == 422
    assert "carries no recipe of sfumato" in answer.json()["error"]["message"]


def test_why_two_pictures_differ_is_told_in_words(client: TestClient) -> None:
    one, two = picture(client, steps=3), picture(client, steps=4, seed=2**63)
    why = client.get(f"/api/pictures/{one}/why/{two}").json()
    reasons = {reason["field"]: (reason["a"], reason["b"]) for reason in why["reasons"]}
    assert reasons == {"seed": ("7", str(2**63)), "steps": (3, 4)}
    assert "They differ because" in why["summary"]
    assert why["distance"]["largest"] > 0
    same = client.get(f"/api/pictures/{one}/why/{one}").json()
    assert (same["summary"], same["reasons"]) == ("They are the same picture.", [])


def test_pictures_of_different_sizes_have_no_distance(client: TestClient) -> None:
    one, two = picture(client), picture(client, width=64, height=64)
    assert client.get(f"/api/pictures/{one}/why/{two}").json()["distance"] is None


def test_too_many_pixels_are_not_compared(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = picture(client), picture(client, seed=8)
    monkeypatch.setattr("sfumato.server.native.choosing.MOST_PIXELS", 100)
    answer = client.get(f"/api/pictures/{one}/why/{two}")
    assert answer.status_code == 422
    assert "at most 100 are compared" in answer.json()["error"]["message"]
