"""A model that was distilled for few steps is known by its keys, its settings or its name alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.catalog import SD3, SD15, SDXL, SDXL_REFINER, model_spec
from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import RequestError, WeightsError
from sfumato.opening import Asked, find, require_refines
from sfumato.request import Request
from sfumato.resolve import Defaults, resolve
from sfumato.shelves import Shelves
from sfumato.weights.detect import inspect
from sfumato.weights.entries import Entry, Weights
from sfumato.weights.few import Few, few_steps, guided, hurried
from tests.weights.test_detect import shapes_of, sparse

KEY = "time_embedding.cond_proj.weight"


def called(name: str, **metadata: object) -> Weights:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    return Weights(Path("models", name), "safetensors", {}, texts)


def scheduler(name: str, **settings: object) -> dict[str, object]:
    return {"scheduler/scheduler_config.json": {"_class_name": name, **settings}}


def found(name: str, spec: str = "sdxl", **metadata: object) -> Few:
    few = few_steps(called(name, **metadata), model_spec(spec))
    assert few is not None
    return few


# As the published files are called.
@pytest.mark.parametrize(
    ("name", "kind", "steps", "sampler", "schedule"),
    [
        ("sd_xl_turbo_1.0_fp16.safetensors", "Turbo", 4, "euler_ancestral", "simple"),
        ("DreamShaperXL_Turbo_v2.safetensors", "Turbo", 4, "euler_ancestral", "simple"),
        ("sdxl_lightning_4step.safetensors", "Lightning", 4, "euler", "simple"),
        ("sdxl_lightning_8step_unet.safetensors", "Lightning", 8, "euler", "simple"),
        ("sdxl_lightning_2step.safetensors", "Lightning", 2, "euler", "simple"),
        ("juggernautXL_v9Rdphoto2Lightning.safetensors", "Lightning", 4, "euler", "simple"),
        ("LCM_Dreamshaper_v7_4k.safetensors", "LCM", 4, "lcm", "lcm"),
        ("dreamshaper_8LCM.safetensors", "LCM", 4, "lcm", "lcm"),
        ("Hyper-SDXL-8steps.safetensors", "Hyper-SD", 8, "ddim", "simple"),
        ("dmd2_sdxl_4step_unet_fp16.bin", "DMD2", 4, "lcm", "simple"),
    ],
)
def test_a_name_says_it(name: str, kind: str, steps: int, sampler: str, schedule: str) -> None:
    few = found(name)
    assert (few.kind, few.steps, few.sampler, few.schedule) == (kind, steps, sampler, schedule)
    assert f'("{name}" is its name)' in few.told
    assert f"{steps} steps, guidance 1, sampler {sampler}" in few.told


@pytest.mark.parametrize(
    "name",
    [
        *("sd_xl_base_1.0.safetensors", "calcmodel.safetensors", "hyperrealism_v3.safetensors"),
        *("balcm.ckpt", "realisticVision_20steps.safetensors", "step-50000.ckpt"),
    ],
)
def test_another_name_says_nothing(name: str) -> None:
    assert few_steps(called(name), SDXL) is None


def test_sdxl_turbo_itself_paints_smaller_and_its_relatives_do_not() -> None:
    assert found("sd_xl_turbo_1.0.safetensors").defaults(SDXL.defaults).width == 512
    assert found("sdxl-turbo").side == 512
    assert found("DreamShaperXL_Turbo_v2.safetensors").side is None
    assert found("sd_turbo.safetensors", "sd21-base").defaults(SDXL.defaults).width == 1024


def test_what_the_makers_wrote_comes_before_the_name_of_the_file() -> None:
    few = found("model.safetensors", **{"modelspec.title": "SDXL Lightning, 4 step"})
    assert (few.kind, few.steps) == ("Lightning", 4)
    assert "the modelspec.title of its header" in few.told
    few = found("pipe", **{"model_index.json": {"_name_or_path": "stabilityai/sdxl-turbo"}})
    assert (few.kind, few.side) == ("Turbo", 512)


def test_a_folder_of_the_hubs_cache_is_called_by_its_repository() -> None:
    place = Path("hub", "models--stabilityai--sd-turbo", "snapshots", "0123abcd")
    few = few_steps(Weights(place, "folder", {}, {}), model_spec("sd21-base"))
    assert few is not None
    assert few.kind == "Turbo"


@pytest.mark.parametrize(
    ("name", "kind", "sampler"), [("LCMScheduler", "LCM", "lcm"), ("TCDScheduler", "TCD", "tcd")]
)
def test_a_scheduler_that_is_for_such_models_alone_says_it(
    name: str, kind: str, sampler: str
) -> None:
    few = found("any", **scheduler(name))
    assert (few.kind, few.sampler) == (kind, sampler)
    assert f"scheduler/scheduler_config.json: {name}" in few.told


def test_trailing_steps_alone_say_nothing_but_beside_a_name_the_sampler() -> None:
    trailing = scheduler("EulerDiscreteScheduler", timestep_spacing="trailing")
    assert few_steps(called("zero-snr", **trailing), SDXL) is None
    assert found("sd-turbo", "sd21-base", **trailing).sampler == "euler"
    leading = scheduler("EulerDiscreteScheduler", timestep_spacing="leading")
    assert found("sd-turbo", "sd21-base", **leading).sampler == "euler_ancestral"


def test_the_key_of_its_guidance_says_lcm_whatever_the_name() -> None:
    for lead in ("unet/", "model.diffusion_model.", ""):
        entries = {lead + KEY: Entry(Path("turbo"), "float16", (320, 256), 0)}
        weights = Weights(Path("turbo"), "safetensors", entries, {})
        assert guided(weights) == (lead + KEY, 256)
        few = few_steps(weights, model_spec("sd15"))
        assert few is not None
        assert (few.kind, few.distilled, few.sampler) == ("LCM", 8.0, "lcm")
        assert "distilled 8" in few.told
    assert guided(called("turbo")) is None


def test_one_step_that_predicts_the_picture_is_refused_by_name() -> None:
    with pytest.raises(WeightsError, match="predicts the picture itself"):
        few_steps(called("sdxl_lightning_1step_x0.safetensors"), SDXL)
    assert found("my_lightning_x0_style.safetensors").steps == 4  # whose name says no such thing


def test_of_flows_the_turbo_of_sd3_alone_is_known() -> None:
    few = found("sd3.5_large_turbo.safetensors", "sd35-large")
    assert (few.kind, few.steps, few.sampler) == ("Turbo", 4, "euler")
    assert few.schedule == SD3.defaults.schedule
    assert few_steps(called("sd3_lcm"), SD3) is None
    assert few_steps(called("flux-dev-turbo"), model_spec("flux-dev")) is None
    assert few_steps(called("mini-turbo"), model_spec("mini")) is None


def test_the_rest_of_its_defaults_is_that_of_its_family() -> None:
    few = Few("LCM", "its name", 4, "lcm", "lcm")
    usual = SDXL.defaults
    mine = hurried(SDXL, few).defaults
    names = {"steps", "guidance", "sampler", "schedule"}
    assert mine == replace(usual, **{name: getattr(mine, name) for name in names})
    assert hurried(SDXL, None) is SDXL


def settled(request: Request, defaults: Defaults) -> Request:
    return resolve(
        request,
        defaults,
        model="sd_xl_turbo.safetensors",
        draw_seed=lambda: 1,
        sampler_name=lambda name: sampler_row(name).name,
        schedule_name=lambda name: schedule_row(name).name,
    )


@pytest.mark.parametrize("guidance", [None, 1.0, 7.5])
def test_a_recipe_of_before_it_was_known_is_followed_as_it_stands(guidance: float | None) -> None:
    now = hurried(SDXL, found("sd_xl_turbo.safetensors")).defaults
    wish = Request("a fox", negative="blurry", guidance=guidance)
    before = settled(wish, SDXL.defaults)
    assert settled(before, now) == before
    if guidance is None:
        with pytest.raises(RequestError, match="negative has no effect with the guidance 1"):
            settled(wish, now)


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"_class_name": 7}'])
def test_settings_that_are_no_settings_say_nothing(text: str) -> None:
    odd = called("any", **{"scheduler/scheduler_config.json": text, "model_index.json": text})
    assert few_steps(odd, SDXL) is None


@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_an_lcm_is_described_with_its_guidance_as_an_input(tmp_path: Path, layout: str) -> None:
    spec = replace(SD15, denoiser=replace(SD15.denoiser, guided=256))
    path = sparse(tmp_path / "any.safetensors", shapes_of(spec, layout))
    (key,) = [key for key in shapes_of(spec, layout) if key.endswith(KEY)]
    assert key == {"original": f"model.diffusion_model.{KEY}", "diffusers": f"unet/{KEY}"}[layout]
    asked = Asked(str(path))
    told = find(asked, Shelves())
    assert told.spec.denoiser == spec.denoiser
    assert told.spec.defaults.distilled == 8
    assert told.few is not None
    assert told.few.told in inspect(path).evidence
    plain = sparse(tmp_path / "plain.safetensors", shapes_of(SD15, layout))
    assert find(Asked(str(plain)), Shelves()).spec == SD15


def test_a_refiner_that_takes_its_guidance_as_an_input_refines_no_other_kind() -> None:
    refiner = replace(SDXL_REFINER, defaults=replace(SDXL_REFINER.defaults, distilled=8.0))
    with pytest.raises(RequestError, match="takes its guidance as an input"):
        require_refines(SDXL, refiner)
    require_refines(SDXL, SDXL_REFINER)
