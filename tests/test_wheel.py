"""The wheel, built from what git keeps, holds the whole package and works outside the tree."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOX = ("generate", "a red fox, 3d", "--seed", "7", "--steps", "2", "--out", "fox.png")


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without the surroundings of this one, and show what it said if it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, cwd=cwd, env=kept, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git keeps or would keep, so that the build leaves nothing here."""
    copy = tmp_path_factory.mktemp("checkout")
    git = ("git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others")
    listed = run(*git, "--exclude-standard", cwd=ROOT).stdout.split("\0")
    for name in listed:
        if name and (source := ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; the build backend is the pinned one that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-index")
    run(*pip, "--no-deps", "--no-build-isolation", "-w", folder, checkout, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment with the wheel, which borrows only libraries."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv)
    bin_, site = (
        Path(sysconfig.get_path(kind, "venv", {"base": str(venv), "platbase": str(venv)}))
        for kind in ("scripts", "purelib")
    )
    # A folder in a .pth file is searched, but .pth files in it (our editable install) are not read.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", bin_ / "python")
    run(*pip, "install", "--no-index", "--no-deps", "--ignore-installed", wheel, cwd=venv)
    return bin_


def test_the_wheel_holds_every_file_of_the_package(wheel: Path, checkout: Path) -> None:
    source = checkout / "src"
    package = {
        path.relative_to(source).as_posix()
        for path in (source / "sfumato").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("sfumato/")}
    assert packed == package
    assert "sfumato/py.typed" in packed


def test_the_wheel_carries_the_bundled_model_and_vocabularies(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assets = [name for name in names if name.startswith("sfumato/assets/")]
    assert [name for name in assets if name.endswith(".safetensors")]
    assert [name for name in assets if "vocab" in name or "merges" in name]


def test_the_wheel_carries_the_licence_and_the_notice(wheel: Path) -> None:
    licences = [name for name in zipfile.ZipFile(wheel).namelist() if "/licenses/" in name]
    assert {name.rsplit("/", 1)[1] for name in licences} == {"LICENSE", "NOTICE"}


def test_what_is_imported_is_the_wheel(programs: Path, tmp_path: Path) -> None:
    where = run(programs / "python", "-c", "import sfumato; print(sfumato.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(programs.parent)


def test_every_console_script_says_its_version(wheel: Path, programs: Path, tmp_path: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (table,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    entries = ConfigParser()
    entries.read_string(archive.read(table).decode())
    assert list(entries["console_scripts"]) == ["sfumato"]
    for name in entries["console_scripts"]:
        assert version("sfumato") in run(programs / name, "--version", cwd=tmp_path).stdout
        assert run(programs / name, "--help", cwd=tmp_path).stdout


def test_the_module_runs_as_a_program(programs: Path, tmp_path: Path) -> None:
    done = run(programs / "python", "-m", "sfumato", "--version", cwd=tmp_path)
    assert version("sfumato") in done.stdout


def test_the_installed_package_paints(programs: Path, tmp_path: Path) -> None:
    run(programs / "sfumato", *FOX, cwd=tmp_path)
    assert (tmp_path / "fox.png").read_bytes().startswith(b"\x89PNG")
