"""An engine that paints a coloured square, so that the command line is tested without a model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from PIL import Image

from sfumato.catalog import ILLUSTRATION
from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import PromptError, RequestError
from sfumato.familiar import strange
from sfumato.recipe import Picture, Recipe, Result
from sfumato.request import Request
from sfumato.resolve import Defaults, resolve
from sfumato.weights.hashes import sha256

DEFAULTS = Defaults(
    steps=4,
    guidance=5,
    sampler="euler_ancestral",
    schedule="karras",
    width=32,
    height=24,
    pag_layers=(1,),
)
DRAWN = 123


def _of(asset: str) -> str:
    return sha256(Path(str(resources.files("sfumato").joinpath("assets", asset))))


SHA256 = _of("mini/model.safetensors")
UPSCALER_SHA256 = _of(ILLUSTRATION.asset)


def painted(request: Request, part: float) -> Image.Image:
    """One colour for each seed and path, brighter as the steps go on."""
    seed = (request.seed or 0) * 7 + (request.path_seed or 0) * 31
    colour = tuple(int(part * (seed * k % 256)) for k in (3, 5, 11))
    return Image.new("RGB", (request.width or 8, request.height or 8), colour)


@dataclass(frozen=True)
class FakeStep:
    request: Request
    index: int
    total: int
    upscaling: tuple[int, int] | None = None

    def preview(self) -> list[Image.Image]:
        return [painted(self.request, self.index / self.total)]


@dataclass
class FakeRun:
    engine: "FakeEngine"
    request: Request
    sha256: str

    @property
    def strange(self) -> tuple[str, ...]:
        return strange(self.request, self.engine.words)

    @property
    def taken(self) -> tuple[str, ...]:
        return self.engine.taken

    @property
    def absent(self) -> tuple[str, ...]:
        return self.engine.absent

    @property
    def few(self) -> str | None:
        return self.engine.few

    @property
    def recipe(self) -> Recipe:
        request = self.request.single(0)
        return Recipe(
            request=request,
            family="fake",
            title="A fake",
            sha256=self.sha256,
            sampler_title=sampler_row(request.sampler or "").title,
            schedule_title=schedule_row(request.schedule).title if request.schedule else "",
            device="cpu",
            precision=self.engine.precision,
            sfumato="0.1.0",
            torch="2.13.0",
            parts=self.engine.parts,
            upscaler_sha256="" if request.upscale is None else UPSCALER_SHA256,
        )

    def __iter__(self) -> Iterator[FakeStep]:
        total = self.request.run_steps
        for index in range(1, total + 1):
            self.engine.on_step(len(self.engine.submitted), index)
            if index == total and self.request.upscale is not None:
                yield FakeStep(self.request, index, total, (0, 1))
                yield FakeStep(self.request, index, total, (1, 1))
            yield FakeStep(self.request, index, total)

    def result(self) -> Result:
        request = self.request
        self.engine.finished += 1
        image = painted(request, 1).resize(request.finished)
        return Result((Picture(image, self.recipe),), 0.5)


@dataclass
class FakeEnlargement:
    image: Image.Image
    factor: int
    name: str
    sha256: str = UPSCALER_SHA256
    total: int = 2

    def __iter__(self) -> Iterator[int]:
        yield from (1, 2)

    def picture(self) -> Image.Image:
        width, height = self.image.size
        return self.image.resize((width * self.factor, height * self.factor), 0)


@dataclass
class FakeEngine:
    """`on_step(picture, step)`, both from 1, is called before each step."""

    on_step: Callable[[int, int], None] = lambda picture, step: None
    sha256: str = SHA256
    precision: str = "fp32"
    parts: Mapping[str, str] = field(default_factory=dict)
    words: frozenset[str] | None = None
    taken: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    few: str | None = None
    made: list[tuple[str, str]] = field(default_factory=list)
    submitted: list[Request] = field(default_factory=list)
    finished: int = 0

    def make(self, device: str, precision: str) -> "FakeEngine":
        if device not in ("auto", "cpu"):
            raise RequestError(f"no device {device!r}; this machine has cpu.")
        self.made.append((device, precision))
        return self

    def submit(self, request: Request) -> FakeRun:
        self.submitted.append(request)
        if len(request.prompt.split()) > 50:
            raise PromptError("the prompt is longer than the model reads; these words fall off: x")
        resolved = resolve(
            request,
            DEFAULTS,
            model=request.model or "mini",
            draw_seed=lambda: DRAWN,
            sampler_name=lambda name: sampler_row(name).name,
            schedule_name=lambda name: schedule_row(name).name,
        )
        return FakeRun(self, resolved, self.sha256)

    def enlarge(
        self, image: Image.Image, factor: int, upscaler: str | None = None
    ) -> FakeEnlargement:
        assert image.mode == "RGB"
        return FakeEnlargement(image, factor, upscaler or ILLUSTRATION.name)
