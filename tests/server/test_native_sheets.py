"""Sheets: accepted whole with all their jobs or not at all, filled in cell by cell, found again."""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from sfumato.choose import draw_sheet, parse_axis, plan_sheet
from sfumato.request import Request
from sfumato.server.services import Services
from tests.server.calm import calm_client
from tests.server.fake import PATIENCE, FakePainter
from tests.server.test_native_jobs import ended

Json = dict[str, Any]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server that the tests of refusals share."""
    with calm_client(tmp_path_factory.mktemp("calm") / "home") as client:
        yield client


def send(client: TestClient, request: Json, **axes: str) -> Json:
    answer = client.post("/api/sheets", json={"request": request, **axes})
    assert answer.status_code == 202, answer.text
    sheet = answer.json()["sheet"]
    assert answer.headers["location"] == f"/api/sheets/{sheet['id']}"
    return sheet


def full(client: TestClient, id: str) -> Json:
    """The sheet once all of its jobs are over."""
    end = time.monotonic() + PATIENCE
    while True:
        sheet = client.get(f"/api/sheets/{id}").json()["sheet"]
        if sheet["ended"] == sheet["count"]:
            return sheet
        assert time.monotonic() < end, f"sheet {id} does not end"
        time.sleep(0.01)


def test_a_sheet_is_a_picture_for_each_pair_of_values(client: TestClient) -> None:
    sent = send(client, {"prompt": "a fox", "seed": 7}, x="steps=2,3,4", y="guidance=3,6.5")
    assert [axis["field"] for axis in sent["axes"]] == ["steps", "guidance"]
    assert [axis["values"] for axis in sent["axes"]] == [["2", "3", "4"], ["3", "6.5"]]
    sheet = full(client, sent["id"])
    places = [tuple(cell["place"]) for cell in sheet["cells"]]
    assert places == [(x, y, 0) for y in range(2) for x in range(3)]
    made = [(cell["picture"]["steps"], cell["picture"]["guidance"]) for cell in sheet["cells"]]
    assert made == [(steps, guidance) for guidance in (3, 6.5) for steps in (2, 3, 4)]
    assert {cell["picture"]["seed"] for cell in sheet["cells"]} == {"7"}
    found = client.get("/api/pictures", params={"tag": f"sheet {sheet['id']}"}).json()
    assert found["total"] == 6


def test_cells_share_a_drawn_seed_and_a_word_can_be_replaced(client: TestClient) -> None:
    sheet = full(
        client, send(client, {"prompt": "a red fox", "steps": 2}, x="prompt:red=red,blue")["id"]
    )
    pictures = [cell["picture"] for cell in sheet["cells"]]
    assert [picture["prompt"] for picture in pictures] == ["a red fox", "a blue fox"]
    assert {picture["seed"] for picture in pictures} == {sheet["request"]["seed"]}
    assert sheet["axes"][0]["needle"] == "red"


def test_a_sheet_is_there_while_it_fills_and_can_be_given_up(
    client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold(1)
    sent = send(client, {"prompt": "a fox", "steps": 3}, x="seed=1..4")
    fake_painter.held()
    first, *rest = [cell["state"] for cell in sent["cells"]]
    assert first in ("queued", "running")  # the worker may have taken it before the answer was read
    assert rest == ["queued"] * 3
    fake_painter.release_to(2)
    heads = client.get("/api/sheets").json()["sheets"]
    assert (heads[0]["id"], heads[0]["count"]) == (sent["id"], 4)
    assert "cells" not in heads[0]
    client.post(f"/api/sheets/{sent['id']}/cancel")
    fake_painter.release()
    sheet = full(client, sent["id"])
    assert {cell["state"] for cell in sheet["cells"]} == {"cancelled"}
    assert [cell["picture"] for cell in sheet["cells"]] == [None] * 4


def test_a_cell_that_somebody_else_waits_for_is_painted_all_the_same(
    client: TestClient, services: Services, fake_painter: FakePainter
) -> None:
    fake_painter.hold(1)
    request = {"prompt": "a fox", "steps": 3}
    sent = send(client, request, x="seed=1,2")
    first = services.jobs.get(sent["cells"][0]["job"]).request
    services.jobs.submit(first, client="openai")
    client.post(f"/api/sheets/{sent['id']}/cancel")
    fake_painter.release()
    states = [cell["state"] for cell in full(client, sent["id"])["cells"]]
    assert states == ["done", "cancelled"]


def test_a_sheet_for_which_there_is_no_room_leaves_nothing(
    client: TestClient, services: Services, fake_painter: FakePainter
) -> None:
    services.jobs.limits = replace(services.jobs.limits, queue=3)
    fake_painter.hold(1)
    client.post("/api/jobs", json={"request": {"prompt": "one that is painted"}})
    fake_painter.held()
    client.post("/api/jobs", json={"request": {"prompt": "one that waits"}})
    before = client.get("/api/jobs").json()["jobs"]
    body = {"request": {"prompt": "a fox"}, "x": "seed=1..3"}
    assert client.post("/api/sheets", json=body).status_code == 429
    assert client.get("/api/sheets").json()["sheets"] == []
    assert client.get("/api/jobs").json()["jobs"] == before
    fake_painter.release()


def test_a_sheet_survives_its_server(services: Services, client: TestClient) -> None:
    """It and its jobs are one transaction: what is answered is on disk, whatever happens."""
    sent = send(client, {"prompt": "a fox", "steps": 2}, x="seed=1,2")
    services.worker.stop()
    services.jobs.recover()
    services.worker.start()
    assert [cell["state"] for cell in full(client, sent["id"])["cells"]] == ["done"] * 2


@pytest.mark.parametrize(
    ("axes", "field", "words"),
    [
        ({"x": "stepz=1,2"}, "x", "did you mean steps"),
        ({"x": "steps=1,x"}, "x", "must be a whole number"),
        ({"x": "steps=2,3", "y": "image=a.png"}, "y", "cannot be an axis here"),
        ({"x": "steps=2,3", "y": "steps=4,5"}, None, "two axes change steps"),
        ({"x": "steps=2,3", "z": "seed=1,2"}, "z", "z needs y"),
        ({"x": "steps=0,3"}, None, "the cell of steps=0 cannot be"),
        ({"x": "seed=1..200"}, None, "at most 100"),
        ({"x": "steps=2,500"}, None, "this server takes at most 150"),
        ({"x": "model=mini,nobody"}, None, "no model 'nobody'"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused_by_what_is_wrong(
    calm: TestClient, axes: Json, field: str | None, words: str
) -> None:
    answer = calm.post("/api/sheets", json={"request": {"prompt": "a fox"}, **axes})
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert words in error["message"]
    assert field is None or error["field"] == field
    assert calm.get("/api/sheets").json()["sheets"] == []


def test_a_sheet_that_is_not_there_is_told(calm: TestClient) -> None:
    assert calm.get("/api/sheets/0123").status_code == 404
    assert calm.post("/api/sheets/0123/cancel").status_code == 404
    assert calm.delete("/api/sheets/0123").status_code == 404
    assert calm.get("/api/sheets/0123/picture").status_code == 404


def test_a_sheet_that_is_deleted_is_given_up_and_its_pictures_stay(
    client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold(1)
    sent = send(client, {"prompt": "a fox", "steps": 3}, x="seed=1..3")
    fake_painter.held()
    fake_painter.pass_on()
    fake_painter.held()  # the first is painted, the second stands before its first step
    left = client.delete(f"/api/sheets/{sent['id']}").json()["sheet"]
    assert [cell["state"] for cell in left["cells"]] == ["done", "running", "cancelled"]
    fake_painter.release()
    assert client.get(f"/api/sheets/{sent['id']}").status_code == 404
    assert client.delete(f"/api/sheets/{sent['id']}").status_code == 404
    assert client.get("/api/sheets").json()["sheets"] == []
    found = client.get("/api/pictures", params={"tag": f"sheet {sent['id']}"}).json()
    assert [picture["seed"] for picture in found["pictures"]] == ["1"]
    for cell, state in zip(sent["cells"], ["done", "cancelled", "cancelled"], strict=True):
        assert ended(client, cell["job"])["state"] == state


@pytest.mark.parametrize("second", ["post", "delete"])
def test_a_sheet_is_given_up_once_however_often_it_is_said(
    client: TestClient, services: Services, fake_painter: FakePainter, second: str
) -> None:
    """Else the second word would take the part of somebody else who waits for the same picture."""
    fake_painter.hold(1)
    sent = send(client, {"prompt": "a fox", "steps": 3}, x="seed=1,2")
    first = services.jobs.get(sent["cells"][0]["job"]).request
    services.jobs.submit(first, client="openai")
    client.post(f"/api/sheets/{sent['id']}/cancel")
    if second == "post":
        client.post(f"/api/sheets/{sent['id']}/cancel")
    else:
        client.delete(f"/api/sheets/{sent['id']}")
    fake_painter.release()
    assert ended(client, sent["cells"][0]["job"])["state"] == "done"


def drawn(client: TestClient, id: str, **query: object) -> Image.Image:
    answer = client.get(f"/api/sheets/{id}/picture", params=query)
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == f"image/{(image.format or '').lower()}"
    return image


def test_a_sheet_is_one_picture_as_the_command_line_draws_it(
    client: TestClient, services: Services
) -> None:
    sent = send(client, {"prompt": "a fox", "seed": 7}, x="steps=2,3", y="guidance=3,6")
    cells = full(client, sent["id"])["cells"]
    plan = plan_sheet(
        Request(prompt="a fox", seed=7, model="mini"),
        [parse_axis("steps=2,3"), parse_axis("guidance=3,6")],
        lambda: 0,
    )
    pictures = {
        cell: services.library.image(told["picture"]["id"])
        for cell, told in zip(plan.cells, cells, strict=True)
    }
    found = drawn(client, sent["id"])
    assert (found.format, found.mode) == ("PNG", "RGB")
    assert found.tobytes() == draw_sheet(plan, pictures).tobytes()
    assert json.loads(found.info["sfumato"])["sheet"]["axes"] == sent["axes"]
    assert drawn(client, sent["id"], format="jpeg").format == "JPEG"


def test_what_is_not_painted_yet_is_an_empty_frame(
    client: TestClient, services: Services, fake_painter: FakePainter
) -> None:
    fake_painter.hold(1)
    sent = send(client, {"prompt": "a fox"}, x="steps=2,3", y="seed=1", z="guidance=3,6")
    empty = drawn(client, sent["id"])
    fake_painter.release()
    full(client, sent["id"])
    first, second = drawn(client, sent["id"]), drawn(client, sent["id"], z=1)
    assert empty.tobytes() != first.tobytes() != second.tobytes()
    wrong = client.get(f"/api/sheets/{sent['id']}/picture", params={"z": 2})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "z")
    for id in services.sheets.get(sent["id"]).cells[0].job.pictures:
        services.library.trash(id)
    services.library.empty_trash()
    assert drawn(client, sent["id"]).size == first.size
