"""`sfumato generate` writes what was asked for, tells how to make it again, and refuses cleanly."""

import errno
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.images import Texts, read_picture, save
from sfumato.limits import MAX_SEED
from sfumato.recipe import NUMERICS, Picture, Recipe, read
from tests.cli.conftest import Sfumato
from tests.cli.fake import DRAWN, FakeEngine


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def last_command(out: str) -> list[str]:
    line = out.splitlines()[-1]
    assert line.startswith("again: sfumato ")
    return shlex.split(line.removeprefix("again: sfumato "))


def test_a_prompt_gives_a_picture_and_says_where(sfumato: Sfumato, tmp_path: Path):
    answer = sfumato("generate", "A red fox, 3D")
    assert answer.status == 0
    assert files(tmp_path) == [f"out/a-red-fox-3d-{DRAWN}.png"]
    first, last = answer.out.splitlines()
    assert first.startswith(f"out/a-red-fox-3d-{DRAWN}.png  ")
    assert first.endswith(f" s  seed {DRAWN}")
    assert last == f"again: sfumato generate 'A red fox, 3D' --seed {DRAWN}"


def test_the_progress_is_told_in_lines_where_there_is_no_terminal(sfumato: Sfumato):
    answer = sfumato("generate", "fox", "--steps", "9")
    lines = answer.err.splitlines()
    assert lines[0] == "loading the model"
    assert lines[1].startswith("picture: step 1 of 9, ")
    assert lines[-1].startswith("picture: step 9 of 9, ")
    assert "left" in lines[1]
    assert "left" not in lines[-1]


OPTIONS: Sequence[tuple[list[str], dict[str, object]]] = (
    (["--negative", "blurry"], {"negative": "blurry"}),
    (["--seed", "0"], {"seed": 0}),
    (["--seed", str(MAX_SEED)], {"seed": MAX_SEED}),
    (["--steps", "7"], {"steps": 7}),
    (["--guidance", "0"], {"guidance": 0.0}),
    (["--guidance", "6.25"], {"guidance": 6.25}),
    (["--rescale", "0.7"], {"rescale": 0.7}),
    (["--sampler", "DPM++ 2M"], {"sampler": "dpmpp_2m"}),
    (["--schedule", "Exponential"], {"schedule": "exponential"}),
    (["--size", "64x32"], {"width": 64, "height": 32}),
    (["--size", "64"], {"width": 64, "height": 64}),
    (["--wander"], {"wander": True, "path_seed": DRAWN}),
    (["--wander", "--path-seed", "5"], {"wander": True, "path_seed": 5}),
    (["--variation-strength", "0.2"], {"variation_strength": 0.2, "variation_seed": DRAWN}),
    (
        ["--variation-strength", "1", "--variation-seed", "5"],
        {"variation_strength": 1.0, "variation_seed": 5},
    ),
    (["--seed-size", "64x32"], {"seed_width": 64, "seed_height": 32}),
    (["--stream", "nv"], {"stream": "nv"}),
    (["--upscale", "4"], {"upscale": 4, "upscaler": "realesr-animevideov3"}),
    (["--upscale", "2", "--upscaler", "mine.pth"], {"upscale": 2, "upscaler": "mine.pth"}),
    (["--weighting", "comfy"], {"weighting": "comfy"}),
    (["--weighting", "plain"], {"weighting": "plain"}),
    (["--clip-skip", "2"], {"clip_skip": 2}),
    (["--model", "other"], {"model": "other"}),
)


@pytest.mark.parametrize(("words", "expected"), OPTIONS, ids=lambda v: " ".join(v))
def test_every_option_reaches_the_picture_and_the_command_that_repeats_it(
    sfumato: Sfumato, words: list[str], expected: dict[str, object]
):
    answer = sfumato("generate", "fox", *words, "--out", "a.png")
    assert answer.status == 0, answer.err
    first = read("a.png").recipe
    assert first is not None
    for name, value in expected.items():
        assert getattr(first.request, name) == value
    answer = sfumato(*last_command(answer.out), "--out", "b.png")
    second = read("b.png").recipe
    assert second is not None
    assert second.request == first.request


