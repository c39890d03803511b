"""The native API's jobs: what is accepted, refused, told on the way, and done once."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from sfumato.limits import MAX_SEED
from sfumato.server.services import Services
from tests.server.calm import calm_client
from tests.server.fake import PATIENCE, FakePainter

Json = dict[str, Any]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server that the tests of refusals share."""
    with calm_client(tmp_path_factory.mktemp("calm") / "home") as client:
        yield client


def send(client: TestClient, **request: object) -> Json:
    answer = client.post("/api/jobs", json={"request": request})
    assert answer.status_code == 202, answer.text
    return answer.json()["job"]


def ended(client: TestClient, id: str) -> Json:
    """The job when it is over."""
    end = time.monotonic() + PATIENCE
    while True:
        job = client.get(f"/api/jobs/{id}").json()["job"]
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        assert time.monotonic() < end, f"job {id} does not end"
        time.sleep(0.005)


def refused(client: TestClient, status: int, **request: object) -> tuple[str, str | None]:
    """Message and field of a refusal."""
    answer = client.post("/api/jobs", json={"request": request})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "field"}
    return error["message"], error["field"]


def test_what_a_picture_tells_of_its_making_is_taken_back_whole(client: TestClient) -> None:
    """The page reuses a recipe so: what the server told is what it is asked for."""
    job = ended(client, send(client, prompt="a fox", seed="7")["id"])
    file = client.get(job["pictures"][0]["urls"]["file"]).content
    told = client.post("/api/read", content=file).json()["request"]
    again = send(client, **{name: value for name, value in told.items() if value is not None})
    assert ended(client, again["id"])["state"] == "done"
    assert again["request"] == told


def test_a_refiner_is_named_as_models_are_and_read_back(client: TestClient) -> None:
    job = ended(client, send(client, prompt="a fox", refiner=" Mini", refiner_at=0.5)["id"])
    assert (job["request"]["refiner"], job["request"]["refiner_at"]) == ("mini", 0.5)
    file = client.get(job["pictures"][0]["urls"]["file"]).content
    told = client.post("/api/read", content=file).json()
    assert told["request"]["refiner"] == "mini"
    assert told["unread"] == {}


def test_a_job_is_accepted_done_and_has_its_pictures(client: TestClient) -> None:
    answer = client.post("/api/jobs", json={"request": {"prompt": "a fox", "seed": 7, "count": 2}})
    assert answer.status_code == 202
    assert not answer.json()["joined"]
    id = answer.json()["job"]["id"]
    assert answer.headers["location"] == f"/api/jobs/{id}"
    job = ended(client, id)
    assert job["state"] == "done"
    assert job["client"] == "native"
    assert (job["count"], job["picture"]) == (2, 1)
    assert [picture["seed"] for picture in job["pictures"]] == ["7", "8"]
    assert [picture["number"] for picture in job["pictures"]] == [0, 1]
    assert job["request"]["prompt"] == "a fox"
    assert job["created"] <= job["started"] <= job["finished"]


@pytest.mark.parametrize("seed", [MAX_SEED, str(MAX_SEED), 2**53 + 1, "0", 0])
def test_a_seed_comes_back_as_exact_text(calm: TestClient, seed: int | str) -> None:
    job = ended(calm, send(calm, seed=seed)["id"])
    assert job["request"]["seed"] == str(seed)
    assert [picture["seed"] for picture in job["pictures"]] == [str(seed)]


def test_a_seed_that_nobody_gave_is_drawn_when_the_job_is_accepted(client: TestClient) -> None:
    job = send(client, prompt="x")
    assert 0 <= int(job["request"]["seed"]) <= MAX_SEED
    assert ended(client, job["id"])["pictures"][0]["seed"] == job["request"]["seed"]


def test_names_are_accepted_in_any_spelling_and_told_in_one(calm: TestClient) -> None:
    job = send(calm, sampler="Euler a", schedule="KARRAS", model="mini")
    names = [job["request"][name] for name in ("sampler", "schedule", "model")]
    assert names == ["euler_ancestral", "karras", "mini"]


