"""One command line with a fake engine, run in a folder of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.cli.kept import Today
from tests.cli.fake import DEFAULTS, FakeEngine


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    def refused(self) -> str:
        """The message of a refusal, which must have status 2 and one or two lines."""
        assert self.status == 2, self.err
        assert self.out == ""
        lines = self.err.splitlines()
        errors = [i for i, line in enumerate(lines) if line.startswith("error: ")]
        assert len(errors) == 1, self.err
        message = lines[errors[0] :]
        assert 1 <= len(message) <= 2, self.err
        assert "Traceback" not in self.err
        return " ".join(line.strip() for line in message)


Sfumato = Callable[..., Answer]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def sfumato(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    engine: FakeEngine,
) -> Sfumato:
    """Run the command with words and return its answer; the folder is `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Today, "_defaults", lambda self, wanted: DEFAULTS)

    def run(*words: str) -> Answer:
        status = main(words, make_engine=engine.make)
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    return run
