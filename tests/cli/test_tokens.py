"""`sfumato tokens` as a user has it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Sfumato
from tests.shelves.files import SD3, T5, sparse


def test_it_shows_chunks_tokens_and_weights(sfumato: Sfumato):
    answer = sfumato(
        "tokens", "a (photorealistic:1.3) [fox] AND rain:0.5", "--negative", "dull", "--model=sd15"
    )
    assert answer.status == 0
    assert answer.out.splitlines() == [
        "sd15: Stable Diffusion 1.x",
        "prompt",
        "  4 of 75 tokens",
        "    a photo×1.3|realistic×1.3 fox×0.9091",
        "prompt, weight 0.5",
        "  1 of 75 tokens",
        "    rain",
        "negative",
        "  1 of 75 tokens",
        "    dull",
    ]


def test_a_long_prompt_is_in_chunks_and_in_lines_of_the_terminal(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "50")
    out = sfumato("tokens", "a red fox, " * 40, "--model", "sdxl").out.splitlines()
    assert "  chunk 1 of 3: 72 of 75 tokens" in out
    assert max(map(len, out)) <= 50


def test_what_falls_off_is_named(sfumato: Sfumato):
    out = sfumato("tokens", "fox " * 31 + "狐").out
    assert "falls off: fox 狐" in out
    assert "cannot be read: 狐" in out


def test_a_network_that_painting_refuses_is_told(sfumato: Sfumato):
    out = sfumato("tokens", "a <lora:soft:1> fox").out
    assert "refused: <lora:soft:1>" in out
    assert "refused" not in sfumato("tokens", "a <lora:soft:1> fox", "--weighting", "plain").out


def test_programs_get_json(sfumato: Sfumato):
    found = json.loads(sfumato("tokens", "a (fox:1.2)", "--model", "sd15", "--json").out)
    assert found["model"] == "sd15"
    prompt = found["heard"][0]
    assert (prompt["what"], prompt["count"]) == ("prompt", 2)
    assert found["strange"] == []
    assert prompt["chunks"][0]["tokens"][1] == {
        "text": "fox", "id": 3240, "weight": 1.2, "ends": True, "learnt": False
    }  # fmt: skip


def test_a_reader_that_the_model_paints_without_is_told(sfumato: Sfumato, tmp_path: Path):
    bare = str(sparse(tmp_path / "bare.safetensors", SD3))
    whole = str(sparse(tmp_path / "whole.safetensors", {**SD3, **T5}))
    said = "T5 (text encoder 3): bare.safetensors does not hold it"
    assert said in sfumato("tokens", "a fox", "--model", bare).out
    assert "does not hold" not in sfumato("tokens", "a fox", "--model", whole).out


def test_what_the_model_was_never_shown_is_told(sfumato: Sfumato):
    assert "never shown to the model: sextant" in sfumato("tokens", "a sextant, flat").out
    assert "never shown" not in sfumato("tokens", "three foxes, flat").out
    told = json.loads(sfumato("tokens", "a sextant", "--json").out)
    assert told["strange"] == ["sextant"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("a", "--model", "nobody"), "nobody"),
        (("a", "--model", "none.safetensors"), "none.safetensors"),
        (("a", "--weighting", "loud"), "weighting is 'loud'"),
        (("a", "--steps", "0"), "steps is 0"),
        (("(" * 9000 + "a",), "weigh it without end"),
        (("embedding:ghost",), "embedding 'ghost'"),
    ],
)
def test_bad_words_are_refused(sfumato: Sfumato, words: tuple[str, ...], match: str):
    assert match in sfumato("tokens", *words).refused()
