"""The pictures that clients sent to start from: PNG files, each named by its sha256."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sfumato.images import write
from sfumato.request import Request
from sfumato.server.errors import NoSuchInput
from sfumato.server.home import Home
from sfumato.source import Source

__all__ = ["Inputs"]

KEPT = 86_400.0  # seconds that a picture stays which was sent and not used, or not any more


class Inputs:
    """Keeps each picture once, however often it is sent, and gives it back to the pixel."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def put(self, source: Source) -> None:
        """On disk when it returns; raises OutputError, and PictureError for a mere reference."""
        if not self._touched(source.sha256):
            buffer = io.BytesIO()
            source.image().save(buffer, "PNG", compress_level=1)
            write(buffer.getvalue(), self._home.input(source.sha256))

    def get(self, sha256: str) -> Source:
        """The picture with its pixels; raises NoSuchInput, also for one that was damaged since."""
        found = self._kept(sha256)
        self._touched(sha256)
        if found is None:
            raise NoSuchInput(
                f"There is no picture {sha256!r:.80} here; send it again, then ask once more."
            )
        return found

    def fill(self, request: Request) -> Request:
        """The request with the pixels of its picture and mask; raises NoSuchInput."""
        image, mask = request.image, request.mask
        return replace(
            request,
            image=None if image is None else self.get(image.sha256),
            mask=None if mask is None else self.get(mask.sha256),
        )

    def sweep(self, referred: Callable[[], Collection[str]], *, after: float = KEPT) -> int:
        """Removes what nobody refers to and nobody has asked for since ``after`` seconds.

        Returns how many files that were.
        """
        old = [path for path in self._home.inputs.glob("*.png") if _age(path) > after]
        if not old:
            return 0
        kept, removed = referred(), 0
        for path in old:
            # Looked at again: a client may have asked for it while the references were read.
            if path.stem not in kept and _age(path) > after:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _touched(self, sha256: str) -> bool:
        """Whether it is there; whoever asks for it now will want it for a while."""
        if self._kept(sha256) is None:
            return False
        with suppress(OSError):
            os.utime(self._home.input(sha256))
        return True

    def _kept(self, sha256: str) -> Source | None:
        path = self._home.input(sha256)
        try:
            with Image.open(path, formats=("PNG",)) as image:
                image.load()
                found = Source.mask(image) if image.mode == "L" else Source.picture(image)
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
            return None
        return found if found.sha256 == sha256 else None


def _age(path: Path) -> float:
    """Seconds since somebody sent or asked for it; a file that is gone is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
