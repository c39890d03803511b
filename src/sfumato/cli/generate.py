"""`sfumato generate`: from what the user typed to finished files, one picture at a time.

Each picture is a request of its own (`Request.single`), saved as soon as it is finished: whatever
stops the run, what was finished is kept.
"""

from __future__ import annotations

import shlex
import signal
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Literal, Protocol

import typer
from PIL import ImageChops
from PIL.Image import Image

from sfumato.cli.configuration import shelves
from sfumato.cli.options import OPTIONS, shown
from sfumato.cli.paths import Plan, numbered, plan
from sfumato.cli.same_model import same_model, same_refiner
from sfumato.cli.screen import Progress, duration, note, say
from sfumato.diffusion.table import check_wander, sampler_row, schedule_row
from sfumato.errors import PictureError
from sfumato.images import Frame, Texts, animate, filmstrip, read_picture, save
from sfumato.recipe import NUMERICS, Origin, Picture, Recipe, Result, read
from sfumato.request import Request
from sfumato.source import Source

TERMINATED = 143  # 128 + SIGTERM
_AS: Mapping[str, str] = {"image": "a picture", "mask": "a mask"}


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

    `recipe` is that of the first picture, as far as it is known before the first step.
    """

    @property
    def request(self) -> Request: ...
    @property
    def recipe(self) -> Recipe: ...
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


class Terminated(KeyboardInterrupt):
    """SIGTERM: it stops a run as Ctrl-C does, with a status of its own."""


@dataclass(frozen=True)
class Many:
    """Where an order's prompts come from, if it is for more than one: see `cli.many`.

    `file` has one wish a line; `dynamic` draws each picture's prompt from a template, by its seed,
    `combine` takes every prompt that the template can give; `wildcards` is their folder.
    """

    file: Path | None = None
    dynamic: bool = False
    combine: bool = False
    wildcards: Path | None = None

    @property
    def asked(self) -> bool:
        return self != Many()


@dataclass(frozen=True)
class Order:
    """What the user typed, before it is a request.

    `changes` holds the fields of `Request` that were given; all else is the model's, or that of
    the picture `source` (`--from`). `image` and `mask` are the files to start from.
    """

    changes: Mapping[str, object]
    image: Path | None = None
    mask: Path | None = None
    device: str | None = None
    precision: str | None = None
    out: str | None = None
    filmstrip: Path | None = None
    animation: Path | None = None
    source: Path | None = None
    anyway: bool = False
    quiet: bool = False
    many: Many = Many()


@dataclass(frozen=True)
class Job:
    """An order that has been understood and can be rendered."""

    order: Order
    origin: Origin | None
    request: Request
    files: Plan


def generate(order: Order, make_engine: MakeEngine) -> None:
    """Make the pictures of an order, and say where they are and how to make them again.

    Raises `SfumatoError` before the first step for everything that can be known by then.
    """
    origin = None if order.source is None else read(order.source)
    if origin is not None:
        check_origin(order, origin)
    request = painted_with(order, origin, wish(order, origin))
    _tell_letters(order, request)
    files = plan(request.count, order.out, order.filmstrip, order.animation)
    files.check()
    before = _original(order, origin)  # now, because the run may replace it
    finished: list[tuple[Path, Picture]] = []
    try:
        with terminable():
            _render(Job(order, origin, request, files), make_engine, finished)
    except KeyboardInterrupt as stop:
        kept = ", ".join(str(path) for path, _ in finished)
        done = f"{len(finished)} of {request.count} finished and kept: {kept}"
        note(f"stopped; {done if finished else 'no picture was finished'}")
        if isinstance(stop, Terminated):
            raise typer.Exit(TERMINATED) from None
        raise
    if not order.quiet:
        path, first = finished[0]
        if origin is not None:
            _tell_sameness(order, origin, first, before)
        say(f"again: {again(order, first.recipe, path)}")


def wish(order: Order, origin: Origin | None) -> Request:
    """The request: what the picture in `--from` says, changed by what was typed."""
    start = Request() if origin is None else origin.request
    changes: dict[str, object] = {
        **order.changes,
        "image": _source("image", "picture", order, start.image),
        "mask": _source("mask", "mask", order, start.mask),
    }
    if order.anyway or not changes.keys().isdisjoint({"prompt", "negative"}):
        changes.setdefault("embeddings", None)  # other words may name others
        changes |= {"template": "", "negative_template": ""}
    request = start.changed(changes)
    checked(request)
    return request


def painted_with(order: Order, origin: Origin | None, request: Request) -> Request:
    """The request with the model of the picture in `--from`, found by its sha256."""
    if origin is None or origin.recipe is None or "model" in order.changes:
        return request
    request = replace(request, model=same_model(origin.recipe, shelves(), anyway=order.anyway))
    if request.refiner is None or "refiner" in order.changes:
        return request
    return replace(request, refiner=same_refiner(origin.recipe, shelves(), anyway=order.anyway))


def checked(request: Request) -> Request:
    """The request with the usual names of its sampler and schedule.

    Unknown ones are told here, before torch and the model are loaded.
    """
    names: dict[str, str] = {}
    if request.sampler is not None:
        names["sampler"] = sampler_row(request.sampler).name
        if request.wander:
            check_wander(names["sampler"])
    if request.schedule is not None:
        names["schedule"] = schedule_row(request.schedule).name
    return replace(request, **names)


def _tell_letters(order: Order, request: Request) -> None:
    """Say that what was typed weighs nothing, where that comes from the picture in `--from`."""
    if order.source is None or request.brackets != "plain" or "weighting" in order.changes:
        return
    typed = f"{order.changes.get('prompt', '')}{order.changes.get('negative', '')}"
    if any(bracket in typed for bracket in "(["):
        note(
            f"brackets are only letters, as in {order.source.name}; for brackets that weigh, "
            "add --weighting a1111"
        )


def _source(
    name: Literal["image", "mask"],
    kind: Literal["picture", "mask"],
    order: Order,
    known: Source | None,
) -> Source | None:
    """The picture or the mask to start from; with `--from`, that which was started from then."""
    path = order.image if name == "image" else order.mask
    origin = "" if order.source is None else order.source.name
    if path is None:
        if known is None:
            return None
        raise PictureError(
            f"{origin} was made with {_AS[name]} of {_told(known)}, which is not in it; "
            f"give that with --{name}."
        )
    source = Source.read(path, kind)
    if known is not None and known != source and not order.anyway:
        raise PictureError(
            f"{origin} was made with {_AS[name]} of {_told(known)}, and {path.name} has "
            f"{_told(source)}.\nGive the other one with --{name}, or add --anyway."
        )
    return source


def _told(source: Source) -> str:
    return f"{source.width}x{source.height} (sha256 {source.sha256[:10]}…)"


def again(order: Order, recipe: Recipe, path: Path) -> str:
    """The command that makes the same pictures once more, for a POSIX shell.

    Options of output are left out. A prompt that a terminal cannot show is taken from the picture.
    """
    given: dict[str, object] = {**order.changes, "seed": recipe.request.seed}
    if recipe.request.wander:
        given["path_seed"] = recipe.request.path_seed
    if recipe.request.variation_strength is not None:
        given["variation_seed"] = recipe.request.variation_seed
    prompt, source, anyway = given.pop("prompt", None), order.source, order.anyway
    if isinstance(prompt, str) and not prompt.replace("\n", " ").isprintable():
        prompt, source, given = None, path, {}
    words = [str(prompt)] if prompt is not None and not str(prompt).startswith("-") else []
    if source is not None:
        words += ["--from", str(source)] + (["--anyway"] if anyway else [])
    for option in OPTIONS:
        words += option.words(given)
    for flag, value in (
        ("--image", order.image),
        ("--mask", order.mask),
        ("--device", order.device),
        ("--precision", order.precision),
    ):
        words += [] if value is None else [flag, str(value)]
    if prompt is not None and str(prompt).startswith("-"):
        words += ["--", str(prompt)]
    return shlex.join(["sfumato", "generate", *words])


def _render(job: Job, make_engine: MakeEngine, finished: list[tuple[Path, Picture]]) -> None:
    """Render and save one picture after the other; each joins `finished` once it is on disk."""
    count, request = job.request.count, job.request
    with Progress(count, quiet=job.order.quiet) as progress:
        progress.wait("loading the model")
        begun = time.perf_counter()
        engine = make_engine(*machine(job.order, job.origin))
        for i in range(count):
            run = engine.submit(request.single(i))
            if i == 0:
                _check_run(job, run)
                # What the first picture settled holds for all; files keep their folders.
                files = {"model": request.model, "upscaler": request.upscaler}
                request = replace(run.request, count=count, **files)
            frames: list[Frame] = []
            progress.begin(i, run.request.run_steps)
            for step in run:
                if step.upscaling is not None:
                    progress.upscaling(i, *step.upscaling)
                    continue
                progress.step(i, step.index, step.total)
                # The last one is the picture itself, unless that was made larger meanwhile.
                if job.files.wants_frames and (step.index < step.total or request.upscale):
                    label = f"step {step.index} of {step.total}"
                    frames.append(Frame(label, step.preview()[0]))
            (picture,) = run.result().pictures
            picture = replace(picture, recipe=replace(picture.recipe, index=i))
            finished.append((_save(job, i, picture), picture))
            now = time.perf_counter()
            _tell_picture(job, finished[-1], now - begun, progress)
            _save_frames(job, i, picture, frames, progress)
            begun = now


def machine(order: Order, origin: Origin | None) -> tuple[str, str]:
    """Device and precision: as typed, else those of the picture to be made again."""
    recipe = None if origin is None else origin.recipe
    device = "auto" if recipe is None else recipe.device.split(":")[0]
    precision = "auto" if recipe is None else recipe.precision
    return (
        device if order.device is None else order.device,
        precision if order.precision is None else order.precision,
    )


def check_origin(order: Order, origin: Origin) -> None:
    """Refuse to promise what cannot be kept, unless the user wants it anyway."""
    name = "" if order.source is None else order.source.name
    recipe = origin.recipe
    if order.anyway:
        if origin.unread:
            left = ", ".join(f"{key} {value}" for key, value in origin.unread.items())
            note(f"{name}: these of its settings are not followed: {left}")
    elif recipe is None:
        raise PictureError(
            f"{name} was made by another program, so the same picture cannot be promised.\n"
            "Add --anyway to follow its text as far as it goes."
        )
    elif recipe.numerics != NUMERICS:
        raise PictureError(
            f"{name} was made by sfumato {recipe.sfumato} with numerics {recipe.numerics}, and "
            f"this version has {NUMERICS}: the pixels would differ.\nAdd --anyway to make it so."
        )


def _check_run(job: Job, run: RunLike) -> None:
    """What can only be known once the model is: its identity, and the room for the files."""
    request, origin = run.request, None if job.origin is None else job.origin.recipe
    if origin is not None and not job.order.anyway:
        _check_same(origin, run.recipe, job.order.changes.keys())
    job.files.check_room(*request.finished, request.run_steps)


def _check_same(there: Recipe, here: Recipe, typed: Collection[str]) -> None:
    """That the model, its parts and the upscaler are those of the picture to be made again."""
    if there.sha256 != here.sha256:
        raise PictureError(
            f"the picture was made with {there.request.model} (sha256 {there.sha256[:10]}…), and "
            f"{here.request.model} here has {here.sha256[:10]}….\n"
            "Give the place of that file with --model, or add --anyway."
        )
    if there.parts != here.parts and {"vae", "text_encoders", "refiner"}.isdisjoint(typed):
        names = there.parts.keys() | here.parts.keys()
        other = next(n for n in sorted(names) if there.parts.get(n) != here.parts.get(n))
        raise PictureError(
            f"the picture was made with another {other.replace('_', ' ')} "
            f"({_sha(there.parts.get(other))}, and here {_sha(here.parts.get(other))}).\n"
            "Give the place of that file with --vae, --text-encoder or --refiner, or add --anyway."
        )
    ours, theirs = here.upscaler_sha256, there.upscaler_sha256
    if "" not in (ours, theirs) and ours != theirs and "upscaler" not in typed:
        raise PictureError(
            f"the picture was made larger by {there.request.upscaler} (sha256 {theirs[:10]}…),"
            f" and {here.request.upscaler} here has {ours[:10]}….\n"
            "Give the place of that file with --upscaler, or add --anyway."
        )


def _sha(digest: str | None) -> str:
    return "that of its own file" if digest is None else f"sha256 {digest[:10]}…"


def _save(job: Job, index: int, picture: Picture) -> Path:
    request = picture.recipe.request
    path = job.files.picture_path(index, request.prompt, request.seed or 0)
    picture.save(path)
    return path


def _save_frames(
    job: Job, index: int, picture: Picture, frames: list[Frame], progress: Progress
) -> None:
    """The film strip and the animation of one picture, which end with the picture itself."""
    request, files, count = picture.recipe.request, job.files, job.request.count
    steps = request.run_steps
    if request.upscale is None:
        frames = [*frames, Frame(f"step {steps} of {steps}", picture.image)]
    ours = Texts(sfumato=picture.recipe.to_json())
    if files.filmstrip is not None:
        path = numbered(files.filmstrip, index, count)
        save(filmstrip(frames, caption=_caption(request)), path, ours)
        progress.say(str(path) if job.order.quiet else f"{path}  film strip")
    if files.animation is not None:
        path = numbered(files.animation, index, count)
        animate([frame.image for frame in frames], path, ours)
        progress.say(str(path) if job.order.quiet else f"{path}  animation")


def _caption(request: Request) -> list[str]:
    parts = [request.prompt.strip(), f"seed {request.seed}"]
    parts += [] if request.path_seed is None else [f"path {request.path_seed}"]
    if request.variation_strength:
        strength = shown(request.variation_strength)
        parts += [f"variation {request.variation_seed}, strength {strength}"]
    parts += [] if request.strength is None else [f"strength {shown(request.strength)}"]
    parts += [
        f"{request.sampler}, {request.schedule or 'own sigmas'}",
        f"guidance {shown(request.guidance)}",
    ]
    return [part for part in parts if part]


def _tell_picture(job: Job, made: tuple[Path, Picture], seconds: float, progress: Progress) -> None:
    path, picture = made
    request = picture.recipe.request
    wander = "" if request.path_seed is None else f"  path {request.path_seed}"
    varied = f"  variation {request.variation_seed}" if request.variation_strength else ""
    facts = f"  {duration(seconds)}  seed {request.seed}{wander}{varied}"
    progress.say(f"{path}{'' if job.order.quiet else facts}")


def _original(order: Order, origin: Origin | None) -> Image | None:
    """The picture in `--from`, if it can be compared with: ours, lossless, whole and at rest."""
    source = order.source
    if source is None or origin is None or origin.recipe is None:
        return None
    if source.suffix.lower() not in (".png", ".webp"):
        return None
    try:
        image, _ = read_picture(source)
    except PictureError:  # damaged pixels, but the recipe was read, and that is what is followed
        return None
    return None if getattr(image, "is_animated", False) else image


def _tell_sameness(order: Order, origin: Origin, made: Picture, image: Image | None) -> None:
    """Compare with `image`, the picture that was in `--from`, if it was meant to be the same."""
    source, recipe = order.source, origin.recipe
    if recipe is None or recipe.sha256 != made.recipe.sha256:
        return
    if recipe.request != replace(made.recipe.request, model=recipe.request.model):
        return
    if image is None or image.size != made.image.size:  # a film strip or a copy that was scaled
        return
    levels = ImageChops.difference(image.convert("RGB"), made.image.convert("RGB")).getextrema()
    largest = max(int(high) for _, high in levels)  # pyright: ignore
    if largest == 0:
        say(f"the same as {source}, to the bit")
        return
    here = f"{made.recipe.device}, {made.recipe.precision}, torch {made.recipe.torch}"
    there = f"{recipe.device}, {recipe.precision}, torch {recipe.torch}"
    say(f"differs from {source} by up to {largest} of 255 levels (there {there}; here {here})")


@contextmanager
def terminable() -> Generator[None]:
    """Let SIGTERM stop the run as Ctrl-C does; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
