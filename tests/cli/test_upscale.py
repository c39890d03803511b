"""`sfumato upscale` makes any picture larger, keeps its recipe, and replaces nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from sfumato.cli import main
from sfumato.images import encode, read_picture, read_texts, save
from sfumato.images.files import Texts
from sfumato.recipe import read
from tests.cli.conftest import Sfumato
from tests.cli.fake import UPSCALER_SHA256, FakeEngine

A1111 = "fox\nNegative prompt: dull\nSteps: 2, Sampler: Euler a, CFG scale: 5, Seed: 3, Size: 8x8"


def opened(path: str) -> Image.Image:
    return read_picture(Path(path))[0]


def pixels(path: str) -> np.ndarray:
    return np.asarray(opened(path)).astype(int)


def test_a_picture_becomes_larger_and_its_recipe_says_so(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "5", "--out", "a.png")
    answer = sfumato("upscale", "a.png", "--to", "2", "--out", "big")
    assert (answer.status, answer.out) == (0, "big/a.png  64x48\n")
    recipe = read("big/a.png").recipe
    assert recipe is not None
    assert (recipe.request.upscale, recipe.request.upscaler) == (2, "realesr-animevideov3")
    assert recipe.upscaler_sha256 == UPSCALER_SHA256
    assert "Postprocess upscale by: 2" in recipe.parameters()
    # The recipe now makes just this picture.
    assert sfumato("verify", "big/a.png").out == "big/a.png  equal to the bit\n"
    assert "made larger  2 times" in sfumato("info", "big/a.png").out


@pytest.mark.parametrize("kind", ["film strip", "larger already", "sheet", "jpeg", "lossy webp"])
def test_a_recipe_of_another_picture_is_not_claimed(sfumato: Sfumato, kind: str):
    if kind == "sheet":
        sfumato("sheet", "fox", "--x", "steps=2,3", "--out", "a")
        place = "a/sheet.png"
    else:
        more = ["--upscale", "2"] if kind == "larger already" else ["--filmstrip", "strip.png"]
        out = "a.jpg" if kind == "jpeg" else "a.png"
        sfumato("generate", "fox", "--steps", "2", "--out", out, *more)
        place = "strip.png" if kind == "film strip" else out
    if kind == "lossy webp":
        image, said = read_picture(Path(place))
        place = "a.webp"
        Path(place).write_bytes(encode(image, "WEBP", said, quality=80))
    assert sfumato("upscale", place, "--to", "2", "--out", "big").status == 0
    texts = read_texts(Path("big") / f"{Path(place).stem}.png")
    assert texts.sfumato == ""
    if kind in ("larger already", "jpeg", "lossy webp"):
        times = 4 if kind == "larger already" else 2
        assert f"Postprocess upscale by: {times}, Postprocess upscaler: R-" in texts.parameters
    if kind == "jpeg":
        assert "made larger  2 times\n" in sfumato("info", "big/a.png").out


def test_a_text_of_another_program_is_kept_with_what_was_added(sfumato: Sfumato):
    save(Image.new("RGB", (8, 8)), Path("a.png"), Texts(parameters=A1111))
    save(Image.new("RGB", (8, 8)), Path("b.png"), Texts(parameters="only words"))
    sfumato("upscale", "a.png", "b.png", "--out", "big")
    added = ", Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN AnimeVideo"
    assert read_texts(Path("big/a.png")).parameters == A1111 + added
    assert read("big/a.png").request.upscale == 4
    assert read_texts(Path("big/b.png")).parameters == "only words"
    sfumato("upscale", "big/a.png", "--to", "2", "--out", "big/again.png")
    assert "Postprocess upscale by: 8, Postprocess" in read_texts(Path("big/again.png")).parameters


def test_alpha_is_kept_and_what_is_solid_stays_solid(sfumato: Sfumato):
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((4, 4, 11, 11), (200, 40, 20, 255))
    image.save("a.png")
    assert sfumato("upscale", "a.png", "--to", "2", "--out", "big").status == 0
    large = opened("big/a.png")
    assert large.mode == "RGBA"
    alpha = np.asarray(large.getchannel("A"))
    assert alpha[0].max() == alpha[-1].max() == 0
    assert alpha[12:20, 12:20].min() == 255
    # Under the clear edge lies the colour beside it, and not the file's black.
    assert np.abs(pixels("big/a.png")[6, 15, :3] - (200, 40, 20)).max() <= 2


@pytest.mark.parametrize("mode", ["P", "PA", "L", "LA", "1", "CMYK", "I;16"])
def test_every_kind_of_picture_is_taken(sfumato: Sfumato, mode: str):
    grey = Image.linear_gradient("L").resize((16, 8))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "PA":
        image = grey.convert("P")
        image.info["transparency"] = 0
    else:
        image = grey.convert(mode)
    name = "a.jpg" if mode == "CMYK" else "a.png"
    image.save(name, **({"transparency": 0} if mode == "PA" else {}))
    answer = sfumato("upscale", name, "--to", "2", "--out", "big")
    assert answer.status == 0, answer.err
    large = opened("big/a.png")
    assert large.size == (32, 16)
    assert large.mode == ("RGBA" if mode in ("PA", "LA") else "RGB")
    if mode in ("L", "I;16"):
        assert np.abs(pixels("big/a.png")[::2, ::2, 0] - np.asarray(grey)).max() <= 1


def test_a_picture_on_its_side_stands_upright_and_keeps_its_profile(sfumato: Sfumato):
    image = Image.new("RGB", (16, 8), (9, 9, 9))
    exif = image.getexif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save("a.jpg", exif=exif, icc_profile=profile)
    sfumato("upscale", "a.jpg", "--out", "big")
    large = opened("big/a.png")
    assert large.size == (32, 64)
    assert large.info["icc_profile"] == profile
    assert large.getexif().get(0x0112) in (None, 1)


def test_a_phones_jpeg_with_a_second_picture_behind_it_is_a_picture(sfumato: Sfumato):
    first, second = (Image.new("RGB", (16, 8), colour) for colour in ("red", "blue"))
    first.save("a.jpg", "MPO", save_all=True, append_images=[second])
    answer = sfumato("upscale", "a.jpg", "--to", "2", "--out", "big")
    assert answer.status == 0, answer.err
    assert pixels("big/a.png")[0, 0, 0] > 200


def test_nothing_is_written_over_without_being_asked(sfumato: Sfumato, engine: FakeEngine):
    Image.new("RGB", (8, 8)).save("a.png")
    before = Path("a.png").read_bytes()
    assert "a.png exists; give another --out, or add --replace" in (
        sfumato("upscale", "a.png", "--out", ".").refused()
    )
    assert Path("a.png").read_bytes() == before
    assert engine.made == []
    assert sfumato("upscale", "a.png", "--out", ".", "--replace").status == 0
    assert opened("a.png").size == (32, 32)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["none.png"], "there is no picture none.png"),
        (["text.png"], "text.png is not a PNG, JPEG or WebP picture"),
        (["cut.png"], "cut.png cannot be read as a picture"),
        (["moves.gif"], "moves.gif is an animation"),
        (["float.tif"], "float.tif is not a PNG, JPEG or WebP picture"),
        (["vast.png"], "vast.png has 8000x8000 pixels; at most 16,777,216 are taken"),
        (["a.png", "--to", "3"], "--to is 3, but must be 2 or 4"),
        (["a.png", "--out", ""], "--out is empty"),
        (["a.png", "sub/a.png", "--out", "big"], "would both become big/a.png"),
        (["a.png", "clear.png", "--out", "x.jpg"], "is one file, and there are 2 pictures"),
        (["clear.png", "--out", "x.jpg"], "lets light through, which is kept in a .png alone"),
        (["a.png", "--out", "text.png/x"], "cannot write text.png/x"),
        (["a.png", "--device", "cuda"], "no device 'cuda'"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    sfumato: Sfumato, tmp_path: Path, words: list[str], expected: str
):
    Image.new("RGB", (8, 8)).save("a.png")
    Path("sub").mkdir()
    Image.new("RGB", (8, 8)).save("sub/a.png")
    Image.new("RGBA", (8, 8)).save("clear.png")
    Image.effect_noise((64, 64), 90).save("cut.png")
    Path("cut.png").write_bytes(Path("cut.png").read_bytes()[:-900])
    Path("text.png").write_text("text")
    Image.new("F", (8, 8)).save("float.tif")
    Image.new("1", (8000, 8000)).save("vast.png")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save("moves.gif", save_all=True, append_images=frames[1:])
    before = sorted(tmp_path.rglob("*"))
    assert expected in sfumato("upscale", *words).refused()
    assert sorted(tmp_path.rglob("*")) == before


def test_one_bad_picture_of_many_is_told_and_the_others_are_made(sfumato: Sfumato):
    for name in ("a.png", "c.png"):
        Image.new("RGB", (8, 8)).save(name)
    Path("b.png").write_text("text")
    answer = sfumato("upscale", "a.png", "b.png", "c.png", "--out", "big", "-q")
    assert answer.status == 2
    assert answer.out == "big/a.png\nbig/c.png\n"
    assert "b.png is not a PNG" in answer.err


def test_the_bundled_upscaler_makes_what_generate_made_larger_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    typed = ["generate", "fox", "--seed", "5", "--steps", "1", "--device", "cpu", "-q"]
    assert main([*typed, "--out", "a.png"]) == 0
    assert main([*typed, "--upscale", "4", "--out", "b.png"]) == 0
    assert main(["upscale", "a.png", "--device", "cpu", "--out", "c.png"]) == 0
    one, other = (read_picture(Path(name))[0] for name in ("b.png", "c.png"))
    assert one.size == (512, 512)
    assert one.tobytes() == other.tobytes()
    first, second = (read(name).recipe for name in ("b.png", "c.png"))
    assert first is not None
    assert second is not None
    assert first.request == second.request
