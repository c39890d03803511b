"""`sfumato generate`: from what the user typed to finished files, one picture at a time.

Each picture is a request of its own (`Request.single`), saved as soon as it is finished: whatever
stops the run, what was finished is kept.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from PIL import ImageChops
from PIL.Image import Image

from sfumato.cli.machine import MakeEngine, RunLike
from sfumato.cli.options import OPTIONS, shown
from sfumato.cli.paths import Plan, numbered, plan
from sfumato.cli.remarks import Remarks
from sfumato.cli.screen import Progress, duration, note, say
from sfumato.cli.stop import TERMINATED, Terminated, terminable
from sfumato.cli.taking import Order
from sfumato.cli.wish import check_origin, machine, painted_with, wish
from sfumato.errors import PictureError
from sfumato.images import Frame, Texts, animate, filmstrip, lossy, read_picture, save
from sfumato.recipe import Origin, Picture, Recipe, read
from sfumato.request import Request

__all__ = ["again", "generate"]


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
                Remarks(progress).on(run)
                # What the first picture settled holds for all; files keep their folders.
                names = ("model", "refiner", "upscaler")
                files = {name: getattr(request, name) for name in names}
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
    if source.suffix.lower() not in (".png", ".webp") or lossy(source):
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
