"""The native API under `/api`: jobs, events, pictures and lists, for the page and for programs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute

from sfumato.server.native import jobs, lists, pictures, reading
from sfumato.server.native.errors import error
from sfumato.server.services import Services

__all__ = ["error", "router"]


def router(services: Services) -> APIRouter:
    """All routes; their paths are whole. Where GET is answered, HEAD is too."""
    whole = APIRouter()
    for part in (jobs, pictures, reading, lists):
        some = part.routes(services)
        for route in [each for each in some.routes if isinstance(each, APIRoute)]:
            if route.methods == {"GET"} and not route.path.endswith("/events"):
                some.add_api_route(
                    route.path, route.endpoint, methods=["HEAD"], include_in_schema=False
                )
        whole.include_router(some)
    return whole
