"""`sfumato sheet` makes each cell once, goes on where it stopped, and says first what it does."""

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.cli.screen import amount
from sfumato.images import read_texts
from sfumato.recipe import Picture, read
from tests.cli.conftest import Sfumato
from tests.cli.fake import SHA256, FakeEngine
from tests.cli.test_generate import files

AXES = ("--x", "steps=2,3", "--y", "guidance=1,2")
FOLDER = "out/fox-steps-guidance"
CELLS = [f"{FOLDER}/steps-{s}_guidance-{g}.png" for s in (2, 3) for g in (1, 2)]


def painted(engine: FakeEngine) -> int:
    """How many pictures were begun; what was only tried is not counted."""
    return engine.finished


def test_a_sheet_has_a_picture_for_each_cell_and_tells_what_it_is_made_of(
    sfumato: Sfumato, tmp_path: Path
):
    answer = sfumato("sheet", "fox", "--seed", "7", *AXES)
    assert answer.status == 0, answer.err
    assert files(tmp_path) == sorted([*CELLS, f"{FOLDER}/sheet.json", f"{FOLDER}/sheet.png"])
    assert {read(tmp_path / cell).request.steps for cell in CELLS} == {2, 3}
    told = json.loads(read_texts(tmp_path / FOLDER / "sheet.png").sfumato)["sheet"]
    assert told["request"]["seed"] == 7
    assert [axis["values"] for axis in told["axes"]] == [["2", "3"], ["1", "2"]]
    assert answer.out.splitlines()[-1] == f"{FOLDER}/sheet.png  2 x 2"


def test_the_number_of_pictures_is_said_first_and_the_time_before_the_first(sfumato: Sfumato):
    answer = sfumato("sheet", "fox", *AXES)
    assert re.fullmatch(rf"4 pictures, 2 x 2, seed \d+, in {FOLDER}", answer.err.splitlines()[0])
    lines = answer.err.splitlines()
    said = next(i for i, line in enumerate(lines) if line.startswith("4 to make, about "))
    assert said < next(i for i, line in enumerate(lines) if line.startswith("picture 1 of 4: step"))
    assert all(line.startswith(FOLDER) for line in answer.out.splitlines())


def test_what_is_there_is_not_made_again(sfumato: Sfumato, engine: FakeEngine, tmp_path: Path):
    sfumato("sheet", "fox", *AXES)  # with a drawn seed
    before = {cell: (tmp_path / cell).read_bytes() for cell in CELLS}
    assert painted(engine) == 4
    (tmp_path / CELLS[1]).unlink()
    answer = sfumato("sheet", "fox", *AXES)
    assert "4 pictures, 2 x 2, 3 of them there already" in answer.err
    assert painted(engine) == 5
    assert {cell: (tmp_path / cell).read_bytes() for cell in CELLS} == before
    made = len(engine.made)
    sfumato("sheet", "fox", *AXES)
    assert len(engine.made) == made  # nothing to make: no model is loaded


def test_a_torn_picture_is_made_again(sfumato: Sfumato, engine: FakeEngine, tmp_path: Path):
    sfumato("sheet", "fox", "--seed", "7", *AXES)
    whole = (tmp_path / CELLS[0]).read_bytes()
    (tmp_path / CELLS[0]).write_bytes(whole[: len(whole) - 30])
    answer = sfumato("sheet", "fox", "--seed", "7", *AXES)
    assert answer.status == 0, answer.err
    assert (tmp_path / CELLS[0]).read_bytes() == whole


def test_a_stopped_sheet_goes_on(sfumato: Sfumato, engine: FakeEngine):
    def stop(picture: int, step: int) -> None:
        if engine.finished == 2:
            raise KeyboardInterrupt

    engine.on_step = stop
    answer = sfumato("sheet", "fox", "--seed", "7", *AXES)
    assert answer.status == 130
    assert "stopped; 2 of 4 are kept; the same command goes on" in answer.err
    engine.on_step = lambda picture, step: None
    assert "2 of them there already" in sfumato("sheet", "fox", "--seed", "7", *AXES).err
    assert painted(engine) == 4


def test_a_longer_axis_keeps_what_belongs_and_says_so(sfumato: Sfumato, engine: FakeEngine):
    words = ["sheet", "fox", "--seed", "7", "--out", "here"]
    sfumato(*words, "--x", "steps=2,3")
    answer = sfumato(*words, "--x", "steps=2,3,4")
    assert "another order lay here" in answer.err
    assert painted(engine) == 3


def test_another_request_is_not_mixed_in(sfumato: Sfumato):
    words = ["--seed", "7", "--x", "steps=2,3"]
    sfumato("sheet", "fox", *words, "--out", "here")
    message = sfumato("sheet", "fox", "--negative", "x", *words, "--out", "here").refused()
    assert "here holds a sheet with another negative" in message
    sfumato("sheet", "fox", *words)
    sfumato("sheet", "fox", "--negative", "x", *words)
    assert Path("out/fox-steps-2/sheet.png").exists()


