"""A painter that needs no model: pictures from hashes, steps that can be held, and a count of all.

Each step hashes the one before, so that a run which is taken up at the wrong step, or with another
request's state, ends in another picture.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

from PIL import Image, ImageChops

from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import PromptError, SfumatoError
from sfumato.recipe import Picture, Recipe, Result
from sfumato.request import Request
from sfumato.resolve import Defaults, resolve
from sfumato.weights.hashes import sha256

DEFAULTS = Defaults(
    steps=5, guidance=5, sampler="euler_ancestral", schedule="karras", width=32, height=24
)
DRAWN = 123
TILES = 3
SHA256 = sha256(Path(str(resources.files("sfumato").joinpath("assets/mini/model.safetensors"))))
PATIENCE = 20.0  # seconds that a test waits for what must come


def painted(x: bytes, size: tuple[int, int]) -> Image.Image:
    """A picture of 4 x 4 coloured fields that all come from 32 bytes."""
    more = hashlib.sha256(x).digest()
    return Image.frombytes("RGB", (4, 4), (x + more)[:48]).resize(size, Image.Resampling.NEAREST)


def key_of(request: Request) -> bytes:
    """What all pictures of a request hang on; a source's pixels are needed, as by a real engine."""
    words = repr(request).encode()
    for name in ("image", "mask"):
        source = getattr(request, name, None)
        words += b"" if source is None else source.image().tobytes()
    return hashlib.sha256(words).digest()


@dataclass(frozen=True)
class FakeStep:
    """One step; `x` stands for the latent."""

    painter: "FakePainter"
    request: Request
    index: int
    x: bytes
    upscaling: tuple[int, int] | None = None

    @property
    def total(self) -> int:
        return self.request.steps or 0

    @property
    def sigma(self) -> float:
        return float(self.total - self.index)

    def _size(self, scale: int) -> tuple[int, int]:
        return (self.request.width or 8) // scale, (self.request.height or 8) // scale

    def sketch(self) -> Image.Image:
        return painted(self.x, self._size(8))

    def preview(self) -> list[Image.Image]:
        self.painter.previews += 1
        return [painted(self.x, self._size(1))]

    def state(self) -> bytes:
        told = {"of": key_of(self.request).hex(), "index": self.index, "x": self.x.hex()}
        return json.dumps(told).encode()

    def estimate(self) -> bytes:
        return self.x


@dataclass
class FakeRun:
    """A run of one or more pictures; `request` is resolved."""

    painter: "FakePainter"
    request: Request
    start: tuple[int, bytes] | None = None
    sha256: str = SHA256
    pictures: list[Picture] = field(default_factory=list)

    def __iter__(self) -> Iterator[FakeStep]:
        for number in range(len(self.pictures), self.request.count):
            one = self.request.single(number)
            done, x = self.start or (0, key_of(one))
            for index in range(done + 1, (one.steps or 0) + 1):
                with self.painter.alone():
                    self.painter.before(one, index)
                    x = hashlib.sha256(x + bytes([index % 256])).digest()
                end = FakeStep(self.painter, one, index, x)
                if index == one.steps:
                    yield from self._larger(end)
                    self.pictures.append(self._picture(one, number, x))
                yield end
            if done == one.steps:  # taken up after its last step
                self.pictures.append(self._picture(one, number, x))

    def result(self) -> Result:
        for _ in self:
            pass
        return Result(tuple(self.pictures), 0.5)

    def _larger(self, end: FakeStep) -> Iterator[FakeStep]:
        """The last step, told after each of `TILES` tiles; each can be held like a step."""
        if end.request.upscale is not None:
            yield replace(end, upscaling=(0, TILES))
            for tile in range(1, TILES + 1):
                with self.painter.alone():
                    self.painter.before(end.request, end.index + tile)
                yield replace(end, upscaling=(tile, TILES))

    def _picture(self, request: Request, number: int, x: bytes) -> Picture:
        recipe = Recipe(
            request=request,
            family="fake",
            title="A fake",
            sha256=self.sha256,
            upscaler_sha256=SHA256 if request.upscale is not None else "",
            sampler_title=sampler_row(request.sampler or "").title,
            schedule_title=schedule_row(request.schedule or "").title,
            device="cpu",
            precision="fp32",
            sfumato="0.1.0",
            torch="2.13.0",
            index=number,
            seconds=0.5,
        )
        return Picture(painted(x, request.finished), recipe)


