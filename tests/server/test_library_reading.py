"""Picture files of every program are read, and nothing in them is trusted."""

import io
import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from sd_parsers import ParserManager

from sfumato.errors import PictureError
from sfumato.images import Texts, encode
from sfumato.request import Request
from sfumato.server.library.outline import Outline, from_text
from sfumato.server.library.reading import Found, look, skim
from sfumato.server.uploads import TooBig
from tests.server.fake import FakePainter
from tests.server.test_library_comfyui import plain

A1111 = (
    "a red fox,\nin snow\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 42, Size: 512x768, "
    'Model hash: 6ce0161689, Model: v1-5, Lora hashes: "fur: 1, ink: 2", Version: v1.6.0'
)


def image(width: int = 24, height: int = 16) -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


def png(**texts: str) -> bytes:
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    file = io.BytesIO()
    image().save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def read(data: bytes) -> Found:
    return look(data, pixels=10**6)[0]


def test_a_picture_of_ours_is_read_with_its_whole_recipe():
    (picture,) = FakePainter().submit(Request(prompt="a fox", seed=2**64 - 1)).result().pictures
    for kind, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")):
        found = read(encode(picture.image, kind, picture.recipe.texts()))
        assert (found.source, found.suffix) == ("sfumato", suffix)
        assert (found.width, found.height) == picture.image.size
        assert found.recipe == picture.recipe.to_json()
        assert found.outline.seed == 2**64 - 1
        assert found.origin().recipe == picture.recipe


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_of_a1111_is_read_from_every_format(kind: str):
    found = read(encode(image(), kind, Texts(parameters=A1111)))
    assert found.source == "a1111"
    assert found.parameters == A1111
    assert found.outline == Outline(
        prompt="a red fox,\nin snow",
        negative="blurry",
        seed=42,
        model="v1-5",
        sampler="dpmpp_2m",
        schedule="karras",
        steps=20,
        guidance=7.5,
        extra={"Lora hashes": "fur: 1, ink: 2"},
    )
    assert found.origin().request.seed == 42


def test_a_recipe_of_a_later_version_is_kept_though_it_cannot_be_followed():
    found = read(png(sfumato='{"format": 99}', parameters=A1111))
    assert (found.source, found.recipe) == ("sfumato", '{"format": 99}')
    assert found.outline.seed == 42


def test_comfyui_is_read_from_a_png():
    found = read(png(prompt=json.dumps(plain()), workflow="{}"))
    assert (found.source, found.outline.prompt) == ("comfyui", "a red fox")
    assert found.parameters.startswith(
        "a red fox\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a"
    )
    request = found.origin().request
    assert (request.seed, request.stream, request.width) == (2**64 - 1, "cpu", 24)


def test_comfyui_is_read_from_a_webp():
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "prompt:" + json.dumps(plain())
    file = io.BytesIO()
    image().save(file, "WEBP", exif=exif)
    found = read(file.getvalue())
    assert (found.source, found.outline.steps) == ("comfyui", 20)


def test_a_text_that_an_extension_of_comfyui_wrote_is_worth_more_than_the_graph():
    found = read(png(prompt=json.dumps(plain()), parameters=A1111))
    assert (found.source, found.outline.seed) == ("comfyui", 42)


def test_our_text_for_other_programs_is_read_by_an_independent_reader(tmp_path: Path):
    found = read(png(prompt=json.dumps(plain()), workflow="{}"))
    path = tmp_path / "a.png"
    path.write_bytes(png(parameters=found.parameters))
    info = ParserManager().parse(path)
    assert info is not None
    (sampler,) = info.samplers
    assert sampler.parameters["seed"] == str(2**64 - 1)
    assert [prompt.value for prompt in sampler.prompts] == ["a red fox"]
    assert [prompt.value for prompt in sampler.negative_prompts] == ["blurry"]


INVOKEAI = {
    "positive_prompt": "a fox",
    "negative_prompt": "blurry",
    "seed": 3,
    "steps": 30,
    "cfg_scale": 7.5,
    "scheduler": "dpmpp_2m_k",
    "model": {"key": "x", "name": "dreamshaper-8", "base": "sd-1"},
}
NOVELAI = {
    "prompt": "a fox",
    "uc": "blurry",
    "seed": 3,
    "steps": 28,
    "scale": 5.0,
    "sampler": "k_euler_ancestral",
    "noise_schedule": "karras",
}
FOOOCUS = {
    "prompt": "a fox",
    "negative_prompt": "blurry",
    "seed": "3",
    "steps": 30,
    "guidance_scale": 4.0,
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "base_model": "juggernautXL_v8.safetensors",
}
SWARMUI = {
    "prompt": "a fox",
    "negativeprompt": "blurry",
    "seed": 3,
    "steps": 20,
    "cfgscale": 7.0,
    "sampler": "euler",
    "scheduler": "normal",
    "model": "OfficialStableDiffusion/sd_xl_base_1.0.safetensors",
}


