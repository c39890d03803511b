"""What a request must be before it becomes a job: within the limits, with a seed, and by name."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace

from sfumato import request_json
from sfumato.errors import RequestError
from sfumato.limits import MAX_STEPS, UPSCALER
from sfumato.request import Request
from sfumato.server.settings import Limits

__all__ = ["Wish", "check_limits", "identity", "referred", "seeded"]

MAX_PRIORITY = 1000
MAX_TAGS, MAX_TAG = 32, 60
MAX_IDEMPOTENCY = 255
SEED_BITS = 32  # of a drawn seed: short enough to be typed again


@dataclass(frozen=True)
class Wish:
    """How a client wants its request to be treated. Raises RequestError for what cannot be.

    Jobs of a higher ``priority`` (-1000 … 1000) come first; of ``previews`` full previews each
    picture is sure; ``tags`` go to its pictures; ``idempotency`` is the client's name for this
    wish, so that sending it twice is wishing it once.
    """

    priority: int = 0
    previews: int = 0
    tags: tuple[str, ...] = ()
    idempotency: str | None = None

    def __post_init__(self) -> None:
        if abs(self.priority) > MAX_PRIORITY:
            raise RequestError(
                f"priority is {self.priority}, but must be {-MAX_PRIORITY} … {MAX_PRIORITY}."
            )
        if not 0 <= self.previews <= MAX_STEPS:
            raise RequestError(f"previews is {self.previews}, but must be 0 … {MAX_STEPS}.")
        if len(self.tags) > MAX_TAGS:
            raise RequestError(f"There are {len(self.tags)} tags, but at most {MAX_TAGS} are kept.")
        for tag in self.tags:
            if not (0 < len(tag) <= MAX_TAG and tag.isprintable()):
                raise RequestError(
                    f"A tag is {tag!r:.40}, but must be 1 … {MAX_TAG} printable characters."
                )
        name = self.idempotency
        if name is not None and not (0 < len(name) <= MAX_IDEMPOTENCY and name.isprintable()):
            raise RequestError(
                f"The idempotency key is {name!r:.40}, but must be "
                f"1 … {MAX_IDEMPOTENCY} printable characters."
            )


def check_limits(request: Request, limits: Limits) -> None:
    """Raises RequestError for what this server does not take; None is passed over for now."""
    for name, most in (("count", limits.count), ("steps", limits.steps)):
        asked: int | None = getattr(request, name)
        if asked is not None and asked > most:
            raise RequestError(f"{name} is {asked}, but this server takes at most {most}.")
    for name, text in (("prompt", request.prompt), ("negative", request.negative)):
        if len(text) > limits.letters:
            raise RequestError(
                f"{name} has {len(text)} letters, but this server takes at most {limits.letters}."
            )
    width, height = request.width, request.height
    if width is not None and height is not None and width * height > limits.pixels:
        raise RequestError(
            f"width x height is {width}x{height}, but this server paints at most "
            f"{limits.pixels} pixels in one picture."
        )
    if request.upscale is not None:
        width, height = request.finished
        if width * height > limits.pixels:
            raise RequestError(
                f"upscale is {request.upscale}, which makes {width}x{height}, but this server "
                f"makes at most {limits.pixels} pixels in one picture."
            )
        if request.upscaler not in (None, UPSCALER):  # a stranger's words open no file
            raise RequestError(
                f"upscaler is {request.upscaler!r:.60}, but this server has only {UPSCALER}."
            )


def seeded(request: Request) -> Request:
    """The request with its seeds drawn: after a restart it must be the same picture."""
    return request.seeded(lambda: secrets.randbits(SEED_BITS))


def referred(request: Request) -> Request:
    """The request with mere references to its picture and mask."""
    image, mask = request.image, request.mask
    return replace(
        request,
        image=None if image is None else image.reference,
        mask=None if mask is None else mask.reference,
    )


def identity(request: Request) -> str:
    """The sha256 of all that was asked for: equal requests, and only they, have the same."""
    told = json.dumps(request_json.to_dict(referred(request)), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
