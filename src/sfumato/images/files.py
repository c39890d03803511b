"""Picture files: PNG, JPEG and WebP with two texts inside, written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import OutputError, PictureError
from sfumato.images.scans import require_few_scans

# Suffix -> Pillow's name of the format.
PICTURES: Mapping[str, str] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

# What is opened at all: Pillow knows dozens of formats, some of which start other programs.
_READABLE = ("PNG", "JPEG", "WEBP", "GIF")

# Our text lies in XMP in JPEG and WebP: EXIF would show it to people as a caption, and programs
# that look for A1111's text in EXIF never look here.
_NAMESPACE = "urn:sfumato:recipe"
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:sfumato="{_NAMESPACE}" sfumato:recipe=%s/>'
    "</rdf:RDF></x:xmpmeta>"
)
# What an MP4 of ours says about itself.
MARK = "made by sfumato"
# A JPEG segment holds 65,533 bytes, and the texts must fit in one each with their headers.
_JPEG_ROOM = 65_400
_UNICODE = b"UNICODE\0"
# The formats' own limits, in pixels a side.
_LONGEST: Mapping[str, int] = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}


@dataclass(frozen=True)
class Texts:
    """What a picture says about itself: A1111's `parameters`, and our own JSON (ASCII)."""

    parameters: str = ""
    sfumato: str = ""


def encode(
    image: Image.Image,
    kind: str,
    texts: Texts | None = None,
    *,
    quality: int | None = None,
    profile: bytes | None = None,
) -> bytes:
    """The bytes of a file of `kind` ("PNG", "JPEG" or "WEBP") with the texts inside.

    `profile` is the ICC profile of its colours; without one they are sRGB. PNG and WebP keep every
    pixel; JPEG has quality 95 and full colour. With `quality` (0 … 100) a JPEG has that, and so has
    a WebP, which then keeps what is seen and not every pixel. Raises `OutputError` when the texts
    are too long for a JPEG, or a side is longer than the format can say.
    """
    texts = Texts() if texts is None else texts
    image = image.convert("RGB") if kind != "PNG" else image.copy()
    if max(image.size) > _LONGEST[kind]:
        raise OutputError(
            f"a {kind} ends at {_LONGEST[kind]} pixels a side, and this picture has "
            f"{image.width}x{image.height}; write a .png."
        )
    image.info = {}  # what another file carried must not travel on
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, "PNG", pnginfo=_chunks(texts), icc_profile=profile)
        return buffer.getvalue()
    exif, xmp = _exif(texts.parameters), encode_xmp(texts.sfumato)
    said = {"exif": exif, "xmp": xmp, "icc_profile": profile}
    if kind == "WEBP":
        lossy = {"lossless": True} if quality is None else {"quality": quality}
        image.save(buffer, "WEBP", **said, **lossy)
    elif max(len(exif), len(xmp)) > _JPEG_ROOM:
        raise OutputError("the recipe is too long for a JPEG (64 kB); write a .png or .webp.")
    else:
        quality = 95 if quality is None else quality
        image.save(buffer, "JPEG", quality=quality, subsampling=0, **said)
    return buffer.getvalue()


def save(
    image: Image.Image, path: Path, texts: Texts | None = None, profile: bytes | None = None
) -> None:
    """Write a picture whole or not at all; its format is that of the suffix.

    `profile` is as `encode` has it. Raises `OutputError` for an unknown suffix and for whatever
    keeps the file from being written.
    """
    check_suffix(path, PICTURES)
    write(encode(image, PICTURES[path.suffix.lower()], texts, profile=profile), path)


def write(data: bytes, path: Path) -> None:
    """Put `data` into `path`, whole or not at all: beside it first, then renamed.

    A file that was there before is replaced; a link is followed; a missing folder is made. Raises
    `OutputError`.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".sfumato-{secrets.token_hex(8)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}.") from error


def check_suffix(path: Path, known: Collection[str]) -> None:
    """Raise `OutputError` unless the file's suffix is one of `known` (lower case, with the dot)."""
    if path.suffix.lower() not in known:
        came = repr(path.suffix) if path.suffix else "no suffix"
        raise OutputError(f"cannot write {path}: {came}; the name must end in {_or(known)}.")


def check_output(path: Path, *, room: int = 0) -> None:
    """Raise `OutputError` if a file of `room` bytes could not be written to `path` now.

    Tries it with an empty file that is removed at once, in the folder or, if that is still to be
    made, in the one that will hold it: better before a render than after it.
    """
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; give the name of a file.")
        folder = path.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        probe = folder / f".sfumato-{secrets.token_hex(8)}.part"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}.") from error
    if free < room:
        raise OutputError(
            f"cannot write {path}: {free / 1e6:.1f} MB are free there, and {room / 1e6:.1f} MB "
            "may be needed; make room or give another folder."
        )


def read_picture(
    source: Path | IO[bytes], *, most_pixels: int | None = None
) -> tuple[Image.Image, Texts]:
    """A picture, decoded, and its texts; `PictureError` if it is missing, cut short or not one.

    One of more than `most_pixels` is refused by its header, before anything is unpacked.
    """
    return _read(source, decode=True, most_pixels=most_pixels)


def read_texts(source: Path | IO[bytes]) -> Texts:
    """The texts alone: empty where there are none. Raises `PictureError` as `read_picture` does."""
    return _read(source, decode=False)[1]


