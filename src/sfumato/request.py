"""What a user can ask for: one frozen object, checked once, here, and then trusted everywhere.

A field that is None means "as the model likes it"; `Request.resolve` fills it in. After that the
request is complete, and every picture of it can be made again from its own `Request.single(i)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from sfumato.errors import RequestError

MAX_SEED = 2**64 - 1
MAX_STEPS = 1000
MAX_COUNT = 1000
MAX_GUIDANCE = 100.0
MIN_SIZE, MAX_SIZE, SIZE_STEP = 8, 8192, 8
STREAMS = ("cpu", "nv")


@dataclass(frozen=True)
class Defaults:
    """How a model wants to be used when the user does not say; every `ModelSpec` carries one.

    `sampler` and `schedule` are canonical names of `diffusion.table`; width and height are pixels.
    """

    steps: int
    guidance: float
    sampler: str
    schedule: str
    width: int
    height: int


@dataclass(frozen=True)
class Request:
    """One wish for one or more pictures.

    Raises `RequestError` when a value has the wrong type or lies out of range, or when two values
    contradict each other. Names of samplers, schedules and models are only looked up later
    (`resolve`, and the engine), because those tables lie above this file.

    - `seed`, `path_seed`: 0 … 2^64-1. Picture i of a run has `seed + i` (and `path_seed + i`);
      a run whose last seed would pass 2^64-1 is refused rather than wrapped round.
    - `steps`: 1 … 1000. `guidance`: 0 … 100, 1 is none. `rescale`: 0 … 1.
    - `width`, `height`: pixels, multiples of 8, 8 … 8192. `count`: 1 … 1000.
    - `wander`: the starting noise stays with `seed`, the noise of the steps follows `path_seed`.
    - `stream`: where noise comes from; "cpu" is torch's CPU stream, "nv" that of NVIDIA cards.
    """

    prompt: str = ""
    negative: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    rescale: float = 0.0
    sampler: str | None = None
    schedule: str | None = None
    width: int | None = None
    height: int | None = None
    count: int = 1
    wander: bool = False
    path_seed: int | None = None
    stream: str = "cpu"
    model: str | None = None

    def __post_init__(self) -> None:
        for name in ("prompt", "negative", "stream"):
            _text(name, getattr(self, name))
        for name in ("sampler", "schedule", "model"):
            if getattr(self, name) is not None:
                _name(name, getattr(self, name))
        _whole("count", self.count, 1, MAX_COUNT)
        if self.steps is not None:
            _whole("steps", self.steps, 1, MAX_STEPS)
        for name in ("width", "height"):
            if getattr(self, name) is not None:
                _size(name, getattr(self, name))
        for name in ("seed", "path_seed"):
            if getattr(self, name) is not None:
                _seed(name, getattr(self, name), self.count)
        # Stored as float, so that guidance 7 and 7.0 make equal requests and equal recipes.
        object.__setattr__(self, "rescale", _real("rescale", self.rescale, 0.0, 1.0))
        if self.guidance is not None:
            guidance = _real("guidance", self.guidance, 0.0, MAX_GUIDANCE)
            object.__setattr__(self, "guidance", guidance)
        _flag("wander", self.wander)
        if self.stream not in STREAMS:
            raise RequestError(f"stream is {self.stream!r}, but must be one of {_or(STREAMS)}.")
        if self.path_seed is not None and not self.wander:
            raise RequestError(
                f"path_seed {self.path_seed} has no effect without wander; "
                "ask for wander too, or leave it out."
            )

    @property
    def resolved(self) -> bool:
        """Whether nothing is left for a model or a die to decide."""
        optional = {"path_seed"} if not self.wander else set[str]()
        return all(
            getattr(self, f.name) is not None for f in fields(self) if f.name not in optional
        )

    def resolve(
        self,
        defaults: Defaults,
        *,
        model: str,
        draw_seed: Callable[[], int],
        sampler_name: Callable[[str], str],
        schedule_name: Callable[[str], str],
    ) -> Request:
        """The same wish with nothing left open.

        `model` is the canonical name of the model that will be used; `draw_seed` is called once for
        a missing seed and once for the missing path of a wander. `sampler_name` and
        `schedule_name` turn any accepted spelling into the canonical one and raise `RequestError`
        with the nearest names for one they do not know: `diffusion.table` has them, which lies
        above this file and is therefore handed in.
        """
        wandering = self.wander and self.path_seed is None
        return replace(
            self,
            seed=_drawn(draw_seed, self.count) if self.seed is None else self.seed,
            path_seed=_drawn(draw_seed, self.count) if wandering else self.path_seed,
            steps=defaults.steps if self.steps is None else self.steps,
            guidance=defaults.guidance if self.guidance is None else self.guidance,
            sampler=sampler_name(defaults.sampler if self.sampler is None else self.sampler),
            schedule=schedule_name(defaults.schedule if self.schedule is None else self.schedule),
            width=defaults.width if self.width is None else self.width,
            height=defaults.height if self.height is None else self.height,
            model=model,
        )

    def single(self, index: int) -> Request:
        """The request for picture `index` (from 0) alone: seed + index, path_seed + index, count 1.

        Run by itself it makes the same picture, to the bit, on the same machine.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"picture {index} of a request for {self.count}")
        return replace(
            self,
            seed=None if self.seed is None else self.seed + index,
            path_seed=None if self.path_seed is None else self.path_seed + index,
            count=1,
        )


