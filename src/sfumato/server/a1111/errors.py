"""Errors as clients of the A1111 dialect read them: `{error, detail, body, errors}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sfumato.errors import SfumatoError
from sfumato.server.errors import NotFound, QueueFull, unavailable
from sfumato.server.waiting import HungUpError, StoppingError

__all__ = ["RESPONSES", "Failure", "RefusedError", "Route", "error"]

# What the engine's words for a field are called here.
_FIELDS: Mapping[str, str] = {
    "negative": "negative_prompt",
    "guidance": "cfg_scale",
    "count": "batch_size x n_iter",
    "strength": "denoising_strength",
    "schedule": "scheduler",
    "sampler": "sampler_name",
    "clip_skip": "CLIP_stop_at_last_layers",
    "mask_padding": "inpaint_full_res_padding",
}


class Failure(BaseModel):
    """What every error looks like; `detail` says what came, what was expected and what to do."""

    error: str
    detail: str
    body: str
    errors: str


# For the OpenAPI document.
RESPONSES: Mapping[int | str, dict[str, Any]] = {"4XX": {"model": Failure}}


class RefusedError(SfumatoError):
    """Something that this dialect cannot do, or not so, with the status that says it best."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class Route(APIRoute):
    """A route whose errors have the dialect's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as problem:
                return error(422, _told(problem))
            except HTTPException as problem:
                return error(problem.status_code, str(problem.detail), headers=problem.headers)
            except HungUpError:
                return Response(status_code=499)  # nobody reads it
            except QueueFull as problem:
                wait = str(math.ceil(problem.retry_after))
                return error(429, str(problem), headers={"Retry-After": wait})
            except SfumatoError as problem:
                if (told := unavailable(problem)) is not None:
                    return error(503, told)
                return error(_status(problem), _named(str(problem)))

        return answered


def error(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error in the dialect's shape. Clients show `detail`, or `errors` where that is empty."""
    body = {"error": "HTTPException", "detail": message, "body": "", "errors": message}
    return JSONResponse(body, status, headers=dict(headers or {}))


def _status(problem: SfumatoError) -> int:
    if isinstance(problem, RefusedError):
        return problem.status
    if isinstance(problem, StoppingError):
        return 503
    return 404 if isinstance(problem, NotFound) else 422


def _told(problem: RequestValidationError) -> str:
    first = problem.errors()[0]
    # A place is ("body", field, …); within a union it ends in the names of the types tried.
    place = [str(part) for part in first["loc"] if part != "body"]
    return f"{place[0] if place else 'the body'}: {first['msg']}"


def _named(message: str) -> str:
    """A message of the engine's with the dialect's name for the field that it begins with."""
    first, space, rest = message.partition(" ")
    return f"{_FIELDS.get(first, first)}{space}{rest}"
