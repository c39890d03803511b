"""Animations: the steps as a moving picture, in WebP, GIF or MP4."""

from __future__ import annotations

import importlib
import importlib.util
import io
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from sfumato.errors import OutputError
from sfumato.images.files import MARK, Texts, check_suffix, encode_xmp, write

ANIMATIONS = (".webp", ".gif", ".mp4")
FRAME_MS = 120
HOLD_MS = 2000  # the finished picture stays, so that one can look at it


def check_animation(path: Path) -> None:
    """Raise `OutputError` if no animation could be made for this name: before any work starts."""
    check_suffix(path, ANIMATIONS)
    if path.suffix.lower() == ".mp4":
        find_ffmpeg()


def animate(images: Sequence[Image.Image], path: Path, texts: Texts | None = None) -> None:
    """Write the pictures, all of one size, as an animation that rests on its last picture.

    WebP is lossless and loops; GIF has 256 colours and loops; MP4 is made by ffmpeg and plays
    once. WebP and GIF carry our own text, MP4 only the mark that it is ours. Written whole or not
    at all; raises `OutputError`.
    """
    if not images or len({image.size for image in images}) != 1:
        raise ValueError("an animation needs at least one picture, and all of one size")
    check_animation(path)
    frames = [image.convert("RGB") for image in images]
    ours = "" if texts is None else texts.sfumato
    write(_ENCODERS[path.suffix.lower()](frames, ours), path)


def find_ffmpeg() -> str:
    """The ffmpeg program: the one on PATH, or that of the `imageio-ffmpeg` package."""
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    if importlib.util.find_spec("imageio_ffmpeg") is not None:
        try:
            return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
        except RuntimeError as error:  # the package without its program
            raise OutputError(
                "an .mp4 needs the program ffmpeg, and imageio-ffmpeg came without it; "
                "install ffmpeg, or write a .webp or .gif."
            ) from error
    raise OutputError(
        "an .mp4 needs the program ffmpeg, and there is none on PATH; install it "
        "(or: pip install imageio-ffmpeg), or write a .webp or .gif."
    )


def _webp(frames: Sequence[Image.Image], ours: str) -> bytes:
    first, *rest = frames
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=[FRAME_MS] * len(rest) + [HOLD_MS],
        loop=0,
        lossless=True,
        xmp=encode_xmp(ours),
    )
    return buffer.getvalue()


def _gif(frames: Sequence[Image.Image], ours: str) -> bytes:
    first, *rest = frames
    buffer = io.BytesIO()
    durations = [FRAME_MS] * len(rest) + [HOLD_MS]
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=durations,
        loop=0,
        comment=ours,
    )
    return buffer.getvalue()


@contextmanager
def _scratch() -> Generator[str]:
    """A temporary folder; whatever the disk refuses in it is an `OutputError`."""
    try:
        with tempfile.TemporaryDirectory(prefix="sfumato-") as folder:
            yield folder
    except OSError as error:
        raise OutputError(
            f"cannot make the .mp4 in the temporary folder: {error.strerror or error}; "
            "make room there, or write a .webp or .gif."
        ) from error


def _mp4(frames: Sequence[Image.Image], ours: str) -> bytes:
    # An MP4 has its index at the end, so ffmpeg cannot write it into a pipe; and `ours` may be
    # longer than a command line, so only the mark goes in.
    width, height = frames[0].size
    still = [frames[-1]] * (HOLD_MS // FRAME_MS)
    with _scratch() as folder:
        place = Path(folder) / f"{secrets.token_hex(4)}.mp4"
        command = [find_ffmpeg(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{width}x{height}", "-framerate", f"1000/{FRAME_MS}", "-i", "-"]
        # 4:2:0 is what every player reads, and it needs even sides.
        command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-crf", "16"]
        command += ["-metadata", f"comment={MARK}", "-movflags", "+faststart", str(place)]
        pixels = b"".join(frame.tobytes() for frame in [*frames, *still])
        done = subprocess.run(command, input=pixels, capture_output=True, check=False)
        if done.returncode != 0 or not place.is_file():
            words = done.stderr.decode(errors="replace").strip().splitlines()
            reason = words[-1] if words else f"status {done.returncode}"
            raise OutputError(f"ffmpeg could not make the .mp4: {reason}; try .webp or .gif.")
        return place.read_bytes()


_ENCODERS: Mapping[str, Callable[[Sequence[Image.Image], str], bytes]] = {
    ".webp": _webp,
    ".gif": _gif,
    ".mp4": _mp4,
}
