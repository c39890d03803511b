"""Errors as the `openai` package reads them: an object, by whose status it picks the exception."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sfumato.errors import SfumatoError
from sfumato.server.errors import NotFound, QueueFull, unavailable
from sfumato.server.waiting import HungUpError, StoppingError

__all__ = ["RESPONSES", "Failure", "RefusedError", "Route", "described", "error"]

# The engine's word for a field -> the parameter that it came from.
_PARAMETERS: Mapping[str, str] = {
    "prompt": "prompt",
    "width": "size",
    "height": "size",
    "count": "n",
    "negative": "negative_prompt",
    **{name: name for name in ("seed", "steps", "guidance", "sampler", "schedule", "strength")},
}
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


class Problem(BaseModel):
    """What went wrong, and which parameter it came from."""

    message: str
    type: str
    param: str | None
    code: str | None


class Failure(BaseModel):
    """What every error looks like."""

    error: Problem


# For the OpenAPI document.
RESPONSES: Mapping[int | str, dict[str, Any]] = {"4XX": {"model": Failure}}


class RefusedError(SfumatoError):
    """Something that this dialect cannot do, with the parameter that asked for it."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


class Route(APIRoute):
    """A route whose errors have the dialect's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except (RequestValidationError, ValidationError) as problem:
                message, param = _told(problem)
                return error(400, message, param=param)
            except HTTPException as problem:
                return error(problem.status_code, str(problem.detail), headers=problem.headers)
            except HungUpError:
                return Response(status_code=499)  # nobody reads it
            except SfumatoError as problem:
                return described(problem)

        return answered


def described(problem: SfumatoError) -> JSONResponse:
    """The answer to something that went wrong, with the status that is the client's to act on."""
    if (told := unavailable(problem)) is not None:
        return error(503, told, code="unavailable")
    message = str(problem)
    match problem:
        case RefusedError():
            return error(problem.status, message, param=problem.param, code=problem.code)
        case QueueFull():
            wait = {"Retry-After": str(math.ceil(problem.retry_after))}
            return error(429, message, code="queue_full", headers=wait)
        case StoppingError():
            return error(503, message, code="stopping")
        case NotFound():
            return error(404, message, code="not_found")
        case _:
            return error(400, message, param=_PARAMETERS.get(message.partition(" ")[0]))


def error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error in the dialect's shape.

    The client asks again by itself on 409, 429 and 5xx, three times in all. What failed after it
    was painted would only fail again, as slowly, so it is told not to.
    """
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    told = {"message": message, "type": kind, "param": param, "code": code}
    more = {"x-should-retry": "false"} if status in (409, 500) else {}
    return JSONResponse({"error": told}, status, headers={**more, **(headers or {})})


def _told(problem: RequestValidationError | ValidationError) -> tuple[str, str | None]:
    first = problem.errors()[0]
    place = [str(part) for part in first["loc"] if part != "body"]
    param = place[0] if place else None
    return f"{param or 'the body'}: {first['msg']}", param
