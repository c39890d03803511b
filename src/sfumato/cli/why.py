"""`sfumato why`: in what the recipes of two pictures differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import typer

from sfumato.choose.compare import distance
from sfumato.choose.why import differences, summary
from sfumato.cli.options import shown
from sfumato.cli.screen import columns, say
from sfumato.images import read_picture
from sfumato.recipe import read

__all__ = ["why"]

_LONGEST = 60  # letters of a value in a column


def why(a: Path, b: Path, *, as_json: bool) -> None:
    """Tell in what two pictures differ. Raises `PictureError` where one says nothing."""
    found = differences(read(a), read(b))
    images = [read_picture(path)[0] for path in (a, b)]
    apart = distance(*images)
    told = summary(found, apart, sizes_differ=apart is None)
    if as_json:
        table = {
            "a": str(a),
            "b": str(b),
            "differences": {one.field: one.to_dict() for one in found},
            "pixels": None if apart is None else apart.to_dict(),
            "summary": told,
        }
        typer.echo(json.dumps(table, indent=2))
        return
    say(told)
    rows = [(one.field.replace("_", " "), _cell(one.a), _cell(one.b), one.does) for one in found]
    sizes = " and ".join(f"{one.width}x{one.height}" for one in images)
    pixels = f"other sizes: {sizes}" if apart is None else apart.words()
    if rows:
        say()
        columns(rows, head=("", _name(a), _name(b), "what that does"))
        say()
    say(f"pixels: {pixels}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):  # a picture to start from
        told = cast("dict[str, object]", value)
        return f"{told['width']}x{told['height']}, sha256 {str(told['sha256'])[:10]}…"
    text = " ".join((json.dumps(value) if isinstance(value, list) else shown(value)).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _name(path: Path) -> str:
    return path.name if len(path.name) <= _LONGEST else "…" + path.name[1 - _LONGEST :]