@pytest.mark.parametrize(
    "prompt",
    ["", "-fox", "--seed", 'it\'s "quoted" $HOME `x`', "two\nlines", "狐 🦊", "\x1b[31mred"],
)
def test_any_prompt_can_be_typed_and_repeated(sfumato: Sfumato, prompt: str):
    answer = sfumato("generate", "--out", "a.png", "--", prompt)
    assert answer.status == 0, answer.err
    assert "\x1b" not in answer.out
    origin = read("a.png")
    assert origin.request.prompt == prompt
    command, *words = shlex.split(answer.out.split("again: sfumato ")[1])
    assert sfumato(command, "--out", "b.png", *words).status == 0
    assert read("b.png").request == origin.request


def test_what_the_model_takes_a_prompt_for_is_told(sfumato: Sfumato, engine: FakeEngine):
    assert "takes this for" not in sfumato("generate", "a fox", "--seed", "3").err
    engine.taken = ("a parrot",)
    told = sfumato("generate", "a macaw", "--seed", "3").err
    assert 'takes this for "a parrot", and reads that first' in told


def test_words_that_the_model_was_never_shown_are_told_once(sfumato: Sfumato, engine: FakeEngine):
    engine.words = frozenset({"a", "red", "fox"})
    answer = sfumato("generate", "a submarine above a red fox", "--count", "2", "--seed", "3")
    assert answer.status == 0
    assert answer.err.count('was never shown "submarine", "above", and may paint') == 1
    assert "never shown" not in sfumato("generate", "red foxes", "--seed", "4").err


def test_a_reader_that_the_model_paints_without_is_told_once(sfumato: Sfumato, engine: FakeEngine):
    assert "paints without" not in sfumato("generate", "fox", "--seed", "3").err
    engine.absent = ("text encoder 3",)
    answer = sfumato("generate", "fox", "--seed", "4", "--count", "2")
    assert answer.status == 0
    assert answer.err.count("mini paints without its text encoder 3, which its files do not") == 1


def test_a_model_of_few_steps_is_told_as_such_once(sfumato: Sfumato, engine: FakeEngine):
    assert "few steps" not in sfumato("generate", "fox", "--seed", "3").err
    engine.few = "Turbo, for few steps (its name): 4 steps, guidance 1"
    answer = sfumato("generate", "fox", "--seed", "4", "--count", "2")
    assert answer.status == 0
    assert answer.err.count("mini is Turbo, for few steps (its name): 4 steps, guidance 1") == 1


def test_device_and_precision_reach_the_engine(sfumato: Sfumato, engine: FakeEngine):
    answer = sfumato("generate", "fox", "--device", "cpu", "--precision", "bf16")
    assert engine.made == [("cpu", "bf16")]
    assert last_command(answer.out)[-4:] == ["--device", "cpu", "--precision", "bf16"]


def test_pictures_of_a_run_have_seeds_one_after_the_other(
    sfumato: Sfumato, tmp_path: Path, engine: FakeEngine
):
    answer = sfumato("generate", "fox", "--count", "3", "--wander", "--seed", "8")
    names = [f"out/fox-{seed}.png" for seed in (8, 9, 10)]
    assert files(tmp_path) == sorted(names)
    recipes = [read(tmp_path / name).recipe for name in names]
    assert [r.request.path_seed for r in recipes if r] == [DRAWN, DRAWN + 1, DRAWN + 2]
    assert [r.index for r in recipes if r] == [0, 1, 2]
    assert all(request.count == 1 for request in engine.submitted)
    command = last_command(answer.out)
    assert command[command.index("--seed") + 1] == "8"
    assert command[command.index("--path-seed") + 1] == str(DRAWN)


def test_variations_of_a_run_are_of_one_seed(sfumato: Sfumato, tmp_path: Path):
    words = ["--seed", "8", "--variation-strength", "0.2", "--variation-seed", "3", "--count", "2"]
    answer = sfumato("generate", "fox", *words)
    names = ["out/fox-8-2.png", "out/fox-8.png"]
    assert files(tmp_path) == names
    requests = [read(tmp_path / name).request for name in reversed(names)]
    assert [(r.seed, r.variation_seed) for r in requests] == [(8, 3), (8, 4)]
    assert "seed 8  variation 4" in answer.out


