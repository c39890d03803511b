"""An axis of a sheet: one field of a request, and the values that it takes from cell to cell."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import cast

from sfumato.errors import RequestError
from sfumato.limits import FILES
from sfumato.parameters import file_name
from sfumato.request import Request

__all__ = ["PAIRS", "Axis", "parse_axis"]

MOST_VALUES = 500
# What is typed as one, such as 512x768.
PAIRS: Mapping[str, tuple[str, str]] = {
    "size": ("width", "height"),
    "seed_size": ("seed_width", "seed_height"),
}
_TEXTS = ("prompt", "negative")
_FILES = ("image", "mask")
_RECORDS = ("template", "negative_template")  # what was written down of a prompt, for the record
# What is typed with commas, which part the values of an axis.
_LISTS = ("sigmas", "interval", "embeddings", "text_encoders", "pag_layers", "slg_layers")
_MORE = ("slg_during", "crop", "negative_crop", "original_size", "negative_original_size")
_NEVER = (*_RECORDS, "count", *_LISTS, *_MORE, "target_size", "negative_target_size")
_YES_NO: Mapping[str, bool] = {
    "true": True,
    "yes": True,
    "on": True,
    "false": False,
    "no": False,
    "off": False,
}
_AXIS = re.compile(r'\s*([\w-]+)\s*(?::("(?:[^"]|"")*"|[^=]*))?=(.*)', re.DOTALL)
_RANGE = re.compile(r"(-?[\d.]*\d)\.\.(-?[\d.]*\d)(?:\+([\d.]*\d))?")
_SIZE = re.compile(r"(\d{1,5})(?:[x×](\d{1,5}))?")

ReadFile = Callable[[str, str], object]  # (field, place) -> Source


@dataclass(frozen=True)
class Axis:
    """What changes along one side of a sheet.

    field: of `Request`, or "size" or "seed_size", whose values are (width, height).
    values: of the field's type; where there is a `needle`, the texts that take its place in the
        prompt or the negative prompt (A1111 calls that "Prompt S/R").
    labels: each value as it was typed; a file without its folder.
    """

    field: str
    values: tuple[object, ...]
    labels: tuple[str, ...]
    needle: str | None = None

    @property
    def name(self) -> str:
        """The axis as it stands on a sheet."""
        return self.field if self.needle is None else f"{self.field}: {self.needle}"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `Request` that it changes."""
        return PAIRS.get(self.field, (self.field,))

    def onto(self, values: Mapping[str, object], number: int) -> dict[str, object]:
        """The fields of a request with those of value `number` in their place.

        Raises RequestError where what is to be replaced is not there.
        """
        value = self.values[number]
        if self.needle is not None:
            text = str(values[self.field])
            if self.needle not in text:
                raise RequestError(
                    f"{self.field} does not hold {self.needle!r:.60}, so nothing can take its "
                    "place; write it as in the prompt."
                )
            return {**values, self.field: text.replace(self.needle, str(value))}
        if self.field in PAIRS:
            width, height = cast("tuple[int, int]", value)
            return {**values, **dict(zip(PAIRS[self.field], (width, height), strict=True))}
        return {**values, self.field: value}

    def to_dict(self) -> dict[str, object]:
        """The axis as plain JSON; its labels are its values, as they are typed."""
        return {"field": self.field, "needle": self.needle, "values": list(self.labels)}


def parse_axis(text: str, read_file: ReadFile | None = None) -> Axis:
    """The axis of "steps=4,8,16", "seed=1..9+2", "size=512,512x768" or "prompt:red=red,blue".

    Values are separated by commas; one that holds a comma stands in double quotes. `1..9+2` are
    1, 3, 5, 7 and 9; `9..1` goes down. `read_file` makes a source of a picture's place for the
    fields image and mask, which are refused without it. Raises RequestError.
    """
    found = _AXIS.fullmatch(text)
    if found is None:
        raise RequestError(
            f"an axis is {text!r:.60}, but must be like steps=4,8,16 or seed=1..3 or "
            "prompt:red=red,green."
        )
    field, needle, listed = found[1].replace("-", "_"), found[2], found[3]
    _check_field(field, read_file is not None)
    if needle is not None:
        needle = _unquoted(needle)
        if field not in _TEXTS or not needle:
            raise RequestError(
                f"{field}:{needle} replaces words, which only prompt and negative have; "
                "write prompt:WORD=WORD,OTHER."
            )
    items = _items(field, listed)
    if field not in _TEXTS:
        items = [one for item in items for one in _spread(field, item.strip())]
    if len(items) > MOST_VALUES:
        raise RequestError(f"{field} has {len(items)} values; at most {MOST_VALUES} are taken.")
    twice = next((item for i, item in enumerate(items) if item in items[:i]), None)
    if twice is not None:
        raise RequestError(f"{field} has {twice!r:.40} twice; give each value once.")
    values = tuple(_typed(field, item, read_file) for item in items)
    return Axis(field, values, _labels(field, items), needle)


