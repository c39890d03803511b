"""A training's recipe from a TOML file: every number by its name, anything else refused by name.

A table stands for each part of the recipe, as in::

    compiled = false
    [denoiser]
    batch = 32
    [denoiser_loop]
    steps = 2000
"""

import tomllib
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast, get_args

from sfumato.errors import RequestError
from sfumato.train.captions import STYLES
from sfumato.train.precision import Precision
from sfumato.train.recipe import Recipe

__all__ = ["read_recipe"]

# These count something that there must be one of; any other number may be 0.
_AT_LEAST_ONE = frozenset(
    {"steps", "batch", "pairs", "crop", "bank", "pictures", "length", "size"}
    | {"log_steps", "validate_steps", "width"}
)
_MAY_BE_NEGATIVE = frozenset({"centre"})


class _Settings(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Part = TypeVar("Part", bound=_Settings)


def read_recipe(path: Path, usual: Recipe | None = None) -> Recipe:
    """The recipe of a file; what it does not say stays as ``usual``, else the bundled model's.

    Raises RequestError for a missing file, one that is no TOML, an unknown name (with the nearest)
    or a value of the wrong kind.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not TOML: {error}.") from error
    except OSError as error:
        raise RequestError(f"There is no recipe to read at {path}: {error.strerror}.") from error
    return _changed(Recipe() if usual is None else usual, table, "")


def _changed(part: Part, table: Mapping[str, object], lead: str) -> Part:
    """A copy of a dataclass with the table's values in place of its own."""
    known = [f.name for f in fields(part)]
    changes: dict[str, Any] = {}
    for name, value in table.items():
        full = f"{lead}{name}"
        if name not in known:
            near = get_close_matches(name, known, n=2, cutoff=0.4) or known
            raise RequestError(
                f"A recipe has no setting {full!r}. Did you mean {' or '.join(near)}?"
            )
        now: object = getattr(part, name)
        if is_dataclass(now) and not isinstance(now, type):
            if not isinstance(value, dict):
                raise RequestError(f"{full} is {value!r:.40}, but must be a table: [{full}].")
            changes[name] = _changed(cast(Any, now), cast(Mapping[str, object], value), f"{full}.")
        elif name == "styles":
            changes[name] = _styles(value, full)
        elif name == "precision":
            if value not in get_args(Precision):
                raise RequestError(
                    f"{full} is {value!r:.40}, but must be {', '.join(get_args(Precision))}."
                )
            changes[name] = value
        else:
            changes[name] = _like(value, now, name, full)
    return replace(part, **changes)


def _like(value: object, now: object, name: str, full: str) -> object:
    """The value as what stands there now is: a truth, a whole number, a number, or several."""
    if isinstance(now, tuple):
        several, wanted = cast(tuple[object, ...], now), len(cast(tuple[object, ...], now))
        if not isinstance(value, list) or len(cast(list[object], value)) != wanted:
            raise RequestError(f"{full} is {value!r:.40}, but must be a list of {wanted} numbers.")
        pairs = zip(cast(list[object], value), several, strict=True)
        return tuple(_like(each, old, name, full) for each, old in pairs)
    if isinstance(now, bool) or isinstance(value, bool):
        if not (isinstance(now, bool) and isinstance(value, bool)):
            what = "true or false" if isinstance(now, bool) else "a number"
            raise RequestError(f"{full} is {value!r:.40}, but must be {what}.")
        return value
    if not isinstance(value, int if isinstance(now, int) else int | float):
        what = "a whole number" if isinstance(now, int) else "a number"
        raise RequestError(f"{full} is {value!r:.40}, but must be {what}.")
    number = cast(float, value)
    least = 1 if name in _AT_LEAST_ONE else 0
    if name not in _MAY_BE_NEGATIVE and not least <= number < float("inf"):
        raise RequestError(f"{full} is {number}, but must be {least} or more.")
    return number if isinstance(now, int) else float(number)


def _styles(value: object, full: str) -> tuple[tuple[str, float], ...]:
    """Each style's weight, from a table: styles = { 3d = 0.5, flat = 0.5 }."""
    if not isinstance(value, dict):
        raise RequestError(f'{full} is {value!r:.40}, but must be like {{ "3d" = 0.5, flat = 1 }}.')
    table = cast(dict[str, object], value)
    for style, weight in table.items():
        if style not in STYLES:
            raise RequestError(f"{full} names {style!r}; the styles are: {', '.join(STYLES)}.")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
            raise RequestError(f"{full}.{style} is {weight!r:.40}, but must be a weight from 0 up.")
    return tuple((style, float(cast(float, weight))) for style, weight in table.items())
