"""The native API's pictures: found, shown, kept by browsers, marked, deleted, brought in."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from sfumato.server.services import Services
from tests.server.calm import calm_client
from tests.server.fake import FakePainter
from tests.server.test_native_jobs import ended, send

Json = dict[str, Any]
A1111 = (
    "a lighthouse\nNegative prompt: fog\nSteps: 30, Sampler: Euler a, Schedule type: Karras, "
    "CFG scale: 6.5, Seed: 99, Size: 64x64, Model: elsewhere, Hypernet: ink, Version: v1.9"
)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server that the tests of refusals share."""
    with calm_client(tmp_path_factory.mktemp("calm") / "home") as client:
        yield client


def png(colour: str = "red", size: tuple[int, int] = (40, 30), text: str = "") -> bytes:
    chunks = PngInfo()
    if text:
        chunks.add_text("parameters", text)
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of some bytes whose header promises a great many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def painted(client: TestClient, **request: object) -> Json:
    return ended(client, send(client, **request)["id"])["pictures"][0]


def test_a_picture_is_told_with_its_recipe(client: TestClient) -> None:
    brief = painted(client, prompt="a red fox", negative="text", seed=2**64 - 1, steps=4)
    whole = client.get(f"/api/pictures/{brief['id']}").json()
    assert {key: whole[key] for key in brief} == brief
    assert whole["seed"] == whole["recipe"]["request"]["seed"] == "18446744073709551615"
    assert whole["parameters"].startswith("a red fox\nNegative prompt: text\nSteps: 4")
    assert (whole["width"], whole["height"], whole["frames"]) == (32, 24, 4)
    assert whole["urls"]["file"] == f"/api/pictures/{brief['id']}/file"


