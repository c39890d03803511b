"""`sfumato generate --image --mask`: every option reaches the picture and can be repeated."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from sfumato.recipe import read
from sfumato.source import Source
from tests.cli.conftest import Sfumato
from tests.cli.fake import DRAWN, FakeEngine
from tests.cli.test_generate import files, last_command


@pytest.fixture(autouse=True)
def sources(sfumato: Sfumato, tmp_path: Path) -> None:
    """A photograph held sideways, a mask, and others of the same shapes, in the test's folder."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.linear_gradient("L").resize((24, 32)).convert("RGB")
    photo.save(tmp_path / "my photo.jpg", exif=exif)
    photo.rotate(90).save(tmp_path / "other.png")
    mask = Image.new("L", (32, 24))
    ImageDraw.Draw(mask).rectangle((4, 4, 20, 20), fill=255)
    mask.save(tmp_path / "mask.png")
    Image.new("L", (32, 24), 255).save(tmp_path / "white.png")
    Image.new("L", (32, 48), 255).save(tmp_path / "tall.png")


PHOTO = ["--image", "my photo.jpg"]
MASKED = [*PHOTO, "--mask", "mask.png"]

OPTIONS: Sequence[tuple[list[str], dict[str, object]]] = (
    (PHOTO, {"strength": 0.75}),
    ([*PHOTO, "--strength", "0.5"], {"strength": 0.5}),
    ([*PHOTO, "--strength", "1"], {"strength": 1.0}),
    ([*PHOTO, "--fit", "pad"], {"fit": "pad"}),
    (MASKED, {"mask_blur": 4, "mask_fill": "original", "mask_padding": None}),
    ([*MASKED, "--mask-blur", "0"], {"mask_blur": 0}),
    ([*MASKED, "--mask-fill", "noise"], {"mask_fill": "noise"}),
    ([*MASKED, "--mask-padding", "0"], {"mask_padding": 0}),
    ([*MASKED, "--mask-invert"], {"mask_invert": True}),
    ([*MASKED, "--wander", "--count", "2"], {"wander": True}),
)


@pytest.mark.parametrize(("words", "expected"), OPTIONS, ids=lambda v: " ".join(v))
def test_every_option_of_a_start_reaches_the_picture_and_the_command_that_repeats_it(
    sfumato: Sfumato, words: list[str], expected: dict[str, object], tmp_path: Path
):
    answer = sfumato("generate", "fox", *words, "--out", "a/")
    assert answer.status == 0, answer.err
    name = f"fox-{DRAWN}.png"
    first = read(tmp_path / "a" / name).request
    for field, value in expected.items():
        assert getattr(first, field) == value
    assert first.image == Source.read(tmp_path / "my photo.jpg")
    assert (first.mask is None) == ("--mask" not in words)
    answer = sfumato(*last_command(answer.out), "--out", "b/")
    assert answer.status == 0, answer.err
    assert read(tmp_path / "b" / name).request == first


def test_the_picture_is_turned_upright_and_gives_the_shape(sfumato: Sfumato):
    assert sfumato("generate", "fox", *PHOTO, "--out", "a.png").status == 0
    request = read("a.png").request
    assert request.image is not None
    assert (request.image.width, request.image.height) == (32, 24)
    assert (request.width, request.height) == (32, 24)


def test_only_the_steps_that_are_made_are_counted_and_shown(sfumato: Sfumato, engine: FakeEngine):
    words = ["--steps", "8", "--strength", "0.5", "--filmstrip", "s.png"]
    answer = sfumato("generate", "fox", *PHOTO, *words)
    assert answer.status == 0, answer.err
    assert "picture: step 4 of 4" in answer.err
    assert "of 8" not in answer.err


def test_from_asks_for_the_picture_and_the_mask_that_were_started_from(
    sfumato: Sfumato, tmp_path: Path
):
    sfumato("generate", "fox", *MASKED, "--out", "a.png")
    again = ["generate", "--from", "a.png", "--out", "b.png"]
    message = sfumato(*again).refused()
    assert "a.png was made with a picture of 32x24 (sha256" in message
    assert "give that with --image" in message
    assert "with a mask of 32x24" in sfumato(*again, *PHOTO).refused()
    message = sfumato(*again, "--image", "other.png", "--mask", "mask.png").refused()
    assert "other.png has 24x32 (sha256" in message
    assert "--anyway" in message
    assert "white.png has" in sfumato(*again, *PHOTO, "--mask", "white.png").refused()
    assert not (tmp_path / "b.png").exists()
    answer = sfumato(*again, *MASKED)
    assert answer.status == 0, answer.err
    assert read("a.png").recipe == read("b.png").recipe
    assert "the same as a.png, to the bit" in answer.out
    assert sfumato(*last_command(answer.out), "--out", "c.png").status == 0
    assert read("c.png").recipe == read("a.png").recipe


