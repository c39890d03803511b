"""What a file, a screen or an autoencoder does to a drawing without making another of it.

Judges learn such pictures beside the clean ones, so that they do not go by the finest texture. No
model's own autoencoder is among these: judges that knew it would flatter that model.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

from sfumato.train.stylize import Picture

__all__ = ["soften"]

_SMALLER = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)
_LARGER = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_OFTEN = 0.55  # of each of the four below
_BLUR = (0.4, 1.8)  # deviation in pixels
_SHRINK = (1.2, 2.8)  # and enlarged again
_NOISE = 5.0  # the greatest deviation, of 255
_QUALITY = (15, 90)  # of a JPEG
_GAIN, _SHIFT = 0.08, 8.0  # of each colour, at most; the shift of 255


def soften(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture (S, S, 3) blurred, shrunk and enlarged, noisy, a JPEG: some of these, or none.

    Its colours are always a little off.
    """
    blurred, shrunk, noisy, packed = rng.random(4) < _OFTEN
    image = Image.fromarray(picture)
    if blurred:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*_BLUR)))
    if shrunk:
        side = round(image.width / rng.uniform(*_SHRINK))
        down = _SMALLER[rng.integers(len(_SMALLER))]
        up = _LARGER[rng.integers(len(_LARGER))]
        image = image.resize((side, side), down).resize(image.size, up)
    values = np.asarray(image).astype(np.float32) - 127.5
    values = values * (1 + _GAIN * rng.uniform(-1, 1, 3)) + _SHIFT * rng.uniform(-1, 1, 3)
    if noisy:
        values += rng.standard_normal(values.shape) * _NOISE * rng.random()
    made = np.clip(np.round(values + 127.5), 0, 255).astype(np.uint8)
    return _packed(made, int(rng.integers(*_QUALITY))) if packed else made


def _packed(picture: Picture, quality: int) -> Picture:
    """As a JPEG of this quality keeps it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