def test_a_file_is_sent_once_and_then_known(client: TestClient) -> None:
    picture = painted(client, prompt="A red, red fox!", seed=7)
    first = client.get(picture["urls"]["file"])
    assert first.headers["content-type"] == "image/png"
    assert "immutable" in first.headers["cache-control"]
    assert first.headers["content-disposition"] == 'inline; filename="a-red-red-fox-7.png"'
    assert Image.open(io.BytesIO(first.content)).size == (32, 24)
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = client.get(picture["urls"]["file"], headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    other = client.get(picture["urls"]["file"], headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_a_part_of_a_file_can_be_asked_for(client: TestClient) -> None:
    picture = painted(client)
    whole = client.get(picture["urls"]["file"]).content
    part = client.get(picture["urls"]["file"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, whole[1:4])


def test_head_tells_the_length_and_sends_nothing(client: TestClient) -> None:
    picture = painted(client)
    head = client.head(picture["urls"]["file"])
    assert head.status_code == 200
    whole = client.get(picture["urls"]["file"]).content
    assert (int(head.headers["content-length"]), head.content) == (len(whole), b"")


@pytest.mark.parametrize(
    ("prompt", "header"),
    [
        ("", 'inline; filename="picture-7.png"'),
        ('a "b" \\ ../c\r\nX: y', 'inline; filename="a-b-c-x-y-7.png"'),
        (
            "Füchse im Wald",
            "inline; filename=\"fuchse-im-wald-7.png\"; filename*=UTF-8''f%C3%BCchse-",
        ),
        ("狐", "inline; filename=\"picture.png\"; filename*=UTF-8''%E7%8B%90-7.png"),
    ],
)
def test_a_saved_file_is_named_after_its_prompt(calm: TestClient, prompt: str, header: str) -> None:
    picture = painted(calm, prompt=prompt, seed=7)
    named = calm.get(picture["urls"]["file"]).headers["content-disposition"]
    assert named.startswith(header)


def test_a_thumb_is_a_small_webp(client: TestClient) -> None:
    big = client.post("/api/pictures", content=png(size=(800, 400))).json()
    thumb = client.get(big["urls"]["thumb"])
    assert thumb.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(thumb.content)).size == (320, 160)
    known = {"If-None-Match": thumb.headers["etag"]}
    assert client.get(big["urls"]["thumb"], headers=known).status_code == 304


def test_each_step_can_be_looked_at_and_is_developed_once(
    client: TestClient, fake_painter: FakePainter
) -> None:
    picture = painted(client, steps=4)
    frames = [client.get(f"/api/pictures/{picture['id']}/frames/{k}") for k in (1, 2, 3, 4, 2)]
    assert {frame.headers["content-type"] for frame in frames} == {"image/webp"}
    assert {Image.open(io.BytesIO(frame.content)).size for frame in frames} == {(32, 24)}
    assert len({frame.content for frame in frames}) == 4
    assert fake_painter.developed == 4
    known = {"If-None-Match": frames[0].headers["etag"]}
    again = client.get(f"/api/pictures/{picture['id']}/frames/1", headers=known)
    assert again.status_code == 304


@pytest.mark.parametrize("step", [0, 5, -1, 10**30])
def test_a_step_that_is_not_there_is_404(calm: TestClient, step: int) -> None:
    picture = painted(calm, steps=4)
    answer = calm.get(f"/api/pictures/{picture['id']}/frames/{step}")
    assert answer.status_code == 404
    assert "4 frames" in answer.json()["error"]["message"]


@pytest.mark.parametrize("rest", ["", "/file", "/thumb", "/frames/1", "/diff/zz"])
def test_a_picture_that_is_not_there_is_404(calm: TestClient, rest: str) -> None:
    answer = calm.get(f"/api/pictures/{'0' * 20}-0{rest}")
    assert answer.status_code == 404
    assert "no picture" in answer.json()["error"]["message"]


@pytest.mark.parametrize("id", ["..%2f..%2fetc%2fpasswd", "a%00b", "%2e%2e", "A"])
def test_what_is_no_id_never_becomes_a_path(calm: TestClient, id: str) -> None:
    for rest in ("", "/file", "/thumb", "/frames/1"):
        answer = calm.get(f"/api/pictures/{id}{rest}")
        assert answer.status_code in (400, 404, 422)
        assert set(answer.json()) == {"error"}


def test_a_file_that_somebody_removed_is_404(services: Services, client: TestClient) -> None:
    picture = painted(client)
    services.library.get(picture["id"]).file.unlink()
    assert client.get(picture["urls"]["file"]).status_code == 404


def test_the_library_is_searched_and_paged(client: TestClient) -> None:
    for seed, prompt in enumerate(["a red fox", "a blue fox", "a red boat"]):
        painted(client, prompt=prompt, seed=seed, sampler="euler")

    def found(query: str) -> list[str]:
        return [each["prompt"] for each in client.get(f"/api/pictures?{query}").json()["pictures"]]

    assert found("") == ["a red boat", "a blue fox", "a red fox"]
    assert found("q=fox") == ["a blue fox", "a red fox"]
    assert found("seed=2") == ["a red boat"]
    assert found("q=red&seed=0&sampler=euler&model=mini&source=sfumato") == ["a red fox"]
    assert found("sampler=heun") == found("model=%00") == found("tag=%27") == []
    assert found("before=1") == []
    assert len(found("after=1&favourite=false&trash=false")) == 3
    first = client.get("/api/pictures?limit=2").json()
    assert (len(first["pictures"]), first["total"]) == (2, 3)
    second = client.get("/api/pictures", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert [each["prompt"] for each in second["pictures"]] == ["a red fox"]
    assert second["cursor"] is None


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("limit=0", "limit", "limit is '0'"),
        ("limit=501", "limit", "less than or equal to 500"),
        ("seed=18446744073709551616", "seed", "between 0 and"),
        ("seed=-1", "seed", "text of digits"),
        ("after=soon", "after", "must be a number"),
        ("after=nan", "after", "finite"),
        ("favourite=perhaps", "favourite", "true or false"),
        ("cursor=xx", "cursor", "cursor"),
        ("sead=1", "sead", "did you mean seed?"),
    ],
)
def test_a_bad_search_is_named(calm: TestClient, query: str, field: str, says: str) -> None:
    answer = calm.get(f"/api/pictures?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert says in answer.json()["error"]["message"]


def test_a_picture_is_marked_and_found_by_its_marks(client: TestClient) -> None:
    id = painted(client)["id"]
    painted(client)
    changed = client.patch(f"/api/pictures/{id}", json={"favourite": True, "tags": ["b", "a"]})
    assert (changed.json()["favourite"], changed.json()["tags"]) == (True, ["a", "b"])
    same = client.patch(f"/api/pictures/{id}", json={})
    assert same.json() == changed.json()
    for query in ("favourite=true", "tag=a"):
        page = client.get(f"/api/pictures?{query}").json()
        assert [each["id"] for each in page["pictures"]] == [id]
    assert client.patch(f"/api/pictures/{id}", json={"favourite": False}).json()["tags"] == [
        "a",
        "b",
    ]
    assert client.patch(f"/api/pictures/{id}", json={"tags": []}).json()["tags"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"favorite": True}, "favorite"),
        ({"favourite": "yes"}, "favourite"),
        ({"tags": "a"}, "tags"),
    ],
)
def test_a_bad_change_is_named(calm: TestClient, change: Json, field: str) -> None:
    answer = calm.patch(f"/api/pictures/{painted(calm)['id']}", json=change)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_the_trash_takes_gives_back_and_is_emptied(client: TestClient) -> None:
    kept, gone = painted(client)["id"], painted(client)["id"]
    for id in (kept, gone):
        assert client.delete(f"/api/pictures/{id}").json()["trashed"] is not None
    assert client.get("/api/pictures").json()["total"] == 0
    assert client.get("/api/pictures?trash=true").json()["total"] == 2
    assert client.post(f"/api/pictures/{kept}/restore").json()["trashed"] is None
    assert client.delete("/api/trash").json() == {"deleted": 1}
    assert client.get(f"/api/pictures/{gone}").status_code == 404
    assert client.get(f"/api/pictures/{kept}").status_code == 200


