"""Events in the native API's words, as the bytes of a stream."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from sfumato.server import schemas
from sfumato.server.errors import NotFound
from sfumato.server.events import Changed, Event, LibraryChanged, Painted, Stepped
from sfumato.server.native.told import job_told, picture_told
from sfumato.server.services import Services
from sfumato.server.sse import END, message

__all__ = ["stream_told", "writer"]

# What each event carries, as the OpenAPI document knows it.
_CARRIED: Mapping[str, Mapping[str, object]] = {
    "job": {"$ref": "#/components/schemas/Job"},
    "picture": {"$ref": "#/components/schemas/Picture"},
    "step": schemas.StepSeen.model_json_schema(),
    "library": schemas.LibraryChange.model_json_schema(),
}


def stream_told(*names: str) -> dict[int | str, dict[str, Any]]:
    """How the OpenAPI document tells of a stream of these events."""
    one_of = [
        {
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": {"const": name},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": _CARRIED[name],
                },
                "id": {"const": END, "description": "With the last event of a job."},
                "retry": {"type": "integer", "description": "In milliseconds."},
            },
        }
        for name in names
    ]
    content = {"text/event-stream": {"schema": {"type": "object", "oneOf": one_of}}}
    return {200: {"description": "Server-sent events, each with JSON.", "content": content}}


def writer(services: Services) -> Callable[[Event], bytes]:
    """What writes an event; empty for one about something that is gone by now."""

    def write(event: Event) -> bytes:
        try:
            match event:
                case Changed(job):
                    told = job_told(services, job).model_dump_json()
                    return message("job", told, id=END if job.ended else None)
                case Stepped():
                    return message("step", _step(event).model_dump_json())
                case Painted():
                    picture = picture_told(services, services.library.get(event.id))
                    return message("picture", picture.model_dump_json())
                case LibraryChanged():
                    return message("library", schemas.LibraryChange(id=event.id).model_dump_json())
        except NotFound:
            return b""

    return write


def _step(event: Stepped) -> schemas.StepSeen:
    preview = event.preview_png
    return schemas.StepSeen(
        job=event.job,
        picture=event.picture,
        step=event.step,
        steps=event.steps,
        sigma=event.sigma,
        seconds_left=event.seconds_left,
        sketch=_data_url(event.sketch_png),
        preview=None if preview is None else _data_url(preview),
    )


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
