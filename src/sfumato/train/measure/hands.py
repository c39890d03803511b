"""Whose drawing a look is: one vendor's looks of a subject are one drawing, and go out together."""

from collections.abc import Mapping

__all__ = ["FOLDS", "HANDS", "fold_of"]

FOLDS = 5

HANDS: Mapping[str, int] = {
    "3d": 0,
    "gradient": 0,
    "flat": 0,
    "line art": 0,
    "cartoon": 1,
    "blob": 2,
    "sticker": 3,
    "soft": 4,
}


def fold_of(look: str, place: int) -> int:
    """Which fifth of the drawings it is of, by a drawn look and the subject's place in the list.

    All looks of one drawing are of the same.
    """
    return (HANDS[look] + place) % FOLDS