def test_another_model_of_the_same_name_is_not_mixed_in(sfumato: Sfumato, engine: FakeEngine):
    words = ["sheet", "fox", "--seed", "7", "--out", "here"]
    sfumato(*words, "--x", "steps=2")
    engine.sha256 = "cd" * 32
    answer = sfumato(*words, "--x", "steps=2,3")
    assert answer.status == 2
    assert f"was made with a model of sha256 {SHA256[:10]}" in answer.err


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        ({"precision": "bf16"}, [], "was made with precision fp32, which here is bf16"),
        ({}, ["--precision", "bf16"], "was made with precision fp32, which here is bf16"),
        ({}, ["--device", "cuda"], "was made with device cpu, which here is cuda"),
        ({"parts": {"vae": "ab" * 32}}, [], "was made with other parts of the model"),
    ],
)
def test_pictures_of_another_machine_are_not_mixed_in(
    sfumato: Sfumato, engine: FakeEngine, change: dict[str, Any], words: list[str], told: str
):
    typed = ["sheet", "fox", "--seed", "7", "--out", "here", "--x", "steps=2,3"]
    sfumato(*typed)
    Path("here/steps-3.png").unlink()
    for name, value in change.items():
        setattr(engine, name, value)
    before = Path("here/steps-2.png").read_bytes()
    answer = sfumato(*typed, *words)
    assert answer.status == 2
    assert f"here/steps-2.png {told}; give another --out, or remove it" in answer.err
    assert Path("here/steps-2.png").read_bytes() == before
    assert not Path("here/steps-3.png").exists()


def test_a_big_model_that_is_read_for_its_sha256_is_told(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch
):
    typed = ["sheet", "fox", "--seed", "7", "--out", "here", "--x", "steps=2,3"]
    sfumato(*typed)
    monkeypatch.setattr("sfumato.cli.kept._LONG", 1000)
    monkeypatch.setattr("sfumato.cli.kept.remembered", lambda path, cache: None)
    model = Path(str(resources.files("sfumato").joinpath("assets/mini/model.safetensors")))
    told = f"reading model.safetensors, {amount(model.stat().st_size)}, once for its sha256"
    assert told in sfumato(*typed).err


def test_a_finished_sheet_is_not_said_to_be_of_the_precision_that_was_typed(sfumato: Sfumato):
    typed = ["sheet", "fox", "--seed", "7", "--out", "here", "--x", "steps=2,3"]
    sfumato(*typed)
    assert sfumato(*typed, "--precision", "fp32").status == 0
    assert "which here is fp16" in sfumato(*typed, "--precision", "fp16").refused()


@pytest.mark.parametrize(
    "command", [["sheet", "--x", "guidance=1"], ["steps", "--ladder", "2,3,4"]]
)
def test_a_folder_of_another_version_is_not_gone_on_with(
    sfumato: Sfumato, command: list[str], tmp_path: Path
):
    words = [command[0], "fox", "--seed", "7", *command[1:], "--out", "here"]
    assert sfumato(*words).status == 0
    place = next(path for path in sorted(tmp_path.glob("here/*-*.png")))
    recipe = read(place).recipe
    assert recipe is not None
    other = replace(recipe, numerics=recipe.numerics + 1)
    Picture(Image.open(place), other).save(place)
    assert "was made with numerics 2, which here is 1" in sfumato(*words).refused()


def test_z_makes_several_sheets(sfumato: Sfumato, tmp_path: Path):
    answer = sfumato("sheet", "fox", *AXES, "--z", "seed=1..3", "--out", "here", "-q")
    assert answer.status == 0, answer.err
    sheets = [f"here/sheet-{i}.png" for i in (1, 2, 3)]
    assert answer.out.splitlines()[-3:] == sheets
    assert len(files(tmp_path)) == 12 + 3 + 1
    assert len({Image.open(tmp_path / one).tobytes() for one in sheets}) == 3


def test_a_picture_of_somebody_else_is_not_replaced(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "here").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "here/steps-2.png")
    message = sfumato("sheet", "fox", "--x", "steps=2,3", "--out", "here").refused()
    assert "here/steps-2.png exists and was not made by sfumato" in message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "sheet needs a prompt"),
        (["fox"], "sheet needs --x FIELD=VALUES"),
        (["fox", "--x", "steps=2", "--z", "seed=1"], "--z needs --y"),
        (["fox", "--x", "stps=2"], "did you mean steps"),
        (["fox", "--x", "steps=0,2"], "the cell of steps=0 cannot be: steps is 0"),
        (["fox", "--x", "image=none.png"], "there is no picture none.png"),
        (["fox", "--x", "steps=2", "--out", ""], "--out is empty"),
        (["fox", "--x", "steps=2", "--count", "2"], "a cell is one picture"),
        (["fox", "--x", "steps=2", "--anyway"], "--anyway has no effect without --from"),
        (["fox", "--x", "prompt=cat," + "word " * 60], "these words fall off"),
    ],
)
def test_a_bad_sheet_is_refused_before_anything_is_painted(
    sfumato: Sfumato, tmp_path: Path, engine: FakeEngine, words: list[str], expected: str
):
    answer = sfumato("sheet", *words)
    assert answer.status == 2
    assert expected in answer.err
    assert painted(engine) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_can_begin_with_a_picture(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "8", "--steps", "3", "--out", "a.png")
    assert sfumato("sheet", "--from", "a.png", "--x", "guidance=1,2", "--out", "here").status == 0
    request = read("here/guidance-1.png").request
    assert (request.prompt, request.seed, request.steps, request.guidance) == ("fox", 8, 3, 1.0)


def test_what_the_model_does_not_know_is_told_once_for_all_cells(
    sfumato: Sfumato, engine: FakeEngine
) -> None:
    engine.words = frozenset({"fox"})
    told = sfumato("sheet", "a submarine", "--x", "steps=2,3,4").err
    assert told.count('never shown "submarine", and may') == 1