def test_two_pictures_are_compared_field_by_field(client: TestClient) -> None:
    a = painted(client, prompt="x", seed=2**63, steps=4)["id"]
    b = painted(client, prompt="x", seed=2**63 + 1, steps=5)["id"]
    fields = client.get(f"/api/pictures/{a}/diff/{b}").json()["fields"]
    assert fields["seed"] == [str(2**63), str(2**63 + 1)]
    assert fields["steps"] == [4, 5]
    assert "prompt" not in fields
    assert client.get(f"/api/pictures/{a}/diff/{a}").json() == {"fields": {}}
    foreign = client.post("/api/pictures", content=png(text=A1111)).json()["id"]
    assert client.get(f"/api/pictures/{a}/diff/{foreign}").json()["fields"]["source"] == [
        "sfumato",
        "a1111",
    ]


def test_a_foreign_picture_is_kept_byte_for_byte(client: TestClient) -> None:
    data = png(text=A1111)
    answer = client.post("/api/pictures", content=data)
    assert answer.status_code == 201
    picture = answer.json()
    assert answer.headers["location"] == f"/api/pictures/{picture['id']}"
    assert (picture["source"], picture["job"], picture["frames"]) == ("a1111", None, 0)
    assert (picture["prompt"], picture["seed"], picture["steps"]) == ("a lighthouse", "99", 30)
    assert client.get(picture["urls"]["file"]).content == data
    assert client.post("/api/pictures", content=data).json()["id"] == picture["id"]
    assert client.get(f"/api/pictures/{picture['id']}").json()["recipe"] is None


@pytest.mark.parametrize("path", ["/api/pictures", "/api/inputs", "/api/read"])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 415),
        (b"GIF89a", 415),
        (b"<svg/>", 415),
        (png()[:60], 415),
        (bomb(30_000, 30_000), 413),
    ],
)
def test_what_is_no_picture_or_too_big_is_refused(
    calm: TestClient, path: str, data: bytes, status: int
) -> None:
    answer = calm.post(path, content=data)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/pictures", "/api/inputs", "/api/read"])
