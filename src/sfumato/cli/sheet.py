"""`sfumato sheet`: a grid of pictures, each kept with its recipe in a folder beside the sheet."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import typer
from PIL.Image import Image

from sfumato.choose import Cell, Sheet, draw_sheet, parse_axis, plan_sheet, same_sheet
from sfumato.cli.configuration import shelves
from sfumato.cli.kept import Today, apart
from sfumato.cli.machine import EngineLike, MakeEngine
from sfumato.cli.paths import FOLDER, free_name, slug
from sfumato.cli.remarks import Remarks
from sfumato.cli.screen import Progress, duration, note, say
from sfumato.cli.stop import TERMINATED, Terminated, terminable
from sfumato.cli.taking import Order
from sfumato.cli.wish import check_origin, machine, painted_with, wish
from sfumato.errors import OutputError, PictureError
from sfumato.images import Texts, check_output, is_ours, read_picture, save, write
from sfumato.recipe import FORMAT, Origin, Picture, Recipe, read
from sfumato.request import Request
from sfumato.source import Source

__all__ = ["Work", "fill", "prepare", "sheet"]

MANIFEST = "sheet.json"
_SEED_BITS = 32

Plan = Callable[[Request], Sheet]


@dataclass
class Work:
    """A sheet that is being made: its plan, its folder, and the pictures there are by now."""

    order: Order
    origin: Origin | None
    sheet: Sheet
    folder: Path
    kept: int = 0
    pictures: dict[Cell, Image] = field(default_factory=dict[Cell, Image])
    recipes: dict[Cell, Recipe] = field(default_factory=dict[Cell, Recipe])

    def path(self, cell: Cell) -> Path:
        """Where a cell's picture lies."""
        return self.folder / f"{cell.stem}.png"


def sheet(order: Order, axes: Sequence[str], make_engine: MakeEngine) -> None:
    """Make what is not there yet of a sheet, and draw it.

    Raises `SfumatoError` before the first step for everything that can be known by then.
    """
    origin = None if order.source is None else read(order.source)
    if origin is not None:
        check_origin(order, origin)
    read_axes = [parse_axis(axis, _read_file) for axis in axes]

    def planned(request: Request) -> Sheet:
        seed = partial(secrets.randbits, _SEED_BITS)
        return plan_sheet(request, read_axes, seed, order.changes.keys())

    request = painted_with(order, origin, wish(order, origin))
    name = "-".join([slug(request.prompt), *(axis.field for axis in read_axes)])
    work = prepare(order, origin, request, planned, name)
    columns, rows, sheets = work.sheet.shape
    shape = f"{columns} x {rows}" + (f" on {sheets} sheets" if sheets > 1 else "")
    fill(work, make_engine, shape)
    for z in range(sheets):
        place = work.folder / ("sheet.png" if sheets == 1 else f"sheet-{z + 1}.png")
        save(draw_sheet(work.sheet, work.pictures, z), place, _texts(work.sheet))
        say(str(place) if order.quiet else f"{place}  {columns} x {rows}")


def prepare(
    order: Order, origin: Origin | None, request: Request, planned: Plan, name: str
) -> Work:
    """The work of a sheet, with what lies in its folder already. Raises `SfumatoError`.

    Without `--out` the folder is named after the prompt and what changes; one that holds the same
    sheet is gone on with, also where its seed was drawn.
    """
    sheet = planned(request)
    folder, old = _folder(order, request, sheet, name)
    if old is not None:
        sheet = planned(_with_seeds(request, old))
    work = Work(order, origin, sheet, folder)
    check_output(folder / MANIFEST)
    today = Today(shelves(), order.device, order.precision)
    for cell in sheet.cells:
        path = work.path(cell)
        found = _found(path, cell)
        if found is not None:
            _require_like(path, today.apart(found.recipe, cell.request))
            _check_like(work, cell, found.recipe)
            work.pictures[cell], work.recipes[cell] = found.image, found.recipe
        elif path.exists() and not is_ours(path):
            raise OutputError(
                f"{path} exists and was not made by sfumato, so it is not replaced; "
                "give another --out or remove it."
            )
    work.kept = len(work.pictures)
    if old is not None and old.get("axes") != sheet.to_dict()["axes"] and not order.quiet:
        note(f"{folder}: another order lay here; the pictures that belong to this one are kept")
    return work


