"""Each system has its own place for what a program made and for what it remembers."""

import sys
from pathlib import Path

import pytest

from sfumato.cli.folders import data_folder, hashes_file
from sfumato.errors import OutputError


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user with a home, who has set nothing."""
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("linux", ".local/share/sfumato"),
        ("darwin", "Library/Application Support/sfumato"),
        ("win32", "AppData/Local/sfumato"),
    ],
)
def test_data_lies_where_the_system_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, place: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert data_folder() == tmp_path / place


@pytest.mark.parametrize(
    ("platform", "name"), [("linux", "XDG_DATA_HOME"), ("win32", "LOCALAPPDATA")]
)
def test_the_environment_may_name_another_place(
    monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(name, "elsewhere")
    assert data_folder() == Path("elsewhere/sfumato")


def test_hashes_lie_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hashes_file() == tmp_path / ".cache" / "sfumato" / "hashes.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    assert hashes_file() == Path("elsewhere/sfumato/hashes.json")


def test_a_user_without_a_home_must_name_a_folder_and_needs_no_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(OutputError, match="--home"):
        data_folder()
    assert hashes_file() is None
