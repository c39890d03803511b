"""The engine that commands paint with, made when one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.cli.generate import EngineLike


def real_engine(device: str, precision: str) -> EngineLike:
    """The engine of this machine; torch is loaded here, and not before."""
    from sfumato.cli.configuration import shelves
    from sfumato.engine import Engine

    return Engine(device=device, precision=precision, shelves=shelves())