def fill(work: Work, make_engine: MakeEngine, shape: str) -> None:
    """Paint and save the cells that are not there yet, and say first how long that will take."""
    missing = [cell for cell in work.sheet.order if cell not in work.pictures]
    if not work.order.quiet:
        there = f", {work.kept} of them there already" if work.kept else ""
        drawn = (
            "" if work.order.changes.get("seed") is not None else f", seed {work.sheet.base.seed}"
        )
        note(f"{len(work.sheet.cells)} pictures, {shape}{there}{drawn}, in {work.folder}")
    if not missing:
        _write_manifest(work)
        return
    try:
        with terminable(), Progress(len(missing), quiet=work.order.quiet) as progress:
            progress.wait("loading the model")
            engine = make_engine(*machine(work.order, work.origin))
            seconds = _tried(work, engine, missing)
            _write_manifest(work)  # not before: what cannot be painted leaves nothing behind
            progress.note(f"{len(missing)} to make, about {duration(seconds)}")
            remarks = Remarks(progress)
            for i, cell in enumerate(missing):
                _paint(work, engine, cell, remarks, i)
    except KeyboardInterrupt as stop:
        done = len(work.pictures)
        note(f"stopped; {done} of {len(work.sheet.cells)} are kept; the same command goes on")
        if isinstance(stop, Terminated):
            raise typer.Exit(TERMINATED) from None
        raise


def _write_manifest(work: Work) -> None:
    told = {"format": FORMAT, **work.sheet.to_dict()}
    write(json.dumps(told, indent=1).encode(), work.folder / MANIFEST)


def _tried(work: Work, engine: EngineLike, missing: Sequence[Cell]) -> float:
    """About how many seconds the missing cells will take, by two steps of the first one.

    Every prompt of the first model is read as well: what it cannot read is told before painting.
    """
    first = missing[0]
    for cell in {c.request.prompt + "\0" + c.request.negative: c for c in missing[1:]}.values():
        if cell.request.model == first.request.model:
            engine.submit(cell.request)
    run = engine.submit(first.request)
    _check_like(work, first, run.recipe)
    begun = time.perf_counter()
    steps = iter(run)
    for _ in range(min(2, run.request.run_steps)):
        begun, _ = time.perf_counter(), next(steps)
    each = time.perf_counter() - begun
    usual = _load(run.request)
    return sum(each * _load(_complete(cell.request, run.request)) / usual for cell in missing) * (
        run.request.run_steps
    )


def _complete(request: Request, like: Request) -> Request:
    """A cell's request with what is open in it as another cell has it, for an estimate."""
    width, height = request.width or like.width, request.height or like.height
    values = {"steps": request.steps or like.steps, "width": width, "height": height}
    known = {k: v for k, v in values.items() if v is not None}
    changed = {**known, "sampler": request.sampler or like.sampler, "guidance": request.guidance}
    merged = {name: getattr(request, name) for name in request.__dataclass_fields__} | changed
    if request.image is not None and request.strength is None:
        merged["strength"] = like.strength
    return Request(**merged)  # pyright: ignore[reportArgumentType] - parts of checked requests


def _load(request: Request) -> float:
    """How much work a picture is: calls of the network, by its pixels."""
    from sfumato.effort import calls_a_step

    pixels = (request.width or 1) * (request.height or 1)
    return calls_a_step(request) * request.run_steps * pixels