def test_an_upload_is_refused_at_its_first_byte_too_many(
    services: Services, client: TestClient, path: str
) -> None:
    most = services.settings.limits.upload_bytes
    sent: list[int] = []

    def endless() -> Any:
        for _ in range(2 * most // 2**20):
            sent.append(2**20)
            yield bytes(2**20)

    answer = client.post(path, content=endless())
    assert answer.status_code == 413
    told = client.post(path, content=b"x", headers={"Content-Length": str(most + 1)})
    assert told.status_code == 413


def test_an_input_comes_back_as_it_will_be_used(client: TestClient) -> None:
    answer = client.post("/api/inputs", content=png("blue"))
    assert answer.status_code == 201
    told = answer.json()
    assert (told["width"], told["height"], told["as"]) == (40, 30, "picture")
    back = client.get(answer.headers["location"])
    assert back.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(back.content)).getpixel((0, 0)) == (0, 0, 255)
    known = {"If-None-Match": back.headers["etag"]}
    assert client.get(f"/api/inputs/{told['sha256']}", headers=known).status_code == 304
    assert client.post("/api/inputs", content=png("blue")).json() == told
    mask = client.post("/api/inputs?as=mask", content=png("white")).json()
    assert mask["as"] == "mask"
    assert mask["sha256"] != told["sha256"]
    assert client.get(f"/api/inputs/{'0' * 64}").status_code == 404
    assert client.post("/api/inputs?as=brush", content=png()).status_code == 422


def test_a_job_starts_from_a_picture_that_was_sent(client: TestClient) -> None:
    image = client.post("/api/inputs", content=png("blue")).json()["sha256"]
    mask = client.post("/api/inputs?as=mask", content=png("white")).json()["sha256"]
    job = ended(client, send(client, image=image, mask=mask, strength=0.5, mask_blur=8)["id"])
    assert job["state"] == "done", job["error"]
    assert job["request"]["image"] == {"sha256": image, "width": 40, "height": 30}
    assert job["request"]["mask"]["sha256"] == mask
    detail = client.get(f"/api/pictures/{job['pictures'][0]['id']}").json()
    assert detail["recipe"]["request"]["image"]["sha256"] == image
    again = send(client, **{**job["request"], "seed": None})
    assert again["request"]["image"] == job["request"]["image"]


def test_a_picture_may_be_used_as_a_mask_and_a_mask_as_a_picture(client: TestClient) -> None:
    image = client.post("/api/inputs?as=mask", content=png("gray")).json()["sha256"]
    mask = client.post("/api/inputs", content=png("white")).json()["sha256"]
    job = ended(client, send(client, image=image, mask=mask)["id"])
    assert job["state"] == "done", job["error"]


def test_our_own_picture_is_read_back_exactly(client: TestClient) -> None:
    picture = painted(client, prompt="a fox", seed=2**64 - 1, wander=True, sampler="ddpm")
    data = client.get(picture["urls"]["file"]).content
    told = client.post("/api/read", content=data).json()
    assert told["exact"]
    assert told["unread"] == {}
    assert told["request"] == told["recipe"]["request"]
    assert told["request"]["seed"] == "18446744073709551615"
    twin = ended(client, send(client, **told["request"])["id"])["pictures"][0]
    pixels = [
        Image.open(io.BytesIO(client.get(each["urls"]["file"]).content)).tobytes()
        for each in (picture, twin)
    ]
    assert pixels[0] == pixels[1]


def test_a_foreign_picture_is_read_as_far_as_it_can_be_followed(client: TestClient) -> None:
    told = client.post("/api/read", content=png(text=A1111)).json()
    request = told["request"]
    assert (request["prompt"], request["negative"], request["seed"]) == (
        "a lighthouse",
        "fog",
        "99",
    )
    assert (request["sampler"], request["schedule"]) == ("euler_ancestral", "karras")
    assert request["model"] is None
    assert told["unread"]["Model"] == "elsewhere"
    assert told["unread"]["Hypernet"] == "ink"
    assert not told["exact"]
    assert told["recipe"] is None
    assert send(client, **request)["id"]
    assert client.get("/api/pictures").json()["total"] in (0, 1)  # it was read, and not kept


def test_a_picture_without_a_recipe_says_so(calm: TestClient) -> None:
    answer = calm.post("/api/read", content=png())
    assert answer.status_code == 422
    assert "no recipe" in answer.json()["error"]["message"]


def test_nothing_is_written_outside_of_the_home(client: TestClient, tmp_path: Path) -> None:
    painted(client, prompt="../../../evil")
    client.post("/api/pictures", content=png(text="../../evil\n" + A1111))
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]
