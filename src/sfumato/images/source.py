"""A picture that a request starts from, in one canonical form that is known by its hash.

However a file stores its pixels (turned by EXIF, in 16 bits, with a palette, for print), a
`Source` holds what it shows: RGB of 8 bits, or one channel where it is a mask.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from PIL import ExifTags, Image, ImageChops

from sfumato.errors import PictureError
from sfumato.images.files import read_picture

if TYPE_CHECKING:
    from typing import IO

__all__ = ["Source"]

_SHA256 = re.compile("[0-9a-f]{64}")
_WHITE = (255, 255, 255)
# What brings a stored picture upright, by its orientation in EXIF; 1 is upright.
_TURNS: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MOST_PIXELS = 64_000_000
LONGEST = 2**31 - 1  # pixels a side, of any format


@dataclass(frozen=True)
class Source:
    """A picture ("RGB") or a mask ("L", where 255 is to be painted anew), by its content.

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
        return cls._of(_on_white(_upright(image)))

    @classmethod
    def mask(cls, image: Image.Image) -> Source:
        """A mask by its brightness: white is painted anew, black is kept.

        Where it lets light through it keeps, so that strokes on a clear ground are a mask too.
        """
        upright = _upright(image)
        grey = _flat(upright).convert("L")
        alpha = _alpha(upright)
        return cls._of(grey if alpha is None else ImageChops.multiply(grey, alpha))

    @classmethod
    def mask_from_alpha(cls, image: Image.Image) -> Source:
        """A mask by its alpha: what is clear is painted anew (as OpenAI's edits mean it).

        Raises PictureError where the picture has no alpha at all.
        """
        alpha = _alpha(_upright(image))
        if alpha is None:
            raise PictureError("the mask has no alpha channel; what is to be painted must be clear")
        return cls._of(ImageChops.invert(alpha))

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


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, in 8 bits a channel."""
    turn = _TURNS.get(_orientation(image))
    turned = image if turn is None else image.transpose(turn)
    if turned.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):  # 16 bits of grey
        return turned.convert("I").point(lambda level: level / 257).convert("L")
    if turned.mode == "F":
        raise PictureError("it holds numbers without a range, not a picture; save it as a PNG")
    return turned


def _orientation(image: Image.Image) -> object:
    """What EXIF says of it; None where it is silent or torn, with which the picture is still one.

    (`ImageOps.exif_transpose` writes the rest of EXIF anew, and falls over what cameras put there.)
    """
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, OSError, struct.error):
        return None


def _alpha(image: Image.Image) -> Image.Image | None:
    """The alpha channel, also that of a palette or of a clear colour; None without one."""
    if image.has_transparency_data:
        return image.convert("RGBA").getchannel("A")
    return None


def _flat(image: Image.Image) -> Image.Image:
    """RGB, whatever lies under clear pixels."""
    return (
        image.convert("RGBA").convert("RGB")
        if image.has_transparency_data
        else image.convert("RGB")
    )


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*_WHITE, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")
