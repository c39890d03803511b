"""What the server asks of whatever makes its pictures: one engine here, a cluster elsewhere.

The server knows no tensor and no device. `sfumato.engine.Engine` is a `Painter`; the command line
hands it in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from PIL.Image import Image

from sfumato.recipe import Result
from sfumato.request import Request

__all__ = ["Enlarging", "Painter", "Run", "Step"]


class Step(Protocol):
    """One step of a run, counted from 1; ``sigma`` is the noise level that it ended at.

    Where the picture is made larger the last step is told several times, with ``upscaling`` (so
    many tiles of so many) until it is finished.
    """

    @property
    def index(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def sigma(self) -> float: ...
    @property
    def upscaling(self) -> tuple[int, int] | None: ...

    def sketch(self) -> Image:
        """The picture so far, one pixel for each element of the latent: nearly free."""
        ...

    def preview(self) -> list[Image]:
        """The picture so far at full size: costs as much as decoding the finished one."""
        ...

    def state(self) -> bytes:
        """All that `Painter.submit` needs to go on after this step, to the bit."""
        ...

    def estimate(self) -> bytes:
        """The picture so far as `Painter.develop` takes it; some kilobytes."""
        ...


class Run(Protocol):
    """The making of a request's pictures: iterate its steps, then take the result.

    ``request`` is resolved, ``sha256`` that of the model's weights.
    """

    @property
    def request(self) -> Request: ...
    @property
    def sha256(self) -> str: ...
    def __iter__(self) -> Iterator[Step]: ...
    def result(self) -> Result: ...


class Enlarging(Protocol):
    """A picture on its way to a larger one: iterate its tiles, then take it."""

    def __iter__(self) -> Iterator[int]: ...
    def picture(self) -> Image: ...


class Painter(Protocol):
    """Makes pictures. Only one thread at a time calls it.

    ``device`` and ``precision`` are what `str` shows of them; ``model`` is what a request gets
    that names none.
    """

    @property
    def device(self) -> object: ...
    @property
    def precision(self) -> str: ...
    @property
    def model(self) -> str: ...

    def submit(self, request: Request, *, state: bytes | None = None) -> Run:
        """The run of a request; with ``state``, of one picture, from that step on.

        Raises SfumatoError for what cannot be done, also for a state that does not fit.
        """
        ...

    def develop(self, request: Request, estimate: bytes) -> Image:
        """The picture of a stored `Step.estimate` of this (resolved) request, at full size."""
        ...

    def enlarge(self, image: Image, factor: int) -> Enlarging:
        """The making of an RGB picture ``factor`` (2 or 4) times as wide and high, by a network."""
        ...
