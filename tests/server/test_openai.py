"""The real `openai` client against a server of ours that paints with a fake."""

import asyncio
import base64
import io
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi import FastAPI
from openai.types import Image as Painted
from PIL import Image
from starlette.testclient import TestClient

from sfumato.errors import SfumatoError
from sfumato.images import read_picture
from sfumato.recipe import Recipe
from sfumato.request import Request
from sfumato.server import openai as dialect
from sfumato.server.library import Search
from sfumato.server.openai.routes import with_pings
from sfumato.server.services import Services
from sfumato.server.settings import Settings
from sfumato.shelves import Folder, Shelves
from tests.server.conftest import LiveServer, serving
from tests.server.fake import PATIENCE, FakePainter
from tests.server.line import dialled

SMALL: dict[str, Any] = {"prompt": "a fox", "size": "32x24", "extra_body": {"steps": 5}}


def client_of(live: LiveServer, **more: Any) -> openai.OpenAI:
    given = {"api_key": "none", "max_retries": 0, **more}
    return openai.OpenAI(base_url=f"{live.url}/v1", **given)


@pytest.fixture
def ai(live_server: LiveServer) -> Iterator[openai.OpenAI]:
    with client_of(live_server) as client:
        yield client


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """A thread for the call that waits while the test does something else."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.01)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def shown(painted: Painted) -> Image.Image:
    assert painted.b64_json is not None
    return Image.open(io.BytesIO(base64.b64decode(painted.b64_json)))


def error_of(image: Image.Image, exact: bytes) -> int:
    return sum(abs(a - b) for a, b in zip(image.tobytes(), exact, strict=True))


class TestGenerations:
    def test_a_picture_is_the_librarys_file_to_the_byte(
        self, ai: openai.OpenAI, live_server: LiveServer
    ) -> None:
        reply = ai.images.generate(**SMALL)
        (painted,) = reply.data or []
        (entry,) = live_server.services.library.search(Search()).entries
        assert base64.b64decode(painted.b64_json or "") == entry.file.read_bytes()
        assert Recipe.from_json(shown(painted).info["sfumato"]).request.prompt == "a fox"
        assert (reply.size, reply.output_format, reply.background) == ("32x24", "png", "opaque")
        assert reply.usage is None
        assert abs(reply.created - time.time()) < 60

    def test_the_request_arrives_as_it_was_meant(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        ai.images.generate(
            prompt="a fox",
            model="mini",
            n=2,
            size="40x48",
            user="me",
            moderation="low",
            background="auto",
            response_format="b64_json",
            extra_body={
                "negative_prompt": "a dog",
                "seed": 7,
                "steps": 4,
                "guidance": 3.5,
                "sampler": "heun",
                "schedule": "karras",
            },
        )
        first = fake_painter.submitted[0]
        assert replace(first, model=None, count=1) == Request(
            prompt="a fox",
            negative="a dog",
            seed=7,
            steps=4,
            guidance=3.5,
            width=40,
            height=48,
            sampler="heun",
            schedule="karras",
        )

    def test_as_many_as_asked_for_come(self, ai: openai.OpenAI) -> None:
        reply = ai.images.generate(**SMALL, n=3)
        seeds = [
            Recipe.from_json(shown(painted).info["sfumato"]).request.seed
            for painted in reply.data or []
        ]
        assert seeds == list(range(seeds[0] or 0, (seeds[0] or 0) + 3))

    @pytest.mark.parametrize("size", ["auto", None])
    def test_the_model_decides_on_a_size_that_is_left_to_it(
        self, client: TestClient, size: str | None
    ) -> None:
        reply = client.post("/v1/images/generations", json={"prompt": "a fox", "size": size})
        assert reply.json()["size"] == "32x24"

    def test_quality_is_a_number_of_steps(
        self, client: TestClient, fake_painter: FakePainter
    ) -> None:
        shares = {"low": 10, "high": 40, "hd": 40, "medium": None, "auto": None, None: None}
        for quality, steps in shares.items():
            sent = {"prompt": "a fox", "quality": quality}
            assert client.post("/v1/images/generations", json=sent).status_code == 200
            assert fake_painter.submitted[-1].steps == steps  # 20 is the model's own

    def test_steps_that_are_given_win_over_quality(
        self, client: TestClient, fake_painter: FakePainter
    ) -> None:
        sent = {"prompt": "a fox", "quality": "high", "steps": 3}
        reply = client.post("/v1/images/generations", json=sent)
        assert reply.json()["quality"] == "high"
        assert fake_painter.submitted[0].steps == 3

    @pytest.mark.parametrize(("kind", "name"), [("jpeg", "JPEG"), ("webp", "WEBP")])
    def test_other_formats_carry_the_recipe_too(
        self, ai: openai.OpenAI, kind: Any, name: str
    ) -> None:
        reply = ai.images.generate(**SMALL, output_format=kind, output_compression=60)
        (painted,) = reply.data or []
        assert shown(painted).format == name
        _, texts = read_picture(io.BytesIO(base64.b64decode(painted.b64_json or "")))
        assert Recipe.from_json(texts.sfumato).request.prompt == "a fox"
        assert reply.output_format == kind

    def test_compression_is_the_quality_of_the_file(self, ai: openai.OpenAI) -> None:
        def image(**how: Any) -> Image.Image:
            big = {**SMALL, "size": "256x256", "extra_body": {"steps": 1, "seed": 7}}
            return shown((ai.images.generate(**big, **how).data or [])[0]).convert("RGB")

        exact = image().tobytes()
        assert image(output_format="webp").tobytes() == exact
        assert image(output_format="webp", output_compression=5).tobytes() != exact
        good, bad = (image(output_format="jpeg", output_compression=q) for q in (95, 5))
        assert error_of(good, exact) < error_of(bad, exact)

    def test_an_url_is_the_picture_itself(self, ai: openai.OpenAI, live_server: LiveServer) -> None:
        (painted,) = ai.images.generate(**SMALL, response_format="url").data or []
        assert painted.b64_json is None
        assert painted.url is not None
        assert painted.url.startswith(f"{live_server.url}/api/pictures/")
        found = httpx2.get(painted.url)
        assert found.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(found.content)).size == (32, 24)


class TestEdits:
    def test_a_picture_is_painted_over(self, ai: openai.OpenAI, fake_painter: FakePainter) -> None:
        start = Image.new("RGB", (64, 32), "red")
        reply = ai.images.edit(image=("a.png", png(start)), prompt="a fox")
        (request,) = fake_painter.submitted
        assert request.image is not None
        assert request.image.image().tobytes() == start.tobytes()
        assert (request.prompt, request.strength, request.mask) == ("a fox", 0.75, None)
        assert (request.width, request.height) == (176, 96)  # mini's area, the picture's shape
        assert reply.size == "176x96"

    def test_a_mask_is_white_where_it_was_transparent(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        mask = Image.new("RGBA", (32, 24), (9, 9, 9, 255))
        mask.paste((0, 0, 0, 0), (8, 8, 16, 16))
        start = Image.new("RGB", (32, 24), "red")
        ai.images.edit(image=png(start), mask=png(mask), **SMALL)
        (request,) = fake_painter.submitted
        assert request.mask is not None
        white = request.mask.image()
        assert white.getbbox() == (8, 8, 16, 16)
        assert white.getextrema() == (0, 255)
        assert request.strength == 1.0

    def test_a_picture_with_holes_is_its_own_mask(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        start = Image.new("RGBA", (32, 24), (255, 0, 0, 255))
        start.paste((0, 0, 0, 0), (0, 0, 4, 4))
        ai.images.edit(image=png(start), **SMALL)
        ai.images.edit(image=png(Image.new("RGBA", (32, 24), (255, 0, 0, 255))), **SMALL)
        holed, whole = fake_painter.submitted
        assert holed.mask is not None
        assert holed.mask.image().getbbox() == (0, 0, 4, 4)
        assert whole.mask is None

    def test_fidelity_is_how_much_is_kept(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        start, clear = png(Image.new("RGB", (32, 24), "red")), png(Image.new("RGBA", (32, 24)))
        mask: dict[str, Any] = {"mask": clear}
        for more in ({}, mask):
            for fidelity in ("low", "high"):
                ai.images.edit(image=start, input_fidelity=fidelity, **more, **SMALL)
        strengths = [request.strength for request in fake_painter.submitted]
        assert strengths == [0.75, 0.5, 1.0, 0.75]

    def test_a_strength_that_is_given_wins(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        start = png(Image.new("RGB", (32, 24), "red"))
        ai.images.edit(
            image=start, prompt="x", input_fidelity="high", extra_body={"strength": 0.3, "n": 2}
        )
        assert [request.strength for request in fake_painter.submitted] == [0.3, 0.3]

    def test_a_list_of_one_picture_is_one_picture(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        ai.images.edit(image=[png(Image.new("RGB", (32, 24), "red"))], **SMALL)
        assert fake_painter.submitted[0].image is not None

    def test_a_variation_is_an_edit_without_words(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client calls it deprecated
            ai.images.create_variation(image=png(Image.new("RGB", (64, 64), "red")), n=2)
        first = fake_painter.submitted[0]
        assert (first.prompt, first.strength) == ("", 0.6)
        assert (first.width, first.height) == (128, 128)

    def test_a_variation_has_no_mask(self, client: TestClient) -> None:
        start = png(Image.new("RGBA", (32, 24)))
        files = {"image": ("a.png", start), "mask": ("m.png", start)}
        answer = client.post("/v1/images/variations", files=files)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "mask")

    def test_a_field_that_comes_twice_is_refused(self, client: TestClient) -> None:
        files = {"image": ("a.png", png(Image.new("RGB", (32, 24))))}
        answer = client.post("/v1/images/edits", files=files, data={"prompt": ["a", "b"]})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")

    def test_many_things_that_cannot_be_are_refused_by_name(self, ai: openai.OpenAI) -> None:
        start = png(Image.new("RGB", (32, 24), "red"))
        clear = png(Image.new("RGBA", (32, 24)))
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"image": [start, start]}, "image"),
            ({"image": b"hello"}, "image"),
            ({"image": b""}, "image"),
            ({"image": start, "mask": start}, "mask"),
            ({"image": start, "mask": png(Image.new("RGBA", (8, 8)))}, "mask"),
            ({"image": start, "mask": b"hello"}, "mask"),
            ({"image": start, "markup": clear}, "markup"),
            ({"image": start, "background": "transparent"}, "background"),
            ({"image": start, "size": "32by24"}, "size"),
            ({"image": start, "extra_body": {"strength": 2}}, "strength"),
        ]
        for sent, param in wrong:
            with pytest.raises(openai.BadRequestError) as caught:
                ai.images.edit(**{"prompt": "a fox", "size": "32x24", **sent})
            assert caught.value.param == param


class TestStreams:
    def test_partial_pictures_come_first_and_the_finished_one_last(
        self,
        ai: openai.OpenAI,
        fake_painter: FakePainter,
        services: Services,
        aside: ThreadPoolExecutor,
    ) -> None:
        sent = {**SMALL, "extra_body": {"steps": 12, "seed": 7}}

        def told() -> list[Any]:
            with ai.images.generate(**sent, stream=True, partial_images=2) as stream:
                return list(stream)

        fake_painter.hold(1)  # the stream is there before the first step is
        coming = aside.submit(told)
        running = partial(services.jobs.list, states=("running",))
        until(lambda: any(services.hub.followers(job.id) for job in running()))
        fake_painter.release()
        events = coming.result(PATIENCE)
        kinds = [event.type for event in events]
        assert kinds[-1] == "image_generation.completed"
        assert set(kinds[:-1]) == {"image_generation.partial_image"}
        assert [event.partial_image_index for event in events[:-1]] == list(range(len(kinds) - 1))
        assert 1 <= len(kinds) - 1 <= 2
        for event in events:
            image = Image.open(io.BytesIO(base64.b64decode(event.b64_json)))
            assert image.size == (32, 24)
            assert (event.size, event.output_format) == ("32x24", "png")
            assert (event.quality, event.background) == ("auto", "opaque")
        whole = ai.images.generate(prompt="a fox", size="32x24", extra_body=sent["extra_body"])
        assert (whole.data or [])[0].b64_json is not None
        assert events[-1].usage.total_tokens == 0

    def test_every_picture_of_several_is_completed(self, ai: openai.OpenAI) -> None:
        with ai.images.generate(**SMALL, n=3, stream=True) as stream:
            events = list(stream)
        assert [event.type for event in events] == ["image_generation.completed"] * 3
        assert len({event.b64_json for event in events}) == 3

    def test_an_edit_streams_under_its_own_name(self, ai: openai.OpenAI) -> None:
        start = png(Image.new("RGB", (32, 24), "red"))
        sent = {**SMALL, "extra_body": {"steps": 12}}
        with ai.images.edit(image=start, **sent, stream=True, partial_images=1) as stream:
            kinds = [event.type for event in stream]
        assert kinds[-1] == "image_edit.completed"
        assert set(kinds[:-1]) <= {"image_edit.partial_image"}

    def test_partial_pictures_may_be_jpegs(self, ai: openai.OpenAI) -> None:
        sent = {**SMALL, "extra_body": {"steps": 12}}
        with ai.images.generate(
            **sent, stream=True, partial_images=1, output_format="jpeg"
        ) as stream:
            for event in stream:
                data = base64.b64decode(event.b64_json)
                assert Image.open(io.BytesIO(data)).format == "JPEG"

    def test_what_goes_wrong_on_the_way_is_an_error_of_the_client(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        fake_painter.fail(3, SfumatoError("take a smaller size"))
        with (
            ai.images.generate(**SMALL, stream=True) as stream,
            pytest.raises(openai.APIError, match="take a smaller size"),
        ):
            list(stream)

    def test_what_is_wrong_from_the_start_has_its_status(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError):
            ai.images.generate(prompt="a fox", size="33x33", stream=True)


class TestModels:
    def test_they_are_listed_and_found(self, ai: openai.OpenAI) -> None:
        (model,) = ai.models.list().data
        assert (model.id, model.object, model.owned_by) == ("mini", "model", "sfumato")
        assert ai.models.retrieve("mini") == model

    def test_an_unknown_one_is_not_found_and_names_the_nearest(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError, match="mini") as caught:
            ai.models.retrieve("mimi")
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError, match="gpt-image") as caught:
            ai.images.generate(prompt="a fox", model="gpt-image-1")
        assert caught.value.param == "model"


class TestTwoModels:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "other.safetensors").write_bytes(b"not a model, which nobody opens")
        return replace(settings, shelves=Shelves([Folder(tmp_path / "models")]))

    def test_a_file_is_a_model_as_old_as_it_is(self, ai: openai.OpenAI, tmp_path: Path) -> None:
        path = tmp_path / "models" / "other.safetensors"
        mini, other = ai.models.list().data
        assert (mini.id, other.id) == ("mini", "other.safetensors")
        assert other.created == int(path.stat().st_mtime)
        path.unlink()  # between two looks into the folder
        assert ai.models.retrieve("other").created == 0

    def test_what_is_not_known_of_a_model_is_left_to_it_or_refused(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        start = png(Image.new("RGB", (64, 32), "red"))
        ai.images.edit(image=start, prompt="a fox", model="other")
        (request,) = fake_painter.submitted
        assert Path(request.model or "").name == "other.safetensors"
        assert (request.width, request.height) == (None, None)
        with pytest.raises(openai.BadRequestError, match="steps") as caught:
            ai.images.generate(prompt="a fox", model="other", quality="low")
        assert caught.value.param == "quality"


def test_a_silent_stream_says_that_it_is_alive() -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"one"
        await asyncio.sleep(0.2)
        yield b"two"

    async def read() -> list[bytes]:
        return [part async for part in with_pings(parts(), beat=0.01)]

    got = asyncio.run(read())
    assert (got[0], got[-1]) == (b"one", b"two")
    assert set(got[1:-1]) == {b": still here\n\n"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"n": 11}, "n"),
    ({"n": 0}, "n"),
    ({"size": "large"}, "size"),
    ({"size": "0x0"}, "size"),
    ({"size": "33x32"}, "size"),
    ({"size": "8000x8000"}, "size"),
    ({"quality": "max"}, "quality"),
    ({"style": "vivid"}, "style"),
    ({"background": "transparent"}, "background"),
    ({"output_format": "svg"}, "output_format"),
    ({"output_compression": 50}, "output_compression"),
    ({"output_format": "jpeg", "output_compression": 101}, "output_compression"),
    ({"output_format": "jpeg", "response_format": "url"}, "output_format"),
    ({"response_format": "url", "stream": True}, "response_format"),
    ({"partial_images": 2}, "partial_images"),
    ({"partial_images": 4, "stream": True}, "partial_images"),
    ({"frame_count": 4}, "frame_count"),
    ({"sampler": "eular"}, "sampler"),
    ({"schedule": "karas"}, "schedule"),
    ({"steps": 151}, "steps"),
    ({"guidance": -1}, "guidance"),
    ({"seed": 2**64}, "seed"),
    ({"negative_promt": "a dog"}, "negative_promt"),
    ({"prompt": None}, "prompt"),
]


class TestErrors:
    def test_a_value_that_cannot_be_is_400_and_named(
        self, client: TestClient, fake_painter: FakePainter
    ) -> None:
        for sent, param in BAD:
            answer = client.post("/v1/images/generations", json={"prompt": "a fox", **sent})
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (400, param), (sent, error)
            assert error["type"] == "invalid_request_error"
            assert set(error) == {"message", "type", "param", "code"}
        assert not fake_painter.submitted

    def test_a_misspelt_parameter_is_told_its_name(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="Did you mean negative_prompt") as caught:
            ai.images.generate(prompt="a fox", extra_body={"negative_promt": "a dog"})
        assert caught.value.code == "unknown_parameter"

    def test_what_the_model_refuses_is_a_bad_request(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="fall off"):
            ai.images.generate(prompt="a " * 60)

    def test_a_fault_of_ours_is_told_as_one_and_not_repeated(
        self, live_server: LiveServer, fake_painter: FakePainter
    ) -> None:
        fake_painter.fail(2, ValueError("a secret"))
        with (
            client_of(live_server, max_retries=2) as ai,
            pytest.raises(openai.InternalServerError) as caught,
        ):
            ai.images.generate(**SMALL)
        assert "secret" not in str(caught.value)
        assert len(fake_painter.submitted) == 1

    def test_a_job_that_somebody_cancels_is_a_conflict(
        self,
        ai: openai.OpenAI,
        live_server: LiveServer,
        fake_painter: FakePainter,
        aside: ThreadPoolExecutor,
    ) -> None:
        fake_painter.hold(2)
        call = aside.submit(ai.images.generate, **SMALL)
        fake_painter.held()
        live_server.services.jobs.cancel_running()
        fake_painter.release()
        assert isinstance(call.exception(PATIENCE), openai.ConflictError)

    def test_what_is_not_there_is_told_in_the_dialects_words(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError):
            ai.chat.completions.create(model="mini", messages=[])

    def test_a_server_that_stops_is_asked_again_later(
        self,
        ai: openai.OpenAI,
        live_server: LiveServer,
        fake_painter: FakePainter,
        aside: ThreadPoolExecutor,
    ) -> None:
        fake_painter.hold(2)
        call = aside.submit(ai.images.generate, **SMALL)
        fake_painter.held()
        hub = live_server.services.hub
        (job,) = live_server.services.jobs.list()
        until(lambda: hub.followers(job.id) == 1)
        hub.close()
        error = call.exception(PATIENCE)
        assert isinstance(error, openai.InternalServerError)
        assert (error.status_code, error.code) == (503, "stopping")
        assert "x-should-retry" not in error.response.headers
        fake_painter.release()


class TestAFullQueue:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, limits=replace(settings.limits, queue=0))

    def test_it_is_a_rate_limit_that_says_when_to_come_back(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.RateLimitError) as caught:
            ai.images.generate(**SMALL)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["Retry-After"]) >= 1


class TestTokens:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, token="0123456789abcdef")

    def test_the_api_key_is_the_token_also_for_an_url(self, live_server: LiveServer) -> None:
        with client_of(live_server, api_key="0123456789abcdef") as ai:
            (painted,) = ai.images.generate(**SMALL, response_format="url").data or []
        assert painted.url is not None
        head = {"authorization": "Bearer 0123456789abcdef"}
        assert httpx2.get(painted.url, headers=head).status_code == 200
        assert httpx2.get(painted.url).status_code == 401

    def test_a_wrong_one_is_an_authentication_error(self, ai: openai.OpenAI) -> None:
        with pytest.raises(openai.AuthenticationError) as caught:
            ai.images.generate(**SMALL)
        assert caught.value.type == "authentication_error"


class TestComingBack:
    """The client asks three times by itself when an answer is slow; it must be painted once."""

    def test_a_slow_picture_is_painted_once_for_a_client_that_asks_again(
        self, live_server: LiveServer, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        fake_painter.hold(2)
        tries: list[httpx2.Request] = []
        http = openai.DefaultHttpxClient(event_hooks={"request": [tries.append]}, timeout=2.0)
        with client_of(live_server, max_retries=5, timeout=2.0, http_client=http) as ai:
            call = aside.submit(ai.images.generate, **SMALL)
            until(lambda: len(tries) == 2)
            fake_painter.held()
            fake_painter.release()
            assert len(call.result(PATIENCE).data or []) == 1
        assert len(fake_painter.submitted) == 1
        assert len(live_server.services.jobs.list()) == 1

    def test_a_picture_that_was_finished_meanwhile_is_still_there_for_it(
        self, live_server: LiveServer, fake_painter: FakePainter
    ) -> None:
        fake_painter.hold(2)
        line = dialled(live_server, "/v1/images/generations", {"prompt": "a fox"})
        jobs = live_server.services.jobs
        fake_painter.held()
        line.close()
        (job,) = jobs.list()
        until(lambda: live_server.services.hub.followers(job.id) == 0)
        fake_painter.release()
        until(lambda: jobs.get(job.id).state == "done")
        with client_of(live_server) as ai:
            assert len(ai.images.generate(prompt="a fox").data or []) == 1
            assert len(jobs.list()) == 1
            assert len(ai.images.generate(prompt="a fox").data or []) == 1
            assert len(jobs.list()) == 2  # the answer was had; this is a new wish

    def test_an_idempotency_key_is_one_picture(
        self, ai: openai.OpenAI, fake_painter: FakePainter
    ) -> None:
        key = {"extra_headers": {"Idempotency-Key": "one"}}
        first, again = (ai.images.generate(**SMALL, **key) for _ in range(2))
        assert (first.data or [])[0].b64_json == (again.data or [])[0].b64_json
        assert len(fake_painter.submitted) == 1
        with pytest.raises(openai.BadRequestError, match="one"):
            ai.images.generate(prompt="a bear", **key)


class TestHangingUp:
    """With no patience at all: a client that goes takes its job with it, if it is alone."""

    @pytest.fixture
    def hasty(self, services: Services, loopback: None) -> Iterator[LiveServer]:
        app = FastAPI()
        app.include_router(dialect.router(services, grace=0.0))
        with serving(app, services) as live:
            yield live

    def test_a_job_that_nobody_waits_for_is_cancelled(
        self, hasty: LiveServer, fake_painter: FakePainter
    ) -> None:
        fake_painter.hold(2)
        line = dialled(hasty, "/v1/images/generations", {"prompt": "a fox"})
        jobs = hasty.services.jobs
        fake_painter.held()
        line.close()
        (job,) = jobs.list()
        until(lambda: jobs.live.cancelling(job.id))
        fake_painter.release()
        until(lambda: jobs.get(job.id).state == "cancelled")

    def test_so_is_one_whose_stream_is_left(
        self, hasty: LiveServer, fake_painter: FakePainter
    ) -> None:
        fake_painter.hold(2)
        jobs = hasty.services.jobs
        with client_of(hasty) as ai:
            stream = ai.images.generate(**SMALL, stream=True)
            fake_painter.held()
            stream.close()
        (job,) = jobs.list()
        until(lambda: jobs.live.cancelling(job.id))
        fake_painter.release()
        until(lambda: jobs.get(job.id).state == "cancelled")

    def test_a_job_that_somebody_else_waits_for_goes_on(
        self, hasty: LiveServer, fake_painter: FakePainter
    ) -> None:
        fake_painter.hold(2)
        jobs = hasty.services.jobs
        request = Request("a fox", seed=7, model="mini")
        job, _ = jobs.submit(request, client="native")
        fake_painter.held()
        line = dialled(hasty, "/v1/images/generations", {"prompt": "a fox", "seed": 7})
        until(lambda: jobs.get(job.id).parties == 2)
        line.close()
        until(lambda: jobs.get(job.id).parties == 1)
        fake_painter.release()
        until(lambda: jobs.get(job.id).state == "done")
        assert len(jobs.list()) == 1
