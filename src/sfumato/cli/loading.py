"""Loading modules without a search for garbage meanwhile: what they make is there to stay."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["unswept"]


@contextmanager
def unswept() -> Generator[None]:
    """Let nothing be collected while the block loads modules.

    Python looks for garbage whenever many objects are new, which while torch is loaded happens
    hundreds of times, finds next to nothing, and takes a tenth of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