def _labels(field: str, items: list[str]) -> tuple[str, ...]:
    """The values as they were typed; of files their names, where these tell them apart."""
    if field not in (*_FILES, *FILES):
        return tuple(items)
    names = [file_name(item) for item in items]
    return tuple(names if len(set(names)) == len(names) else items)


def _check_field(field: str, files: bool) -> None:
    kinds = {f.name: str(f.type) for f in fields(Request)}
    if field == "count":
        raise RequestError("count cannot be an axis, for a cell is one picture; take seed=1..3.")
    kind = None if field in PAIRS else kinds.get(field, "").removesuffix(" | None")
    if field not in _FILES and kind not in (None, "", "int", "float", "str", "bool"):
        raise RequestError(f"{field} cannot be an axis, for it is not one value.")
    if field in _FILES and not files:
        raise RequestError(f"{field} cannot be an axis here; its pictures would have to be sent.")
    if field in _RECORDS:
        raise RequestError(f"{field} cannot be an axis, for it decides nothing; take prompt.")
    if field not in kinds and field not in PAIRS:
        known = [name for name in [*kinds, *PAIRS] if name not in _NEVER]
        near = get_close_matches(field, known, n=2, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}."
        raise RequestError(f"an axis is {field!r:.40}, which a request does not have{hint}")


def _items(field: str, listed: str) -> list[str]:
    """The values as they were typed, without their quotes."""
    try:
        rows = list(csv.reader([listed], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise RequestError(f"the values of {field} cannot be read ({error}).") from error
    items = rows[0] if rows else []
    if not items or any(item == "" and field not in _TEXTS for item in items):
        raise RequestError(f"{field} has an empty value; give values, such as {field}=1,2.")
    return items


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _spread(field: str, item: str) -> list[str]:
    """A range as its values, anything else as it is."""
    kind = _kind(field)
    found = _RANGE.fullmatch(item)
    if found is None or kind not in ("int", "float"):
        return [item]
    try:
        first, last = Decimal(found[1]), Decimal(found[2])
        step = Decimal(1) if found[3] is None else Decimal(found[3])
    except InvalidOperation as error:
        raise RequestError(f"{field} has {item!r:.40}, which is no range of numbers.") from error
    if kind == "float" and found[3] is None:
        raise RequestError(f"{field} has {item!r:.40}; say by how much, such as {item}+0.5.")
    if step <= 0:
        raise RequestError(f"{field} has {item!r:.40}, whose step is not above 0.")
    count = int(abs(last - first) / step) + 1
    if count > MOST_VALUES:
        raise RequestError(f"{field} has {item!r:.40}, {count} values; at most {MOST_VALUES}.")
    sign = 1 if last >= first else -1
    return [_plain(first + sign * step * i) for i in range(count)]


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _kind(field: str) -> str:
    kinds = {f.name: str(f.type).removesuffix(" | None") for f in fields(Request)}
    return "pair" if field in PAIRS else kinds[field]


def _typed(field: str, item: str, read_file: ReadFile | None) -> object:
    """One value, of the type that its field has. Raises RequestError by the field's name."""
    kind = _kind(field)
    if kind == "pair":
        size = _SIZE.fullmatch(item.lower())
        if size is None:
            raise RequestError(f"{field} is {item!r:.40}, but must be like 512x768, or 512.")
        return int(size[1]), int(size[2] or size[1])
    if kind == "bool":
        if item.lower() not in _YES_NO:
            raise RequestError(f"{field} is {item!r:.40}, but must be yes or no.")
        return _YES_NO[item.lower()]
    if field in _FILES:
        assert read_file is not None
        return read_file(field, item)
    try:
        return int(item) if kind == "int" else float(item) if kind == "float" else item
    except ValueError as error:
        what = "a whole number" if kind == "int" else "a number"
        raise RequestError(f"{field} is {item!r:.40}, but must be {what}.") from error
