"""What docs/prompts.md says of each notation is so: every row of its tables, and its commands."""

import re
import shlex
from pathlib import Path

import pytest

from sfumato.catalog import model_spec
from sfumato.errors import PromptError
from sfumato.listing import listed, unread
from sfumato.request import Request
from sfumato.templates import combined
from sfumato.text.learnt import mentions, unescaped
from sfumato.text.prompt import fragments, parse
from sfumato.vocabulary import Taker, Vocabulary
from tests.cli.conftest import Sfumato, engine, sfumato

__all__ = ["engine", "sfumato"]  # fixtures

PAGE = (Path(__file__).resolve().parents[1] / "docs/prompts.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, their cells without ticks."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(lines) >= 6, heading
    cells = (re.split(r"(?<!\\)\|", line)[1:-1] for line in lines)
    return [[cell.strip().strip("`").replace("\\|", "|") for cell in row] for row in cells]


@pytest.mark.parametrize("row", rows("Weights"), ids=lambda row: row[0])
def test_weights(row: list[str]) -> None:
    groups = [
        " · ".join(
            piece.text.strip() + ("" if piece.weight == 1 else f" ×{piece.weight:.4g}")
            for piece in group
            if piece.text.strip()
        )
        for group in fragments(row[0])
    ]
    assert " / ".join(groups) == row[1]


@pytest.mark.parametrize("row", rows("Changes on the way"), ids=lambda row: row[0])
def test_changes_on_the_way(row: list[str]) -> None:
    prompt = parse(row[0])
    assert [prompt.at(step, 10)[0][0] for step in (1, 2, 6, 10)] == row[1:]


@pytest.mark.parametrize("row", rows("Several prompts at once: AND"), ids=lambda row: row[0])
def test_and(row: list[str]) -> None:
    heard = parse(row[0]).at(10, 10)
    assert "; ".join(f"{text} ×{weight:g}" for text, weight in heard) == row[1]


@pytest.mark.parametrize("row", rows("Embeddings"), ids=lambda row: row[0])
def test_embeddings(row: list[str]) -> None:
    texts = map(unescaped, parse(row[0]).texts)
    found = [m.name for text in texts for m in mentions(text, ["EasyNegative"])]
    assert found == (["EasyNegative"] if row[1] == "yes" else [])


@pytest.mark.parametrize("row", rows("Long prompts"), ids=lambda row: row[0])
def test_long_prompts_by_model(row: list[str]) -> None:
    name, chunks, t5, embeddings = row
    spec = model_spec(name)
    (prompt, _) = listed(spec, Request("fox " * 200), {})
    assert ("refused" if prompt.beyond else str(len(prompt.chunks))) == chunks
    assert ("all" if unread(spec) else "no") == t5
    asked = Request("a fox, embedding:easy")
    with pytest.raises(PromptError) as refused:
        Vocabulary([]).heard(asked, Taker(name, spec.embeds))
    assert ("takes none" in str(refused.value)) == (embeddings == "refused")


@pytest.mark.parametrize("row", rows("Choices and wildcards"), ids=lambda row: row[0])
def test_choices(row: list[str], tmp_path: Path) -> None:
    (tmp_path / "animal.txt").write_text("cat\ndog\n")
    assert combined(row[0], 10, tmp_path) == row[1].split("; ")


def test_the_commands_make_pictures(sfumato: Sfumato, tmp_path: Path) -> None:
    (file,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "prompts.txt").write_text(file)
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "animal.txt").write_text("cat\ndog\n")
    lines = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    assert len(lines) == 3
    for line in lines:
        name, *words = shlex.split(line)
        assert name == "sfumato"
        assert sfumato(*words).status == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 2 + 4
    assert len(list((tmp_path / "colours").glob("*.png"))) == 2