@pytest.mark.parametrize(
    ("texts", "source", "model", "sampler", "schedule"),
    [
        (
            {"invokeai_metadata": json.dumps(INVOKEAI)},
            *("invokeai", "dreamshaper-8", "dpmpp_2m", "karras"),
        ),
        (
            {
                "Software": "NovelAI",
                "Source": "Diffusion V4 37442FCA",
                "Comment": json.dumps(NOVELAI),
            },
            *("novelai", "Diffusion V4 37442FCA", "euler_ancestral", "karras"),
        ),
        (
            {"fooocus_scheme": "fooocus", "parameters": json.dumps(FOOOCUS)},
            *("fooocus", "juggernautXL_v8", "dpmpp_2m_sde", "karras"),
        ),
        (
            {"parameters": json.dumps({"sui_image_params": SWARMUI}, indent=2)},
            *("swarmui", "sd_xl_base_1.0", "euler", "normal"),
        ),
    ],
)
def test_other_programs_are_read(
    texts: dict[str, str], source: str, model: str, sampler: str, schedule: str
):
    found = read(png(**texts))
    outline = found.outline
    assert found.source == source
    assert (outline.prompt, outline.negative, outline.seed) == ("a fox", "blurry", 3)
    assert (outline.model, outline.sampler, outline.schedule) == (model, sampler, schedule)
    assert outline.steps
    assert outline.guidance
    assert found.origin().request.prompt == "a fox"


def test_a_picture_without_a_recipe_is_a_picture():
    for data in (png(), png(Comment="holiday"), png(parameters="made in a hurry")):
        found = read(data)
        assert (found.source, found.outline) == ("other", Outline())
    assert read(png(parameters="made in a hurry")).parameters == "made in a hurry"
    with pytest.raises(PictureError, match="carries no recipe"):
        read(png()).origin()


@pytest.mark.parametrize(
    "text",
    [
        "Steps: 99999999999999999999999, Sampler: x, Seed: -5, CFG scale: nan",
        "Steps: 1e3, Sampler: x, Seed: 5.5, CFG scale: 1e999",
        "Steps: 20, Sampler: x\0y, Seed: 18446744073709551616, CFG scale: seven",
        'Steps: 20, Sampler: "\ud800", Seed: 1, Model: ../../../etc/passwd',
    ],
)
def test_values_that_no_database_takes_are_left_out(text: str):
    outline = from_text(text)
    assert outline.steps in (None, 20)
    assert outline.seed in (None, 1)
    assert outline.guidance is None
    assert "/" not in outline.model
    for value in (outline.sampler, *outline.extra.values()):
        value.encode()
        assert "\0" not in value


def test_the_format_is_told_by_the_content_and_not_by_the_name():
    assert read(encode(image(), "JPEG")).suffix == ".jpg"


def test_a_turned_photograph_has_the_size_that_it_is_shown_with():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    image(24, 16).save(file, "JPEG", exif=exif)
    found = read(file.getvalue())
    assert (found.width, found.height) == (16, 24)


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it has very many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [1001, 10_000, 20_000, 2**31 - 1])
def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(side: int):
    with pytest.raises(TooBig, match="more than 1,000,000 pixels"):
        read(bomb(side, side))


def test_what_is_cut_short_or_no_picture_is_refused(tmp_path: Path):
    whole = png(parameters=A1111)
    for data in (b"", b"text", whole[:-40], whole[:30], b"GIF89a" + bytes(20)):
        with pytest.raises(PictureError):
            read(data)
    (tmp_path / "a.png").write_bytes(whole[:30])
    with pytest.raises(PictureError, match=r"a\.png"):
        skim(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Pillow warns of broken EXIF
def test_a_file_with_any_byte_changed_is_read_or_refused():
    for whole in (
        png(parameters=A1111),
        encode(image(), "WEBP", Texts(A1111)),
        encode(image(), "JPEG", Texts(A1111)),
    ):
        for place in range(0, len(whole), 7):
            data = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
            try:
                read(data)
            except PictureError:
                continue


@pytest.mark.parametrize("texts", [{"parameters": A1111}, {"prompt": json.dumps(plain())}, {}])
def test_a_glance_sees_what_a_look_sees(tmp_path: Path, texts: dict[str, str]):
    path = tmp_path / "a.png"
    path.write_bytes(png(**texts))
    assert skim(path) == read(path.read_bytes())


def test_texts_behind_the_pixels_are_found_at_a_glance(tmp_path: Path):
    whole = png(prompt=json.dumps(plain()))
    start = whole.index(b"tEXt") - 4
    (length,) = struct.unpack(">I", whole[start : start + 4])
    text = whole[start : start + length + 12]
    rest = whole[:start] + whole[start + length + 12 :]
    end = rest.index(b"IEND") - 4
    path = tmp_path / "a.png"
    path.write_bytes(rest[:end] + text + rest[end:])
    assert skim(path).outline.prompt == "a red fox"


def test_a_named_folder_of_weights_is_no_part_of_a_models_name():
    for name in ("C:\\models\\dream.safetensors", "a/b/dream.ckpt", "dream", " dream.gguf "):
        assert from_text(f"Steps: 1, Sampler: x, Model: {name}").model == "dream"


def test_json_that_is_none_says_nothing():
    for text in ("{", "[]", "null", '{"model": 5, "seed": true, "steps": "x"}', "[" * 10**5):
        found = read(png(invokeai_metadata=text))
        assert (found.source, found.outline) == ("invokeai", Outline())
