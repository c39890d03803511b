"""What A1111's clients send, in our words; and what is refused, by its name."""

import base64
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.errors import PictureError, RequestError
from sfumato.images import encode
from sfumato.request import Request
from sfumato.server.a1111.errors import RefusedError
from sfumato.server.a1111.models import Checkpoints
from sfumato.server.a1111.payloads import Image2Image, Text2Image
from sfumato.server.a1111.translate import Chosen, request_of, sampler_and_schedule
from sfumato.server.settings import Limits, Settings
from sfumato.server.shelf import Shelf
from sfumato.shelves import Folder, Shelves


def picture(colour: str = "red", size: tuple[int, int] = (16, 16)) -> str:
    return base64.b64encode(encode(Image.new("RGB", size, colour), "PNG")).decode()


@pytest.fixture
def chosen(tmp_path: Path) -> Chosen:
    return Chosen(Checkpoints(Shelf(Settings(home=tmp_path)), tmp_path / "chosen"), Limits())


def text(chosen: Chosen, **fields: Any) -> Request:
    return request_of(Text2Image.model_validate(fields), chosen)


def image(chosen: Chosen, **fields: Any) -> Request:
    fields = {"init_images": [picture()], **fields}
    return request_of(Image2Image.model_validate(fields), chosen)


def test_an_empty_request_leaves_the_rest_to_the_model(chosen: Chosen) -> None:
    assert text(chosen) == Request(sampler="euler", like="a1111", model="mini")


def test_null_is_as_good_as_absent(chosen: Chosen) -> None:
    nothing: dict[str, Any] = dict.fromkeys(Image2Image.model_fields)
    del nothing["init_images"]
    assert text(chosen, **nothing) == text(chosen)
    assert image(chosen, **nothing) == image(chosen)


def test_every_word_finds_its_field(chosen: Chosen) -> None:
    request = text(
        chosen,
        prompt="a fox",
        negative_prompt="a dog",
        seed=7,
        steps=9,
        cfg_scale=4.5,
        width=64,
        height=72,
        sampler_name="DPM++ 2M",
        scheduler="Karras",
        batch_size=2,
        n_iter=3,
    )
    assert request == Request(
        prompt="a fox",
        negative="a dog",
        seed=7,
        steps=9,
        guidance=4.5,
        width=64,
        height=72,
        sampler="dpmpp_2m",
        schedule="karras",
        count=6,
        like="a1111",
        model="mini",
    )


def test_a_variation_and_a_seed_of_another_size_are_understood(chosen: Chosen) -> None:
    request = text(
        chosen, subseed=5, subseed_strength=0.25, seed_resize_from_w=70, seed_resize_from_h=64
    )
    assert (request.variation_seed, request.variation_strength) == (5, 0.25)
    assert (request.seed_width, request.seed_height) == (64, 64)
    assert text(chosen, subseed=-1, subseed_strength=0.25).variation_seed is None


def test_a_variation_in_a_text_is_followed(chosen: Chosen) -> None:
    words = "Steps: 4, Sampler: Euler, RNG: CPU, Variation seed: 5, Variation seed strength: 0.25"
    request = text(chosen, infotext=words)
    assert (request.variation_seed, request.variation_strength) == (5, 0.25)


def test_any_negative_seed_is_drawn(chosen: Chosen) -> None:
    assert text(chosen, seed=-1).seed is None
    assert text(chosen, seed=0).seed == 0


