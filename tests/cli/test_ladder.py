"""`sfumato steps` climbs a ladder, draws it, and says what it thinks."""

import json
from pathlib import Path

import pytest

from sfumato.images import read_texts
from tests.cli.conftest import Sfumato
from tests.cli.fake import FakeEngine
from tests.cli.test_generate import files

LADDER = ("--ladder", "2,3,4", "--sampler", "euler")


def test_a_ladder_has_its_pictures_its_sheet_and_its_advice(sfumato: Sfumato, tmp_path: Path):
    answer = sfumato("steps", "fox", "--seed", "7", *LADDER)
    assert answer.status == 0, answer.err
    folder = "out/fox-ladder"
    names = [f"{folder}/steps-{n}.png" for n in (2, 3, 4)]
    assert files(tmp_path) == sorted([*names, f"{folder}/ladder.png", f"{folder}/sheet.json"])
    # The stand-in's pictures do not depend on the steps.
    assert "2 steps: From 2 steps on no eye sees a change" in answer.out
    told = json.loads(read_texts(tmp_path / folder / "ladder.png").sfumato)["sheet"]["ladder"]
    assert [rung["steps"] for rung in told["rungs"]] == [2, 3, 4]
    assert told["sampler"] == "euler"


def test_several_seeds_are_looked_at_and_what_is_there_is_kept(
    sfumato: Sfumato, engine: FakeEngine
):
    words = ["steps", "fox", "--seed", "7", *LADDER, "--out", "here"]
    assert "All 2 seeds say the same." in sfumato(*words, "--seeds", "2").out
    assert engine.finished == 6
    assert sfumato(*words, "--seeds", "2", "-q").out == "here/ladder.png\n"
    assert engine.finished == 6


def test_the_steps_of_a_picture_in_question_are_not_its_own(sfumato: Sfumato):
    sfumato("generate", "fox", "--seed", "8", "--sampler", "euler", "--out", "a.png")
    answer = sfumato("steps", "--from", "a.png", "--ladder", "2,3,4")
    assert answer.status == 0, answer.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "steps needs a prompt"),
        (["fox", "--steps", "8"], "give those to try as --ladder"),
        (["fox", "--ladder", "4,8"], "3 to 20 rising numbers"),
        (["fox", "--ladder", "a,b"], "--ladder is 'a,b', but must be like 4,8,16,32"),
        (["fox", "--seeds", "0"], "seeds is 0"),
        (["fox", "--count", "2"], "count is 2"),
    ],
)
def test_a_bad_ladder_is_refused_before_the_model_is_loaded(
    sfumato: Sfumato, engine: FakeEngine, words: list[str], expected: str
):
    assert expected in sfumato("steps", *words).refused()
    assert engine.made == []
