"""The real `webuiapi` client against a server of ours that paints with a fake."""

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import webuiapi
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from sfumato.catalog import ILLUSTRATION
from sfumato.diffusion.table import SAMPLER_ROWS
from sfumato.errors import SfumatoError
from sfumato.recipe import Recipe
from sfumato.request import Request
from sfumato.server import a1111 as dialect
from sfumato.server.library import Search
from sfumato.server.services import Services
from sfumato.server.settings import Settings
from sfumato.shelves import Folder, Shelves
from tests.cli.fake import SHA256
from tests.server.conftest import LiveServer, serving
from tests.server.fake import PATIENCE, TILES, FakePainter
from tests.server.line import dialled

SMALL: dict[str, Any] = {"width": 32, "height": 24, "steps": 5, "prompt": "a fox"}


@pytest.fixture
def api(live_server: LiveServer) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{live_server.url}/sdapi/v1")


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """A thread for the call that waits while the test does something else."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.01)


def told(info: webuiapi.WebUIApiResult) -> dict[str, Any]:
    assert isinstance(info.info, dict)
    return info.info


class TestTextToImage:
    def test_a_picture_is_the_librarys_file_to_the_byte(
        self, api: webuiapi.WebUIApi, live_server: LiveServer
    ) -> None:
        result = api.txt2img(**SMALL, seed=7)
        (entry,) = live_server.services.library.search(Search()).entries
        assert base64.b64decode(result.json["images"][0]) == entry.file.read_bytes()
        assert result.image.size == (32, 24)
        assert "Steps: 5, Sampler: Euler a" in result.image.info["parameters"]
        assert Recipe.from_json(result.image.info["sfumato"]).request.seed == 7

    def test_the_request_arrives_as_it_was_meant(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter
    ) -> None:
        api.txt2img(
            prompt="a fox",
            negative_prompt="a dog",
            seed=7,
            steps=4,
            cfg_scale=3.5,
            width=40,
            height=48,
            sampler_name="DPM++ 2M Karras",
        )
        (request,) = fake_painter.submitted
        assert replace(request, model=None) == Request(
            like="a1111",
            prompt="a fox",
            negative="a dog",
            seed=7,
            steps=4,
            guidance=3.5,
            width=40,
            height=48,
            sampler="dpmpp_2m",
            schedule="karras",
        )

    def test_a_batch_has_consecutive_seeds_and_so_has_its_info(
        self, api: webuiapi.WebUIApi
    ) -> None:
        result = api.txt2img(**SMALL, seed=7, batch_size=2, n_iter=2)
        assert len(result.images) == 4
        assert told(result)["all_seeds"] == [7, 8, 9, 10]
        assert len({image.tobytes() for image in result.images}) == 4
        assert [text.count("Seed: ") for text in told(result)["infotexts"]] == [1] * 4

    def test_a_seed_of_minus_one_is_drawn_and_told(self, api: webuiapi.WebUIApi) -> None:
        first, second = api.txt2img(**SMALL), api.txt2img(**SMALL)
        assert told(first)["seed"] != told(second)["seed"]
        again = api.txt2img(**SMALL, seed=told(first)["seed"])
        assert again.image.tobytes() == first.image.tobytes()

    def test_the_info_has_every_key_that_clients_read(self, api: webuiapi.WebUIApi) -> None:
        info = told(api.txt2img(**SMALL, negative_prompt="a dog", seed=7, cfg_scale=3))
        expected = {
            "prompt": "a fox",
            "all_prompts": ["a fox"],
            "negative_prompt": "a dog",
            "all_negative_prompts": ["a dog"],
            "seed": 7,
            "all_seeds": [7],
            "subseed": 7,
            "all_subseeds": [7],
            "width": 32,
            "height": 24,
            "sampler_name": "Euler a",
            "cfg_scale": 3.0,
            "steps": 5,
            "batch_size": 1,
            "sd_model_name": "mini",
            "sd_model_hash": SHA256[:10],
            "denoising_strength": None,
            "extra_generation_params": {},
            "index_of_first_image": 0,
            "clip_skip": 1,
        }
        assert {key: info[key] for key in expected} == expected
        assert info["version"].startswith("sfumato ")
        assert len(info["job_timestamp"]) == 14

    def test_what_was_sent_is_echoed(self, api: webuiapi.WebUIApi) -> None:
        echo = api.txt2img(**SMALL, seed=7).parameters
        assert (echo["prompt"], echo["seed"], echo["scheduler"]) == ("a fox", 7, "automatic")

    def test_pictures_can_be_left_out_of_the_reply(self, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(**SMALL, seed=7, send_images=False)
        assert result.images == []
        assert told(result)["all_seeds"] == [7]

    def test_a_picture_not_to_be_saved_is_in_the_trash(
        self, api: webuiapi.WebUIApi, live_server: LiveServer
    ) -> None:
        result = api.txt2img(**SMALL, do_not_save_samples=True)
        assert result.image.size == (32, 24)
        library = live_server.services.library
        assert library.search(Search()).total == 0
        assert library.search(Search(trash=True)).total == 1

    def test_an_idempotency_key_is_one_picture(
        self, live_server: LiveServer, fake_painter: FakePainter
    ) -> None:
        url, key = f"{live_server.url}/sdapi/v1/txt2img", {"Idempotency-Key": "one"}
        replies = [requests.post(url, json=SMALL, headers=key).json() for _ in range(2)]
        assert replies[0]["images"] == replies[1]["images"]
        assert len(fake_painter.submitted) == 1

    def test_the_models_own_defaults_hold_where_nothing_is_said(self, client: TestClient) -> None:
        info = json.loads(client.post("/sdapi/v1/txt2img", json={}).json()["info"])
        assert (info["width"], info["height"], info["steps"]) == (32, 24, 5)
        assert info["sampler_name"] == "Euler"


class TestImageToImage:
    def test_a_picture_to_start_from_arrives(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter
    ) -> None:
        start = Image.new("RGB", (50, 40), "red")
        result = api.img2img(images=[start], **SMALL, seed=7, denoising_strength=0.6, resize_mode=1)
        (request,) = fake_painter.submitted
        assert request.image is not None
        assert request.image.image().tobytes() == start.tobytes()
        assert (request.strength, request.fit, request.mask) == (0.6, "crop", None)
        assert result.image.size == (32, 24)
        assert told(result)["denoising_strength"] == 0.6
        assert result.parameters["init_images"] is None

    def test_the_picture_comes_back_only_when_it_is_wanted(self, api: webuiapi.WebUIApi) -> None:
        start = Image.new("RGB", (32, 24), "red")
        echo = api.img2img(images=[start], **SMALL, include_init_images=True).parameters
        assert echo["init_images"] == [webuiapi.b64_img(start)]

    def test_a_mask_and_all_about_it_arrive(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter
    ) -> None:
        mask = Image.new("L", (32, 24), 0)
        mask.paste(255, (8, 8, 16, 16))
        api.img2img(
            images=[Image.new("RGB", (32, 24), "red")],
            mask_image=mask,
            mask_blur=2,
            inpainting_fill=2,
            inpaint_full_res=True,
            inpaint_full_res_padding=8,
            inpainting_mask_invert=1,
            **SMALL,
        )
        (request,) = fake_painter.submitted
        assert request.mask is not None
        assert request.mask.image().tobytes() == mask.tobytes()
        assert (request.mask_blur, request.mask_fill) == (2, "noise")
        assert (request.mask_padding, request.mask_invert) == (8, True)

    def test_without_a_picture_it_is_404(self, api: webuiapi.WebUIApi) -> None:
        with pytest.raises(RuntimeError) as caught:
            api.img2img(images=[], **SMALL)
        assert caught.value.args[0] == 404


class TestWatching:
    def test_nothing_to_do_is_0_of_0(self, api: webuiapi.WebUIApi) -> None:
        idle = api.get_progress()
        assert (idle["progress"], idle["state"]["job_count"]) == (0, 0)
        assert (idle["eta_relative"], idle["current_image"]) == (0, None)

    def test_progress_tells_how_far_a_job_is_and_shows_it(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        fake_painter.hold(4)
        call = aside.submit(api.txt2img, **SMALL, n_iter=2)
        fake_painter.held()
        until(lambda: api.get_progress()["state"]["sampling_step"] == 3)
        # From here on somebody looks, and each step is shown.
        fake_painter.release_to(5)
        fake_painter.held()
        until(lambda: api.get_progress()["state"]["sampling_step"] == 4)
        seen = api.get_progress()
        assert seen["progress"] == pytest.approx(4 / 5 / 2)
        assert seen["state"]["sampling_steps"] == 5
        assert (seen["state"]["job_count"], seen["state"]["job_no"]) == (2, 0)
        picture = Image.open(io.BytesIO(base64.b64decode(seen["current_image"])))
        assert picture.size == (32, 24)
        fake_painter.release()
        assert len(call.result(PATIENCE).images) == 2
        assert api.get_progress()["state"]["job_count"] == 0

    def test_the_picture_can_be_left_out(
        self, live_server: LiveServer, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        url = f"{live_server.url}/sdapi/v1"
        fake_painter.hold(4)
        sent = {**SMALL, "force_task_id": "task(mine)"}
        call = aside.submit(requests.post, f"{url}/txt2img", json=sent)
        fake_painter.held()
        seen = requests.get(f"{url}/progress", params={"skip_current_image": "true"}).json()
        assert seen["current_image"] is None
        assert seen["state"]["job"] == "task(mine)"
        fake_painter.release()
        assert call.result(PATIENCE).status_code == 200

    def test_a_picture_whose_size_is_the_models_own_is_shown_too(
        self, live_server: LiveServer, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        url = f"{live_server.url}/sdapi/v1"
        fake_painter.hold(3)
        call = aside.submit(requests.post, f"{url}/txt2img", json={"prompt": "a fox"})
        fake_painter.held()

        def seen() -> str | None:
            return requests.get(f"{url}/progress").json()["current_image"]

        until(lambda: seen() is not None)
        image = Image.open(io.BytesIO(base64.b64decode(seen() or "")))
        assert image.size == (32, 24)
        fake_painter.release()
        assert call.result(PATIENCE).status_code == 200

    def test_between_two_pictures_it_does_not_run_ahead(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        call = held_in_second(api, fake_painter, aside)
        assert api.get_progress()["progress"] == pytest.approx(1 / 3)
        assert api.get_progress()["state"]["job_no"] == 1
        fake_painter.release()
        call.result(PATIENCE)

    def test_a_job_that_waits_for_another_is_told_as_waiting(
        self,
        api: webuiapi.WebUIApi,
        live_server: LiveServer,
        fake_painter: FakePainter,
        aside: ThreadPoolExecutor,
    ) -> None:
        fake_painter.hold(2)
        live_server.services.jobs.submit(Request("a bear", steps=5), client="native")
        fake_painter.held()
        call = aside.submit(api.txt2img, **SMALL)
        until(lambda: api.get_progress()["state"]["job_count"] == 1)
        waiting = api.get_progress()
        assert (waiting["progress"], waiting["textinfo"]) == (0, "Waiting...")
        api.interrupt()
        assert call.result(PATIENCE).images == []
        fake_painter.release()

    def test_jobs_of_other_dialects_are_not_told(
        self, api: webuiapi.WebUIApi, live_server: LiveServer, fake_painter: FakePainter
    ) -> None:
        fake_painter.hold(2)
        job, _ = live_server.services.jobs.submit(Request("a bear", steps=5), client="native")
        fake_painter.held()
        assert api.get_progress()["state"]["job_count"] == 0
        assert api.interrupt() == {}
        fake_painter.release()
        until(lambda: live_server.services.jobs.get(job.id).state == "done")


class TestStopping:
    @pytest.mark.parametrize(("how", "seeds"), [("interrupt", [7]), ("skip", [7, 9])])
    def test_whoever_waits_gets_what_is_finished(
        self,
        api: webuiapi.WebUIApi,
        fake_painter: FakePainter,
        aside: ThreadPoolExecutor,
        how: str,
        seeds: list[int],
    ) -> None:
        call = held_in_second(api, fake_painter, aside)
        assert getattr(api, how)() == {}
        fake_painter.release()
        result = call.result(PATIENCE)
        assert told(result)["all_seeds"] == seeds
        assert len(result.images) == len(seeds)
        assert fake_painter.steps < 3 * 5

    def test_with_nothing_to_stop_it_is_no_error(self, api: webuiapi.WebUIApi) -> None:
        assert api.interrupt() == {}
        assert api.skip() == {}

    def test_a_job_stopped_before_its_first_picture_has_none(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        fake_painter.hold(2)
        call = aside.submit(api.txt2img, **SMALL, seed=7)
        fake_painter.held()
        api.interrupt()
        fake_painter.release()
        result = call.result(PATIENCE)
        assert (result.images, told(result)["seed"]) == ([], 7)


def held_in_second(
    api: webuiapi.WebUIApi, painter: FakePainter, aside: ThreadPoolExecutor
) -> "Future[webuiapi.WebUIApiResult]":
    """A call for three pictures, of which the first is finished and the second is not."""
    painter.hold(1)
    call = aside.submit(api.txt2img, **SMALL, seed=7, n_iter=3)
    painter.held()
    painter.pass_on()
    painter.held()
    return call


class TestSettings:
    def test_posting_all_options_back_changes_nothing(self, api: webuiapi.WebUIApi) -> None:
        options = api.get_options()
        assert options["sd_model_checkpoint"].startswith("mini [")
        assert "forge_preset" not in options
        assert api.set_options(options) is None
        assert api.get_options() == options

    def test_the_model_can_be_chosen_by_its_title(self, api: webuiapi.WebUIApi) -> None:
        (title,) = api.util_get_model_names()
        assert api.set_options({"sd_model_checkpoint": title}) is None
        assert api.get_options()["sd_model_checkpoint"] == title

    def test_any_other_change_is_refused_by_name(self, api: webuiapi.WebUIApi) -> None:
        before = api.get_options()
        changes = {
            "CLIP_stop_at_last_layers": 2,
            "sd_model_checkpoint": "mimi",
            "outdir_samples": "/tmp",
            "randn_source": "NV",
        }
        for name, value in changes.items():
            assert name in api.set_options({name: value})["detail"]
            assert api.get_options() == before


LISTS = {
    "get_samplers": "name",
    "get_schedulers": "name",
    "get_sd_models": "title",
    "get_upscalers": "name",
    "get_sd_vae": None,
    "get_latent_upscale_modes": None,
    "get_loras": None,
    "get_hypernetworks": None,
    "get_face_restorers": None,
    "get_realesrgan_models": None,
    "get_prompt_styles": None,
    "get_artist_categories": None,
    "get_artists": None,
}


class TestLists:
    def test_every_list_that_the_client_knows_is_there(self, api: webuiapi.WebUIApi) -> None:
        for method, key in LISTS.items():
            found = getattr(api, method)()
            assert isinstance(found, list), method
            assert all(row[key] for row in found) if key else found == [], method
            assert bool(found) == bool(key), method

    def test_the_lists_have_the_shapes_that_clients_read(self, api: webuiapi.WebUIApi) -> None:
        assert "DPM++ 2M" in api.util_get_sampler_names()
        assert {"automatic", "karras"} <= set(api.util_get_scheduler_names())
        (model,) = api.get_sd_models()
        assert model["title"] == f"mini [{model['hash']}]"
        assert (model["model_name"], model["filename"]) == ("mini", "mini")
        assert model["sha256"].startswith(model["hash"])
        assert set(api.get_samplers()[0]) == {"name", "aliases", "options"}
        assert set(api.get_schedulers()[0]) == {
            "name",
            "label",
            "aliases",
            "default_rho",
            "need_inner_model",
        }
        assert [row["name"] for row in api.get_upscalers()] == [
            *("None", "Lanczos", "Nearest", "R-ESRGAN AnimeVideo")
        ]
        assert api.get_embeddings() == {"loaded": {}, "skipped": {}}
        assert api.get_scripts() == {"txt2img": [], "img2img": []}
        assert set(api.get_memory()) == {"ram", "cuda"}
        assert api.get_cmd_flags()["api"] is True
        assert api.refresh_checkpoints() is None

    def test_every_sampler_and_schedule_of_the_lists_can_be_asked_for(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter
    ) -> None:
        few = {**SMALL, "steps": 1}
        for name in api.util_get_sampler_names():
            api.txt2img(**few, sampler_name=name)
        for name in api.util_get_scheduler_names():
            api.txt2img(**few, scheduler=name)
        asked = {request.sampler for request in fake_painter.submitted}
        assert asked == {row.name for row in SAMPLER_ROWS}

    def test_the_client_sees_no_extension_and_sends_none(self, api: webuiapi.WebUIApi) -> None:
        seen = (api.has_controlnet, api.has_adetailer, api.has_animatediff)
        assert seen == (False, False, False)


class TestPictures:
    def test_png_info_reads_what_is_in_a_picture(self, api: webuiapi.WebUIApi) -> None:
        result = api.txt2img(**SMALL, negative_prompt="a dog", seed=7)
        read = api.png_info(result.image)
        assert read.info == result.image.info["parameters"]
        assert read.parameters["Prompt"] == "a fox"
        assert read.parameters["Negative prompt"] == "a dog"
        assert (read.parameters["Seed"], read.parameters["Size-1"]) == ("7", "32")
        assert Recipe.from_json(read.json["items"]["sfumato"]).request.seed == 7

    def test_png_info_tells_that_a_picture_was_made_larger_and_its_text_makes_it_again(
        self, api: webuiapi.WebUIApi, services: Services, live_server: LiveServer
    ) -> None:
        wish = Request("a fox", seed=7, steps=5, width=32, height=24, upscale=2, model="mini")
        job, _ = services.jobs.submit(wish, client="native")
        until(lambda: services.jobs.get(job.id).ended)
        entry = services.library.get(f"{job.id}-0")
        read = api.png_info(Image.open(entry.file))
        assert read.parameters["Postprocess upscale by"] == "2"
        assert read.parameters["Postprocess upscaler"] == ILLUSTRATION.title
        assert read.parameters["Size"] == "32x24"
        again = requests.post(
            f"{live_server.url}/sdapi/v1/txt2img", json={"infotext": read.info}, timeout=PATIENCE
        ).json()
        with Image.open(io.BytesIO(base64.b64decode(again["images"][0]))) as image:
            assert image.size == (64, 48)

    def test_a_picture_that_says_nothing_has_an_empty_info(self, api: webuiapi.WebUIApi) -> None:
        read = api.png_info(Image.new("RGB", (8, 8)))
        assert (read.info, read.parameters) == ("", {})

    def test_pictures_are_enlarged_by_a_factor(self, api: webuiapi.WebUIApi) -> None:
        small = Image.new("RGB", (20, 10), "red")
        for upscaler in (webuiapi.Upscaler.Lanczos, webuiapi.Upscaler.Nearest):
            larger = api.extra_single_image(small, upscaler_1=upscaler, upscaling_resize=3)
            assert larger.image.size == (60, 30)
            assert upscaler.value in larger.info
        same = api.extra_single_image(small, upscaler_1=webuiapi.Upscaler.none, upscaling_resize=3)
        assert same.image.size == (20, 10)

    def test_nearest_and_lanczos_are_what_they_say(self, api: webuiapi.WebUIApi) -> None:
        edge = Image.new("RGB", (2, 1), "black")
        edge.putpixel((1, 0), (255, 255, 255))
        nearest, lanczos = (
            api.extra_single_image(edge, upscaler_1=name, upscaling_resize=4).image
            for name in ("Nearest", "Lanczos")
        )
        assert len(nearest.getcolors()) == 2
        assert len(lanczos.getcolors()) > 2

    @pytest.mark.parametrize(("crop", "size"), [(True, (40, 40)), (False, (80, 40))])
    def test_pictures_are_enlarged_to_a_size(
        self, api: webuiapi.WebUIApi, crop: bool, size: tuple[int, int]
    ) -> None:
        larger = api.extra_single_image(
            Image.new("RGB", (20, 10)),
            resize_mode=1,
            upscaling_resize_w=40,
            upscaling_resize_h=40,
            upscaling_crop=crop,
            upscaler_1="Lanczos",
        )
        assert larger.image.size == size

    def test_two_upscalers_are_blended(self, api: webuiapi.WebUIApi) -> None:
        edge = Image.new("RGB", (2, 1), "black")
        edge.putpixel((1, 0), (255, 255, 255))

        def row(**how: Any) -> bytes:
            return api.extra_single_image(edge, upscaling_resize=4, **how).image.tobytes()

        one, other = row(upscaler_1="Nearest"), row(upscaler_1="Lanczos")
        half = row(upscaler_1="Nearest", upscaler_2="Lanczos", extras_upscaler_2_visibility=0.5)
        for a, b, c in zip(one, other, half, strict=True):
            assert c == pytest.approx((a + b) / 2, abs=1)

    def test_a_batch_is_enlarged_in_its_order(self, api: webuiapi.WebUIApi) -> None:
        images = [Image.new("RGB", (side, 8)) for side in (8, 9)]
        larger = api.extra_batch_images(images, upscaler_1="Nearest", upscaling_resize=2)
        assert [image.size for image in larger.images] == [(16, 16), (18, 16)]

    @pytest.mark.parametrize(("factor", "size"), [(2, (8, 4)), (3, (12, 6)), (1, (4, 2))])
    def test_our_own_network_enlarges_too(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter, factor: int, size: tuple[int, int]
    ) -> None:
        """By 3 it makes it 4 times as large, and Lanczos brings it to size."""
        name = api.get_upscalers()[-1]["name"]
        assert name == ILLUSTRATION.title
        small = Image.new("RGB", (4, 2), "black")
        larger = api.extra_single_image(small, upscaler_1=name, upscaling_resize=factor).image
        assert larger.size == size
        assert larger.convert("L").getextrema() == ((255, 255) if factor > 1 else (0, 0))
        assert fake_painter.enlarged == (TILES if factor > 1 else 0)

    def test_what_is_clear_stays_clear(self, api: webuiapi.WebUIApi) -> None:
        clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
        how: dict[str, Any] = {"upscaler_1": ILLUSTRATION.title, "upscaling_resize": 4}
        larger = api.extra_single_image(clear, **how).image
        assert (larger.size, larger.getchannel("A").getextrema()) == ((16, 16), (0, 0))

    def test_the_network_waits_for_the_job_that_is_painted(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter, aside: ThreadPoolExecutor
    ) -> None:
        fake_painter.hold(2)
        picture = aside.submit(api.txt2img, **SMALL)
        fake_painter.held()
        how: dict[str, Any] = {"upscaler_1": ILLUSTRATION.title, "upscaling_resize": 2}
        larger = aside.submit(api.extra_single_image, Image.new("RGB", (4, 4)), **how)
        with pytest.raises(TimeoutError):
            larger.result(0.2)
        assert fake_painter.enlarged == 0
        fake_painter.release()
        assert picture.result(PATIENCE).image.size == (32, 24)
        assert larger.result(PATIENCE).image.size == (8, 8)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    @pytest.mark.parametrize(
        ("route", "field"),
        [
            ("extra-single-image", "upscaling_resize"),
            ("txt2img", "cfg_scale"),
            ("img2img", "mask_blur"),
            ("img2img", "denoising_strength"),
        ],
    )
    def test_what_is_no_number_is_refused_by_its_field(
        self, client: TestClient, route: str, field: str, number: str
    ) -> None:
        """Python reads these where JSON has none, and the width of NaN pictures is no number."""
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "PNG")
        image = base64.b64encode(buffer.getvalue()).decode()
        sent = f'{{"image": "{image}", "init_images": ["{image}"], "mask": "{image}", '
        sent += f'"upscaler_1": "Lanczos", "{field}": {number}}}'
        answer = client.post(
            f"/sdapi/v1/{route}", content=sent, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422, answer.text
        assert field in answer.json()["detail"]

    def test_what_needs_a_network_or_no_bounds_is_refused(self, api: webuiapi.WebUIApi) -> None:
        one: dict[str, Any] = {"upscaler_1": "Lanczos"}
        two = {**one, "upscaler_2": "Nearest"}
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"upscaler_1": "R-ESRGAN 4x+"}, "upscaler_1"),
            ({"upscaler_2": "LDSR"}, "upscaler_2"),
            ({"gfpgan_visibility": 0.5}, "gfpgan_visibility"),
            ({"codeformer_visibility": 1}, "codeformer_visibility"),
            ({**one, "upscaling_resize": 10_000}, "upscaling_resize"),
            ({**one, "upscaling_resize": -1}, "upscaling_resize"),
            ({"upscaler_1": ILLUSTRATION.title, "upscaling_resize": 5}, "up to 4 times"),
            ({**one, "resize_mode": 2}, "resize_mode"),
            ({**two, "extras_upscaler_2_visibility": 2}, "extras_upscaler_2_visibility"),
        ]
        for how, told in wrong:
            with pytest.raises(RuntimeError, match=told) as caught:
                api.extra_single_image(Image.new("RGB", (8, 8)), **how)
            assert caught.value.args[0] == 422


class TestErrors:
    def test_they_have_the_shape_that_clients_know(self, client: TestClient) -> None:
        answer = client.post("/sdapi/v1/txt2img", json={"sampler_name": "Eular"})
        assert answer.status_code == 400
        body = answer.json()
        assert set(body) == {"error", "detail", "body", "errors"}
        assert "euler" in body["detail"]
        assert body["errors"] == body["detail"]

    def test_a_value_that_cannot_be_is_422_and_named(
        self, client: TestClient, fake_painter: FakePainter
    ) -> None:
        wrong: list[tuple[object, str]] = [
            ({"steps": "many"}, "steps"),
            ({"prompt": 5}, "prompt"),
            ({"width": 100_000}, "width"),
            ({"cfg_scale": 1000}, "cfg_scale"),
            ({"batch_size": 8, "n_iter": 8}, "batch_size x n_iter"),
            ({"steps": 151}, "steps"),
            ([], "the body"),
            ({"restore_faces": True}, "restore_faces"),
        ]
        for sent, name in wrong:
            answer = client.post("/sdapi/v1/txt2img", json=sent)
            assert answer.status_code == 422, sent
            assert answer.json()["detail"].startswith(name)
        assert not fake_painter.submitted

    def test_what_the_model_refuses_is_422(
        self, client: TestClient, fake_painter: FakePainter
    ) -> None:
        answer = client.post("/sdapi/v1/txt2img", json={"prompt": "a " * 60})
        assert answer.status_code == 422
        assert "fall off" in answer.json()["detail"]

    def test_a_fault_of_ours_is_500_and_tells_nothing(
        self, client: TestClient, fake_painter: FakePainter
    ) -> None:
        fake_painter.fail(2, ValueError("a secret"))
        answer = client.post("/sdapi/v1/txt2img", json=SMALL)
        assert answer.status_code == 500
        assert "secret" not in answer.text

    def test_a_failure_says_what_to_do(self, client: TestClient, fake_painter: FakePainter) -> None:
        fake_painter.fail(2, SfumatoError("take a smaller size"))
        answer = client.post("/sdapi/v1/txt2img", json=SMALL)
        assert (answer.status_code, answer.json()["detail"]) == (422, "take a smaller size")

    def test_a_field_that_nobody_knows_is_refused(self, client: TestClient) -> None:
        picture = webuiapi.b64_img(Image.new("RGB", (8, 8)))
        sent = {"image": picture, "upscaler_1": "Nearest", "sharpen": 3}
        answer = client.post("/sdapi/v1/extra-single-image", json=sent)
        assert (answer.status_code, "sharpen" in answer.text) == (422, True)
        assert client.post("/sdapi/v1/extra-single-image", json={}).status_code == 404
        many = {"imageList": [{"data": picture, "name": "a"}] * 17}
        answer = client.post("/sdapi/v1/extra-batch-images", json=many)
        assert (answer.status_code, "imageList" in answer.text) == (422, True)

    def test_a_body_that_is_no_json_is_told_so(self, client: TestClient) -> None:
        head = {"content-type": "application/json"}
        answer = client.post("/sdapi/v1/txt2img", content=b"{", headers=head)
        assert answer.status_code == 422
        assert answer.json()["detail"]

    def test_controlnet_of_old_is_not_there(self, api: webuiapi.WebUIApi) -> None:
        unit = webuiapi.ControlNetUnit(image=Image.new("RGB", (8, 8)))
        with pytest.raises(RuntimeError) as caught:
            api.txt2img(**SMALL, controlnet_units=[unit], use_deprecated_controlnet=True)
        assert caught.value.args[0] in (404, 405)
        with pytest.raises(RuntimeError, match="ControlNet"):
            api.txt2img(**SMALL, controlnet_units=[unit], alwayson_scripts={})


class TestTwoModels:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "other.safetensors").write_bytes(b"not a model, which nobody opens")
        return replace(settings, shelves=Shelves([Folder(tmp_path / "models")]))

    def used(self, painter: FakePainter) -> str:
        return Path(painter.submitted[-1].model or "").name

    def test_the_one_that_is_chosen_makes_the_pictures(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter
    ) -> None:
        assert len(api.get_sd_models()) == 2
        api.txt2img(**SMALL)
        assert self.used(fake_painter) == "mini"
        options = api.get_options()
        api.set_options({**options, "sd_model_checkpoint": "other.safetensors"})
        assert api.get_options()["sd_model_checkpoint"].startswith("other.safetensors")
        result = api.txt2img(**SMALL)
        assert self.used(fake_painter) == "other.safetensors"
        assert told(result)["sd_model_name"] == "other"

    def test_one_request_may_choose_for_itself_or_for_all_that_follow(
        self, api: webuiapi.WebUIApi, fake_painter: FakePainter
    ) -> None:
        chosen = {"sd_model_checkpoint": "other"}
        api.txt2img(**SMALL, override_settings=chosen)
        assert self.used(fake_painter) == "other.safetensors"
        api.txt2img(**SMALL)
        assert self.used(fake_painter) == "mini"
        api.txt2img(**SMALL, override_settings=chosen, override_settings_restore_afterwards=False)
        api.txt2img(**SMALL)
        assert self.used(fake_painter) == "other.safetensors"

    def test_a_model_that_came_later_is_found_after_a_refresh(
        self, api: webuiapi.WebUIApi, tmp_path: Path
    ) -> None:
        assert len(api.get_sd_models()) == 2
        (tmp_path / "models" / "third.safetensors").write_bytes(b"nor is this one")
        assert len(api.get_sd_models()) == 2
        api.refresh_checkpoints()
        assert len(api.get_sd_models()) == 3
        assert str(tmp_path) not in str(api.get_sd_models())


def test_a_client_that_hangs_up_takes_its_job_along(
    services: Services, fake_painter: FakePainter, loopback: None
) -> None:
    app = FastAPI()
    app.include_router(dialect.router(services, grace=0.0))
    fake_painter.hold(2)
    with serving(app, services) as live:
        line = dialled(live, "/sdapi/v1/txt2img", SMALL)
        fake_painter.held()
        line.close()
        (job,) = services.jobs.list()
        until(lambda: services.jobs.live.cancelling(job.id))
        fake_painter.release()
        until(lambda: services.jobs.get(job.id).state == "cancelled")


class TestAFullQueue:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, limits=replace(settings.limits, queue=0))

    def test_it_is_429_and_says_when_to_come_back(self, client: TestClient) -> None:
        answer = client.post("/sdapi/v1/txt2img", json=SMALL)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1


class TestPasswords:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, user="me", password="a secret")

    def test_basic_auth_lets_a_client_in(self, live_server: LiveServer) -> None:
        url = f"{live_server.url}/sdapi/v1"
        api = webuiapi.WebUIApi(baseurl=url, username="me", password="a secret")
        assert api.txt2img(**SMALL).image.size == (32, 24)

    def test_a_wrong_one_is_told_so_in_the_dialects_words(self, live_server: LiveServer) -> None:
        url = f"{live_server.url}/sdapi/v1/txt2img"
        answer = requests.post(url, json=SMALL, auth=("me", "wrong"))
        assert answer.status_code == 401
        assert answer.json()["detail"]


def test_an_empty_authorization_header_does_no_harm(client: TestClient) -> None:
    headers = {"authorization": ""}  # Open WebUI sends it where no password is set
    assert client.get("/sdapi/v1/options", headers=headers).status_code == 200
    assert client.post("/sdapi/v1/txt2img", json=SMALL, headers=headers).status_code == 200
