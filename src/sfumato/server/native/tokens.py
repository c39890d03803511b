"""The route that tells what a model's tokenizers make of a prompt, as `sfumato tokens` does."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from sfumato.familiar import strange
from sfumato.listing import Tokenizers, listed, networks, unread
from sfumato.server import schemas
from sfumato.server.admission import check_limits
from sfumato.server.native.errors import problems, room
from sfumato.server.native.told import requested
from sfumato.server.services import Services
from sfumato.vocabulary import Taker

__all__ = ["routes"]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("tokens")
    shelf, limits = services.shelf, services.settings.limits
    tokenizers = Tokenizers()

    @router.post("/api/tokens", responses=problems(413, 422))
    def list_tokens(wanted: schemas.TokensWanted) -> schemas.TokensTold:
        """Both prompts in chunks and tokens, with their weights, and what falls off."""
        request = requested(services, wanted.request)
        check_limits(request, limits)
        name = request.model or shelf.default.name
        spec, knows = shelf.spec(name), shelf.knows(name)
        words = shelf.vocabulary().heard(request, Taker(name, spec.embeds))
        learnt = {word.learnt.name: word.learnt.count for word in words}
        return schemas.TokensTold(
            model=name,
            embeddings=learnt,
            heard=[
                schemas.HeardTold.model_validate({**asdict(each), "count": each.count})
                for each in listed(spec, request, learnt, tokenizers)
            ],
            networks=list(networks(request)),
            unread=list(unread(spec)),
            strange=list(strange(request, knows.words)),
            absent=list(knows.absent),
        )

    return router