def test_a_picture_has_variations_around_it(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "8", "--out", "a.png")
    words = ["--variation-strength", "0.2", "--count", "2", "--out", "b.png"]
    assert sfumato("generate", "--from", "a.png", *words).status == 0
    first, second = read("b-1.png").request, read("b-2.png").request
    assert first.seed == second.seed == 8
    assert (first.variation_seed, second.variation_seed) == (DRAWN, DRAWN + 1)


def test_an_existing_picture_is_never_overwritten_without_a_name(sfumato: Sfumato, tmp_path: Path):
    for _ in range(3):
        sfumato("generate", "fox", "--seed", "1", "--out", "here/")
    assert files(tmp_path) == ["here/fox-1-2.png", "here/fox-1-3.png", "here/fox-1.png"]


def test_a_film_strip_never_takes_the_place_of_its_picture(sfumato: Sfumato, tmp_path: Path):
    words = ["--seed", "7", "--count", "2", "--filmstrip", "out/fox.png"]
    pictures = ["out/fox-7.png", "out/fox-8.png"]
    assert sfumato("generate", "fox", *words).status == 0
    assert files(tmp_path) == ["out/fox-1.png", "out/fox-2.png", *pictures]
    words = ["--seed", "1", "--filmstrip", "here/fox-1.png", "--animate", "here/fox-1-2.webp"]
    sfumato("generate", "fox", *words, "--out", "here/")
    assert files(tmp_path / "here") == ["fox-1-2.png", "fox-1-2.webp", "fox-1.png"]
    with Image.open(tmp_path / "here" / "fox-1-2.png") as image:
        assert image.size == (32, 24)