@pytest.mark.parametrize(
    ("sampler", "scheduler", "found"),
    [
        ("Euler a", None, ("euler_ancestral", None)),
        ("Euler a", "automatic", ("euler_ancestral", None)),
        ("Euler a", "Automatic", ("euler_ancestral", None)),
        ("euler a", "karras", ("euler_ancestral", "karras")),
        ("DPM++ 2M Karras", None, ("dpmpp_2m", "karras")),
        ("DPM++ 2M Karras", "automatic", ("dpmpp_2m", "karras")),
        ("DPM++ 2M Karras", "Exponential", ("dpmpp_2m", "exponential")),
        ("DPM++ 2M SDE Exponential", None, ("dpmpp_2m_sde", "exponential")),
        ("DPM++ 2M SDE", None, ("dpmpp_2m_sde", None)),
        ("k_dpmpp_2m", "SGM Uniform", ("dpmpp_2m", "sgm_uniform")),
        ("k_dpmpp_2m", "sgm_uniform", ("dpmpp_2m", "sgm_uniform")),
        ("DDIM", "Uniform", ("ddim", "normal")),
    ],
)
def test_old_and_new_names_of_samplers_are_known(
    sampler: str, scheduler: str | None, found: tuple[str, str | None]
) -> None:
    assert sampler_and_schedule(sampler, scheduler) == found


@pytest.mark.parametrize(
    ("sampler", "scheduler", "nearest"),
    [
        ("DPM++ 2N", None, "dpmpp_2m"),
        ("DPM++ 2M Karas", None, "karras"),
        ("Euler", "Karas", "karras"),
    ],
)
def test_an_unknown_sampler_is_400_and_names_the_nearest(
    sampler: str, scheduler: str | None, nearest: str
) -> None:
    with pytest.raises(RefusedError, match=nearest) as caught:
        sampler_and_schedule(sampler, scheduler)
    assert caught.value.status == 400


def test_the_older_name_of_the_sampler_field_is_read_too(chosen: Chosen) -> None:
    assert text(chosen, sampler_index="Heun").sampler == "heun"
    assert text(chosen, sampler_index="Heun", sampler_name="DDIM").sampler == "ddim"


