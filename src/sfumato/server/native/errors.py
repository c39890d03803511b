"""What the native API says when something cannot be done: a sentence, and the field at fault."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast, get_args, get_type_hints

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sfumato.errors import OutputError, PictureError, RequestError, SfumatoError
from sfumato.server.errors import NotFound, QueueFull, unavailable
from sfumato.server.schemas import (
    DIGITS,
    SHA256,
    JobWanted,
    NativeError,
    PictureQuery,
    RequestWanted,
    Trouble,
)
from sfumato.server.uploads import TooBig

__all__ = ["FieldError", "NotAPicture", "Route", "error", "problems", "room"]


class NotAPicture(PictureError):  # noqa: N818 - reads as what happened
    """Bytes were sent as a picture, and are none that can be read."""


_STATUS: Sequence[tuple[type[SfumatoError], int]] = (
    (NotFound, 404),
    (QueueFull, 429),
    (TooBig, 413),
    (NotAPicture, 415),
    (PictureError, 422),
    (RequestError, 422),
    (OutputError, 503),
)
_TOLD: Mapping[int, str] = {
    400: "The body is not JSON, or the address is none that can be.",
    401: "This server asks who calls; nobody was named.",
    403: "Not from this site, or not for this name of the server.",
    404: "There is no such thing.",
    413: "Too big.",
    415: "Not a picture that can be read.",
    422: "Something is not as it must be; the field says what.",
    429: "Too much is waiting; Retry-After says when to come again.",
}
# What pydantic found -> what it wanted there.
_WANTED: Mapping[str, str] = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "text",
}
_PATTERNS: Mapping[str, str] = {DIGITS: "text of digits", SHA256: "a sha256 (64 hex digits)"}
_SPOKEN_OF = (RequestWanted, JobWanted, PictureQuery)
_BAD_BODY = "the body is not a JSON object; send one, with Content-Type: application/json."


class FieldError(RequestError):
    """A wish that cannot be granted because of one field."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def error(
    status: int, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer of this API for what went wrong. ``headers`` go with it (Allow, Retry-After)."""
    told = NativeError(error=Trouble(message=_writable(message), field=field))
    return JSONResponse(told.model_dump(), status, dict(headers or {}))


def refusal(problem: SfumatoError) -> Response:
    """The answer for an error of ours."""
    if (told := unavailable(problem)) is not None:
        return error(503, told)
    status = next((status for kind, status in _STATUS if isinstance(problem, kind)), 422)
    headers: dict[str, str] = {}
    if isinstance(problem, QueueFull):
        headers["Retry-After"] = str(max(1, round(problem.retry_after)))
    field = problem.field if isinstance(problem, FieldError) else _spoken_of(str(problem))
    return error(status, str(problem), field=field, headers=headers)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the OpenAPI document tells of answers with these statuses."""
    return {status: {"model": NativeError, "description": _TOLD[status]} for status in statuses}


class Route(APIRoute):
    """A route whose errors, also those of FastAPI itself, are answered in this API's words.

    ``allowed`` are the methods that its path knows, its own and those of other routes.
    """

    allowed: frozenset[str] = frozenset()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say which methods could be."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.allowed))})
        await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except RequestValidationError as problem:
                return _invalid(problem, self.endpoint)
            except SfumatoError as problem:
                return refusal(problem)
            except HTTPException as problem:
                return error(problem.status_code, str(problem.detail), headers=problem.headers)
            except ClientDisconnect:
                return error(400, "the client went away before all of it had come.")

        return handle


def room(tag: str) -> APIRouter:
    """A router for some of this API's routes; each is known by the name of its function."""
    return APIRouter(
        route_class=Route,
        tags=[tag],
        responses=problems(400, 401, 403),
        generate_unique_id_function=lambda route: route.name,
    )


def _invalid(problem: RequestValidationError, endpoint: Callable[..., Any]) -> Response:
    """The answer for values of other shapes than the schemas say: the first thing that is wrong."""
    found = [_Found(each, problem.body) for each in problem.errors()]
    # Of the forms that a value may have, the one that fits furthest is the one that was meant.
    first = max(found, key=lambda each: len(each.path))
    if not first.path and first.kind in ("missing", "json_invalid", *_WANTED):
        status = 400 if first.kind == "json_invalid" else 422
        return error(status, _BAD_BODY)
    if first.kind == "extra_forbidden":
        names = [*_names(endpoint, first)]
        near = get_close_matches(first.name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}."
        return error(422, f"there is no field {first.name!r:.80} here; {hint}", field=first.name)
    same = [each for each in found if each.path == first.path]
    wanted = dict.fromkeys(each.wanted for each in same if each.wanted)
    if first.kind == "missing":
        text = f"{first.name} is missing."
    elif wanted:
        text = f"{first.name} is {_shown(first.value)}, but must be {' or '.join(wanted)}."
    else:
        text = f"{first.name} is {_shown(first.value)}: {_lowered(str(same[-1].said))}."
    return error(422, text, field=first.name)


class _Found:
    """One thing that pydantic did not like, and the way to it through what was sent."""

    def __init__(self, details: Mapping[str, Any], body: object) -> None:
        self.kind, self.said, self.value = details["type"], details["msg"], details.get("input")
        pattern = str(details.get("ctx", {}).get("pattern", ""))
        self.wanted = _WANTED.get(self.kind) or _PATTERNS.get(pattern)
        self.where, *rest = details["loc"]
        if self.kind == "json_invalid":
            rest = []
        walked = _walked(rest, body, missing=self.kind == "missing")
        self.path = tuple(rest if self.where != "body" else walked)

    @property
    def name(self) -> str:
        """The innermost name on the way."""
        names = [part for part in self.path if isinstance(part, str)]
        return names[-1] if names else "the body"


def _walked(path: Sequence[str | int], body: object, *, missing: bool) -> Iterator[str | int]:
    """The parts of a path that lead through the body; pydantic's notes in between fall away."""
    here = body
    for i, part in enumerate(path):
        if isinstance(here, dict) and part in here:
            here = cast("dict[str | int, object]", here)[part]
            yield part
        elif isinstance(here, list) and isinstance(part, int):
            here = cast("list[object]", here)[part]
            yield part
        elif missing and i == len(path) - 1:
            yield part


def _names(endpoint: Callable[..., Any], found: _Found) -> Iterator[str]:
    """The names that would have been known where an unknown one stood."""
    inside = found.where == "body"
    hints = get_type_hints(endpoint, include_extras=True)
    for name in inspect.signature(endpoint).parameters:
        model = _model(hints.get(name))
        if model is None or (model.model_config.get("strict") is True) != inside:
            continue
        for part in found.path[:-1]:
            if isinstance(part, str) and part in model.model_fields:
                model = _model(model.model_fields[part].annotation) or model
        yield from model.model_fields


def _model(hint: object) -> type[BaseModel] | None:
    """The first model in a type, however deep it is wrapped."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    return next((model for part in get_args(hint) if (model := _model(part)) is not None), None)


def _spoken_of(message: str) -> str | None:
    """The field that a message opens with, as ours do: "steps is 0, but must be ..."."""
    word = message.split(" ", 1)[0]
    return word if any(word in model.model_fields for model in _SPOKEN_OF) else None


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _writable(text: str) -> str:
    """The text as UTF-8 can hold it: half a surrogate pair, which JSON can say, is spelled out."""
    return text.encode(errors="backslashreplace").decode()
