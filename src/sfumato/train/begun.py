"""What a training was begun with, written beside its state and compared when it is taken up."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sfumato.errors import RequestError
from sfumato.images.files import write as write_bytes

__all__ = ["Facts", "known", "odd", "write_down"]

Facts = Mapping[str, object]


def known(path: Path) -> Facts | None:
    """The facts of a file; None where there is none. Raises RequestError for a damaged one."""
    if not path.exists():
        return None
    try:
        found: object = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(found, dict):
        raise _damaged(path, "no table of facts")
    return cast(Facts, found)


def _damaged(path: Path, why: str) -> RequestError:
    return RequestError(
        f"{path} is damaged: {why}.\n  Train into another folder, or remove that file if all is "
        "as it was when the training began."
    )


def odd(facts: Facts, path: Path) -> list[str]:
    """The names of what is otherwise now than in the file; none where there is no file."""
    before, now = known(path), cast(Facts, json.loads(json.dumps(facts)))
    if before is None:
        return []
    return [name for name in now if before.get(name) != now[name]]


def write_down(facts: Facts, path: Path) -> None:
    """Writes the facts. Raises OutputError where that cannot be done."""
    write_bytes((json.dumps(facts, indent=1) + "\n").encode(), path)
