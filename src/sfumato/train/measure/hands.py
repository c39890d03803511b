"""Whose drawing a look is: one vendor's looks of a subject are one drawing, and go out together."""

from collections.abc import Mapping

__all__ = ["HANDS"]

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
