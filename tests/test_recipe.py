"""A recipe survives its way through every kind of picture, and other programs can read it."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sd_parsers import ParserManager

from sfumato.errors import PictureError
from sfumato.images import encode
from sfumato.limits import MAX_SEED
from sfumato.numerics import DIFFERENCES, LIKE
from sfumato.parameters import split_parameters
from sfumato.recipe import Picture, Recipe, diff, from_parameters, read
from sfumato.request import Request
from sfumato.source import Source

REQUEST = Request(
    prompt="a red fox, 3d",
    negative="blurry: very, bad",
    seed=42,
    steps=20,
    guidance=7,
    sampler="dpmpp_2m",
    schedule="karras",
    width=512,
    height=768,
    embeddings=(),
    model="v1-5.safetensors",
    **LIKE["sfumato"].under("dpmpp_2m"),
)
RECIPE = Recipe(
    request=REQUEST,
    family="sd",
    title="Stable Diffusion 1.5",
    sha256="6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa",
    sampler_title="DPM++ 2M",
    schedule_title="Karras",
    device="cpu",
    precision="fp32",
    sfumato="0.1.0",
    torch="2.13.0",
    seconds=1.25,
)
SUFFIXES = (".png", ".jpg", ".webp")
LONG = "the quick brown fox, " * 5000  # 105 kB


def saved(recipe: Recipe, path: Path) -> Path:
    Picture(Image.new("RGB", (16, 8), "teal"), recipe).save(path)
    return path


def with_prompt(prompt: str, negative: str = "") -> Recipe:
    return replace(RECIPE, request=replace(REQUEST, prompt=prompt, negative=negative))


def test_the_parameters_text_is_what_a1111_writes():
    assert RECIPE.parameters() == (
        "a red fox, 3d\n"
        "Negative prompt: blurry: very, bad\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 42, "
        "Size: 512x768, Model hash: 6ce0161689, Model: v1-5, RNG: CPU, Version: sfumato 0.1.0"
    )


def test_a_value_with_a_comma_is_quoted():
    recipe = replace(RECIPE, request=replace(REQUEST, model="fox, red.ckpt"))
    assert 'Model: "fox, red", RNG' in recipe.parameters()
    assert split_parameters(recipe.parameters())[2]["Model"] == "fox, red"


STARTED = replace(
    REQUEST,
    image=Source.picture(Image.new("RGB", (40, 60), "teal")),
    mask=Source.mask(Image.new("L", (40, 60), 255)),
    strength=0.75,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mask": None}, "Denoising strength: 0.75, RNG: CPU, Version"),
        ({}, "Denoising strength: 0.75, RNG: CPU, Mask blur: 4, Version"),
        ({"mask_blur": 0, "strength": 1}, "Denoising strength: 1, RNG: CPU, Version"),
        ({"mask_blur": 0, "mask_fill": "noise"}, "RNG: CPU, Masked content: latent noise, Version"),
        (
            {"mask_invert": True, "mask_padding": 32, "mask_fill": "blur"},
            "Mask mode: Inpaint not masked, Mask blur: 4, Inpaint area: Only masked, "
            "Masked area padding: 32, Masked content: fill, Version",
        ),
    ],
)
def test_a_start_is_told_in_a1111s_words(changes: dict[str, Any], expected: str):
    text = replace(RECIPE, request=replace(STARTED, **changes)).parameters()
    assert expected in text
    unread = from_parameters(text).unread
    assert "Denoising strength" in unread  # the picture is missing, so it cannot be followed
    assert "RNG" not in unread


VARIED = {"variation_seed": 5, "variation_strength": 0.25, "seed_width": 512, "seed_height": 384}


def test_a_variation_is_told_in_a1111s_words_and_followed():
    recipe = replace(RECIPE, request=replace(REQUEST, **VARIED))
    text = recipe.parameters()
    assert (
        "Model: v1-5, Variation seed: 5, Variation seed strength: 0.25, "
        "Seed resize from: 512x384, RNG: CPU"
    ) in text
    origin = from_parameters(text)
    assert {name: getattr(origin.request, name) for name in VARIED} == VARIED
    assert origin.unread == {}
    assert Recipe.from_json(recipe.to_json()) == recipe


LARGER = {"upscale": 4, "upscaler": "realesr-animevideov3"}


def test_a_picture_made_larger_is_told_in_the_words_of_a1111s_extras_and_followed():
    recipe = replace(RECIPE, request=replace(REQUEST, **LARGER), upscaler_sha256="cd" * 32)
    text = recipe.parameters()
    assert "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN AnimeVideo, Version" in text
    assert f"Size: {REQUEST.width}x{REQUEST.height}" in text
    origin = from_parameters(text)
    assert origin.request.upscale == 4
    assert origin.unread == {}
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_an_upscaler_of_another_program_is_not_followed_and_said():
    told = "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+"
    origin = from_parameters(f"Steps: 4, Sampler: Euler, Seed: 1, {told}")
    assert origin.request.upscale is None
    assert set(origin.unread) == {"Postprocess upscale by", "Postprocess upscaler"}


def test_a_recipe_does_not_say_in_which_folder_an_upscaler_lies():
    request = replace(REQUEST, upscale=2, upscaler="/home/me/mine.pth")
    recipe = replace(RECIPE, request=request)
    assert recipe.request.upscaler == "mine.pth"
    assert "Postprocess upscaler: mine" in recipe.parameters()


def test_a_recipe_from_before_there_were_upscalers_is_read():
    values = json.loads(RECIPE.to_json())
    del values["upscaler_sha256"], values["request"]["upscale"], values["request"]["upscaler"]
    assert Recipe.from_json(json.dumps(values)) == RECIPE


def test_a_variation_of_no_strength_is_none_to_a1111():
    request = replace(REQUEST, variation_seed=5, variation_strength=0)
    assert replace(RECIPE, request=request).parameters() == RECIPE.parameters()
    text = "Steps: 4, Sampler: Euler, Variation seed: 5, Variation seed strength: 0"
    assert from_parameters(text).request.variation_strength is None


def test_a_seeds_size_off_the_grid_is_cut_to_it_as_a1111_does():
    request = from_parameters("Steps: 4, Sampler: Euler, Seed resize from: 500x515").request
    assert (request.seed_width, request.seed_height) == (496, 512)


def test_a_recipe_from_before_there_were_variations_is_read():
    values = json.loads(RECIPE.to_json())
    for name in VARIED:
        del values["request"][name]
    assert Recipe.from_json(json.dumps(values)) == RECIPE


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recipe_refers_to_its_start_and_does_not_hold_it(tmp_path: Path, suffix: str):
    recipe = replace(RECIPE, request=STARTED)
    assert recipe.request.image is not None
    assert recipe.request.image.pixels is None
    found = read(saved(recipe, tmp_path / f"fox{suffix}")).recipe
    assert found == recipe
    assert found is not None
    assert found.request.mask == STARTED.mask


def test_a_recipe_from_before_there_were_starts_is_read():
    values = json.loads(RECIPE.to_json())
    for name in ("image", "strength", "fit", "mask"):
        del values["request"][name]
    for name in ("mask_blur", "mask_fill", "mask_padding", "mask_invert"):
        del values["request"][name]
    assert Recipe.from_json(json.dumps(values)) == RECIPE


def test_another_start_is_a_difference():
    other = replace(STARTED, image=Source.picture(Image.new("RGB", (40, 60), "navy")))
    found = diff(replace(RECIPE, request=STARTED), replace(RECIPE, request=other))
    assert list(found) == ["image"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a fox",
        "naïve",
        "狐 🦊\n\n second  line \r\n",
        '"it\'s" <&> \\ \x01\x1b',
        "Steps: 3, A: 4",
    ],
)
def test_a_recipe_comes_back_equal_from_a_file(tmp_path: Path, suffix: str, prompt: str):
    recipe = with_prompt(prompt, negative=prompt)
    origin = read(saved(recipe, tmp_path / f"fox{suffix}"))
    assert origin.recipe == recipe
    assert origin.request == recipe.request
    assert origin.parameters == recipe.parameters()
    assert origin.unread == {}


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_a_prompt_of_100_kb_comes_back_equal(tmp_path: Path, suffix: str):
    recipe = with_prompt(LONG + "狐")
    assert read(saved(recipe, tmp_path / f"fox{suffix}")).recipe == recipe


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    prompt=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    negative=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    seed=st.integers(0, MAX_SEED),
    guidance=st.floats(0, 100),
    kind=st.sampled_from(["PNG", "JPEG", "WEBP"]),
)
def test_any_text_and_number_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    prompt: str,
    negative: str,
    seed: int,
    guidance: float,
    kind: str,
):
    request = replace(REQUEST, prompt=prompt, negative=negative, seed=seed, guidance=guidance)
    recipe = replace(RECIPE, request=request)
    path = tmp_path_factory.getbasetemp() / f"any.{kind.lower()}"
    path.write_bytes(encode(Image.new("RGB", (8, 8)), kind, recipe.texts()))
    origin = read(path)
    assert origin.recipe == recipe
    settings_found = split_parameters(origin.parameters)[2]
    assert settings_found["Seed"] == str(seed)
    assert float(settings_found["CFG scale"]) == guidance


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("prompt", ["a red fox, 3d", "ein Fuchs, 狐 🦊\nim Schnee"])
def test_sd_parsers_reads_the_same(tmp_path: Path, suffix: str, prompt: str):
    path = saved(with_prompt(prompt, negative="blurry, bad"), tmp_path / f"fox{suffix}")
    found = ParserManager().parse(path)
    assert found is not None
    (sampler,) = found.samplers
    assert [p.value for p in sampler.prompts] == [prompt]
    assert [p.value for p in sampler.negative_prompts] == ["blurry, bad"]
    assert sampler.name == "DPM++ 2M"
    assert sampler.model is not None
    assert (sampler.model.name, sampler.model.hash) == ("v1-5", "6ce0161689")
    assert sampler.parameters["scheduler"] == "Karras"
    assert sampler.parameters["seed"] == "42"
    assert sampler.parameters["steps"] == "20"
    assert found.metadata["Size"] == "512x768"


def foreign(tmp_path: Path, text: str) -> Path:
    chunks = PngInfo()
    chunks.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(tmp_path / "foreign.png", pnginfo=chunks)
    return tmp_path / "foreign.png"


def test_a_picture_of_a1111_is_read_as_far_as_its_text_goes(tmp_path: Path):
    text = (
        "masterpiece,\n best quality \nNegative prompt: bad\nhands\n"
        "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 18446744073709551615, "
        "Size: 512x640, Model hash: abc, Model: anime, Clip skip: 2, "
        'Lora hashes: "a: 1, b: 2", Version: v1.7.0'
    )
    origin = read(foreign(tmp_path, text))
    assert origin.recipe is None
    assert origin.request == Request(
        prompt="masterpiece,\nbest quality",
        negative="bad\nhands",
        seed=MAX_SEED,
        steps=28,
        guidance=6.5,
        sampler="DPM++ 2M",
        schedule="Karras",
        width=512,
        height=640,
        like="a1111",  # whose default is noise from the GPU, and then it does not say so
        clip_skip=2,
        model="anime",
    )
    assert origin.unread == {"Lora hashes": "a: 1, b: 2"}


def test_automatic_schedule_and_cpu_noise_are_understood():
    text = (
        "fox\nSteps: 4, Sampler: Euler, Schedule type: Automatic, CFG scale: 7, Seed: 1, RNG: CPU"
    )
    request = from_parameters(text).request
    assert (request.sampler, request.schedule, request.stream) == ("Euler", None, "cpu")


@pytest.mark.parametrize("model", ["/etc/fox", "..\\..\\fox", r"\\host\share\fox"])
def test_a_foreign_text_names_a_model_and_no_place(model: str):
    text = f"fox\nSteps: 4, Sampler: Euler, Seed: 1, Model: {model}"
    assert from_parameters(text).request.model == "fox"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Steps: many, Sampler: Euler, Seed: 1", "many"),
        ("Steps: 4000, Sampler: Euler, Seed: 1", "between 1 and 1000"),
        ("Steps: 4, Sampler: Euler, Seed: -5", "seed is -5"),
        ("Steps: 4, Sampler: Euler, Size: huge", "Size: huge"),
        ("Steps: 4, Sampler: Euler, CFG scale: nan", "nan"),
        ("Steps: 4, Sampler: Euler, Variation seed strength: nan", "variation_strength is nan"),
        ("Steps: 4, Sampler: Euler, Variation seed strength: 2", "variation_strength is 2"),
        ("Steps: 4, Sampler: Euler, Seed resize from: 8", "Seed resize from: 8"),
        ("Steps: 4, Sampler: Euler, Seed resize from: 7x9", "seed_width is 0"),
        ("no settings at all", "not a recipe"),
    ],
)
def test_a_foreign_text_that_cannot_be_followed_is_refused(tmp_path: Path, line: str, reason: str):
    with pytest.raises(PictureError, match=reason) as caught:
        read(foreign(tmp_path, f"fox\n{line}"))
    assert str(caught.value).startswith("foreign.png: its ")


@pytest.mark.parametrize(
    "text", ["a" * 200_000, " " * 200_000 + ".", 'a: "' * 50_000, "a\n" * 99_999]
)
def test_a_hostile_text_takes_no_time(text: str):
    start = time.process_time()
    split_parameters(text)
    assert time.process_time() - start < 2


def test_a_picture_without_a_recipe_says_so(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    with pytest.raises(PictureError, match=r"plain\.png carries no recipe"):
        read(tmp_path / "plain.png")


def change(**values: Any) -> str:
    return json.dumps({**json.loads(RECIPE.to_json()), **values})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a JSON object"),
        (change(format=2, sfumato="9.9"), "made by sfumato 9.9"),
        (change(request=3), "request is not a JSON object"),
        (change(extra=1), "extra"),
        (change(seconds="1"), "seconds '1'"),
        (change(sha256=None), "sha256 None"),
        (change(request={**asdict(REQUEST), "steps": 0}), "steps is 0"),
        (change(request={**asdict(REQUEST), "prompt": 5}), "prompt is 5"),
        (change(request={**asdict(REQUEST), "seed": None}), "resolved"),
        (change(request={**asdict(REQUEST), "count": 2}), "one picture"),
        (change(request={"prompt": "fox"}), "must be resolved"),
        (RECIPE.to_json().replace("1.25", "NaN"), "NaN"),
        (RECIPE.to_json().replace("1.25", "1e999"), "seconds inf"),
        (change(seconds=-1), "seconds -1"),
        (change(request={**asdict(REQUEST), "model": "a\0b.ckpt"}), "NUL"),
    ],
    ids=range(17),
)
def test_a_damaged_recipe_is_refused(text: str, reason: str):
    with pytest.raises(PictureError, match=reason):
        Recipe.from_json(text)


def test_our_text_is_one_line_of_ascii():
    text = with_prompt("狐\n\x01").to_json()
    assert text.isascii()
    assert text.isprintable()


def test_the_folder_of_a_model_never_travels_with_the_picture():
    for model in ("/home/anna/models/fox.safetensors", r"C:\Users\anna\fox.safetensors"):
        recipe = replace(RECIPE, request=replace(REQUEST, model=model))
        assert recipe.request.model == "fox.safetensors"
        assert "anna" not in recipe.to_json() + recipe.parameters()


def test_a_recipe_is_only_for_one_resolved_picture():
    for request in (replace(REQUEST, count=2), replace(REQUEST, seed=None)):
        with pytest.raises(ValueError, match="one picture"):
            replace(RECIPE, request=request)


def test_diff_names_the_fields_that_differ():
    other = replace(RECIPE, request=replace(REQUEST, seed=43), torch="2.14.0")
    assert diff(RECIPE, other) == {"seed": (42, 43), "torch": ("2.13.0", "2.14.0")}
    assert diff(RECIPE, RECIPE) == {}


def test_brackets_that_were_letters_are_told_in_a1111s_words():
    recipe = with_prompt("a (red) fox")
    plain = replace(recipe, request=replace(recipe.request, weighting="plain"))
    assert "Emphasis" not in recipe.parameters()
    assert ", Emphasis: None, Version" in plain.parameters()
    again = from_parameters(plain.parameters())
    assert (again.request.weighting, again.unread) == ("plain", {})


def test_numerics_that_a1111_has_words_for_travel_in_its_text():
    for changes, word in (
        ({"stream": "nv"}, "RNG: NV"),
        ({"first_noise": "variance"}, "SGM noise multiplier: True"),
        ({"discard_penultimate": True}, "Discard penultimate sigma: True"),
        ({"like": "comfy"}, "Like: comfy"),
        ({"clip_skip": 2}, "Clip skip: 2"),
    ):
        text = replace(RECIPE, request=replace(REQUEST, **changes)).parameters()
        assert f", {word}, " in text
        again = from_parameters(text)
        assert all(getattr(again.request, name) == value for name, value in changes.items())
        assert again.unread == {}


def test_the_usual_layer_of_clip_is_not_told_and_one_that_cannot_be_is_not_followed():
    assert "Clip skip" not in RECIPE.parameters()
    text = "fox\nSteps: 4, Sampler: Euler, Seed: 1, Clip skip: "
    assert (from_parameters(text + "1").request.clip_skip, from_parameters(text + "1").unread) == (
        1,
        {},
    )
    for odd in ("0", "13", "-2", "two", "2.5"):
        origin = from_parameters(text + odd)
        assert (origin.request.clip_skip, origin.unread) == (1, {"Clip skip": odd})


def test_a_recipe_from_before_there_was_clip_skip_means_the_usual_layer():
    data = json.loads(RECIPE.to_json())
    assert data["request"].pop("clip_skip") == 1
    assert Recipe.from_json(json.dumps(data)) == RECIPE


@pytest.mark.parametrize(
    ("version", "tool"),
    [
        ("v1.10.1", "a1111"),
        ("f2.0.1v1.10.1-previous-669-gdfdcbab6", "a1111"),
        ("ComfyUI", "comfy"),
        ("sfumato 0.1.0", "sfumato"),
        (None, "a1111"),
    ],
)
def test_a_text_means_the_numerics_of_the_tool_that_wrote_it(version: str | None, tool: str):
    end = "" if version is None else f", Version: {version}"
    request = from_parameters(f"fox\nSteps: 4, Sampler: Euler, Seed: 1{end}").request
    assert (request.like, request.stream, request.rounding) == (tool, None, None)


def test_a_recipe_from_before_there_were_numerics_means_what_was_done_then():
    data = json.loads(RECIPE.to_json())
    for name in ("like", *(each.field for each in DIFFERENCES)):
        data["request"].pop(name)
    data["request"]["stream"] = "nv"  # this field was always there
    then = Recipe.from_json(json.dumps(data)).request
    assert then == replace(REQUEST, stream="nv", weighting="plain")


def test_own_levels_and_an_interval_travel_with_the_picture():
    request = replace(REQUEST, schedule=None, steps=None, sigmas=(3, 1), interval=[0.5, 2])
    recipe = replace(RECIPE, request=request, schedule_title="")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert "Schedule type" not in recipe.parameters()
    assert "Steps: 2" in recipe.parameters()


def test_dynamic_thresholding_is_told_in_the_words_of_its_extension_and_followed():
    wish = replace(REQUEST, threshold="mimic", mimic_scale=4.0, mimic_quantile=0.999)
    text = replace(RECIPE, request=wish).parameters()
    told = "Dynamic thresholding enabled: True, Mimic scale: 4, Threshold percentile: 99.9"
    assert told in text
    origin = from_parameters(text)
    found = origin.request
    assert (found.threshold, found.mimic_scale, found.mimic_quantile) == ("mimic", 4.0, 0.999)
    assert not any("imic" in key or "hreshold" in key for key in origin.unread)


def test_dynamic_thresholding_that_is_done_otherwise_is_not_followed():
    start = "Steps: 4, Sampler: Euler, Seed: 1, Dynamic thresholding enabled: True, Mimic scale: 4"
    assert from_parameters(start).request.threshold == "mimic"
    origin = from_parameters(f"{start}, Mimic mode: Cosine Up")
    assert origin.request.threshold == "none"
    assert {"Mimic mode", "Mimic scale"} <= origin.unread.keys()


def test_a_shift_is_told_in_forge_neos_word_and_read_back():
    shifted = replace(RECIPE, request=replace(REQUEST, shift=3.0))
    assert "Shift: 3, " in shifted.parameters()
    assert "Shift" not in RECIPE.parameters()
    assert from_parameters(shifted.parameters()).request.shift == 3
    assert Recipe.from_json(shifted.to_json()) == shifted
    before = RECIPE.to_json().replace('"shift": null, ', "")
    assert before != RECIPE.to_json()
    assert Recipe.from_json(before) == RECIPE


def test_a_recipe_from_before_a_difference_had_a_name_means_what_was_done_then():
    like_a1111 = replace(REQUEST, **LIKE["a1111"].under("dpmpp_2m"), like="a1111")
    data = json.loads(replace(RECIPE, request=like_a1111).to_json())
    for name in ("empty_negative", "t5_padding", "fixed_shift"):
        del data["request"][name]
    read_back = Recipe.from_json(json.dumps(data)).request
    told = (read_back.empty_negative, read_back.t5_padding, read_back.fixed_shift)
    assert told == ("zeros", "long", False)
