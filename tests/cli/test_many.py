"""`sfumato generate` for many prompts: files of wishes, choices, and going on where it stopped."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.recipe import NUMERICS, Picture, Recipe, read
from tests.cli.conftest import Sfumato
from tests.cli.fake import FakeEngine


def recipe(path: Path) -> Recipe:
    found = read(path).recipe
    assert found is not None
    return found


def requests(folder: Path) -> dict[str, object]:
    return {path.name: recipe(path).request for path in sorted(folder.glob("*.png"))}


def test_each_line_is_a_picture_with_its_own_name_and_recipe(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "p.txt").write_text("# mine\na red fox\n\n  a cat  \na red fox\n")
    answer = sfumato("generate", "--prompts", "p.txt", "--steps", "3", "--out", "o", "-q")
    assert answer.status == 0, answer.err
    made = [tmp_path / line for line in answer.out.splitlines()]
    assert [recipe(path).request.prompt for path in made] == ["a red fox", "a cat", "a red fox"]
    assert len({recipe(path).request.seed for path in made}) == 3
    assert {recipe(path).request.steps for path in made} == {3}


def test_what_is_there_is_not_made_again(sfumato: Sfumato, tmp_path: Path, engine: FakeEngine):
    file = tmp_path / "p.txt"
    file.write_text("a fox\na cat\n")
    words = ("generate", "--prompts", "p.txt", "--out", "o")
    sfumato(*words)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "o").iterdir()}
    (first, *_) = before
    first.unlink()
    file.write_text("a dog\na fox\na cat\n")
    answer = sfumato(*words)
    assert "3 pictures, 1 there already, in o" in answer.err
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "o").iterdir()}
    assert len(after) == 3
    assert {p: t for p, t in after.items() if p in before and p != first} == {
        p: t for p, t in before.items() if p != first
    }
    # Other settings are other pictures, under the next free name; and those are found again too.
    sfumato(*words, "--steps", "2")
    assert len(list((tmp_path / "o").iterdir())) == 6
    assert "3 pictures, 3 there already" in sfumato(*words, "--steps", "2").err
    assert "3 pictures, 3 there already" in sfumato(*words).err


@pytest.mark.parametrize(
    "more", [("--interval", "0.2,4"), ("--upscale", "2"), ("--steps", "2"), ("--guidance", "2")]
)
def test_what_was_made_with_more_than_is_asked_for_is_not_there_already(
    sfumato: Sfumato, tmp_path: Path, more: tuple[str, str]
):
    (tmp_path / "p.txt").write_text("a fox\n")
    words = ("generate", "--prompts", "p.txt", "--seed", "5", "--out", "o", "-q")
    assert sfumato(*words, *more).out == "o/a-fox-5.png\n"
    assert sfumato(*words).out == "o/a-fox-5-2.png\n"
    assert sfumato(*words, *more).out == sfumato(*words).out == ""  # each is there now


@pytest.mark.parametrize("other", [{"sha256": "ab" * 32}, {"numerics": NUMERICS + 1}])
def test_what_another_model_or_version_made_is_not_there_already(
    sfumato: Sfumato, tmp_path: Path, other: dict[str, Any]
):
    (tmp_path / "p.txt").write_text("a fox\n")
    words = ("generate", "--prompts", "p.txt", "--seed", "5", "--out", "o", "-q")
    sfumato(*words)
    place = tmp_path / "o" / "a-fox-5.png"
    Picture(Image.open(place), replace(recipe(place), **other)).save(place)
    before = place.read_bytes()
    assert sfumato(*words).out == "o/a-fox-5-2.png\n"
    assert place.read_bytes() == before
    assert sfumato(*words).out == ""  # and now it is there


def test_another_precision_that_was_typed_is_another_picture(
    sfumato: Sfumato, tmp_path: Path, engine: FakeEngine
):
    (tmp_path / "p.txt").write_text("a fox\n")
    words = ("generate", "--prompts", "p.txt", "--seed", "5", "--out", "o", "-q")
    sfumato(*words)
    for typed in ([], ["--precision", "fp32"], ["--precision", "auto"], ["--device", "cpu"]):
        assert sfumato(*words, *typed).out == ""
    engine.precision = "bf16"
    assert sfumato(*words, "--precision", "bf16").out == "o/a-fox-5-2.png\n"


def test_what_was_typed_for_all_lines_outlives_the_like_of_one(sfumato: Sfumato, tmp_path: Path):
    rows = [{"prompt": "a (fox:1.2)", "like": "comfy"}, {"prompt": "a cat", "weighting": "plain"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("--prompts", "p.jsonl", "--weighting", "a1111", "--out", "o", "-q")
    fox, cat = (recipe(tmp_path / x).request for x in sfumato("generate", *words).out.splitlines())
    assert (fox.like, fox.weighting, fox.rounding) == ("comfy", "a1111", "truncate")
    assert cat.weighting == "plain"


def test_a_csv_takes_options_by_their_names_on_the_command_line(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "p.csv").write_text("prompt,text-encoder,interval\na fox,t5.safetensors,none\n")
    answer = sfumato("generate", "--prompts", "p.csv", "--interval", "1,5", "--out", "o", "-q")
    assert answer.status == 0, answer.err
    request = recipe(tmp_path / answer.out.strip()).request
    assert (request.text_encoders, request.interval) == (("t5.safetensors",), None)


def test_a_strangers_picture_of_that_name_is_left_alone(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "p.txt").write_text("a fox\n")
    (tmp_path / "o").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "o" / "a-fox-5.png")
    sfumato("generate", "--prompts", "p.txt", "--seed", "5", "--out", "o")
    assert recipe(tmp_path / "o" / "a-fox-5-2.png").request.seed == 5


def test_json_lines_may_give_any_field(sfumato: Sfumato, tmp_path: Path):
    Image.new("RGB", (64, 64)).save(tmp_path / "start.png")
    rows = [
        {"prompt": "a fox", "negative": "dull", "seed": 2**64 - 1, "width": 64, "height": 96},
        {"prompt": "a cat", "image": "start.png", "strength": 0.5, "count": 2, "seed": 1},
        {"embeddings": [], "seed": 3},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    answer = sfumato("generate", "--prompts", "p.jsonl", "--out", "o", "--steps", "4", "-q")
    assert answer.status == 0, answer.err
    fox, cat, second, empty = (recipe(tmp_path / line).request for line in answer.out.splitlines())
    assert (fox.negative, fox.seed, fox.height) == ("dull", 2**64 - 1, 96)
    assert cat.image is not None
    assert (cat.strength, cat.seed, second.seed) == (0.5, 1, 2)
    assert (empty.prompt, empty.steps) == ("", 4)


def test_csv_cells_are_read_as_options_are(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "p.csv").write_text(
        "\ufeffPrompt,steps,size,mask-invert,sampler\n"
        '"a fox, red",3,64x96,no,Euler a\n'
        "# a comment\n,,,,\na cat,,,,\n",
        encoding="utf-8",
    )
    answer = sfumato("generate", "--prompts", "p.csv", "--out", "o", "-q")
    assert answer.status == 0, answer.err
    fox, cat = (recipe(tmp_path / line).request for line in answer.out.splitlines())
    assert (fox.prompt, fox.steps, fox.height) == ("a fox, red", 3, 96)
    assert cat.prompt == "a cat"
    assert "2 there already" in sfumato("generate", "--prompts", "p.csv", "--out", "o").err


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": ', "p.jsonl, line 2: is not JSON"),
        ("p.jsonl", "[1]", "line 1: is no JSON object"),
        ("p.jsonl", '\n{"prompt": "a", "stepz": 3}', "line 2: a request has no field 'stepz'"),
        ("p.jsonl", '{"prompt": "a", "steps": "3"}', "line 1: steps is '3'"),
        ("p.jsonl", '{"prompt": "a", "image": "none.png"}', "line 1: .*none.png"),
        ("p.jsonl", '{"prompt": "a", "sampler": "oiler"}', "line 1: .*oiler"),
        ("p.jsonl", '{"prompt": "a", "strength": 0.5}', "line 1: strength has no effect"),
        ("p.jsonl", "[" * 100_000, "line 1: is not JSON"),
        ("p.csv", "prompt,steps\na,many", "p.csv, line 2: steps is 'many'"),
        ("p.csv", "prompt,steps\na,b,c", "line 2: has 3 cells"),
        ("p.csv", "prompt,wander\na,perhaps", "line 2: wander is 'perhaps'"),
        ("p.csv", 'prompt\n"a', "line 2: is not CSV"),
        ("p.txt", "# nothing\n\n", "p.txt holds no prompt"),
        ("p.txt", b"a fox\n\xff\xfe", "p.txt, line 2: is not UTF-8"),
        ("p.txt", "a fox\na {b", "line 2: The template"),
    ],
)
def test_a_bad_line_is_told_by_its_number_before_anything_is_made(
    sfumato: Sfumato, tmp_path: Path, name: str, text: str | bytes, match: str
):
    import re

    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(data)
    answer = sfumato("generate", "--prompts", name, "--dynamic", "--out", "o")
    assert re.search(match, answer.refused())
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("a fox", "--prompts", "p.txt"), "a prompt was given, and --prompts as well"),
        (("--prompts", "none.txt"), "none.txt cannot be read"),
        (("--prompts", "p.txt", "--filmstrip", "f.png"), "--filmstrip and --animate are for one"),
        (("--prompts", "p.txt", "--out", "o.png"), "must be a folder"),
        (("--prompts", "p.txt", "--from", "x.png"), "--from is for one picture"),
        (("{a|b}", "--combine", "--count", "2"), "count is 2, and --combine"),
        (("{a|b}" * 12, "--combine"), "more than 1000 prompts"),
        (("{a|b|c} {d|e|f|g|h|i|j|k|l|m|n}" * 2, "--combine", "--negative", "{a|b}"), "1000"),
        (("__x__", "--wildcards", "none"), "no folder of wildcards"),
    ],
)
def test_what_has_no_meaning_for_many_is_refused(
    sfumato: Sfumato, tmp_path: Path, words: tuple[str, ...], match: str
):
    (tmp_path / "p.txt").write_text("a fox\n")
    assert match in sfumato("generate", *words).refused()


def test_a_wildcard_outside_of_the_folder_is_refused_in_our_words_alone(tmp_path: Path):
    """In a process of its own: pytest takes what the package logs, and a terminal shows it."""
    words = ["generate", "a __../../etc/passwd__", "--wildcards", ".", "--out", "o"]
    done = subprocess.run(
        [sys.executable, "-m", "sfumato", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No file of wildcards has the name ../../etc/passwd" in line


def test_every_picture_draws_its_words_by_its_own_seed(sfumato: Sfumato, tmp_path: Path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "animal.txt").write_text("cat\ndog\nfox\nowl\n")
    template = "a {red|blue|green} __animal__"
    words = ("generate", template, "--negative", "{dull|grey}", "--wildcards", "w", "-q")
    answer = sfumato(*words, "--count", "4", "--seed", "7", "--out", "o")
    made = [recipe(tmp_path / line).request for line in answer.out.splitlines()]
    assert [one.seed for one in made] == [7, 8, 9, 10]
    assert len({one.prompt for one in made}) > 1
    assert {one.template for one in made} == {template}
    assert {one.negative_template for one in made} == {"{dull|grey}"}
    line = sfumato(*words, "--seed", "9", "--out", "p").out.strip()
    assert recipe(tmp_path / line).request == made[2]
    assert f"Template: {template}" in recipe(tmp_path / line).parameters()
    assert "template  a {red" in sfumato("info", line).out


def test_combine_makes_one_picture_of_each(sfumato: Sfumato, tmp_path: Path):
    answer = sfumato(
        "generate", "a {red|blue} {fox|cat}", "--combine", "--seed", "3", "--out", "o", "-q"
    )
    made = [recipe(tmp_path / line).request for line in answer.out.splitlines()]
    assert [one.prompt for one in made] == ["a red fox", "a red cat", "a blue fox", "a blue cat"]
    assert {one.seed for one in made} == {3}


def test_braces_are_letters_unless_it_is_asked_for(sfumato: Sfumato, tmp_path: Path):
    sfumato("generate", "a {red|blue} fox __x__", "--out", "a.png")
    assert recipe(tmp_path / "a.png").request.prompt == "a {red|blue} fox __x__"
    assert recipe(tmp_path / "a.png").request.template == ""


def test_what_the_model_does_not_know_or_lacks_is_told_once_for_many_prompts(
    sfumato: Sfumato, tmp_path: Path, engine: FakeEngine
):
    engine.words, engine.absent = frozenset({"red", "fox"}), ("T5 (text encoder 3)",)
    file = tmp_path / "prompts.txt"
    file.write_text("a red fox\na submarine\na submarine under a fox\n")
    told = sfumato("generate", "--prompts", str(file)).err
    assert told.count("paints without its T5 (text encoder 3), which") == 1
    assert told.count('never shown "submarine", and may') == 1
    assert told.count('never shown "under", and may') == 1
    assert "never" not in sfumato("generate", "--prompts", str(file), "-q", "--seed", "9").err
