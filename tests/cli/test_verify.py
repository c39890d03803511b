"""`sfumato verify` has the status 0, 1 or 2, and says why; `sfumato why` compares two recipes."""

import json
from pathlib import Path

import pytest
from PIL import Image

from sfumato.images import read_picture, save
from tests.cli.conftest import Sfumato
from tests.cli.fake import SHA256, FakeEngine


@pytest.fixture
def fox(sfumato: Sfumato) -> str:
    assert sfumato("generate", "fox", "--seed", "8", "--out", "fox.png", "-q").status == 0
    return "fox.png"


def painted_over(place: str, path: Path) -> str:
    image, texts = read_picture(Path(place))
    image = image.convert("RGB")
    image.putpixel((1, 1), (255, 255, 254))
    save(image, path, texts)
    return str(path)


def test_a_picture_made_again_is_equal_to_the_bit(sfumato: Sfumato, fox: str, engine: FakeEngine):
    answer = sfumato("verify", fox)
    assert (answer.status, answer.out) == (0, "fox.png  equal to the bit\n")
    assert engine.made[-1] == ("cpu", "fp32")  # what the recipe says


def test_a_changed_picture_is_told_how_far_it_is(sfumato: Sfumato, fox: str, tmp_path: Path):
    other = painted_over(fox, tmp_path / "b.png")
    answer = sfumato("verify", fox, other, "-q")
    assert answer.status == 1
    first, second, reason = answer.out.splitlines()
    assert first == "fox.png  equal to the bit"
    assert "% of the values differ" in second
    assert "its pixels were changed after it was made" in reason


def test_another_model_is_named(sfumato: Sfumato, fox: str, tmp_path: Path, engine: FakeEngine):
    other = painted_over(fox, tmp_path / "b.png")
    engine.sha256 = "cd" * 32
    answer = sfumato("verify", other)
    assert f"another model: {SHA256[:10]}… then, cdcdcdcdcd… here" in answer.out


@pytest.mark.parametrize(
    ("made", "moved", "field", "now"),
    [
        (["--vae", "old/v.st"], ["--vae", "new/v.st"], "vae", "new/v.st"),
        (
            ["--text-encoder", "old/clip.st", "--text-encoder", "old/t5.st"],
            ["--text-encoder", "new/clip.st", "--text-encoder", "new/t5.st"],
            "text_encoders",
            ("new/clip.st", "new/t5.st"),
        ),
        (["--refiner", "old.st"], ["--refiner", "new/old.st"], "refiner", "new/old.st"),
    ],
    ids=["vae", "text encoders", "refiner"],
)
def test_a_part_that_lies_elsewhere_by_now_is_taken_from_there(
    sfumato: Sfumato,
    engine: FakeEngine,
    made: list[str],
    moved: list[str],
    field: str,
    now: str | tuple[str, ...],
):
    assert sfumato("generate", "fox", "--out", "a.png", "-q", *made).status == 0
    answer = sfumato("verify", "a.png", *moved)
    assert (answer.status, answer.out) == (0, "a.png  equal to the bit\n")
    assert getattr(engine.submitted[-1], field) == now


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vae", "v.st"], "made with the VAE of its own model; verify it without --vae."),
        (["--text-encoder", "t.st"], "of its own model; verify it without --text-encoder."),
        (["--refiner", "r.st"], "made without a refiner; verify it without --refiner."),
    ],
)
def test_a_part_that_a_picture_was_made_without_is_refused_by_name(
    sfumato: Sfumato, fox: str, words: list[str], said: str
):
    answer = sfumato("verify", fox, *words)
    assert answer.status == 2
    assert said in " ".join(answer.err.split())


def test_what_cannot_be_verified_has_the_status_2_and_the_others_are_still_told(
    sfumato: Sfumato, fox: str, tmp_path: Path
):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    answer = sfumato("verify", "photo.png", "none.png", fox, "-q")
    assert answer.status == 2
    assert "photo.png carries no recipe of sfumato" in answer.err
    assert "there is no picture none.png" in answer.err
    assert answer.out == "fox.png  equal to the bit\n"


def test_of_a_picture_that_was_made_larger_each_thing_is_told_once(sfumato: Sfumato):
    sfumato("generate", "fox", "--upscale", "2", "--out", "a.png")
    told = sfumato("verify", "a.png").err
    assert told.count("step 4 of 4") == 1
    assert "making it larger: 0 of 1" in told


def test_an_animation_is_no_picture_to_verify(sfumato: Sfumato):
    sfumato("generate", "fox", "--out", "a.png", "--animate", "a.gif")
    assert "a.gif is an animation" in sfumato("verify", "a.gif", "-q").refused()


def test_a_picture_from_a_picture_needs_it_again(sfumato: Sfumato, fox: str, tmp_path: Path):
    words = ["--image", fox, "--strength", "0.5", "--seed", "3", "--out", "b.png"]
    assert sfumato("generate", "fox", *words).status == 0
    assert "give that with --image" in sfumato("verify", "b.png").refused()
    Image.new("RGB", (9, 9)).save(tmp_path / "wrong.png")
    assert sfumato("verify", "b.png", "--image", "wrong.png", "-q").status == 2
    answer = sfumato("verify", "b.png", "--image", "wrong.png", "--image", fox, "-q")
    assert (answer.status, answer.out) == (0, "b.png  equal to the bit\n")


def test_verify_tells_programs_all_of_it(sfumato: Sfumato, fox: str, tmp_path: Path):
    other = painted_over(fox, tmp_path / "b.png")
    answer = sfumato("verify", fox, other, "none.png", "--json")
    assert answer.status == 2
    one, two, three = json.loads(answer.out)
    assert (one["file"], one["equal"], one["reasons"]) == ("fox.png", True, [])
    assert two["distance"]["largest"] > 0
    assert "there is no picture" in three["error"]


def test_why_names_what_differs(sfumato: Sfumato, fox: str):
    sfumato("generate", "fox", "--seed", "9", "--steps", "3", "--out", "b.png", "-q")
    answer = sfumato("why", fox, "b.png")
    assert answer.status == 0
    assert answer.out.splitlines()[0] == "They differ because seed and steps differ."
    told = json.loads(sfumato("why", fox, "b.png", "--json").out)
    assert told["differences"]["seed"]["a"] == 8
    assert told["pixels"]["equal"] is False
    assert sfumato("why", fox, fox).out.splitlines()[0] == "They are the same picture."


def test_why_needs_two_recipes(sfumato: Sfumato, fox: str, tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    assert "photo.png carries no recipe" in sfumato("why", fox, "photo.png").refused()
