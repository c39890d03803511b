"""The native API under `/api`: jobs, events, pictures and lists, for the page and for programs."""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter

from sfumato.server.native import choosing, fields, jobs, lists, pictures, reading, sheets, tokens
from sfumato.server.native.errors import Route, error
from sfumato.server.services import Services

__all__ = ["error", "router"]


def router(services: Services) -> APIRouter:
    """All routes; their paths are whole. Where GET is answered, HEAD is too."""
    whole = APIRouter()
    for room in (jobs, sheets, pictures, choosing, reading, tokens, fields, lists):
        part = room.routes(services)
        for route in _own(part):
            if route.methods == {"GET"} and not route.path.endswith("/events"):
                part.add_api_route(
                    route.path, route.endpoint, methods=["HEAD"], include_in_schema=False
                )
        for route in _own(part):
            twins = [other.methods or () for other in _own(part) if other.path == route.path]
            route.allowed = frozenset(chain.from_iterable(twins))
        whole.include_router(part)
    return whole


def _own(router: APIRouter) -> list[Route]:
    return [route for route in router.routes if isinstance(route, Route)]