def _drawn(draw_seed: Callable[[], int], count: int) -> int:
    """A fresh seed, low enough that the last picture's seed is still a seed."""
    return min(draw_seed(), MAX_SEED - (count - 1))


def _text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise RequestError(f"{name} is {_came(value)}, but must be text.")
    bad = next((i for i, char in enumerate(value) if "\ud800" <= char <= "\udfff"), None)
    if bad is not None:
        raise RequestError(
            f"{name} is not valid Unicode at character {bad + 1}; write it as UTF-8 text."
        )


def _name(name: str, value: object) -> None:
    _text(name, value)
    if value == "":
        raise RequestError(f"{name} is empty; give a name, or leave it out for the model's own.")
    if "\0" in str(value):  # no name and no path can hold one
        raise RequestError(f"{name} is {value!r:.40}, which holds a NUL; give a name without it.")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise RequestError(f"{name} is {_came(value)}, but must be true or false.")


def _whole(name: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{name} is {_came(value)}, but must be a whole number.")
    if not low <= value <= high:
        raise RequestError(f"{name} is {_shown(value)}, but must be between {low} and {high}.")
    return value


def _seed(name: str, value: object, count: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{name} is {_came(value)}, but must be a whole number.")
    if not 0 <= value <= MAX_SEED:
        raise RequestError(f"{name} is {_shown(value)}, but must be between 0 and {MAX_SEED}.")
    if value + count - 1 > MAX_SEED:
        raise RequestError(
            f"{name} {value} with count {count} would pass the last seed, 2^64-1; "
            f"take at most {MAX_SEED - count + 1}."
        )


def _size(name: str, value: object) -> None:
    pixels = _whole(name, value, MIN_SIZE, MAX_SIZE)
    if pixels % SIZE_STEP:
        below = pixels - pixels % SIZE_STEP
        raise RequestError(
            f"{name} is {pixels}, but must be a multiple of {SIZE_STEP}; "
            f"the nearest are {below} and {below + SIZE_STEP}."
        )


def _real(name: str, value: object, low: float, high: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RequestError(f"{name} is {_came(value)}, but must be a number.")
    if not low <= value <= high:  # NaN compares false, so it is refused here too
        raise RequestError(f"{name} is {_shown(value)}, but must be between {low:g} and {high:g}.")
    return float(value)


def _came(value: object) -> str:
    shown = _shown(value) if isinstance(value, int) else repr(value)
    return f"{shown if len(shown) <= 40 else shown[:37] + '...'} ({type(value).__name__})"


def _shown(value: float) -> str:
    # Python refuses to write out an integer of thousands of digits.
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    return str(value)


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
