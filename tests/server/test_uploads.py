"""What clients send as pictures: measured first, then read, and never fetched."""

import base64
import io
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from sfumato.errors import PictureError
from sfumato.images import Texts, encode, files
from sfumato.server.library.reading import look
from sfumato.server.settings import Limits
from sfumato.server.uploads import opened, unwrapped
from sfumato.source import Source

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


def progressive(more: int, comment: bytes = b"", behind: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan is there once more, so many times."""
    buffer = io.BytesIO()
    picture = Image.effect_noise((64, 64), 40)
    picture.convert("RGB").save(buffer, "JPEG", progressive=True, comment=comment)
    data = buffer.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + more * last + data[-2:] + behind


def test_a_jpeg_that_goes_over_its_picture_without_end_is_not_decoded() -> None:
    limits = Limits()
    with pytest.raises(PictureError, match="more than 100 times"):
        opened(progressive(100), limits)
    with pytest.raises(PictureError, match="more than 100 times"):
        look(progressive(100), pixels=10_000)
    with pytest.raises(PictureError, match="more than 100 times"):
        Source.read(progressive(100))


def test_what_only_looks_like_scans_is_none() -> None:
    scans = 300 * b"\xff\xda\x00\x02"
    # In a comment (or a small picture within EXIF), and in the film behind a phone's picture.
    assert opened(progressive(3, comment=scans, behind=scans), Limits())[0].size == (64, 64)


def test_bytes_that_fill_up_before_a_marker_hide_no_scan_and_cost_no_time() -> None:
    data = progressive(100)
    begin = data.index(b"\xff\xda")
    filled = data[:begin] + data[begin:].replace(b"\xff\xda", b"\xff\xff\xff\xda")
    with pytest.raises(PictureError, match="more than 100 times"):
        opened(filled, Limits())
    # Tried from each byte of such a run this would take days.
    with pytest.raises(PictureError, match="cannot be read"):
        opened(data[:begin] + b"\xff\xda\x00\x02" + 2_000_000 * b"\xff", Limits())


_PEAK = """
import io, struct, sys, zlib
from sfumato.source import Source
import sfumato.images.canonical

def chunk(name, body):
    crc = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + crc

def png(side, depth, colour, channels):
    lines = zlib.compressobj(1)
    line = bytes(1 + channels * depth // 8 * side)
    body = b"".join([*(lines.compress(line) for _ in range(side)), lines.flush()])
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(
        (chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b""))
    )

def peak():  # of this process alone: getrusage tells what its parent held, too
    status = open("/proc/self/status").read()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024

side = 2000
data = png(side, *map(int, sys.argv[1:]))
Source.read(png(8, *map(int, sys.argv[1:])))
before = peak()
Source.read(data)
print((peak() - before) / side**2)
"""


@pytest.mark.parametrize("kind", ["16 6 4", "8 6 4", "8 2 3", "16 0 1"])
def test_a_decoded_picture_takes_a_known_amount_of_memory(kind: str) -> None:
    """So the largest one takes 1.5 GB at the most, and `Services.decoding` lets two be decoded."""
    words = (sys.executable, "-c", _PEAK, *kind.split())
    told = subprocess.run(words, check=True, capture_output=True, text=True)
    assert 1 < float(told.stdout) < 24, f"bytes a pixel, {told.stdout}"


def sent(client: TestClient, way: str, data: bytes) -> int:
    """One picture sent in a way of its own; the status of the answer."""
    text = base64.b64encode(data).decode()
    if way == "png-info":
        return client.post("/sdapi/v1/png-info", json={"image": text}).status_code
    if way == "img2img":
        return client.post("/sdapi/v1/img2img", json={"init_images": [text]}).status_code
    if way == "edits":
        files = {"image": ("a.png", data, "image/png")}
        return client.post("/v1/images/edits", data={"prompt": "x"}, files=files).status_code
    return client.post(f"/api/{way}", content=data).status_code


WAYS = ("png-info", "img2img", "edits", "pictures", "inputs", "read")


def test_only_two_pictures_are_decoded_at_once_whatever_way_they_come(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, now, most = threading.Lock(), 0, 0
    read = files._read

    def slow(*given: Any, **options: Any) -> Any:
        nonlocal now, most
        if threading.current_thread().name == "painter":  # which reads the server's own files
            return read(*given, **options)
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.05)  # long enough for all that may come in to come in
        with lock:
            now -= 1
        return read(*given, **options)

    monkeypatch.setattr(files, "_read", slow)
    pictures = [png((8, 8 + i)) for i in range(4 * len(WAYS))]
    with ThreadPoolExecutor(len(pictures)) as pool:
        ways = WAYS * 4
        codes = list(pool.map(sent, [client] * len(ways), ways, pictures))
    assert {code // 100 for code in codes} <= {2, 4}
    assert most == 2
