"""Names of files come from the prompt, and are safe in every file system."""

from pathlib import Path

import pytest

from sfumato.cli.paths import free_name, numbered, slug


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red fox, 3D", "a-red-fox-3d"),
        ("", "picture"),
        ("!?", "picture"),
        ("../../etc/passwd", "etc-passwd"),
        ("snake_case_words", "snake-case-words"),
        ("one two three four five six seven", "one-two-three-four-five-six"),
        ("Füchse im Schnee", "füchse-im-schnee"),
        ("u\u0308ber", "über"),
        ("狐 雪", "狐-雪"),
        ("🦊", "picture"),
        ("x" * 100, "x" * 40),
        ("incomprehensibility of the misunderstandings", "incomprehensibility-of-the"),
    ],
)
def test_a_slug_is_the_first_words(prompt: str, name: str):
    assert slug(prompt) == name


def test_a_free_name_counts_up(tmp_path: Path):
    first = tmp_path / "fox-7.png"
    assert free_name(first) == first
    first.touch()
    assert free_name(first).name == "fox-7-2.png"
    (tmp_path / "fox-7-2.png").touch()
    assert free_name(first).name == "fox-7-3.png"


def test_numbers_stand_before_the_suffix():
    assert numbered(Path("a/fox.png"), 1, 3) == Path("a/fox-2.png")
    assert numbered(Path("a/fox.png"), 0, 1) == Path("a/fox.png")
