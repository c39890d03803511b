"""`sfumato generate` for many prompts: a file with one wish a line, and templates with choices.

Each picture is a wish of its own, with its own name and recipe. All wishes are read before the
first is painted; what lies in the folder already is not made again, so that the same command goes
on where it was stopped.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import cast

import typer

from sfumato.choose import Cell
from sfumato.cli.configuration import shelves
from sfumato.cli.kept import Today
from sfumato.cli.machine import EngineLike, MakeEngine
from sfumato.cli.options import OPTIONS
from sfumato.cli.paths import FOLDER, slug
from sfumato.cli.remarks import Remarks
from sfumato.cli.screen import Progress, duration, note
from sfumato.cli.stop import TERMINATED, Terminated, terminable
from sfumato.cli.taking import Order
from sfumato.cli.wish import checked, machine, wish
from sfumato.embedding import embeddings_from_json
from sfumato.errors import OutputError, PictureError, RequestError, SfumatoError
from sfumato.images import check_output, is_ours
from sfumato.limits import MAX_COUNT
from sfumato.recipe import read
from sfumato.request import Request
from sfumato.source import Source
from sfumato.templates import combined, drawn

__all__ = ["Line", "many", "read_lines", "wishes"]

_SEED_BITS = 32
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Line:
    """A line of the file: its number from 1, and the fields of a request that it gives."""

    number: int
    fields: Mapping[str, object]


def many(order: Order, make_engine: MakeEngine) -> None:
    """Make the pictures of an order for many prompts that are not there yet.

    Raises `SfumatoError` before the first step for everything that can be known by then.
    """
    wanted = wishes(order)
    folder = _folder(order)
    check_output(folder / "picture.png")
    today = Today(shelves(), order.device, order.precision)
    missing = [(one, path) for one, path in _placed(wanted, folder, today) if path is not None]
    there = len(wanted) - len(missing)
    if not order.quiet:
        pictures = "1 picture" if len(wanted) == 1 else f"{len(wanted)} pictures"
        note(f"{pictures}{f', {there} there already' if there else ''}, in {folder}")
    done = 0
    try:
        with terminable(), Progress(len(missing), quiet=order.quiet) as progress:
            if missing:
                progress.wait("loading the model")
                engine = make_engine(*machine(order, None))
                _ask(engine, [one for one, _ in missing])
                remarks = Remarks(progress)
                for one, path in missing:
                    _paint(engine, one, path, remarks, done)
                    done += 1
    except KeyboardInterrupt as stop:
        how = "the same command goes on"
        if order.many.file is None and order.changes.get("seed") is None:
            how = f"with --seed {wanted[0].seed} the same command goes on"
        note(f"stopped; {there + done} of {len(wanted)} are kept; {how}")
        if isinstance(stop, Terminated):
            raise typer.Exit(TERMINATED) from None
        raise


def wishes(order: Order) -> list[Request]:
    """Every picture that an order asks for as a request of its own, seeds and words drawn.

    Raises SfumatoError; what is wrong with a line of the file names the line.
    """
    _require_alone(order)
    file = order.many.file
    base = checked(wish(order, None))
    if file is None:
        seed = secrets.randbits(_SEED_BITS) if base.seed is None else base.seed
        return list(_expanded(replace(base, seed=seed), order))
    found: list[Request] = []
    seen: Counter[str] = Counter()
    for line in read_lines(file):
        try:
            one = checked(_with(base, line.fields, file.parent, order.changes.keys()))
            if one.seed is None:
                one = replace(one, seed=_seed_of(one, seen))
            found += _expanded(one, order)
        except SfumatoError as error:
            raise RequestError(f"{file.name}, line {line.number}: {error}") from error
    if not found:
        raise RequestError(f"{file.name} holds no prompt; write one a line.")
    return found


def _require_alone(order: Order) -> None:
    """Refuse what has no meaning for many prompts."""
    if order.source is not None:
        raise RequestError("--from is for one picture; leave it out, or the options for many.")
    if order.filmstrip is not None or order.animation is not None:
        raise RequestError("--filmstrip and --animate are for one prompt; leave them out.")
    if order.many.file is not None and "prompt" in order.changes:
        raise RequestError("a prompt was given, and --prompts as well; give one of them.")


# ---- the file -------------------------------------------------------------------------------


def read_lines(file: Path) -> list[Line]:
    """The wishes in a file, by its ending: .jsonl (an object a line), .csv (a first row with the
    names of the fields), else text with a prompt a line, where # begins a comment.

    Raises RequestError for a file that cannot be read, with the number of a line that cannot.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RequestError(f"{file.name}, line {line}: is not UTF-8 text; save it so.") from error
    suffix = file.suffix.lower()
    if suffix == ".csv":
        return list(_rows(file, text))
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1)]
    told = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if suffix in (".jsonl", ".ndjson"):
        return [Line(n, _object(file, n, line)) for n, line in told]
    return [Line(n, {"prompt": line}) for n, line in told]