def _paint(work: Work, engine: EngineLike, cell: Cell, remarks: Remarks, i: int) -> None:
    run, progress = engine.submit(cell.request), remarks.progress
    remarks.on(run)
    _check_like(work, cell, run.recipe)
    progress.begin(i, run.request.run_steps)
    for step in run:
        progress.follow(i, step)
    (picture,) = run.result().pictures
    if not cell.made(picture.recipe):
        raise AssertionError(f"{cell.stem} is not what was asked for")
    path = work.path(cell)
    picture.save(path)
    work.pictures[cell], work.recipes[cell] = picture.image, picture.recipe
    progress.say(str(path) if work.order.quiet else f"{path}  {duration(picture.recipe.seconds)}")


def _check_like(work: Work, cell: Cell, recipe: Recipe) -> None:
    """Refuse to lay pictures on one sheet that differ by more than their requests."""
    asked = _files(cell.request)
    for other, there in work.recipes.items():
        if _files(other.request) == asked:
            _require_like(work.path(other), apart(there, recipe))
            return  # all that lie there are like this one, or they would have been refused


def _files(request: Request) -> tuple[object, ...]:
    """What decides which files a picture is made with."""
    beside = request.refiner, request.upscale, request.upscaler
    return request.model, request.vae, request.text_encoders, *beside


def _require_like(path: Path, apart: str | None) -> None:
    if apart is not None:
        raise OutputError(f"{path} was made {apart}; give another --out, or remove it.")


def _found(path: Path, cell: Cell) -> Picture | None:
    """The picture of a cell, if it lies there whole and its recipe is the cell's."""
    if not path.exists():
        return None
    try:
        recipe = read(path).recipe
        if recipe is None or not cell.made(recipe):
            return None
        image, _ = read_picture(path)
    except PictureError:  # torn, or of another making: it is made again
        return None
    return Picture(image, recipe)


def _folder(
    order: Order, request: Request, sheet: Sheet, name: str
) -> tuple[Path, Mapping[str, object] | None]:
    """Where the sheet goes, and what the sheet was made of that lies there already."""
    if order.out == "":
        raise OutputError("--out is empty; give a folder, or leave it out.")
    if order.out is not None:
        folder = Path(order.out)
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"--out {folder} is a file; a sheet goes into a folder.")
        old = _manifest(folder)
        if old is not None and (others := _others(old, request, sheet)):
            raise OutputError(
                f"{folder} holds a sheet with another {', '.join(others[:5])}; give another --out "
                "(the axes may change, and what still belongs is kept)."
            )
        return folder, old
    folder, n = Path(FOLDER) / name, 1
    while folder.exists():
        old = _manifest(folder)
        if old is not None and not _others(old, request, sheet):
            return folder, old
        n += 1
        folder = Path(FOLDER) / f"{name}-{n}"
    return free_name(folder), None


def _manifest(folder: Path) -> Mapping[str, object] | None:
    try:
        data: object = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, object]", data) if isinstance(data, dict) else None


def _others(old: Mapping[str, object], request: Request, sheet: Sheet) -> list[str]:
    """In what the sheet that lies there has another request; drawn seeds are no difference."""
    given = ("seed", "path_seed", "variation_seed")
    return [
        name
        for name in same_sheet(old, sheet)
        if name not in given or getattr(request, name) is not None
    ]


def _with_seeds(request: Request, old: Mapping[str, object]) -> Request:
    """The request with the seeds that were drawn for the sheet that lies there."""
    before = old["request"]
    assert isinstance(before, dict)
    told = cast("dict[str, object]", before)
    values = {name: getattr(request, name) for name in request.__dataclass_fields__}
    for name in ("seed", "path_seed", "variation_seed"):
        values[name] = told.get(name) if values[name] is None else values[name]
    return Request(**values)  # pyright: ignore[reportArgumentType] - checked by Request


def _texts(sheet: Sheet) -> Texts:
    return Texts(sfumato=json.dumps({"format": FORMAT, "sheet": sheet.to_dict()}))


def _read_file(field: str, place: str) -> Source:
    return Source.read(Path(place), "picture" if field == "image" else "mask")