@pytest.mark.parametrize(
    ("request_", "status", "field", "says"),
    [
        ({"steps": 0}, 422, "steps", "steps is 0, but must be between 1 and"),
        ({"steps": "20"}, 422, "steps", "steps is '20', but must be a whole number"),
        ({"steps": 2.5}, 422, "steps", "steps is 2.5, but must be a whole number"),
        ({"steps": True}, 422, "steps", "steps is True, but must be a whole number"),
        ({"steps": 10**6}, 422, "steps", "between 1 and"),
        ({"steps": 151}, 422, "steps", "at most 150"),
        ({"count": 17}, 422, "count", "at most 16"),
        ({"width": 8192, "height": 8192}, 422, "width", "8192x8192"),
        ({"width": 12}, 422, "width", "multiple of 8"),
        ({"seed": -1}, 422, "seed", "seed is -1"),
        ({"seed": 2**64}, 422, "seed", "between 0 and 18446744073709551615"),
        ({"seed": str(2**64)}, 422, "seed", "between 0 and 18446744073709551615"),
        ({"seed": "7x"}, 422, "seed", "whole number or text of digits"),
        ({"seed": 1.5}, 422, "seed", "whole number or text"),
        ({"seed": 10**400}, 422, "seed", "a number of 1329 bits"),
        ({"guidance": "strong"}, 422, "guidance", "must be a number"),
        ({"prompt": 3}, 422, "prompt", "prompt is 3, but must be text"),
        ({"prompt": None}, 422, "prompt", "must be text"),
        ({"wander": 1}, 422, "wander", "true or false"),
        ({"fit": "squash"}, 422, "fit", "'crop' or 'stretch' or 'pad'"),
        ({"strength": 0.5}, 422, "strength", "no effect without image"),
        ({"sampler": "eular"}, 422, "sampler", "euler"),
        ({"sampler": "euler", "wander": True}, 422, "sampler", "cannot wander"),
        ({"wander": True}, 422, "sampler", "dpmpp_2m draws no noise"),
        ({"schedule": "karas"}, 422, "schedule", "karras"),
        ({"model": "minni"}, 422, "model", "mini"),
        ({"refiner": "minni"}, 422, "refiner", "mini"),
        ({"model": "../../etc/passwd"}, 422, "model", "no model"),
        ({"step": 20}, 422, "step", "did you mean steps?"),
        ({"zzzz": 20}, 422, "zzzz", "known: prompt"),
        ({"image": "ab" * 32}, 422, "image", "send it again"),
        ({"image": "../../x"}, 422, "image", "a sha256"),
        ({"image": {"sha256": "ab" * 32, "hight": 3}}, 422, "hight", "height"),
        ({"mask": 7}, 422, "mask", "mask is 7"),
    ],
)
def test_a_bad_field_is_named(
    calm: TestClient, request_: Json, status: int, field: str, says: str
) -> None:
    message, at = refused(calm, status, **request_)
    assert at == field
    assert says in message


def test_a_field_that_stands_one_floor_too_high_is_named(calm: TestClient) -> None:
    answer = calm.post("/api/jobs", json={"request": {}, "priorty": 3})
    assert answer.status_code == 422
    assert answer.json()["error"] == {
        "message": "there is no field 'priorty' here; did you mean priority?",
        "field": "priorty",
    }


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (b"", "application/json", 422, "not a JSON object"),
        (b"{", "application/json", 400, "not a JSON object"),
        (b"[]", "application/json", 422, "not a JSON object"),
        (b'{"request": {}}', "text/plain", 422, "Content-Type: application/json"),
        (b"[" * 100_000, "application/json", 400, "pars"),
        (b'{"request": {"seed": ' + b"9" * 5000 + b"}}", "application/json", 400, "pars"),
        (b'{"request": {"prompt": "\\ud800"}}', "application/json", 422, "prompt"),
        (b'{"request": {"\\ud800": 1}}', "application/json", 422, ""),
        (b'{"request": {"guidance": NaN}}', "application/json", 422, "guidance is nan"),
        (b'{"request": 7}', "application/json", 422, "request is 7, but must be an object"),
        (b"{}", "application/json", 422, "request is missing"),
        (b"\xff\xfe", "application/json", 400, ""),
    ],
)
def test_a_body_that_is_no_job_is_refused_in_our_words(
    calm: TestClient, body: bytes, kind: str, status: int, says: str
) -> None:
    answer = calm.post("/api/jobs", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]