def _object(file: Path, number: int, line: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{file.name}, line {number}: is not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise RequestError(f"{file.name}, line {number}: is no JSON object with a prompt in it.")
    return cast("dict[str, object]", found)


def _rows(file: Path, text: str) -> Iterator[Line]:
    """The rows of a CSV file; an empty cell leaves its field open."""
    reader = csv.reader(io.StringIO(text), strict=True)
    names: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if names is None:
                names = [name.strip().lower().replace("-", "_") for name in row]
                continue
            if len(row) > len(names):
                raise RequestError(
                    f"{file.name}, line {reader.line_num}: has {len(row)} cells, and the first row "
                    f'names {len(names)}; write a cell that holds a comma in "quotes".'
                )
            yield Line(reader.line_num, _typed(file, reader.line_num, names, row))
    except csv.Error as error:
        raise RequestError(f"{file.name}, line {reader.line_num}: is not CSV ({error}).") from error


def _typed(file: Path, number: int, names: list[str], row: list[str]) -> dict[str, object]:
    """Cells as values, read as the options of the same names read what is typed."""
    options = {option.flag.removeprefix("--").replace("-", "_"): option for option in OPTIONS}
    options |= {option.name: option for option in OPTIONS}
    values: dict[str, object] = {}
    for name, cell in zip(names, row, strict=False):
        option = options.get(name)
        if cell.strip() == "":
            continue
        if option is None:
            values[name] = cell
        elif not option.metavar:
            word = cell.strip().lower()
            if word not in _YES + _NO:
                raise RequestError(
                    f"{file.name}, line {number}: {name} is {cell!r:.40}, not yes or no."
                )
            values[name] = word in _YES
        else:
            try:
                values |= option.values([cell.strip()] if option.many else cell.strip())
            except RequestError as error:
                raise RequestError(f"{file.name}, line {number}: {error}") from error
    return values


def _with(
    base: Request, given: Mapping[str, object], folder: Path, typed: Collection[str]
) -> Request:
    """A request with the fields of a line; pictures are named by files, beside the line's file.

    What was `typed` for all lines stays wherever the line does not say it itself.
    """
    known = {f.name for f in fields(Request)}
    strange = [name for name in given if name not in known]
    if strange:
        raise RequestError(f"a request has no field {strange[0]!r:.40}.")
    values = dict(given)
    if "embeddings" in values and not isinstance(values["embeddings"], tuple):
        values["embeddings"] = embeddings_from_json(values["embeddings"])
    if values.get("image") is not None:
        values["image"] = Source.read(folder / str(values["image"]), "picture")
    if values.get("mask") is not None:
        values["mask"] = Source.read(folder / str(values["mask"]), "mask")
    return base.changed(values, typed)


def _seed_of(request: Request, seen: Counter[str]) -> int:
    """The seed of a line that gives none: it follows from its words, so that a second run finds
    what the first one made. A line that stands there twice gets another one.
    """
    words = json.dumps([request.prompt, request.negative])
    seen[words] += 1
    digest = hashlib.sha256(f"{words} {seen[words]}".encode()).digest()
    return int.from_bytes(digest[: _SEED_BITS // 8])


# ---- templates ------------------------------------------------------------------------------


def _expanded(request: Request, order: Order) -> Iterator[Request]:
    """The pictures of a request with a seed, each with the words that it has."""
    how = order.many
    if not (how.dynamic or how.combine or how.wildcards):
        yield from (request.single(i) for i in range(request.count))
        return
    told = replace(request, template=request.prompt, negative_template=request.negative)
    if not how.combine:
        for i in range(request.count):
            one = told.single(i)
            assert one.seed is not None
            prompt = drawn(one.prompt, one.seed, how.wildcards)
            yield replace(one, prompt=prompt, negative=drawn(one.negative, one.seed, how.wildcards))
        return
    if request.count != 1:
        raise RequestError(
            f"count is {request.count}, and --combine makes one picture of each prompt; "
            "leave one of them out."
        )
    prompts, negatives = (
        combined(text, MAX_COUNT, how.wildcards) for text in (request.prompt, request.negative)
    )
    if len(prompts) * len(negatives) > MAX_COUNT:
        raise RequestError(
            f"both templates together give {len(prompts) * len(negatives)} pictures; "
            f"{MAX_COUNT} at a time are made."
        )
    for prompt, negative in product(prompts, negatives):
        yield replace(told, prompt=prompt, negative=negative)


# ---- pictures -------------------------------------------------------------------------------


def _folder(order: Order) -> Path:
    if order.out is None:
        return Path(FOLDER)
    folder = Path(order.out)
    if order.out == "" or folder.is_file() or (folder.suffix and not folder.is_dir()):
        raise OutputError(f"--out {order.out} must be a folder, for there are many pictures.")
    return folder


def _placed(
    wanted: list[Request], folder: Path, today: Today
) -> Iterator[tuple[Request, Path | None]]:
    """Where each picture goes; None for one that is there already."""
    taken: set[Path] = set()
    for one in wanted:
        stem, n = f"{slug(one.prompt)}-{one.seed}", 1
        path = folder / f"{stem}.png"
        while path in taken or (path.exists() and not _made(path, one, today)):
            n += 1
            path = folder / f"{stem}-{n}.png"
        taken.add(path)
        yield one, None if path.exists() else path


def _made(path: Path, wanted: Request, today: Today) -> bool:
    """Whether this file is the picture that is wanted: whatever was asked for, it has.

    What was not asked for it has as the model likes it. Also the model, by its sha256, and the
    numerics of this version: under another name than the old one lies what they make now.
    """
    if not is_ours(path):
        return False
    try:
        recipe = read(path).recipe
    except PictureError:
        return False
    if recipe is None or not Cell((0, 0, 0), today.settled(wanted), "").made(recipe):
        return False
    return today.apart(recipe, wanted) is None


def _ask(engine: EngineLike, wanted: list[Request]) -> None:
    """Have every prompt of the first model read before anything is painted.

    Those for other models are read when their turn comes: only one model is in memory.
    """
    first = wanted[0].model
    unlike = {(one.prompt, one.negative): one for one in wanted if one.model == first}
    for one in unlike.values():
        try:
            engine.submit(one)
        except SfumatoError as error:
            raise RequestError(f'"{one.prompt:.40}": {error}') from error


def _paint(engine: EngineLike, wanted: Request, path: Path, remarks: Remarks, index: int) -> None:
    begun, progress = time.perf_counter(), remarks.progress
    run = engine.submit(wanted)
    remarks.on(run)
    progress.begin(index, run.request.run_steps)
    for step in run:
        progress.follow(index, step)
    (picture,) = run.result().pictures
    picture.save(path)
    seconds = duration(time.perf_counter() - begun)
    progress.say(str(path) if progress.quiet else f"{path}  {seconds}  seed {wanted.seed}")
