"""The engine that commands paint with: what is asked of it, and how it is made when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, cast

from sfumato.cli.loading import unswept

if TYPE_CHECKING:
    import typer
    from PIL.Image import Image

    from sfumato.recipe import Recipe, Result
    from sfumato.request import Request

__all__ = ["EngineLike", "EnlargementLike", "MakeEngine", "RunLike", "StepLike", "engine_maker"]


class StepLike(Protocol):
    """One step of a run: its number from 1, and what the picture looks like by then.

    `upscaling` is there while the picture is made larger: so many tiles of so many.
    """

    @property
    def index(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def upscaling(self) -> tuple[int, int] | None: ...
    def preview(self) -> list[Image]: ...


class RunLike(Protocol):
    """A run: iterate its steps, then take the result.

    `recipe` is that of the first picture, as far as it is known before the first step, and
    `strange` are the words of the prompt that the model was never shown, `taken` what it takes the
    prompt for, by its own names. `absent` are the readers of prompts that it paints without, `few`
    how it is used if it was distilled for few steps.
    """

    @property
    def request(self) -> Request: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def strange(self) -> tuple[str, ...]: ...
    @property
    def taken(self) -> tuple[str, ...]: ...
    @property
    def absent(self) -> tuple[str, ...]: ...
    @property
    def few(self) -> str | None: ...
    def __iter__(self) -> Iterator[StepLike]: ...
    def result(self) -> Result: ...


class EnlargementLike(Protocol):
    """A picture on its way to a larger one: iterate its tiles, then take it."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def total(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...
    def picture(self) -> Image: ...


class EngineLike(Protocol):
    """What makes pictures: `sfumato.engine.Engine`, or a stand-in."""

    def submit(self, request: Request) -> RunLike: ...
    def enlarge(
        self, image: Image, factor: int, upscaler: str | None = None
    ) -> EnlargementLike: ...


MakeEngine = Callable[[str, str], EngineLike]  # (device, precision)


def engine_maker(context: typer.Context) -> MakeEngine:
    """What makes the engine of a command: the stand-in that was handed in, or the real one."""
    return cast("MakeEngine | None", context.obj) or real_engine


def real_engine(device: str, precision: str) -> EngineLike:
    """The engine of this machine; torch is loaded here, and not before."""
    from sfumato.cli.configuration import shelves

    with unswept():
        from sfumato.engine import Engine

    return Engine(device=device, precision=precision, shelves=shelves())