def test_a_folder_that_exists_needs_no_slash(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    sfumato("generate", "fox", "--out", "pictures")
    assert files(tmp_path) == [f"pictures/fox-{DRAWN}.png"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp"])
def test_the_suffix_chooses_the_format(sfumato: Sfumato, tmp_path: Path, suffix: str):
    assert sfumato("generate", "fox", "--out", f"new/fox{suffix}").status == 0
    with Image.open(tmp_path / f"new/fox{suffix}") as image:
        assert image.format in {"PNG", "JPEG", "WEBP"}
    assert read(tmp_path / f"new/fox{suffix}").request.prompt == "fox"


def test_several_pictures_with_a_name_are_numbered(sfumato: Sfumato, tmp_path: Path):
    words = ["--count", "2", "--out", "fox.png", "--filmstrip", "s.png", "--animate", "a.gif"]
    answer = sfumato("generate", "fox", *words)
    assert answer.status == 0
    expected = ["a-1.gif", "a-2.gif", "fox-1.png", "fox-2.png", "s-1.png", "s-2.png"]
    assert files(tmp_path) == expected
    assert [line.split("  ")[0] for line in answer.out.splitlines()[:-1]] == [
        "fox-1.png", "s-1.png", "a-1.gif", "fox-2.png", "s-2.png", "a-2.gif",
    ]  # fmt: skip


def test_a_named_file_is_replaced_if_it_is_ours(sfumato: Sfumato):
    words = ["--out", "fox.png", "--filmstrip", "s.webp", "--animate", "a.gif"]
    assert sfumato("generate", "fox", "--seed", "1", *words).status == 0
    assert sfumato("generate", "fox", "--seed", "2", *words).status == 0
    assert read("fox.png").request.seed == read("s.webp").request.seed == 2


@pytest.mark.parametrize("option", ["--out", "--filmstrip"])
def test_a_file_of_somebody_else_is_not_replaced(
    sfumato: Sfumato, tmp_path: Path, engine: FakeEngine, option: str
):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    before = (tmp_path / "photo.png").read_bytes()
    message = sfumato("generate", "fox", option, "photo.png").refused()
    assert "photo.png exists and was not made by sfumato" in message
    assert (tmp_path / "photo.png").read_bytes() == before
    assert engine.made == []


def test_a_picture_made_larger_is_told_and_its_film_strip_is_not(sfumato: Sfumato, tmp_path: Path):
    words = ["--steps", "3", "--size", "128", "--animate", "a.webp", "--upscale", "2"]
    answer = sfumato("generate", "fox", "--out", "fox.png", *words)
    assert answer.status == 0
    assert "picture: making it larger: 0 of 1" in answer.err
    with Image.open(tmp_path / "fox.png") as picture, Image.open(tmp_path / "a.webp") as steps:
        assert picture.size == (256, 256)
        assert steps.size == (128, 128)
        assert getattr(steps, "n_frames", 1) == 3


def test_another_upscaler_than_the_pictures_is_refused(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "fox", "--upscale", "2", "--out", "fox.png")
    image, texts = read_picture(tmp_path / "fox.png")
    recipe = replace(Recipe.from_json(texts.sfumato), upscaler_sha256="ef" * 32)
    Picture(image, recipe).save(tmp_path / "other.png")
    answer = sfumato("generate", "--from", "other.png", "--out", "again.png")
    assert answer.status == 2
    assert "made larger by realesr-animevideov3 (sha256 efefefefef" in answer.err
    assert sfumato("generate", "--from", "other.png", "--anyway").status == 0
    assert sfumato("generate", "--from", "fox.png", "--out", "again.png").status == 0


def test_a_film_strip_has_a_frame_for_each_step(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "fox", "--steps", "3", "--size", "128", "--filmstrip", "s.png")
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width == 2 * 32 + 3 * 128 + 2 * 12
        colours = [sheet.getpixel((32 + 64 + i * 140, 32 + 64)) for i in range(3)]
    full = [DRAWN * 7 * k % 256 for k in (3, 5, 11)]
    assert colours == [tuple(int((i + 1) / 3 * c) for c in full) for i in range(3)]


def test_an_animation_has_a_frame_for_each_step(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "fox", "--steps", "5", "--animate", "a.webp")
    with Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]


def test_quiet_prints_file_names_only(sfumato: Sfumato):
    answer = sfumato("generate", "fox", "-q", "--count", "2", "--filmstrip", "s.png")
    assert answer.err == ""
    assert answer.out.splitlines() == [
        f"out/fox-{DRAWN}.png", "s-1.png", f"out/fox-{DRAWN + 1}.png", "s-2.png",
    ]  # fmt: skip


BAD: Sequence[tuple[list[str], str]] = (
    ([], "generate needs a prompt"),
    (["fox", "--steps", "0"], "steps is 0, but must be between 1 and 1000"),
    (["fox", "--steps", "1001"], "steps is 1001"),
    (["fox", "--steps", "many"], "steps is 'many', but must be a whole number"),
    (["fox", "--steps", "2.5"], "steps is '2.5'"),
    (["fox", "--seed", "-1"], "seed is -1, but must be between 0 and 18446744073709551615"),
    (["fox", "--seed", str(MAX_SEED + 1)], f"seed is {MAX_SEED + 1}"),
    (["fox", "--seed", "9" * 5000], "seed is '999"),
    (["fox", "--seed", str(MAX_SEED), "--count", "2"], "would pass the last seed"),
    (["fox", "--guidance", "nan"], "guidance is nan"),
    (["fox", "--guidance", "strong"], "guidance is 'strong', but must be a number"),
    (["fox", "--rescale", "2"], "rescale is 2.0"),
    (["fox", "--sampler", "eulr"], "unknown sampler 'eulr'; nearest: euler"),
    (["fox", "--schedule", "karas"], "unknown schedule 'karas'; nearest: karras"),
    (["fox", "--size", "510"], "width is 510, but must be a multiple of 8"),
    (["fox", "--size", "512x100"], "height is 100, but must be a multiple of 8"),
    (["fox", "--size", "wide"], "size is 'wide', but must be like 512x768"),
    (["fox", "--size", "8x8x8"], "size is '8x8x8'"),
    (["fox", "--size", "9000"], "width is 9000, but must be between 8 and 8192"),
    (["fox", "--count", "0"], "count is 0"),
    (["fox", "--weighting", "A1111"], "weighting is 'A1111', but must be one of 'a1111' or"),
    (["fox", "--clip-skip", "13"], "clip_skip is 13, but must be between 1 and 12"),
    (["fox", "--clip-skip", "two"], "clip_skip is 'two', but must be a whole number"),
    (["fox", "--stream", "gpu"], "stream is 'gpu', but must be one of 'cpu' or 'nv'"),
    (["fox", "--wander", "--sampler", "DDIM"], "ddim"),
    (["fox", "--upscale", "3"], "upscale is 3 (int), but must be 2 or 4"),
    (["fox", "--upscale", "x"], "upscale is 'x', but must be a whole number"),
    (["fox", "--upscaler", "a.pth"], "upscaler has no effect without upscale"),
    (["fox", "--upscale", "4", "--size", "4096"], "a picture may have 8192 pixels a side"),
    (["fox", "--variation-seed", "3"], "variation_seed has no effect without variation_strength"),
    (["fox", "--variation-strength", "2"], "variation_strength is 2.0"),
    (["fox", "--seed-size", "60"], "seed_width is 60, but must be a multiple of 8"),
    (["fox", "--seed-size", "big"], "seed_size is 'big', but must be like 512x768"),
    (["fox", "--path-seed", "3"], "path_seed 3 has no effect without wander"),
    (["fox", "--model", ""], "model is empty"),
    (["fox \udcff"], "not valid Unicode at character 5"),
    (["fox", "--device", "tpu"], "no device 'tpu'; this machine has cpu"),
    (["word " * 60], "these words fall off: x"),
    (["fox", "--device", ""], "no device ''"),
    (["fox", "--anyway"], "--anyway has no effect without --from"),
    (["fox", "--out", ""], "--out is empty"),
    (["fox", "--out", "x/../a.png", "--filmstrip", "a.png"], "must be different files"),
    (["fox", "--out", "fox.bmp"], "neither a picture (.png, .jpg, .webp) nor an existing folder"),
    (["fox", "--out", "a.png", "--filmstrip", "./a.png"], "must be different files"),
    (["fox", "--filmstrip", "s.gif"], "'.gif'; the name must end in .png"),
    (["fox", "--animate", "s.avi"], "'.avi'; the name must end in .webp, .gif or .mp4"),
    (["fox", "--out", "file/fox.png"], "a part of the path is a file"),
    (["fox", "--out", "x" * 300 + ".png"], "give a shorter name"),
    (["--from", "none.png"], "there is no picture none.png"),
    (["--from", "file"], "file is not a PNG, JPEG or WebP picture"),
    (["fox", "bear"], "unexpected extra argument"),
    (["fox", "--colour", "red"], "No such option"),
)


@pytest.mark.parametrize(("words", "expected"), BAD, ids=[" ".join(w)[:30] for w, _ in BAD])
def test_bad_input_is_refused_in_a_line_or_two_and_leaves_no_file(
    sfumato: Sfumato, tmp_path: Path, words: list[str], expected: str
):
    (tmp_path / "file").write_text("x")
    assert expected in sfumato("generate", *words).refused()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_mp4_without_ffmpeg_is_refused_before_the_model_is_loaded(
    sfumato: Sfumato, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert "needs the program ffmpeg" in sfumato("generate", "fox", "--animate", "a.mp4").refused()
    assert engine.made == []


def test_a_disk_without_room_is_told_before_the_first_step(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = type("Usage", (), {"free": 3_000_000})
    monkeypatch.setattr("sfumato.images.files.shutil.disk_usage", lambda path: usage)
    steps: list[int] = []
    engine.on_step = lambda picture, step: steps.append(step)
    assert sfumato("generate", "fox").status == 0
    message = sfumato("generate", "fox", "--size", "1024", "--out", "b.png").refused()
    assert "3.0 MB are free there, and 4.1 MB may be needed; make room" in message
    assert steps == [1, 2, 3, 4]


def test_a_disk_that_fills_up_keeps_the_pictures_before_and_nothing_half_written(
    sfumato: Sfumato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    left = [2]
    real = os.fsync

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr("sfumato.images.files.os.fsync", fsync)
    answer = sfumato("generate", "fox", "--seed", "1", "--count", "4")
    assert answer.status == 2
    expected = f"cannot write out{os.sep}fox-3.png: no space left on device; make room"
    assert answer.err.splitlines()[-1].startswith(f"error: {expected}")
    assert files(tmp_path) == ["out/fox-1.png", "out/fox-2.png"]


def test_a_fault_of_the_program_is_not_hidden(sfumato: Sfumato, engine: FakeEngine):
    def fail(picture: int, step: int) -> None:
        raise ZeroDivisionError("a fault")

    engine.on_step = fail
    with pytest.raises(ZeroDivisionError, match="a fault"):
        sfumato("generate", "fox")


def test_ctrl_c_keeps_what_is_finished(sfumato: Sfumato, engine: FakeEngine, tmp_path: Path):
    def interrupt(picture: int, step: int) -> None:
        if (picture, step) == (3, 2):
            raise KeyboardInterrupt

    engine.on_step = interrupt
    answer = sfumato("generate", "fox", "--seed", "1", "--count", "5", "--filmstrip", "s.png")
    assert answer.status == 130
    assert files(tmp_path) == ["out/fox-1.png", "out/fox-2.png", "s-1.png", "s-2.png"]
    kept = "stopped; 2 of 5 finished and kept: out/fox-1.png, out/fox-2.png"
    assert answer.err.splitlines()[-1] == kept


def test_ctrl_c_before_the_first_picture_leaves_nothing(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path
):
    def interrupt(picture: int, step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    engine.on_step = interrupt
    answer = sfumato("generate", "fox", "--out", "fox.png")
    assert answer.status == 130
    assert files(tmp_path) == []
    assert answer.err.splitlines()[-1] == "stopped; no picture was finished"


SLOW = """
import sys, time
from sfumato.cli import main
from tests.cli.fake import FakeEngine
sys.exit(main(sys.argv[1:], make_engine=FakeEngine(lambda picture, step: time.sleep(0.05)).make))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_real_process_and_keeps_what_is_finished(
    tmp_path: Path, number: int, status: int
):
    root = Path(__file__).parents[2]
    words = ["generate", "fox", "--seed", "1", "--count", "900", "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline().strip()
        process.send_signal(number)
        rest = process.stdout.read().split()
        err = process.stderr.read()
        assert process.wait(timeout=30) == status
    assert "Traceback" not in err
    assert f"finished and kept: {', '.join([first, *rest])}" in err
    assert files(tmp_path) == sorted([first, *rest])


def test_from_makes_the_same_picture_again(sfumato: Sfumato, engine: FakeEngine):
    sfumato("generate", "fox", "--seed", "5", "--wander", "--steps", "3", "--out", "a.png")
    answer = sfumato("generate", "--from", "a.png", "--out", "b.png")
    assert answer.status == 0, answer.err
    assert read("a.png").recipe == read("b.png").recipe
    assert engine.made[-1] == ("cpu", "fp32")  # those of the picture, not "auto"
    assert "the same as a.png, to the bit" in answer.out.splitlines()
    command = last_command(answer.out)
    assert command[:3] == ["generate", "--from", "a.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_from_reads_every_format(sfumato: Sfumato, suffix: str):
    sfumato("generate", "fox", "--seed", "5", "--out", f"a{suffix}")
    assert sfumato("generate", "--from", f"a{suffix}", "--out", "b.png").status == 0
    assert read(f"a{suffix}").recipe == read("b.png").recipe


def test_brackets_that_are_letters_because_of_the_picture_in_from_are_told(sfumato: Sfumato):
    sfumato("generate", "fox", "--weighting", "plain", "--out", "a.png")
    again = ["generate", "--from", "a.png", "--out", "b.png"]
    told = "brackets are only letters, as in a.png"
    assert told in sfumato(*again, "a (red:1.3) fox").err
    assert read("b.png").request.weighting == "plain"
    assert told in sfumato(*again, "--negative", "[grey]").err
    for words in (["a red fox"], ["(fox)", "--weighting", "a1111"], ["--steps", "2"]):
        answer = sfumato(*again, *words)
        assert answer.status == 0, answer.err
        assert told not in answer.err


def test_options_beside_from_override_it(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "5", "--wander", "--out", "a.png")
    words = ["--seed", "6", "--no-wander", "--steps", "2", "--count", "2", "--out", "b.png"]
    answer = sfumato("generate", "a bear", "--from", "a.png", *words)
    assert answer.status == 0, answer.err
    request = read("b-2.png").request
    assert (request.prompt, request.seed, request.steps) == ("a bear", 7, 2)
    assert (request.wander, request.path_seed) == (False, None)
    assert "to the bit" not in answer.out


def test_from_a_film_strip_makes_its_picture(sfumato: Sfumato):
    sfumato("generate", "fox", "--out", "a.png", "--filmstrip", "s.png")
    answer = sfumato("generate", "--from", "s.png", "--out", "b.png")
    assert answer.status == 0
    assert read("a.png").recipe == read("b.png").recipe
    assert "to the bit" not in answer.out


def test_a_difference_from_the_original_is_told(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "5", "--out", "a.png")
    recipe = read("a.png").recipe
    assert recipe is not None
    image = Image.new("RGB", (32, 24), (5 * 7 * 3 + 2, 5 * 7 * 5, 5 * 7 * 11 % 256))
    Picture(image, replace(recipe, torch="2.12.0")).save("a.png")
    answer = sfumato("generate", "--from", "a.png", "--out", "b.png")
    assert (
        "differs from a.png by up to 2 of 255 levels (there cpu, fp32, torch 2.12.0; "
        "here cpu, fp32, torch 2.13.0)"
    ) in answer.out


def test_a_picture_that_takes_its_originals_place_is_compared_with_what_was_there(
    sfumato: Sfumato,
):
    sfumato("generate", "fox", "--seed", "5", "--out", "a.png")
    recipe = read("a.png").recipe
    assert recipe is not None
    Picture(Image.new("RGB", (32, 24)), recipe).save("a.png")
    answer = sfumato("generate", "--from", "a.png", "--out", "a.png")
    assert "differs from a.png by up to" in answer.out
    answer = sfumato("generate", "--from", "a.png", "--out", "a.png")
    assert "the same as a.png, to the bit" in answer.out


def test_from_an_animation_makes_its_picture_and_compares_no_frame(sfumato: Sfumato):
    sfumato("generate", "fox", "--out", "a.png", "--animate", "a.webp")
    answer = sfumato("generate", "--from", "a.webp", "--out", "b.png")
    assert read("a.png").recipe == read("b.png").recipe
    assert "a.webp by" not in answer.out


def test_wander_beside_from_takes_a_fresh_path_from_the_same_noise(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "4", "--wander", "--path-seed", "5", "--out", "a.png")
    sfumato("generate", "--from", "a.png", "--wander", "--out", "b.png")
    request = read("b.png").request
    assert (request.seed, request.path_seed) == (4, DRAWN)


def test_another_model_is_refused_unless_anyway(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path
):
    engine.sha256 = "ab" * 32
    sfumato("generate", "fox", "--model", "sd.ckpt", "--out", "a.png")
    engine.sha256 = "cd" * 32
    message = sfumato("generate", "--from", "a.png", "--out", "b.png").refused()
    assert "made with sd.ckpt (sha256 ababababab…), and no model here is that one" in message
    words = ["--from", "a.png", "--out", "b.png", "--model", "sd.ckpt"]
    message = sfumato("generate", *words).refused()
    assert "made with sd.ckpt (sha256 ababababab…), and sd.ckpt here has cdcdcdcdcd…" in message
    assert "--model" in message
    assert "--anyway" in message
    assert files(tmp_path) == ["a.png"]
    answer = sfumato("generate", "--from", "a.png", "--out", "b.png", "--anyway")
    assert answer.status == 0
    assert "--anyway" in last_command(answer.out)


@pytest.mark.parametrize(
    ("made", "words", "left"),
    [
        (["--upscale", "4"], ["--upscale", "1"], {"upscale": None, "upscaler": None}),
        (["--interval", "1,5"], ["--interval", "none"], {"interval": None}),
        (["--seed-size", "64"], ["--seed-size", "none"], {"seed_width": None}),
        (["--vae", "v.ckpt"], ["--vae", "none"], {"vae": None}),
        (
            ["--variation-strength", "0.5", "--variation-seed", "4"],
            ["--variation-strength", "none"],
            {"variation_strength": None, "variation_seed": None},
        ),
    ],
)
def test_what_a_picture_has_can_be_taken_away(
    sfumato: Sfumato, made: list[str], words: list[str], left: dict[str, Any]
):
    sfumato("generate", "fox", "--seed", "3", *made, "--out", "a.png")
    answer = sfumato("generate", "--from", "a.png", *words, "--out", "b.png")
    assert answer.status == 0, answer.err
    request = read("b.png").request
    assert {name: getattr(request, name) for name in left} == left
    assert " ".join(words) in " ".join(last_command(answer.out))


def test_another_part_of_the_model_is_refused_unless_anyway(sfumato: Sfumato, engine: FakeEngine):
    engine.parts = {"vae": "ab" * 32}
    sfumato("generate", "fox", "--vae", "v.safetensors", "--out", "a.png")
    engine.parts = {"vae": "cd" * 32}
    message = sfumato("generate", "--from", "a.png", "--out", "b.png").refused()
    assert "made with another vae (sha256 ababababab…, and here sha256 cdcdcdcdcd…)" in message
    for words in (["--anyway"], ["--vae", "other.safetensors"]):
        assert sfumato("generate", "--from", "a.png", "--out", "b.png", *words).status == 0


def test_other_numerics_are_refused_unless_anyway(sfumato: Sfumato, engine: FakeEngine):
    sfumato("generate", "fox", "--out", "a.png")
    recipe = read("a.png").recipe
    assert recipe is not None
    other = replace(recipe, numerics=NUMERICS + 1, sfumato="9.0")
    Picture(Image.new("RGB", (32, 24)), other).save("a.png")
    engine.made.clear()
    message = sfumato("generate", "--from", "a.png").refused()
    assert f"made by sfumato 9.0 with numerics {NUMERICS + 1}" in message
    assert engine.made == []
    assert sfumato("generate", "--from", "a.png", "--anyway").status == 0


def test_a_picture_of_another_program_is_followed_only_anyway(sfumato: Sfumato, tmp_path: Path):
    chunks = PngInfo()
    text = "fox\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 3, Size: 16x16, Hypernet: ink"
    chunks.add_text("parameters", text)
    Image.new("RGB", (16, 16)).save(tmp_path / "a1111.png", pnginfo=chunks)
    assert "made by another program" in sfumato("generate", "--from", "a1111.png").refused()
    answer = sfumato("generate", "--from", "a1111.png", "--anyway", "--out", "b.png")
    assert answer.status == 0
    assert "a1111.png: these of its settings are not followed: Hypernet ink" in answer.err
    request = read("b.png").request
    assert (request.prompt, request.steps, request.seed) == ("fox", 2, 3)
    assert (request.sampler, request.stream) == ("euler", "nv")


def test_a_picture_without_a_recipe_cannot_be_made_again(sfumato: Sfumato, tmp_path: Path):
    save(Image.new("RGB", (8, 8)), tmp_path / "plain.png")
    assert "plain.png carries no recipe" in sfumato("generate", "--from", "plain.png").refused()
    save(Image.new("RGB", (8, 8)), tmp_path / "bad.png", Texts(sfumato='{"format": 1}'))
    assert "bad.png: its sfumato" in sfumato("generate", "--from", "bad.png").refused()
