"""What clients of the OpenAI dialect send, and what of it is refused by its name.

OpenAI's own parameters keep their meaning as far as a diffusion model can give it; seed, steps and
the like are sfumato's, for those who pass them along (`extra_body` in the `openai` package).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.diffusion.table import SamplerRow, ScheduleRow, sampler_row, schedule_row
from sfumato.errors import RequestError
from sfumato.request import Request
from sfumato.server.openai.errors import RefusedError

if TYPE_CHECKING:
    from sfumato.resolve import Defaults
    from sfumato.server.shelf import Shelf

__all__ = ["Edit", "Generation", "Picturing"]

_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
# Quality is a number of steps: that of the model, half of it, or twice.
_STEPS: Mapping[str, float] = {"low": 0.5, "medium": 1, "standard": 1, "high": 2, "hd": 2}
# What cannot be done here, with the values that ask for nothing.
_REFUSED: Mapping[str, tuple[object, ...]] = {
    "style": (None,),
    "complexity": (None,),
    "frame_count": (None,),
    "frame_duration_ms": (None,),
    "svg": (None,),
    "markup": (None,),
    "prompt_rewriter": (None, False),
}


class Picturing(BaseModel):
    """What generations and edits have in common."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    prompt: str = Field(max_length=32000)
    model: str | None = Field(None, description="as /v1/models lists it; else the server's own")
    n: int | None = Field(None, ge=1, le=10)
    size: str | None = Field(None, description="WIDTHxHEIGHT, or auto: as the model likes it")
    quality: Literal["low", "medium", "high", "auto", "standard", "hd"] | None = Field(
        None, description="half the model's steps, its own, or twice as many"
    )
    response_format: Literal["url", "b64_json"] | None = Field(None, description="b64_json")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(None, description="png")
    output_compression: int | None = Field(None, ge=0, le=100, description="JPEG, WebP: quality")
    background: Literal["opaque", "auto"] | None = None
    moderation: Literal["low", "auto"] | None = Field(None, description="there is none either way")
    stream: bool | None = None
    partial_images: int | None = Field(None, ge=0, le=3)
    user: str | None = None
    safety_identifier: str | None = None
    negative_prompt: str | None = Field(None, description="sfumato's own, as are all that follow")
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    schedule: str | None = None

    def check(self) -> None:
        """Raise RefusedError for the first thing that is asked and cannot be done."""
        for name, value in (self.model_extra or {}).items():
            if name in _REFUSED and value not in _REFUSED[name]:
                raise RefusedError(f"{name} cannot be followed here; leave it out.", param=name)
            if name not in _REFUSED:
                near = get_close_matches(name, list(type(self).model_fields), n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                told = f"Unknown parameter: {name[:60]!r}.{hint}"
                raise RefusedError(told, param=name, code="unknown_parameter")
        if self.output_compression not in (None, 100) and self.kind == "png":
            raise RefusedError(
                "output_compression needs output_format jpeg or webp; a PNG loses nothing.",
                param="output_compression",
            )
        if self.response_format == "url":
            if self.stream:
                raise RefusedError(
                    "response_format url cannot be streamed.", param="response_format"
                )
            if self.kind != "png":
                raise RefusedError(
                    "response_format url is the library's own file, a PNG; "
                    f"ask for b64_json to have {self.kind}.",
                    param="output_format",
                )
        if self.partial_images and not self.stream:
            raise RefusedError("partial_images needs stream.", param="partial_images")

    @property
    def kind(self) -> str:
        """The format of the files: png, jpeg or webp."""
        return self.output_format or "png"

    def request(self, shelf: Shelf) -> Request:
        """The request for pictures. Raises RefusedError or RequestError."""
        name, defaults = self._model(shelf)
        width, height = self.wanted_size() or (None, None)
        return Request(
            prompt=self.prompt,
            negative=self.negative_prompt or "",
            seed=None if self.seed == -1 else self.seed,
            steps=self.steps if self.steps is not None else self._steps(defaults),
            guidance=self.guidance,
            sampler=_named("sampler", self.sampler, sampler_row),
            schedule=_named("schedule", self.schedule, schedule_row),
            width=width,
            height=height,
            count=1 if self.n is None else self.n,
            model=name,
        )

    def wanted_size(self) -> tuple[int, int] | None:
        """Width and height, or None where the model decides."""
        if self.size in (None, "", "auto"):
            return None
        found = _SIZE.fullmatch(self.size or "")
        if found is None:
            raise RefusedError(
                f"size is {self.size!r:.40}, but must be WIDTHxHEIGHT or auto.", param="size"
            )
        return int(found[1]), int(found[2])

    def _model(self, shelf: Shelf) -> tuple[str, Defaults | None]:
        name = shelf.default.name if not self.model else found_model(self.model, shelf)
        return name, next((row.defaults for row in shelf.rows() if row.name == name), None)

    def _steps(self, defaults: Defaults | None) -> int | None:
        factor = _STEPS.get(self.quality or "", 1)
        if factor == 1:
            return None
        if defaults is None:
            raise RefusedError(
                f"quality {self.quality} is a share of the model's own steps, which are not "
                "known for this one; leave it out, or give steps.",
                param="quality",
            )
        return max(1, round(defaults.steps * factor))


class Generation(Picturing):
    """Pictures from a prompt."""


class Edit(Picturing):
    """Pictures from a picture; with a mask, only where the mask is transparent."""

    input_fidelity: Literal["low", "high"] | None = Field(
        None, description="how close to the picture to stay, where strength does not say it"
    )
    strength: float | None = Field(None, description="how much to repaint, up to 1")

    def wanted_strength(self, *, masked: bool) -> float:
        """Given, or by fidelity: what a mask opens is painted anew, a whole picture is kept."""
        if self.strength is not None:
            return self.strength
        if masked:
            return 0.75 if self.input_fidelity == "high" else 1.0
        return 0.5 if self.input_fidelity == "high" else 0.75


def _named(
    param: str, name: str | None, row: Callable[[str], SamplerRow | ScheduleRow]
) -> str | None:
    """The canonical name; RefusedError with the nearest ones."""
    try:
        return None if name is None else row(name).name
    except RequestError as problem:
        raise RefusedError(str(problem), param=param) from problem


def found_model(words: str, shelf: Shelf) -> str:
    """The shelf's name for a model. Raises RefusedError with status 404, as OpenAI does."""
    try:
        return shelf.find(words)
    except RequestError as problem:
        raise RefusedError(
            str(problem), param="model", code="model_not_found", status=404
        ) from problem
