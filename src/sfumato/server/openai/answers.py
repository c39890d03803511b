"""What OpenAI's clients get back: pictures in JSON, or as events while they come into being."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from sfumato.images import Texts, encode, read_picture
from sfumato.server.openai.payloads import Picturing
from sfumato.server.sse import message

if TYPE_CHECKING:
    from sfumato.server.events import Stepped
    from sfumato.server.library import Entry

__all__ = ["Partials", "answer", "completed", "file_of", "partial"]

_USAGE: Mapping[str, Any] = {
    # The events must have it; nothing is counted in tokens here, and nothing is paid.
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


def answer(
    wish: Picturing, entries: list[Entry], base_url: str, remarks: Sequence[str] = ()
) -> dict[str, Any]:
    """The reply when all pictures are finished; ``remarks`` are a key of our own, if there are."""
    data: list[dict[str, Any]]
    if wish.response_format == "url":
        data = [{"url": f"{base_url}api/pictures/{entry.id}/file"} for entry in entries]
    else:
        data = [{"b64_json": _text(file_of(entry, wish))} for entry in entries]
    reply: dict[str, Any] = {"created": int(time.time()), "data": data, "background": "opaque"}
    reply["output_format"] = wish.kind
    if wish.quality in ("low", "medium", "high"):
        reply["quality"] = wish.quality
    if entries:
        reply["size"] = f"{entries[0].width}x{entries[0].height}"
    if remarks:
        reply["remarks"] = list(remarks)
    return reply


def file_of(entry: Entry, wish: Picturing) -> bytes:
    """A picture's file in the format that was asked for, with its recipe inside.

    A PNG is the library's own file, bit for bit.
    """
    if wish.kind == "png":
        return entry.file.read_bytes()
    image, texts = read_picture(entry.file)
    return encode(image, wish.kind.upper(), texts, quality=_quality(wish))


def completed(kind: str, entry: Entry, wish: Picturing, remarks: Sequence[str] = ()) -> bytes:
    """The event of a finished picture."""
    told = _event(f"{kind}.completed", file_of(entry, wish), wish, (entry.width, entry.height))
    told |= {"remarks": list(remarks)} if remarks else {}
    return message(f"{kind}.completed", json.dumps({**told, "usage": dict(_USAGE)}))


def partial(kind: str, step: Stepped, index: int, wish: Picturing) -> bytes:
    """The event of a picture on its way: its preview, or else its sketch, eight times as large."""
    image = step.preview
    if image is None:
        size = (8 * step.sketch.width, 8 * step.sketch.height)
        image = step.sketch.resize(size, Image.Resampling.BICUBIC)
    data = encode(image, wish.kind.upper(), Texts(), quality=_quality(wish))
    told = _event(f"{kind}.partial_image", data, wish, image.size)
    return message(f"{kind}.partial_image", json.dumps({**told, "partial_image_index": index}))


class Partials:
    """Which steps of a picture become partial pictures: as many as asked, evenly spread."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._sent: dict[int, int] = {}  # picture -> how many of it went out

    def due(self, step: Stepped) -> Iterator[int]:
        """The index of the partial picture that this step is, if it is one.

        A step with a full preview is taken at its time; one with a sketch only when the next
        partial picture would be due already.
        """
        sent = self._sent.get(step.picture, 0)
        share = step.step / step.steps * (self._wanted + 1)  # passes 1, 2, … at their times
        late = 1 if step.preview is not None else 1.5
        if sent < self._wanted and step.step < step.steps and share >= sent + late:
            self._sent[step.picture] = sent + 1
            yield sent


def _event(name: str, data: bytes, wish: Picturing, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "type": name,
        "b64_json": _text(data),
        "created_at": int(time.time()),
        "background": "opaque",
        "output_format": wish.kind,
        "quality": wish.quality if wish.quality in ("low", "medium", "high") else "auto",
        "size": f"{size[0]}x{size[1]}",
    }


def _quality(wish: Picturing) -> int | None:
    return None if wish.kind == "png" else wish.output_compression


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
