"""What clients send as pictures: measured first, then read, and never fetched."""

import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from sfumato.errors import PictureError
from sfumato.images import Texts, encode
from sfumato.server.settings import Limits
from sfumato.server.uploads import opened, unwrapped

LIMITS = Limits(upload_bytes=4096, upload_pixels=10_000)


def png(size: tuple[int, int] = (8, 8), texts: Texts | None = None) -> bytes:
    return encode(Image.new("RGB", size, (200, 30, 30)), "PNG", texts)


def test_a_picture_comes_with_its_texts() -> None:
    image, texts = opened(png(texts=Texts(parameters="a fox\nSteps: 5")), LIMITS)
    assert image.size == (8, 8)
    assert texts.parameters.startswith("a fox")


def test_a_file_with_too_many_bytes_is_not_looked_into() -> None:
    with pytest.raises(PictureError, match="4,097 bytes"):
        opened(bytes(4097), LIMITS)


@pytest.mark.parametrize("side", [101, 20_000, 2**31 - 1])
def test_a_bomb_is_told_from_its_header(side: int) -> None:
    # A header alone: if anything were decoded, it would be a broken file, and not too large a one.
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head
    data += struct.pack(">I", zlib.crc32(head)) + struct.pack(">I", 0) + b"IDAT"
    with pytest.raises(PictureError, match="more than 10,000 pixels"):
        opened(data, LIMITS)


def test_a_picture_of_exactly_the_limit_is_read() -> None:
    assert opened(png((100, 100)), LIMITS)[0].size == (100, 100)


@pytest.mark.parametrize("data", [b"", b"hello", png()[:40]])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        opened(data, LIMITS)


def test_a_format_that_starts_programs_is_not_opened() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "EPS")
    with pytest.raises(PictureError, match="not a PNG"):
        opened(buffer.getvalue(), LIMITS)


@pytest.mark.parametrize("head", ["", "data:image/png;base64,", "data:;base64,"])
def test_base64_comes_bare_or_as_a_data_url(head: str) -> None:
    data = png()
    assert unwrapped(head + base64.b64encode(data).decode(), LIMITS) == data


def test_base64_may_be_broken_into_lines() -> None:
    data = png()
    assert unwrapped(base64.encodebytes(data).decode(), LIMITS) == data


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a PNG"),
        ("not base64!", "not valid base64"),
        ("http://127.0.0.1/a,b.png", "no base64 data URL"),
        ("https://example.org/a.png", "not valid base64"),
        ("/etc/passwd", "not valid base64"),
        ("data:image/png,hello", "no base64 data URL"),
    ],
)
def test_an_address_or_a_path_is_never_followed(text: str, told: str) -> None:
    with pytest.raises(PictureError, match=told):
        opened(unwrapped(text, LIMITS), LIMITS)


def test_too_long_a_text_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(PictureError, match="more than 4,096 bytes"):
        unwrapped("!" * 6000, LIMITS)