def test_from_takes_another_picture_anyway(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "fox", *PHOTO, "--strength", "0.6", "--out", "a.png")
    words = ["--from", "a.png", "--image", "other.png", "--anyway", "--out", "b.png"]
    assert sfumato("generate", *words).status == 0
    request = read("b.png").request
    assert request.image == Source.read(tmp_path / "other.png")
    assert request.strength == 0.6


def test_a_prompt_no_terminal_shows_is_repeated_from_the_picture_with_its_start(sfumato: Sfumato):
    answer = sfumato("generate", *MASKED, "--out", "a.png", "--", "\x1b[31mred")
    assert answer.status == 0, answer.err
    words = last_command(answer.out)
    assert words[:3] == ["generate", "--from", "a.png"]
    assert sfumato(*words, "--out", "b.png").status == 0
    assert read("b.png").request == read("a.png").request


BAD: Sequence[tuple[list[str], str]] = (
    (["--image", "."], ". is a folder; give the name of a picture in it"),
    (["--image", "none.png"], "there is no picture none.png"),
    (["--image", "note.txt"], "note.txt is not a PNG, JPEG or WebP picture"),
    (["--strength", "0.5"], "strength has no effect without image"),
    (["--mask", "mask.png"], "mask has no effect without image"),
    ([*PHOTO, "--mask-blur", "3"], "mask_blur has no effect without mask"),
    ([*PHOTO, "--strength", "0"], "strength is 0, which would change nothing"),
    ([*PHOTO, "--strength", "half"], "strength is 'half', but must be a number"),
    ([*PHOTO, "--strength", "2"], "strength is 2.0, but must be between 0 and 1"),
    ([*PHOTO, "--strength", "0.2", "--steps", "4"], "none of 4 steps; give 0.25 at the least"),
    ([*PHOTO, "--fit", "zoom"], "fit is 'zoom'"),
    ([*MASKED, "--mask-fill", "grey"], "mask_fill is 'grey'"),
    ([*MASKED, "--mask-padding", "-1"], "mask_padding is -1"),
    ([*PHOTO, "--mask", "tall.png"], "mask has 32x48 pixels and image 32x24"),
)


@pytest.mark.parametrize(("words", "expected"), BAD, ids=[" ".join(w)[:40] for w, _ in BAD])
def test_a_bad_start_is_refused_before_the_model_is_loaded(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path, words: list[str], expected: str
):
    (tmp_path / "note.txt").write_text("x")
    before = files(tmp_path)
    assert expected in sfumato("generate", "fox", *words).refused()
    assert engine.made == []
    assert files(tmp_path) == before


def test_a_picture_beyond_all_bounds_is_refused_in_one_line(sfumato: Sfumato, tmp_path: Path):
    small = io.BytesIO()
    Image.new("1", (8, 8)).save(small, "PNG")
    head = b"IHDR" + struct.pack(">II", 11_000, 11_000) + small.getvalue()[24:29]
    data = small.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head))
    (tmp_path / "wide.png").write_bytes(data + small.getvalue()[33:])
    answer = sfumato("generate", "fox", "--image", "wide.png")
    assert "wide.png has 11000x11000 pixels" in answer.refused()
    assert len(answer.err.splitlines()) == 1


def test_info_tells_the_start(sfumato: Sfumato):
    sfumato("generate", "fox", *MASKED, "--out", "a.png")
    request = read("a.png").request
    assert request.image is not None
    assert request.mask is not None
    out = sfumato("info", "a.png").out
    assert f"sha256 {request.image.sha256}" in out
    assert f"sha256 {request.mask.sha256}" in out
    assert "strength" in out
    assert "fit       crop" in out
    assert "blur 4, fill original\n" in out
    words = ["--fit", "pad", "--mask-blur", "0", "--mask-fill", "noise", "--mask-padding", "9"]
    sfumato("generate", "fox", *MASKED, *words, "--mask-invert", "--out", "b.png")
    assert "blur 0, fill noise, padding 9, inverted" in sfumato("info", "b.png").out
    assert "fit       pad" in sfumato("info", "b.png").out
    told = sfumato("info", "a.png", "--json").out
    assert request.image.sha256 in told
    assert "pixels" not in told


def test_layers_of_the_pictures_own_model_are_dropped_with_a_word_for_another(
    sfumato: Sfumato, engine: FakeEngine
):
    sfumato("generate", "fox", "--pag", "3", "--pag-layers", "2,5", "--out", "a.png")
    words = ["generate", "--from", "a.png", "--out"]
    assert "pag_layers" not in sfumato(*words, "b.png").err
    answer = sfumato(*words, "c.png", "--model", "other", "--anyway")
    assert answer.status == 0
    assert "pag_layers 2,5 are the picture's own model's" in answer.err
    assert "(--pag-layers 2,5 keeps them)" in answer.err
    more = ["--model", "other", "--anyway", "--pag-layers", "2,5"]
    assert "keeps them" not in sfumato(*words, "d.png", *more).err
    made = [read(f"{name}.png").request.pag_layers for name in "abcd"]
    assert made[0] == made[1] == made[3] == (2, 5)
    assert made[2] != (2, 5)
