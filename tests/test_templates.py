"""Templates: the seed alone decides, nothing else of a prompt is touched, nothing is endless."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import PromptError
from sfumato.templates import combined, drawn


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "animal.txt").write_text("# mine\ncat\n\ndog\nfox\n")
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "pair.txt").write_text("{a|b} __animal__\n")
    (tmp_path / "loop.txt").write_text("x __loop__\n")
    (tmp_path / "lost.txt").write_text("__nobody__\n")
    return tmp_path


def test_the_seed_alone_decides(folder: Path) -> None:
    template = "a {red|green|blue} __animal__, {2$$x|y|z}"
    found = {drawn(template, seed, folder) for seed in range(40)}
    assert len(found) > 10
    for seed in (0, 7, 2**64 - 1):
        assert drawn(template, seed, folder) == drawn(template, seed, folder)
    # Pinned: a template that comes to mean other words is a picture that cannot be made again.
    assert drawn("a {red|green|blue} fox", 7) == "a blue fox"


def test_choices_weights_and_wildcards_mean_what_dynamicprompts_says(folder: Path) -> None:
    assert {drawn("{9::a|1::b}", seed) for seed in range(40)} == {"a", "b"}
    assert sum(drawn("{9::a|1::b}", seed) == "a" for seed in range(100)) > 75
    assert {drawn("__animal__", seed, folder) for seed in range(40)} == {"cat", "dog", "fox"}
    found = {drawn("__nested/pair__", seed, folder) for seed in range(60)}
    assert found == {f"{x} {y}" for x in "ab" for y in ("cat", "dog", "fox")}
    assert {drawn("{2$$ and $$a|b}", seed) for seed in range(20)} == {"a and b", "b and a"}
    assert drawn("${c=!{red|blue}}${c} ${c}", 3) in ("red red", "blue blue")


@given(
    st.text(st.sampled_from("ab ()[]:|\\<>.15,\nAND_"), max_size=60).filter(lambda t: "__" not in t)
)
def test_a_prompt_without_choices_is_left_as_it_is(text: str) -> None:
    assert drawn(text, 7) == text


def test_all_combinations_are_made_once(folder: Path) -> None:
    assert combined("{a|b} {c|d}", 10) == ["a c", "a d", "b c", "b d"]
    assert combined("__animal__", 10, folder) == ["cat", "dog", "fox"]
    assert combined("plain", 10) == ["plain"]
    assert combined("", 10) == [""]
    with pytest.raises(PromptError, match="gives more than 8 prompts"):
        combined("{a|b|c} {a|b|c}", 8)
    assert len(combined("{a|b|c} {a|b|c}", 9)) == 9


@pytest.mark.parametrize(
    ("template", "match"),
    [
        ("a {b|c", "cannot be read from character 3 on"),
        ("__nobody__", "No file of wildcards has the name nobody; there are animal"),
        ("__lost__", "No file of wildcards has the name nobody"),
        ("__loop__", "has no end"),
        ("${x}", "Variable x is not defined"),
        ("{" * 10_000 + "}" * 10_000, "braces 10000 deep, and 20 are read"),
    ],
)
def test_what_cannot_be_followed_is_refused(folder: Path, template: str, match: str) -> None:
    with pytest.raises(PromptError, match=match):
        drawn(template, 7, folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no folder of wildcards"):
        drawn("__x__", 7, tmp_path / "none")
    with pytest.raises(PromptError, match="give its folder with --wildcards"):
        drawn("__x__", 7)


@pytest.mark.parametrize("text", ["(" * 10_000, "[" * 10_000, "{a|" * 20 + "}" * 20, "a|" * 5000])
def test_long_templates_do_not_hang(text: str) -> None:
    begun = time.process_time()
    assert isinstance(drawn(text, 7), str)
    assert time.process_time() - begun < 30
