"""A picture to start from is what a file shows, however it stores it."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from sfumato.errors import PictureError
from sfumato.source import Source


@pytest.fixture
def photo() -> Image.Image:
    levels = np.random.default_rng(1).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def stored(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def test_the_same_picture_is_the_same_source_in_any_lossless_file(photo: Image.Image) -> None:
    png = Source.read(stored(photo))
    assert png == Source.picture(photo)
    assert png == Source.read(stored(photo, "WEBP", lossless=True))
    assert png == Source.read(io.BytesIO(stored(photo, compress_level=0)))
    assert png.image().tobytes() == photo.tobytes()
    assert (png.width, png.height, png.mode) == (40, 24, "RGB")


def test_another_pixel_size_or_mode_is_another_source(photo: Image.Image) -> None:
    other = photo.copy()
    other.putpixel((0, 0), (1, 2, 3))
    grey = photo.convert("L")
    tall = Image.frombytes("RGB", (24, 40), photo.tobytes())
    sources = [Source.picture(photo), Source.picture(other), Source.picture(tall)]
    sources += [Source.mask(grey), Source.picture(grey)]
    assert len({source.sha256 for source in sources}) == 5


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_camera_held_sideways_is_turned_upright(photo: Image.Image, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    back = {  # how the upright picture has to be stored for this orientation
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = photo if turn == 1 else photo.transpose(back[turn])
    assert Source.read(stored(lying, exif=exif)) == Source.picture(photo)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_torn_exif_is_no_reason_to_refuse_a_picture(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "camera"
    exif[ExifTags.Base.XResolution] = 72.0
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    whole = exif.tobytes()
    draw = random.Random(1)
    for _ in range(500):
        torn = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            torn[draw.randrange(6, len(torn))] = draw.randrange(256)
        for kind in ("JPEG", "PNG"):
            source = Source.read(stored(photo, kind, exif=bytes(torn)))
            assert {source.width, source.height} == {40, 24}


def test_what_lets_light_through_lies_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert Source.picture(clear).image().getpixel((0, 0)) == (255, 255, 255)
    assert Source.picture(half).image().getpixel((0, 0)) == (127, 127, 127)
    grey = Image.new("LA", (8, 8), (0, 0))
    assert Source.picture(grey).image().getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([0, 0, 0] * 3 + [9, 99, 199])
    assert Source.read(stored(palette)).image().getpixel((0, 0)) == (9, 99, 199)
    assert Source.read(stored(palette, transparency=3)).image().getpixel((0, 0)) == (255, 255, 255)
    keyed = Image.new("RGB", (8, 8), (10, 20, 30))
    assert Source.read(stored(keyed, transparency=(10, 20, 30))).image().getpixel((0, 0)) == (
        255,
        255,
        255,
    )


def test_sixteen_bits_become_eight() -> None:
    levels = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    source = Source.read(stored(Image.fromarray(levels)))
    assert [source.image().getpixel((x, 0)) for x in range(4)] == [
        (0, 0, 0),
        (1, 1, 1),
        (128, 128, 128),
        (255, 255, 255),
    ]


def test_a_picture_for_print_and_one_of_black_and_white_are_taken(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = Source.read(stored(ink, "JPEG", quality=95)).image().getpixel((8, 8))  # pyright: ignore
    assert (red, green, blue) == pytest.approx((254, 0, 0), abs=4)
    bits = Image.new("1", (8, 8), 1)
    assert Source.read(stored(bits)).image().getpixel((0, 0)) == (255, 255, 255)
    (tmp_path / "a.png").write_bytes(stored(bits))
    assert Source.read(tmp_path / "a.png") == Source.picture(bits)


def test_a_mask_is_bright_where_it_is_painted_anew() -> None:
    mask = Image.new("L", (8, 8), 0)
    mask.paste(255, (0, 0, 4, 8))
    source = Source.mask(mask)
    assert (source.mode, source.image().tobytes()) == ("L", mask.tobytes())
    strokes = Image.new("RGBA", (8, 8), (255, 255, 255, 0))  # white ink on a clear ground
    strokes.paste((255, 255, 255, 255), (0, 0, 4, 8))
    assert Source.mask(strokes) == source
    assert Source.mask(mask.convert("RGB")) == source


def test_a_mask_by_alpha_is_painted_where_it_is_clear() -> None:
    picture = Image.new("RGBA", (8, 8), (90, 90, 90, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 4, 8))
    source = Source.mask_from_alpha(picture)
    assert source.image().getpixel((0, 0)) == 255
    assert source.image().getpixel((7, 0)) == 0
    with pytest.raises(PictureError, match="no alpha"):
        Source.mask_from_alpha(Image.new("RGB", (8, 8)))


def test_a_reference_knows_its_picture_and_has_no_pixels(photo: Image.Image) -> None:
    source = Source.picture(photo)
    assert source.reference == source
    assert source.reference.pixels is None
    assert hash(source.reference) == hash(source)
    assert Source.from_dict(source.to_dict()) == source
    with pytest.raises(PictureError, match=source.sha256[:10]):
        source.reference.image()


@pytest.mark.parametrize(
    "values",
    [
        None,
        "a" * 64,
        {},
        {"sha256": "../../etc/passwd", "width": 8, "height": 8},
        {"sha256": "a" * 63, "width": 8, "height": 8},
        {"sha256": "a" * 64, "width": 0, "height": 8},
        {"sha256": "a" * 64, "width": "8", "height": 8},
        {"sha256": "a" * 64, "width": True, "height": 8},
        {"sha256": "a" * 64, "width": 8, "height": 10**400},
        {"sha256": "a" * 64, "width": 8, "height": 8, "more": 1},
    ],
)
def test_what_names_no_picture_is_refused(values: object) -> None:
    with pytest.raises(PictureError, match="does not name a picture"):
        Source.from_dict(values)


def test_a_bomb_is_refused_by_its_header(photo: Image.Image) -> None:
    with pytest.raises(PictureError, match=r"40x24.*at most 100"):
        Source.read(stored(photo), most_pixels=100)
    with pytest.raises(PictureError, match="not a PNG"):
        Source.read(b"BM" + bytes(60))
    with pytest.raises(PictureError, match="cannot be read"):
        Source.read(stored(photo)[:-900])
