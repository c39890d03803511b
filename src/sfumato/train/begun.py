"""What a training was begun with, written beside its state and compared when it is taken up."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sfumato.errors import RequestError
from sfumato.images.files import write as write_bytes

__all__ = ["known", "odd", "write_down"]

Facts = Mapping[str, object]


def known(path: Path) -> Facts | None:
    """The facts of a file; None where there is none. Raises RequestError for a damaged one."""
    if not path.exists():
        return None
    try:
        return cast(Facts, json.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); train into another folder.") from error


def odd(facts: Facts, path: Path) -> list[str]:
    """The names of what is otherwise now than in the file; none where there is no file."""
    before, now = known(path), cast(Facts, json.loads(json.dumps(facts)))
    if before is None:
        return []
    return [name for name in now if before.get(name) != now[name]]


def write_down(facts: Facts, path: Path) -> None:
    """Writes the facts. Raises OutputError where that cannot be done."""
    write_bytes((json.dumps(facts, indent=1) + "\n").encode(), path)