REFUSED = {
    "enable_hr": True,
    "restore_faces": True,
    "tiling": True,
    "styles": ["cinematic"],
    "script_name": "x/y/z plot",
    "clip_skip": 2,
    "s_churn": 1.0,
    "s_noise": 1.1,
    "s_min_uncond": 0.5,
    "comments": {"a": "b"},
    "firstphase_width": 256,
    "firstphase_height": 256,
    "alwayson_scripts": {"ControlNet": {"args": [{"image": "", "enabled": True}]}},
    "a_field_of_tomorrow": 3,
    "eta": 0.5,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_by_its_name(chosen: Chosen, name: str) -> None:
    with pytest.raises(RefusedError, match=name) as caught:
        text(chosen, **{name: REFUSED[name]})
    assert caught.value.status == 422


IMAGE_REFUSED = {
    "latent_mask": "AAAA",
    "mask_round": False,
    "initial_noise_multiplier": 1.2,
    "resize_mode": 3,
    "inpainting_fill": 4,
    "mask_blur": 2.5,
}


@pytest.mark.parametrize("name", IMAGE_REFUSED)
def test_so_is_what_cannot_be_done_to_a_picture(chosen: Chosen, name: str) -> None:
    with pytest.raises(RefusedError, match=name):
        image(chosen, mask=picture("white"), **{name: IMAGE_REFUSED[name]})


def test_two_different_blurs_are_refused(chosen: Chosen) -> None:
    with pytest.raises(RefusedError, match="mask_blur_x"):
        image(chosen, mask=picture(), mask_blur_x=4, mask_blur_y=5)
    assert image(chosen, mask=picture(), mask_blur_x=5, mask_blur_y=5).mask_blur == 5


@pytest.mark.parametrize("script", [{"args": [True, {}]}, [1], "yes", {"args": {"x": 1}}])
def test_a_script_that_is_on_is_refused_however_it_is_written(
    chosen: Chosen, script: object
) -> None:
    with pytest.raises(RefusedError, match="alwayson_scripts"):
        text(chosen, alwayson_scripts={"a script": script})


def test_a_misspelt_field_is_told_its_name(chosen: Chosen) -> None:
    with pytest.raises(RefusedError, match=r"negative_promt.*Did you mean negative_prompt"):
        text(chosen, negative_promt="a dog")


@pytest.mark.parametrize(
    "fields",
    [
        {"hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7},
        {"subseed": 5},
        {"styles": [], "script_args": [], "script_name": "None", "restore_faces": False},
        {"alwayson_scripts": {"ADetailer": {"args": [False]}, "ControlNet": {"args": []}}},
        {"alwayson_scripts": {"ControlNet": {"args": [{"enabled": False, "model": "x"}]}}},
        {"subseed": 5, "subseed_strength": 0},
        {"seed_resize_from_h": -1, "seed_resize_from_w": 0},
        {"seed_resize_from_h": 64, "seed_resize_from_w": 0, "clip_skip": 1, "s_noise": 1},
        {"alwayson_scripts": {"a script": None, "another": [], "a third": {"args": ["", None]}}},
        {"eta": 1.0, "s_tmax": 0, "s_tmin": 0},
        {"a_field_of_tomorrow": None, "another": [], "a_third": False},
        {"do_not_save_grid": True, "save_images": True, "override_settings": {}},
        {"override_settings": {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic"}},
    ],
)
def test_what_changes_nothing_is_taken(chosen: Chosen, fields: dict[str, Any]) -> None:
    assert text(chosen, **fields) == text(chosen)


def test_no_noise_is_asked_of_a_sampler_that_draws_none(chosen: Chosen) -> None:
    assert text(chosen, sampler_name="DDIM", eta=0).sampler == "ddim"
    with pytest.raises(RefusedError, match="eta"):
        text(chosen, sampler_name="Euler a", eta=0)


def test_settings_of_one_request_are_followed_or_refused(chosen: Chosen) -> None:
    assert text(chosen, override_settings={"randn_source": "NV"}).stream == "nv"
    assert text(chosen, override_settings={"randn_source": "GPU"}).stream == "nv"
    assert text(chosen, override_settings={"randn_source": "CPU"}).stream == "cpu"
    assert text(chosen, override_settings={"sd_model_checkpoint": "mini"}).model == "mini"
    for setting, field, values in (
        ("emphasis", "weighting", {"None": "plain", "Original": "a1111"}),
        ("sgm_noise_multiplier", "first_noise", {True: "variance", False: "sigma"}),
        ("always_discard_next_to_last_sigma", "discard_penultimate", {True: True, False: None}),
        ("enable_quantization", "whole_times", {True: True, False: False}),
    ):
        for value, found in values.items():
            request = text(chosen, override_settings={setting: value})
            assert getattr(request, field) == found, setting
    for settings, told in (
        ({"randn_source": "TPU"}, "randn_source"),
        ({"emphasis": "No norm"}, "emphasis is 'No norm', but must be one of: None, Original"),
        ({"enable_quantization": []}, "enable_quantization"),
        ({"sgm_noise_multiplier": 1}, "sgm_noise_multiplier"),
        ({"sd_vae": "other.pt"}, "sd_vae"),
        ({"sd_model_checkpoint": "mimi"}, "mimi.*mini"),
        ({"outdir_samples": "/etc"}, "outdir_samples"),
    ):
        with pytest.raises(RefusedError, match=told):
            text(chosen, override_settings=settings)


def test_the_layer_of_clip_is_a_setting(chosen: Chosen) -> None:
    def skipped(*values: object, **fields: Any) -> list[int]:
        settings = ({"CLIP_stop_at_last_layers": value} for value in values)
        return [text(chosen, override_settings=each, **fields).clip_skip for each in settings]

    assert skipped(None, 0, 1, 2, 12) == [1, 1, 1, 2, 12]
    infotext = f"{INFOTEXT}, Clip skip: 3"
    assert text(chosen, infotext=infotext).clip_skip == 3
    assert skipped(None, 1, 2, infotext=infotext) == [3, 1, 2]
    for odd in (13, -1, 2.5, "2", []):
        with pytest.raises(RequestError, match="clip_skip"):
            skipped(odd)


def test_a_model_goes_by_title_name_and_hash(chosen: Chosen) -> None:
    sha256 = chosen.checkpoints.chosen.sha256
    assert sha256 is not None
    for name in ("mini", f"mini [{sha256[:10]}]", sha256[:10], sha256):
        assert text(chosen, override_settings={"sd_model_checkpoint": name}).model == "mini"


INFOTEXT = (
    "a fox\nNegative prompt: a dog\nSteps: 9, Sampler: DPM++ 2M, Schedule type: Karras, "
    "CFG scale: 4, Seed: 42, Size: 64x72, RNG: CPU, Version: v1.9.4"
)


def test_a_request_of_this_dialect_means_a1111s_numerics(chosen: Chosen) -> None:
    assert text(chosen).like == "a1111"
    assert text(chosen, infotext=INFOTEXT).like == "a1111"
    ours = INFOTEXT.replace("v1.9.4", "sfumato 0.1.0")
    assert text(chosen, infotext=ours).like == "sfumato"


def test_an_infotext_says_whether_brackets_weigh(chosen: Chosen) -> None:
    assert text(chosen, infotext=INFOTEXT).weighting is None  # as A1111 likes it
    assert text(chosen, infotext=INFOTEXT + ", Emphasis: None").weighting == "plain"


def test_the_chosen_checkpoint_is_chosen_still_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "fox.safetensors").write_bytes(b"no model, but a name on the shelf")
    shelf = Shelf(Settings(home=tmp_path, shelves=Shelves([Folder(folder)])))
    before = Checkpoints(shelf, tmp_path / "chosen")
    assert before.chosen.name == "mini"
    before.choose("fox")
    assert Checkpoints(shelf, tmp_path / "chosen").chosen.name == "fox.safetensors"
    (folder / "fox.safetensors").unlink()
    shelf.refresh()
    assert Checkpoints(shelf, tmp_path / "chosen").chosen.name == "mini"
    (tmp_path / "chosen").write_bytes(b"\xff")
    assert Checkpoints(shelf, tmp_path / "chosen").chosen.name == "mini"


def test_an_infotext_fills_what_is_left_out(chosen: Chosen) -> None:
    request = text(chosen, infotext=INFOTEXT, prompt="a bear", steps=3)
    assert (request.prompt, request.negative, request.steps) == ("a bear", "a dog", 3)
    assert (request.seed, request.width, request.height) == (42, 64, 72)
    assert (request.sampler, request.schedule, request.stream) == ("dpmpp_2m", "karras", "cpu")


@pytest.mark.parametrize(
    ("infotext", "told"),
    [("no recipe", "infotext"), (INFOTEXT + ", Hires upscale: 2", "Hires upscale")],
)
def test_an_infotext_that_cannot_be_followed_is_refused(
    chosen: Chosen, infotext: str, told: str
) -> None:
    with pytest.raises(RefusedError, match=told):
        text(chosen, infotext=infotext)


def test_a_picture_without_a_mask_is_painted_over_whole(chosen: Chosen) -> None:
    request = image(chosen)
    assert request.image is not None
    assert (request.image.width, request.image.height) == (16, 16)
    assert (request.strength, request.fit, request.mask) == (0.75, "stretch", None)


@pytest.mark.parametrize(("mode", "fit"), [(0, "stretch"), (1, "crop"), (2, "pad")])
def test_resize_modes_are_ways_to_fit(chosen: Chosen, mode: int, fit: str) -> None:
    assert image(chosen, resize_mode=mode).fit == fit


@pytest.mark.parametrize(
    ("fill", "name"), [(0, "blur"), (1, "original"), (2, "noise"), (3, "nothing")]
)
def test_inpainting_fills_are_mask_fills(chosen: Chosen, fill: int, name: str) -> None:
    assert image(chosen, mask=picture(), inpainting_fill=fill).mask_fill == name


def test_a_mask_brings_a1111s_own_defaults(chosen: Chosen) -> None:
    request = image(chosen, mask="data:image/png;base64," + picture("white"))
    assert request.mask is not None
    assert (request.mask_blur, request.mask_fill, request.mask_invert) == (4, "blur", False)
    assert request.mask_padding == 0  # only the masked area, as inpaint_full_res is on there


def test_every_word_about_a_mask_finds_its_field(chosen: Chosen) -> None:
    request = image(
        chosen,
        mask=picture("white"),
        mask_blur=9,
        inpainting_mask_invert=1,
        inpaint_full_res=False,
        inpaint_full_res_padding=32,
        denoising_strength=0.4,
    )
    assert (request.mask_blur, request.mask_invert, request.mask_padding) == (9, True, None)
    assert request.strength == 0.4
    assert image(chosen, mask=picture(), inpaint_full_res_padding=32).mask_padding == 32


@pytest.mark.parametrize("images", [None, []])
def test_a_missing_picture_is_404(chosen: Chosen, images: list[str] | None) -> None:
    with pytest.raises(RefusedError, match="init_images") as caught:
        image(chosen, init_images=images)
    assert caught.value.status == 404


def test_a_second_picture_is_refused_rather_than_passed_over(chosen: Chosen) -> None:
    with pytest.raises(RefusedError, match="init_images has 2"):
        image(chosen, init_images=[picture(), picture()])


def test_what_is_no_picture_is_refused(chosen: Chosen) -> None:
    with pytest.raises(PictureError):
        image(chosen, init_images=["aGVsbG8="])
    with pytest.raises(PictureError):
        image(chosen, mask="http://127.0.0.1/mask.png")


def test_numbers_out_of_range_are_refused(chosen: Chosen) -> None:
    for fields in ({"steps": 0}, {"width": 65}, {"cfg_scale": -1}, {"seed": 2**64}):
        with pytest.raises(RequestError):
            text(chosen, **fields)
    with pytest.raises(RefusedError, match="batch_size"):
        text(chosen, batch_size=-2, n_iter=-2)
    with pytest.raises(RefusedError, match="n_iter"):
        text(chosen, n_iter=0)
    with pytest.raises(RequestError, match="strength"):
        image(chosen, denoising_strength=0)


def test_forges_distilled_guidance_is_understood(chosen: Chosen) -> None:
    assert text(chosen, distilled_cfg_scale=2.5).distilled == 2.5
    assert text(chosen, distilled_cfg_scale=3.5).distilled is None  # which a client sends anyway
    told = "a fox\nSteps: 4, Sampler: Euler, Seed: 7, Size: 64x64, Distilled CFG Scale: 5"
    assert text(chosen, infotext=told).distilled == 5
    assert text(chosen, infotext=told, distilled_cfg_scale=2).distilled == 2


def test_a_refiner_is_named_as_a1111s_clients_name_it(chosen: Chosen) -> None:
    found = text(chosen, refiner_checkpoint="mini", refiner_switch_at=0.6)
    assert (found.refiner, found.refiner_at) == ("mini", 0.6)
    assert text(chosen, refiner_checkpoint="None", refiner_switch_at=0.6).refiner_at is None
    told = text(chosen, infotext=f"{INFOTEXT}, Refiner: mini, Refiner switch at: 0.7")
    assert (told.refiner, told.refiner_at) == ("mini", 0.7)
    with pytest.raises(RefusedError, match="sd_xl_refiner"):
        text(chosen, refiner_checkpoint="sd_xl_refiner")


def test_all_that_is_read_of_an_infotext_reaches_the_request(chosen: Chosen) -> None:
    words = "Dynamic thresholding enabled: True, Mimic scale: 4, Threshold percentile: 99"
    found = text(chosen, infotext=f"{INFOTEXT}, {words}")
    assert (found.threshold, found.mimic_scale, found.mimic_quantile) == ("mimic", 4.0, 0.99)
    larger = "Postprocess upscale by: 2, Postprocess upscaler: R-ESRGAN AnimeVideo"
    assert text(chosen, infotext=f"{INFOTEXT}, {larger}").upscale == 2
    assert text(chosen, infotext=f"{INFOTEXT}, VAE: x.safetensors").vae == "x.safetensors"


def test_a_shift_in_forge_neos_text_is_followed(chosen: Chosen) -> None:
    assert text(chosen, infotext=f"{INFOTEXT}, Shift: 4.5").shift == 4.5
