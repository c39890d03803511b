"""Every package that sfumato asks for is pinned, to a version that fits what it asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILES = ("runtime.txt", "data.txt", "test.txt")


def pins(name: str) -> dict[str, str]:
    """The exact versions that one file gives, with those of the file it includes."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            exact = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line)
            assert exact is not None, f"{name}: {line} is not an exact version"
            found[exact[1]] = exact[2]
    return found


def project() -> dict[str, list[str]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {
        "runtime.txt": table["project"]["dependencies"] + table["build-system"]["requires"],
        "data.txt": table["project"]["optional-dependencies"]["data"],
        "test.txt": table["project"]["optional-dependencies"]["hub"],
    }


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_an_exact_version(name: str) -> None:
    assert len(pins(name)) > 10


@pytest.mark.parametrize("name", ["runtime.txt", "data.txt", "test.txt"])
def test_what_the_package_asks_for_is_pinned_within_its_range(name: str) -> None:
    for text in project()[name]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(pins(name)[canonicalize_name(wanted.name)]), text


def test_torch_is_pinned_without_a_build_so_that_any_build_of_it_fits() -> None:
    assert pins("runtime.txt")["torch"] == "2.13.0"


def test_the_runtime_does_not_need_what_only_tests_need() -> None:
    assert not {"diffusers", "transformers", "pytest", "resvg-py"} & set(pins("runtime.txt"))