@dataclass
class FakeEnlarging:
    """A picture made larger; its colours are turned, so that a filter is not taken for it."""

    painter: "FakePainter"
    image: Image.Image
    factor: int

    def __iter__(self) -> Iterator[int]:
        for tile in range(1, TILES + 1):
            with self.painter.alone():
                self.painter.enlarged += 1
            yield tile

    def picture(self) -> Image.Image:
        assert self.image.mode == "RGB"
        size = (self.image.width * self.factor, self.image.height * self.factor)
        return ImageChops.invert(self.image).resize(size, Image.Resampling.NEAREST)


@dataclass
class FakePainter:
    """A `Painter` that tells what it did.

    `submitted`  every request it was given, `resumed` the step that each went on from (0: anew)
    `steps`      all the steps it made, `previews` the full previews it was asked for
    `hold(n)`    the next run stops before its step n, until `release()`; `held()` waits for that
    `fail(n, e)` the next run raises `e` instead of making its step n
    Two threads in it at once are a failed assertion: a painter is for one thread at a time.
    """

    model: str = "mini"
    device: str = "cpu"
    precision: str = "fp32"
    submitted: list[Request] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    steps: int = 0
    previews: int = 0
    developed: int = 0
    enlarged: int = 0
    _hold: int | None = None
    _failure: tuple[int, BaseException] | None = None
    _reached: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)
    _inside: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, request: Request, *, state: bytes | None = None) -> FakeRun:
        with self.alone():
            self.submitted.append(request)
            if len(request.prompt.split()) > 50:
                raise PromptError(
                    "the prompt is longer than the model reads; these words fall off: x"
                )
            resolved = resolve(
                request,
                DEFAULTS,
                model=Path(request.model or self.model).name,
                draw_seed=lambda: DRAWN,
                sampler_name=lambda name: sampler_row(name).name,
                schedule_name=lambda name: schedule_row(name).name,
            )
            key_of(resolved)  # a source without its pixels is refused before any step
            start = None if state is None else self._start(resolved, state)
            self.resumed.append(0 if start is None else start[0])
            return FakeRun(self, resolved, start)

    def develop(self, request: Request, estimate: bytes) -> Image.Image:
        with self.alone():
            self.developed += 1
            return painted(estimate, (request.width or 8, request.height or 8))

    def enlarge(self, image: Image.Image, factor: int) -> "FakeEnlarging":
        return FakeEnlarging(self, image, factor)

    def hold(self, step: int = 2) -> None:
        """Stop before step `step` of whatever comes next."""
        self._reached.clear()
        self._go.clear()
        self._hold = step

    def held(self) -> None:
        """Wait until the run stands at the step of `hold`."""
        assert self._reached.wait(PATIENCE), "no run came to the step at which it is held"

    def pass_on(self) -> None:
        """Let the run that is held go on to the same step of the next picture; `held` again."""
        self._reached.clear()
        self._go.set()

    def release(self) -> None:
        """Let the run that is held go on, and hold none after it."""
        self._hold = None
        self._go.set()

    def release_to(self, step: int) -> None:
        """Let the run that is held go on, to be held again before step `step`."""
        held, self._go, self._reached = self._go, threading.Event(), threading.Event()
        self._hold = step
        held.set()

    def fail(self, step: int, error: BaseException) -> None:
        """Raise `error` instead of making step `step` of whatever comes next, once."""
        self._failure = (step, error)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else is in here meanwhile."""
        assert self._inside.acquire(blocking=False), "two threads use one painter"
        try:
            yield
        finally:
            self._inside.release()

    def before(self, request: Request, index: int) -> None:
        """What happens before each step: it is counted, held or made to fail."""
        self.steps += 1
        if self._failure is not None and self._failure[0] == index:
            (_, error), self._failure = self._failure, None
            raise error
        if self._hold == index:
            go = self._go
            self._reached.set()
            assert go.wait(PATIENCE), f"{request.prompt!r} was held and never released"
            self._go.clear()

    def _start(self, request: Request, state: bytes) -> tuple[int, bytes]:
        try:
            told = json.loads(state)
            of, index, x = told["of"], told["index"], bytes.fromhex(told["x"])
        except (ValueError, KeyError, TypeError) as error:
            raise SfumatoError("this is no state of a run; submit without it.") from error
        if of != key_of(request).hex() or request.count != 1:
            raise SfumatoError("this state is of another request; submit without it.")
        return index, x