def lossy(path: Path) -> bool:
    """Whether a file keeps what is seen and not every pixel: a JPEG, or a WebP of that kind.

    A WebP holds its pixels in a chunk "VP8 " where they are such, and "VP8L" where not (RFC 9649,
    sections 2.5 to 2.7); the first of them counts. False for what is no picture.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[:4] != b"RIFF" or head[8:] != b"WEBP":
                return head[:3] == b"\xff\xd8\xff"
            while len(chunk := file.read(8)) == 8:
                name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
                if name in (b"VP8 ", b"VP8L"):
                    return name == b"VP8 "
                # Within a frame of an animation they lie behind its 16 bytes; sizes are made even.
                file.seek(16 if name == b"ANMF" else size + size % 2, os.SEEK_CUR)
    except OSError:
        return False
    return False


def is_ours(path: Path) -> bool:
    """Whether sfumato made the file: a picture or an animation that it may overwrite."""
    try:
        if path.suffix.lower() == ".mp4":
            return path.is_file() and MARK.encode() in path.read_bytes()
        return bool(read_texts(path).sfumato)
    except (PictureError, OSError):
        return False


def _read(
    source: Path | IO[bytes], *, decode: bool, most_pixels: int | None = None
) -> tuple[Image.Image, Texts]:
    name = source.name or str(source) if isinstance(source, Path) else "the picture"
    try:
        with Image.open(source, formats=_READABLE) as image:
            if most_pixels is not None and image.width * image.height > most_pixels:
                raise PictureError(
                    f"{name} has {image.width}x{image.height} pixels; at most {most_pixels:,} are "
                    "taken. Scale it down first."
                )
            if decode and image.format in ("JPEG", "MPO"):
                require_few_scans(source, name)
            getattr(image, "is_animated", False)  # a GIF tells it only while its file is open
            if decode or (image.format == "PNG" and "parameters" not in image.info):
                image.load()  # a PNG may carry its texts behind the pixels
            return image, _texts(image)
    except FileNotFoundError as error:
        raise PictureError(f"there is no picture {source}.") from error
    except IsADirectoryError as error:
        raise PictureError(f"{name} is a folder; give the name of a picture in it.") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is not a PNG, JPEG or WebP picture.") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise PictureError(f"{name} cannot be read as a picture: {error}.") from error


def _texts(image: Image.Image) -> Texts:
    parameters, sfumato = image.info.get("parameters"), image.info.get("sfumato")
    xmp = image.info.get("xmp")
    if not isinstance(parameters, str):
        comment = _user_comment(image)
        parameters = _comment(comment) if isinstance(comment, bytes) else ""
    if not isinstance(sfumato, str) and image.format == "GIF":
        comment = image.info.get("comment", b"")
        sfumato = comment.decode(errors="replace") if comment.startswith(b'{"format"') else ""
    elif not isinstance(sfumato, str):
        sfumato = _from_xmp(xmp) if isinstance(xmp, bytes) else ""
    return Texts(str(parameters), str(sfumato))


def _chunks(texts: Texts) -> PngInfo:
    chunks = PngInfo()
    if texts.parameters:
        chunks.add_text("parameters", texts.parameters)  # tEXt, or iTXt beyond Latin-1
    if texts.sfumato:
        chunks.add_text("sfumato", texts.sfumato)
    return chunks


def _exif(parameters: str) -> bytes:
    if not parameters:
        return b""
    exif = Image.Exif()
    comment = _UNICODE + parameters.encode("utf-16-be")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return exif.tobytes()


def _user_comment(image: Image.Image) -> object:
    """EXIF's UserComment; None without one, and where EXIF is torn: the picture is whole."""
    try:
        return image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except (SyntaxError, ValueError, OSError, struct.error):
        return None


def _comment(raw: bytes) -> str:
    """The text of an EXIF UserComment: 8 bytes that name its encoding, then the text."""
    code, body = raw[:8], raw[8:]
    if code == _UNICODE:
        # The standard leaves the byte order open. A1111 writes big-endian; ASCII tells them apart.
        little = body.startswith(b"\xff\xfe") or body[1:200:2].count(0) > body[0:200:2].count(0)
        text = body.decode("utf-16-le" if little else "utf-16-be", "replace")
        return text.removeprefix("\ufeff")
    if code in (b"ASCII\0\0\0", bytes(8)):
        return body.rstrip(b"\0").decode("utf-8", "replace")
    return ""


def encode_xmp(sfumato: str) -> bytes:
    """Our text as an XMP packet, or nothing if there is none."""
    return (_XMP % quoteattr(sfumato)).encode() if sfumato else b""


def _from_xmp(raw: bytes) -> str:
    """Our text in an XMP packet, also after another program has turned attribute into element."""
    try:
        text = raw.strip(b"\0 \n\r\t").decode("utf-8-sig")  # as it is in every JPEG and WebP
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # no XMP has them; they only serve attacks
            return ""
        root = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError):
        return ""
    key = f"{{{_NAMESPACE}}}recipe"
    for element in root.iter():
        found = element.get(key) if element.tag != key else element.text
        if found:
            return found
    return ""


def _reason(error: OSError) -> str:
    """Why the system refused, and what to do about it where that is plain."""
    advice = {
        "ENOSPC": "; make room or give another folder",
        "EDQUOT": "; make room or give another folder",
        "EFBIG": "; make room or give another folder",
        "EACCES": "; give a folder that you may write to",
        "EPERM": "; give a folder that you may write to",
        "EROFS": "; give a folder that you may write to",
        "ENOTDIR": "; a part of the path is a file",
        "EEXIST": "; a part of the path is a file",
        "ENAMETOOLONG": "; give a shorter name",
    }
    what = (error.strerror or str(error)).lower()
    return what + advice.get(errno.errorcode.get(error.errno or 0, ""), "")


def _or(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
