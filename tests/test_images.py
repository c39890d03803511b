"""Pictures are written whole or not at all, and read back as they were."""

import os
import stat
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops

from sfumato.errors import OutputError, PictureError
from sfumato.images import (
    Frame,
    Texts,
    animate,
    check_animation,
    check_output,
    encode,
    fault,
    filmstrip,
    is_ours,
    lossy,
    read_picture,
    read_texts,
    save,
    to_images,
    to_tensor,
    write,
)

TEXTS = Texts(parameters="a fox\nSteps: 1", sfumato='{"a": "<b> & \\"c\\""}')


def ramp() -> Image.Image:
    """All 256 levels, different in each channel."""
    image = Image.new("RGB", (16, 16))
    image.putdata([(i, 255 - i, i * 7 % 256) for i in range(256)])
    return image


def equal(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def test_all_levels_survive_the_way_through_a_tensor():
    tensor = to_tensor([ramp(), ramp().rotate(90)])
    assert tensor.shape == (2, 3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert equal(to_images(tensor)[0], ramp())
    assert equal(to_images(tensor)[1], ramp().rotate(90))


def test_eight_bits_are_rounded_and_cut_off():
    step = 2 / 255
    values = torch.tensor([-9.0, -1.0, -1 + 0.4 * step, -1 + 0.6 * step, 1 - 0.4 * step, 9.0])
    (image,) = to_images(values.expand(1, 3, 1, 6))
    assert image.tobytes()[::3] == bytes([0, 0, 0, 1, 255, 255])


def test_rows_and_columns_keep_their_places():
    tensor = -torch.ones(1, 3, 2, 4)
    tensor[0, 0, 1, 3] = 1
    (image,) = to_images(tensor)
    assert image.size == (4, 2)
    assert image.getpixel((3, 1)) == (255, 0, 0)


def test_values_that_overflowed_and_a_network_that_died_are_no_picture() -> None:
    painted = torch.linspace(-1, 1, 3 * 8 * 8).view(1, 3, 8, 8)
    broken = painted.clone()
    broken[0, 1, 2, 3] = torch.inf
    assert fault(broken) == "values that are no numbers"
    assert fault(painted - 40) == "values beyond ±3 alone, where a picture's lie within ±1"
    assert "±3 alone" in fault(painted.sign() * 300)
    dead = torch.tensor([-1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert fault(dead) == "every pixel the very same values"
    assert fault(dead, flat=True) == ""


def test_black_that_was_meant_and_colours_that_burn_are_pictures() -> None:
    black = torch.linspace(-1.2, -0.999, 3 * 8 * 8).view(1, 3, 8, 8)
    assert set(to_images(black)[0].tobytes()) == {0}
    assert fault(black) == ""
    burnt = torch.linspace(-9, 9, 3 * 8 * 8).view(1, 3, 8, 8)
    assert fault(burnt) == ""


def test_a_value_that_is_no_number_is_an_error_and_not_a_black_picture():
    with pytest.raises(PictureError, match="higher --precision"):
        to_images(torch.full((1, 3, 2, 2), torch.nan))


def test_pictures_of_two_sizes_make_no_batch():
    with pytest.raises(PictureError, match="one size"):
        to_tensor([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 16))])


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
def test_png_and_webp_keep_every_pixel_and_both_texts(tmp_path: Path, suffix: str):
    path = tmp_path / f"ramp{suffix}"
    save(ramp(), path, TEXTS)
    image, texts = read_picture(path)
    assert equal(image, ramp())
    assert texts == read_texts(path) == TEXTS
    assert is_ours(path)


def test_jpeg_keeps_both_texts(tmp_path: Path):
    save(ramp(), tmp_path / "ramp.jpg", TEXTS)
    image, texts = read_picture(tmp_path / "ramp.jpg")
    assert image.size == (16, 16)
    assert texts == TEXTS


def test_a_recipe_too_long_for_a_jpeg_is_refused_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(OutputError, match="too long for a JPEG"):
        save(ramp(), tmp_path / "ramp.jpg", Texts(sfumato="x" * 66_000))
    assert list(tmp_path.iterdir()) == []


def test_the_longest_recipe_for_a_jpeg_fits(tmp_path: Path):
    texts = Texts(parameters="x" * 32_600, sfumato="x" * 65_000)
    save(ramp(), tmp_path / "ramp.jpg", texts)
    assert read_texts(tmp_path / "ramp.jpg") == texts


def test_a_picture_longer_than_its_format_is_refused():
    with pytest.raises(OutputError, match=r"16383 pixels a side.*16400x1; write a \.png"):
        encode(Image.new("RGB", (16_400, 1)), "WEBP")


def test_a_picture_without_texts_has_none(tmp_path: Path):
    for suffix in (".png", ".jpg", ".webp"):
        save(ramp(), tmp_path / f"ramp{suffix}")
        assert read_texts(tmp_path / f"ramp{suffix}") == Texts()
        assert not is_ours(tmp_path / f"ramp{suffix}")


def test_what_another_file_carried_does_not_travel_on():
    image = Image.open(BytesIO(encode(ramp(), "JPEG", TEXTS)))
    image.info["comment"] = b"secret"
    for kind in ("PNG", "JPEG", "WEBP"):
        data = encode(image, kind)
        assert b"secret" not in data
        assert b"sfumato" not in data


def test_texts_behind_the_pixels_of_a_png_are_found(tmp_path: Path):
    data = encode(ramp(), "PNG")
    text = encode(ramp(), "PNG", TEXTS)
    start = text.index(b"tEXt") - 4
    chunk = text[start : start + 12 + int.from_bytes(text[start : start + 4], "big")]
    (tmp_path / "late.png").write_bytes(data[:-12] + chunk + data[-12:])
    assert read_texts(tmp_path / "late.png").parameters == TEXTS.parameters


def test_a_user_comment_is_read_in_either_byte_order():
    for order, mark in (("le", ""), ("be", ""), ("le", "\ufeff"), ("be", "\ufeff")):
        exif = Image.Exif()
        comment = b"UNICODE\0" + (mark + "a fox").encode(f"utf-16-{order}")
        exif.get_ifd(0x8769)[0x9286] = comment
        buffer = BytesIO()
        ramp().save(buffer, "JPEG", exif=exif)
        assert read_texts(buffer).parameters == "a fox"


def test_xmp_rewritten_by_another_program_is_still_read():
    xmp = (
        b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:ns1="urn:sfumato:recipe"><ns1:recipe>{"a": 1}</ns1:recipe></rdf:Description>'
        b"</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    )
    buffer = BytesIO()
    ramp().save(buffer, "WEBP", xmp=xmp)
    assert read_texts(buffer).sfumato == '{"a": 1}'


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_entities_are_not_hidden_from_us_by_another_encoding(encoding: str):
    head = '\ufeff<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "boom">]>'
    xmp = head + '<x xmlns:s="urn:sfumato:recipe" s:recipe="&a;"/>'
    buffer = BytesIO()
    ramp().save(buffer, "WEBP", xmp=xmp.encode(encoding))
    buffer.seek(0)
    assert read_picture(buffer)[1] == Texts()


def test_xmp_with_entities_is_not_touched():
    xmp = b'<!DOCTYPE x [<!ENTITY a "aa">]><x xmlns:s="urn:sfumato:recipe" s:recipe="&a;"/>'
    buffer = BytesIO()
    ramp().save(buffer, "WEBP", xmp=xmp)
    assert read_texts(buffer) == Texts()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_cut_short_anywhere_is_refused_or_read_but_never_crashes(kind: str):
    data = encode(ramp(), kind, TEXTS)
    for length in range(0, len(data) - 1, 3):
        try:
            read_picture(BytesIO(data[:length]))
        except PictureError as error:
            assert "the picture" in str(error)  # noqa: PT017 - some cuts only lose padding


def test_a_file_that_is_no_picture_is_named(tmp_path: Path):
    (tmp_path / "note.png").write_text("not a picture")
    with pytest.raises(PictureError, match=r"note\.png is not a PNG, JPEG or WebP"):
        read_texts(tmp_path / "note.png")
    with pytest.raises(PictureError, match="there is no picture"):
        read_texts(tmp_path / "none.png")
    with pytest.raises(PictureError, match="is a folder"):
        read_texts(tmp_path)


def test_other_formats_are_not_opened_whatever_the_name(tmp_path: Path):
    for kind in ("TIFF", "BMP", "EPS"):
        Image.new("RGB", (8, 8)).save(tmp_path / "fox.png", kind)
        with pytest.raises(PictureError, match="not a PNG, JPEG or WebP"):
            read_picture(tmp_path / "fox.png")


def test_an_unknown_suffix_is_refused_before_anything_is_made(tmp_path: Path):
    for name in ("fox.bmp", "fox", "fox.png.exe"):
        with pytest.raises(OutputError, match=r"must end in \.png, \.jpg, \.jpeg or \.webp"):
            save(ramp(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path):
    write(b"x", tmp_path / "a")
    (tmp_path / "b").write_bytes(b"x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
    assert modes[0] == modes[1]


def test_writing_follows_a_link(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(b"new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


DISK_FULL = """
import resource, sys
from pathlib import Path
from sfumato.errors import OutputError
from sfumato.images import write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write(bytes(5000), Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "fox.png"
    target.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"cannot write {target}: file too large; make room")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_rename_that_fails_leaves_nothing(tmp_path: Path):
    (tmp_path / "fox.png").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write(b"x", tmp_path / "fox.png")
    assert [path.name for path in tmp_path.iterdir()] == ["fox.png"]


def test_check_output_leaves_nothing_behind_and_write_makes_the_folder(tmp_path: Path):
    check_output(tmp_path / "a" / "b" / "fox.png")
    assert list(tmp_path.iterdir()) == []
    write(b"x", tmp_path / "a" / "b" / "fox.png")
    assert (tmp_path / "a" / "b" / "fox.png").read_bytes() == b"x"


def test_check_output_refuses_what_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for path, reason in (
        (tmp_path / "file" / "fox.png", "a part of the path is a file"),
        (tmp_path / "folder.png", "it is a folder"),
        (tmp_path / ("x" * 300 + ".png"), "give a shorter name"),
    ):
        with pytest.raises(OutputError, match=reason):
            check_output(path)
    with pytest.raises(OutputError, match="may be needed; make room"):
        check_output(tmp_path / "fox.png", room=10**18)


UNWRITABLE = """
import os, sys
from pathlib import Path
from sfumato.errors import OutputError
from sfumato.images import check_output, write
if os.getuid() == 0:
    os.setuid(65534)  # the permissions of a folder bind everybody but root
for action in (lambda p: check_output(p), lambda p: write(b"x", p)):
    try:
        action(Path(sys.argv[1]))
    except OutputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions of Unix")
def test_an_unwritable_folder_is_told_before_and_after(tmp_path: Path):
    # The folder is the file system's root: the other user may not even look into tmp_path.
    target = Path("/fox-sfumato-test.png")
    done = subprocess.run(
        [sys.executable, "-c", UNWRITABLE, str(target)], capture_output=True, text=True, check=True
    )
    expected = f"cannot write {target}: permission denied; give a folder that you may write to."
    assert done.stdout.splitlines() == [expected] * 2
    assert not target.exists()


def frames(count: int, size: tuple[int, int]) -> list[Frame]:
    return [
        Frame(f"step {i + 1} of {count}", Image.new("RGB", size, (i * 9 % 256, 80, 120)))
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "size", "columns", "rows"),
    [
        (1, (128, 128), 1, 1),
        (12, (128, 128), 6, 2),
        (20, (512, 512), 5, 4),
        (50, (128, 128), 10, 5),
        (7, (512, 512), 4, 2),
    ],
)
def test_a_film_strip_wraps_into_even_rows(
    count: int, size: tuple[int, int], columns: int, rows: int
):
    shown = min(256, size[0])
    sheet = filmstrip(frames(count, size))
    assert (sheet.width - 2 * 32 + 12) / (shown + 12) == columns
    assert round((sheet.height - 2 * 32) / (shown + 38)) == rows
    assert sheet.width <= 1600


def test_a_film_strip_shows_small_pictures_without_blur():
    checker = Image.new("RGB", (32, 32))
    checker.putdata([(255 * ((x + y) % 2),) * 3 for y in range(32) for x in range(32)])
    sheet = filmstrip([Frame("", checker)])
    middle = sheet.crop((32 + 9, 32 + 9, 32 + 87, 32 + 87))  # away from the rounded corners
    assert {colour for _, colour in middle.getcolors() or []} == {(0, 0, 0), (255, 255, 255)}
    assert equal(middle.crop((0, 0, 3, 3)), Image.new("RGB", (3, 3), middle.getpixel((0, 0))))


def test_a_film_strip_shows_each_picture_pixel_by_pixel_at_its_place():
    sheet = filmstrip([Frame("a", ramp().resize((128, 128))), *frames(11, (128, 128))])
    inner = (8, 8, 120, 120)
    shown = sheet.crop((32 + 8, 32 + 8, 32 + 120, 32 + 120))
    assert equal(shown, ramp().resize((128, 128)).crop(inner))


def test_a_part_of_the_caption_that_the_font_cannot_write_is_left_out():
    plain, words = (filmstrip(frames(6, (128, 128)), caption=c) for c in ((), ("seed 7",)))
    assert words.height > plain.height
    assert equal(filmstrip(frames(6, (128, 128)), caption=["狐"]), plain)
    assert equal(filmstrip(frames(6, (128, 128)), caption=["Füchse", "seed 7"]), words)


def test_a_caption_of_any_length_takes_two_lines():
    one = filmstrip(frames(6, (128, 128)), caption=["fox"]).height
    assert filmstrip(frames(6, (128, 128)), caption=["fox " * 10_000]).height == one + 21
    assert filmstrip(frames(1, (8, 8)), caption=["f" * 10_000]).height < 400


def test_frames_of_different_shapes_share_a_sheet():
    sheet = filmstrip([*frames(2, (128, 64)), *frames(2, (64, 128))])
    assert sheet.size == (32 * 2 + 4 * 128 + 3 * 12, 32 * 2 + 128 + 20)


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_an_animation_rests_on_its_last_picture(tmp_path: Path, suffix: str):
    path = tmp_path / f"fox{suffix}"
    animate([frame.image for frame in frames(5, (32, 24))], path)
    with Image.open(path) as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]
        durations = []
        for i in range(5):
            image.seek(i)
            image.load()
            durations.append(image.info["duration"])
        assert durations == [120, 120, 120, 120, 2000]
        assert image.size == (32, 24)
        assert image.convert("RGB").getpixel((5, 5)) == (36, 80, 120)


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_equal_frames_are_still_shown_for_their_time(tmp_path: Path, suffix: str):
    first, last = Image.new("RGB", (8, 8), "teal"), Image.new("RGB", (8, 8), "gold")
    animate([first, first, first, last], tmp_path / f"still{suffix}")
    with Image.open(tmp_path / f"still{suffix}") as image:
        total = 0
        for i in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(i)
            image.load()
            total += image.info["duration"]
        assert total == 3 * 120 + 2000


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_an_animation_carries_our_text(tmp_path: Path, suffix: str):
    path = tmp_path / f"fox{suffix}"
    texts = Texts(sfumato='{"format": 1, "prompt": "' + "fox" * 500 + '"}')
    animate([frame.image for frame in frames(3, (8, 8))], path, texts)
    assert read_texts(path) == texts
    assert is_ours(path)


def test_an_unknown_animation_is_refused(tmp_path: Path):
    with pytest.raises(OutputError, match=r"must end in \.webp, \.gif or \.mp4"):
        check_animation(tmp_path / "fox.avi")


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `text` the only program named ffmpeg."""
    path = folder / "ffmpeg"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_an_mp4_without_ffmpeg_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(OutputError, match=r"needs the program ffmpeg.*or write a \.webp"):
        check_animation(tmp_path / "fox.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that is a script")
def test_ffmpeg_is_given_every_frame_and_the_last_one_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tell = "import sys; d = sys.stdin.buffer.read(); open(sys.argv[-1], 'wb').write(d)"
    program(tmp_path, tell, monkeypatch)
    pictures = [frame.image for frame in frames(3, (4, 2))]
    animate(pictures, tmp_path / "fox.mp4")
    written = (tmp_path / "fox.mp4").read_bytes()
    assert written[: 3 * 24] == b"".join(picture.tobytes() for picture in pictures)
    assert written[3 * 24 :] == pictures[-1].tobytes() * 16
    assert not is_ours(tmp_path / "fox.mp4")  # this ffmpeg writes no marks
    (tmp_path / "fox.mp4").write_bytes(b"\0\1made by sfumato\0")
    assert is_ours(tmp_path / "fox.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that is a script")
def test_an_ffmpeg_that_fails_is_quoted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program(tmp_path, "import sys; sys.stdin.buffer.read(); sys.exit('no codec')", monkeypatch)
    with pytest.raises(OutputError, match=r"could not make the \.mp4: no codec"):
        animate([Image.new("RGB", (8, 8))], tmp_path / "fox.mp4")
    assert os.listdir(tmp_path) == ["ffmpeg"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.png", {}, False),
        ("a.jpg", {}, True),
        ("a.webp", {"lossless": True}, False),
        ("a.webp", {"quality": 80}, True),
        ("a.webp", {"quality": 80, "exif": b"Exif\0\0", "icc_profile": b"x" * 7}, True),
        ("a.webp", {"lossless": True, "icc_profile": b"x" * 7}, False),
        ("a.gif", {}, False),
    ],
)
def test_a_file_that_does_not_keep_every_pixel_is_known(
    tmp_path: Path, name: str, options: dict[str, object], expected: bool
):
    for mode in ("RGB", "RGBA") if name == "a.webp" else ("RGB",):
        ramp().convert(mode).save(tmp_path / name, **options)
        assert lossy(tmp_path / name) is expected
    if name == "a.webp":
        frames = [ramp().rotate(turn) for turn in (0, 90)]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        assert lossy(tmp_path / name) is expected


def test_what_is_no_picture_is_not_lossy(tmp_path: Path):
    for data in (b"", b"RIFF", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X\xff\xff\xff\xff"):
        (tmp_path / "a.webp").write_bytes(data)
        assert not lossy(tmp_path / "a.webp")
    assert not lossy(tmp_path / "none.webp")
    assert not lossy(tmp_path)
