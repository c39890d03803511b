"""Files over HTTP: bounded before they are decoded coming in, kept by browsers going out.

A picture's file never changes, so a browser that has it need not ask again; one that asks all the
same is told that nothing changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response

from sfumato.server.library import Entry
from sfumato.server.settings import Limits
from sfumato.server.uploads import TooBig

__all__ = ["MEDIA", "PICTURE_BODY", "Kept", "body_of", "content_disposition", "file_told"]

MEDIA: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
# How the OpenAPI document describes a body that is a picture's file.
PICTURE_BODY: Mapping[str, object] = {
    "requestBody": {
        "required": True,
        "description": "The bytes of a PNG, JPEG or WebP file.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/jpeg", "image/webp", "application/octet-stream")
        },
    }
}
_FOR_EVER = "private, max-age=31536000, immutable"
_WORDS, _LETTERS = 6, 40


def file_told(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """How the OpenAPI document tells of a file of these kinds, which clients may keep."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {f"image/{kind.lower()}": binary for kind in kinds}
    return {
        200: {"description": "The file.", "content": content},
        304: {"description": "The client has it, as its If-None-Match says."},
    }


async def body_of(http: Request, limits: Limits) -> bytes:
    """The body of a request that sends a picture.

    Raises TooBig as soon as it is known to be longer than ``limits.upload_bytes``.
    """
    said = http.headers.get("content-length", "")
    if said.isdecimal() and len(said) < 20 and int(said) > limits.upload_bytes:
        raise _too_big(limits)
    data = bytearray()
    async for part in http.stream():
        data += part
        if len(data) > limits.upload_bytes:
            raise _too_big(limits)
    return bytes(data)


def _too_big(limits: Limits) -> TooBig:
    return TooBig(f"the picture has more than {limits.upload_bytes:,} bytes; send a smaller one.")


@dataclass(frozen=True)
class Kept:
    """Something that never changes, and is known by ``tag``."""

    tag: str

    def answer(self, http: Request, make: Callable[[dict[str, str]], Response]) -> Response:
        """304 for a client that has it; else what ``make`` makes with these headers."""
        headers = {"ETag": f'"{self.tag}"', "Cache-Control": _FOR_EVER}
        return Response(status_code=304, headers=headers) if self.had_by(http) else make(headers)

    def had_by(self, http: Request) -> bool:
        """Whether a client says that it has this."""
        known = http.headers.get("if-none-match", "")
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return bool(tags & {"*", f'"{self.tag}"'})


def content_disposition(entry: Entry, suffix: str) -> str:
    """The header that names a picture when it is saved: after its prompt and seed (RFC 6266)."""
    words = re.findall(r"[^\W_]+", entry.prompt)[:_WORDS]
    stem = "-".join(words)[:_LETTERS].strip("-").lower() or "picture"
    name = f"{stem}{'' if entry.seed is None else f'-{entry.seed}'}{suffix}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = plain if re.match(r"[a-z0-9]", plain) else f"picture{suffix}"
    if plain == name:
        return f'inline; filename="{plain}"'
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