def test_priority_previews_and_tags_have_bounds(calm: TestClient) -> None:
    for field, value in (("priority", 10_000), ("previews", -1), ("tags", ["x" * 61])):
        answer = calm.post("/api/jobs", json={"request": {}, field: value})
        assert answer.status_code == 422
        assert answer.json()["error"]["message"]


def test_tags_go_to_the_pictures(client: TestClient) -> None:
    answer = client.post("/api/jobs", json={"request": {}, "tags": ["keep", " sea  side "]})
    job = ended(client, answer.json()["job"]["id"])
    assert job["tags"] == job["pictures"][0]["tags"] == ["keep", "sea side"]


def test_an_equal_request_in_flight_is_joined(
    client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold()
    first = client.post("/api/jobs", json={"request": {"prompt": "x", "seed": 1}}).json()
    again = client.post("/api/jobs", json={"request": {"seed": "1", "prompt": "x"}}).json()
    assert not first["joined"]
    assert again["joined"]
    assert again["job"]["id"] == first["job"]["id"]


def test_an_idempotency_key_makes_a_wish_without_a_seed_one(client: TestClient) -> None:
    ids = set[str]()
    for _ in range(3):
        answer = client.post(
            "/api/jobs", json={"request": {"prompt": "x"}}, headers={"Idempotency-Key": "k1"}
        )
        ids.add(answer.json()["job"]["id"])
    assert len(ids) == 1
    other = client.post(
        "/api/jobs", json={"request": {"prompt": "y"}}, headers={"Idempotency-Key": "k1"}
    )
    assert other.status_code == 422
    assert "k1" in other.json()["error"]["message"]


def test_a_full_queue_says_when_to_come_again(
    services: Services, client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold()
    send(client, prompt="held")
    fake_painter.held()
    for seed in range(services.settings.limits.queue):
        send(client, seed=seed)
    answer = client.post("/api/jobs", json={"request": {"seed": 5000}})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["field"] is None


def test_position_counts_those_that_go_before(
    client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold()
    send(client, prompt="runs")
    fake_painter.held()
    send(client, prompt="first")
    last = send(client, prompt="second")
    urgent = client.post("/api/jobs", json={"request": {}, "priority": 5}).json()["job"]
    assert urgent["position"] == 0
    assert client.get(f"/api/jobs/{last['id']}").json()["job"]["position"] == 2


def test_jobs_are_listed_by_state_and_page(client: TestClient, fake_painter: FakePainter) -> None:
    done = [ended(client, send(client, seed=seed)["id"])["id"] for seed in range(3)]
    fake_painter.hold()
    running = send(client, prompt="runs")["id"]
    fake_painter.held()
    queued = send(client, prompt="waits")["id"]

    def ids(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/api/jobs?{query}").json()["jobs"]]

    assert ids("") == [queued, running, *reversed(done)]
    assert ids("state=running&state=queued") == [queued, running]
    assert ids("state=done&limit=2") == [done[2], done[1]]
    assert ids(f"state=done&before={done[1]}") == [done[0]]


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("limit=0", "limit", "limit is '0'"),
        ("limit=many", "limit", "limit is 'many', but must be a whole number"),
        ("state=lost", "state", "queued"),
        ("sate=done", "sate", "did you mean state?"),
    ],
)
def test_a_bad_query_is_named(calm: TestClient, query: str, field: str, says: str) -> None:
    answer = calm.get(f"/api/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert says in answer.json()["error"]["message"]


def test_a_running_job_tells_step_and_picture_and_is_cancelled(
    client: TestClient, fake_painter: FakePainter
) -> None:
    fake_painter.hold(3)
    id = send(client, steps=9, count=2)["id"]
    fake_painter.held()
    job = client.get(f"/api/jobs/{id}").json()["job"]
    assert (job["state"], job["picture"], job["step"], job["steps"]) == ("running", 0, 2, 9)
    assert client.post(f"/api/jobs/{id}/cancel").status_code == 200
    fake_painter.release()
    assert ended(client, id)["state"] == "cancelled"
    assert client.post(f"/api/jobs/{id}/cancel").json()["job"]["state"] == "cancelled"


def test_a_waiting_job_is_cancelled_at_once(client: TestClient, fake_painter: FakePainter) -> None:
    fake_painter.hold()
    send(client, prompt="runs")
    fake_painter.held()
    id = send(client, prompt="waits")["id"]
    assert client.post(f"/api/jobs/{id}/cancel").json()["job"]["state"] == "cancelled"


def test_a_job_that_fails_says_why(client: TestClient) -> None:
    job = ended(client, send(client, prompt="word " * 60)["id"])
    assert job["state"] == "failed"
    assert "fall off" in job["error"]


@pytest.mark.parametrize("rest", ["", "/events"])
@pytest.mark.parametrize("id", ["0" * 20, "no-such-job"])
def test_a_job_that_is_not_there_is_404(calm: TestClient, id: str, rest: str) -> None:
    answer = calm.get(f"/api/jobs/{id}{rest}")
    assert answer.status_code == 404
    assert "no job" in answer.json()["error"]["message"]


def test_what_is_no_route_or_no_method_is_answered_in_our_words(calm: TestClient) -> None:
    missing = calm.get("/api/nothing")
    assert missing.status_code == 404
    assert set(missing.json()) == {"error"}
    wrong = calm.put("/api/jobs", json={})
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, HEAD, POST"
    assert set(wrong.json()) == {"error"}


def test_head_is_answered_where_get_is(calm: TestClient) -> None:
    for path in ("/api/about", "/api/jobs", "/api/samplers", "/api/pictures"):
        assert calm.head(path).status_code == 200


def parsed(text: str) -> list[tuple[str, Json]]:
    """The events of a stream that is over."""
    events: list[tuple[str, Json]] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "event" in fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events


def test_the_events_of_a_job_tell_its_whole_life(
    client: TestClient, fake_painter: FakePainter, services: Services
) -> None:
    fake_painter.hold(1)
    id = send(client, prompt="x", steps=3, count=2)["id"]
    fake_painter.held()

    def go_on() -> None:  # once somebody listens, so that nothing is missed
        end = time.monotonic() + PATIENCE
        while not services.hub.followers(id) and time.monotonic() < end:
            time.sleep(0.005)
        fake_painter.release()

    with ThreadPoolExecutor(1) as aside:
        aside.submit(go_on)
        answer = client.get(f"/api/jobs/{id}/events")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    events = parsed(answer.text)
    names = [name for name, _ in events]
    assert names[0] == names[-1] == "job"
    assert events[-1][1]["state"] == "done"
    assert len(events[-1][1]["pictures"]) == 2
    steps = [data for name, data in events if name == "step"]
    assert steps
    assert all(step["sketch"].startswith("data:image/png;base64,") for step in steps)
    assert {step["job"] for step in steps} == {id}
    # Each picture is told once: by the snapshot that comes first, or by an event of its own.
    painted = [data for name, data in events if name == "picture"]
    assert [picture["number"] for picture in events[0][1]["pictures"] + painted] == [0, 1]
    assert answer.text.rstrip().splitlines()[-3] == "id: end"


def test_a_browser_that_has_heard_the_end_is_told_not_to_come_back(client: TestClient) -> None:
    id = ended(client, send(client)["id"])["id"]
    again = client.get(f"/api/jobs/{id}/events", headers={"Last-Event-ID": "end"})
    assert again.status_code == 204
    late = client.get(f"/api/jobs/{id}/events")
    assert [name for name, _ in parsed(late.text)] == ["job"]
