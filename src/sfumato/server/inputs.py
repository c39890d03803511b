"""The pictures that clients sent to start from: PNG files, each named by its sha256."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image, UnidentifiedImageError

from sfumato.images import write
from sfumato.request import Request
from sfumato.server.errors import NoSuchInput
from sfumato.server.home import Home
from sfumato.source import Source

__all__ = ["Inputs"]


class Inputs:
    """Keeps each picture once, however often it is sent, and gives it back to the pixel."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def put(self, source: Source) -> None:
        """On disk when it returns; raises OutputError, and PictureError for a mere reference."""
        if self._kept(source.sha256) is None:
            buffer = io.BytesIO()
            source.image().save(buffer, "PNG", compress_level=1)
            write(buffer.getvalue(), self._home.input(source.sha256))

    def get(self, sha256: str) -> Source:
        """The picture with its pixels; raises NoSuchInput, also for one that was damaged since."""
        found = self._kept(sha256)
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

    def _kept(self, sha256: str) -> Source | None:
        path = self._home.input(sha256)
        try:
            with Image.open(path, formats=("PNG",)) as image:
                image.load()
                found = Source.mask(image) if image.mode == "L" else Source.picture(image)
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
            return None
        return found if found.sha256 == sha256 else None
