"""Whether a value may stand in a field: each check refuses by the field's name what may not.

A check is a function (name, value) -> the value to keep. Raises RequestError, which says what came
and what was expected.
"""

from collections.abc import Callable
from typing import TypeAlias, cast

from sfumato.errors import RequestError

__all__ = [
    "Check",
    "came",
    "flag",
    "named",
    "names",
    "one_number_of",
    "one_of",
    "real",
    "reals",
    "side",
    "text",
    "whole",
    "wholes",
]

MOST_NAMES = 8  # in a list of them

Check: TypeAlias = Callable[[str, object], object]


def text(name: str, value: object) -> str:
    """Any text that is valid Unicode and holds no NUL, at which a picture's own text would end."""
    if not isinstance(value, str):
        raise RequestError(f"{name} is {came(value)}, but must be text.")
    bad = next((i for i, char in enumerate(value) if "\ud800" <= char <= "\udfff"), None)
    if bad is not None:
        raise RequestError(
            f"{name} is not valid Unicode at character {bad + 1}; write it as UTF-8 text."
        )
    if "\0" in value:
        raise RequestError(
            f"{name} holds a NUL at character {value.index(chr(0)) + 1}, which no picture's text "
            "and no command line can hold; take it out."
        )
    return value


def named(name: str, value: object) -> str:
    """Text that could name something: not empty."""
    given = text(name, value)
    if given == "":
        raise RequestError(f"{name} is empty; give a name, or leave it out for the model's own.")
    return given


def names(name: str, value: object) -> tuple[str, ...]:
    """A list of texts that could each name something; of at most 8."""
    if not isinstance(value, list | tuple):
        raise RequestError(f"{name} is {came(value)}, but must be a list of names.")
    given = cast("list[object] | tuple[object, ...]", value)
    if len(given) > MOST_NAMES:
        raise RequestError(f"{name} has {len(given)} names, but may have {MOST_NAMES}.")
    return tuple(named(name, each) for each in given)


def flag(name: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise RequestError(f"{name} is {came(value)}, but must be true or false.")
    return value


def one_of(names: tuple[str, ...]) -> Check:
    """One of these names."""

    def check(name: str, value: object) -> object:
        if value not in names:
            raise RequestError(f"{name} is {value!r:.40}, but must be one of {_or(names)}.")
        return value

    return check


def whole(low: int, high: int) -> Callable[[str, object], int]:
    """A whole number from low to high."""

    def check(name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise RequestError(f"{name} is {came(value)}, but must be a whole number.")
        if not low <= value <= high:
            raise RequestError(f"{name} is {_shown(value)}, but must be between {low} and {high}.")
        return value

    return check


def one_number_of(numbers: tuple[int, ...]) -> Check:
    """One of these whole numbers."""

    def check(name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value not in numbers:
            known = " or ".join(map(str, numbers))
            raise RequestError(f"{name} is {came(value)}, but must be {known}.")
        return value

    return check


def side(low: int, high: int, step: int) -> Check:
    """A whole number from low to high that `step` divides."""
    within = whole(low, high)

    def check(name: str, value: object) -> int:
        pixels = within(name, value)
        if pixels % step:
            below = pixels - pixels % step
            raise RequestError(
                f"{name} is {pixels}, but must be a multiple of {step}; "
                f"the nearest are {below} and {below + step}."
            )
        return pixels

    return check


def real(low: float, high: float) -> Check:
    """A number from low to high; kept as float, so that 7 and 7.0 make equal requests."""

    def check(name: str, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise RequestError(f"{name} is {came(value)}, but must be a number.")
        if not low <= value <= high:  # NaN compares false, so it is refused here too
            raise RequestError(
                f"{name} is {_shown(value)}, but must be between {low:g} and {high:g}."
            )
        return float(value)

    return check


def reals(low: float, high: float, most: int) -> Check:
    """A list of 1 to `most` numbers from low to high; kept as a tuple of floats."""
    return _several(real(low, high), "numbers", most)


def _several(each: Check, kind: str, most: int, least: int = 1) -> Check:
    def check(name: str, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise RequestError(f"{name} is {came(value)}, but must be a list of {kind}.")
        given = cast("list[object] | tuple[object, ...]", value)
        if not least <= len(given) <= most:
            many = f"{least} to {most}" if least < most else str(most)
            raise RequestError(f"{name} has {len(given)} numbers, but must have {many}.")
        return tuple(each(name, one) for one in given)

    return check


def wholes(low: int, high: int, most: int, least: int = 1) -> Check:
    """A list of `least` to `most` whole numbers from low to high, kept as a tuple."""
    return _several(whole(low, high), "whole numbers", most, least)


def came(value: object) -> str:
    """A value and its type, as errors tell them."""
    shown = _shown(value) if isinstance(value, int) else repr(value)
    return f"{shown if len(shown) <= 40 else shown[:37] + '...'} ({type(value).__name__})"


def _shown(value: float) -> str:
    # Python refuses to write out an integer of thousands of digits.
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    return str(value)


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
