"""A picture that a request starts from, known by the hash of what it shows.

Requests, recipes and queues hold it, so nothing here is imported before a picture is looked at.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from sfumato.errors import PictureError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Source"]

_SHA256 = re.compile("[0-9a-f]{64}")
MOST_PIXELS = 64_000_000
LONGEST = 2**31 - 1  # pixels a side, of any format


@dataclass(frozen=True)
class Source:
    """A picture ("RGB") or a mask ("L", where 255 is to be painted anew), by its content.

    However a file stores its pixels (turned by EXIF, in 16 bits, with a palette, for print), this
    holds what it shows, in 8 bits.
    ``pixels`` are its rows, without gaps; None in a reference, which is what recipes and queues
    keep. Two sources are equal when they show the same.
    """

    sha256: str
    width: int
    height: int
    mode: Literal["RGB", "L"] = "RGB"
    pixels: bytes | None = field(default=None, compare=False, repr=False)

    @classmethod
    def picture(cls, image: Image.Image) -> Source:
        """What a picture shows: turned upright, and laid on white where it lets light through."""
        from sfumato.images.canonical import on_white

        return cls._of(on_white(image))

    @classmethod
    def mask(cls, image: Image.Image) -> Source:
        """A mask by its brightness: white is painted anew, black is kept.

        Where it lets light through it keeps, so that strokes on a clear ground are a mask too.
        """
        from sfumato.images.canonical import brightness

        return cls._of(brightness(image))

    @classmethod
    def mask_from_alpha(cls, image: Image.Image) -> Source:
        """A mask by its alpha: what is clear is painted anew (as OpenAI's edits mean it).

        Raises PictureError where the picture has no alpha at all.
        """
        from sfumato.images.canonical import clearness

        return cls._of(clearness(image))

    @classmethod
    def read(
        cls,
        place: Path | IO[bytes] | bytes,
        kind: Literal["picture", "mask", "alpha"] = "picture",
        *,
        most_pixels: int = MOST_PIXELS,
    ) -> Source:
        """The source in a file: PNG, JPEG, WebP or GIF (its first frame).

        Raises PictureError for what cannot be read, and, before anything is unpacked, for more than
        ``most_pixels``.
        """
        from sfumato.images import read_picture

        opened = io.BytesIO(place) if isinstance(place, bytes) else place
        image, _ = read_picture(opened, most_pixels=most_pixels)
        make = {"picture": cls.picture, "mask": cls.mask, "alpha": cls.mask_from_alpha}[kind]
        return make(image)

    @classmethod
    def _of(cls, image: Image.Image) -> Source:
        assert image.mode in ("RGB", "L")
        mode: Literal["RGB", "L"] = "RGB" if image.mode == "RGB" else "L"
        pixels = image.tobytes()
        head = f"{mode} {image.width}x{image.height}\n".encode()
        digest = hashlib.sha256(head + pixels).hexdigest()
        return cls(digest, image.width, image.height, mode, pixels)

    @property
    def reference(self) -> Source:
        """The same without its pixels."""
        return replace(self, pixels=None)

    def image(self) -> Image.Image:
        """The picture itself. Raises PictureError where this is a reference."""
        if self.pixels is None:
            raise PictureError(
                f"the picture to start from ({self.width}x{self.height}, sha256 "
                f"{self.sha256[:10]}…) is not at hand; give it again."
            )
        from PIL import Image

        return Image.frombytes(self.mode, (self.width, self.height), self.pixels)

    def to_dict(self) -> dict[str, object]:
        """The reference as plain JSON."""
        return {"sha256": self.sha256, "width": self.width, "height": self.height}

    @classmethod
    def from_dict(cls, values: object, mode: Literal["RGB", "L"] = "RGB") -> Source:
        """The reference that `to_dict` wrote. Raises PictureError for anything else."""
        table = cast(dict[str, object], values) if isinstance(values, dict) else {}
        sha256, width, height = (table.get(name) for name in ("sha256", "width", "height"))
        if (
            len(table) == 3
            and isinstance(sha256, str)
            and _SHA256.fullmatch(sha256)
            and type(width) is int  # a bool is an int too
            and type(height) is int
            and 0 < min(width, height) <= max(width, height) <= LONGEST
        ):
            return cls(sha256, width, height, mode)
        raise PictureError(
            f"{values!r:.80} does not name a picture to start from; expected its sha256, width and "
            "height."
        )
