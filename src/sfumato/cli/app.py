"""The commands and their options; each says what it takes and hands over at once.

What a command needs is imported inside it, so that help, lists and completion answer at once.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.main import get_command

from sfumato.cli.complete import models, samplers, schedules
from sfumato.cli.library import app as library
from sfumato.cli.serve import serve
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from typer.core import TyperGroup

    from sfumato.cli.generate import EngineLike, MakeEngine

_HOW, _MODEL, _FILES = "The picture", "Model and machine", "Files and output"
_START = "Starting from a picture"


def command() -> TyperGroup:
    """The whole command `sfumato`, ready to be called with words."""
    app = typer.Typer(
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(sfumato)
    app.command()(generate)
    app.command()(info)
    model_app = typer.Typer()
    model_app.callback(invoke_without_command=True)(list_models)
    model_app.command()(inspect)
    app.add_typer(model_app, name="models")
    app.command("samplers")(list_samplers)
    app.command()(serve)
    app.add_typer(library(), name="library")
    if find_spec("sfumato.cli.train") is not None:
        passing = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command("train", context_settings=passing, add_help_option=False)(train)
    return cast("TyperGroup", get_command(app))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sfumato {version('sfumato')}")
        raise typer.Exit


def sfumato(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Make pictures from words. Start with: sfumato generate "a red fox, 3d" """


def generate(
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(help='What to show. May be empty: "".', show_default=False)
    ] = None,
    negative: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What not to show.", rich_help_panel=_HOW)
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="0 to 2^64-1; the same seed, the same picture.", rich_help_panel=_HOW
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(metavar="N", help="1 to 1000; more take longer.", rich_help_panel=_HOW),
    ] = None,
    guidance: Annotated[
        str | None,
        typer.Option(metavar="X", help="How strictly to follow the prompt.", rich_help_panel=_HOW),
    ] = None,
    rescale: Annotated[
        str | None,
        typer.Option(metavar="X", help="0 to 1; tames strong guidance.", rich_help_panel=_HOW),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="See: sfumato samplers.",
            autocompletion=samplers,
            rich_help_panel=_HOW,
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="See: sfumato samplers.",
            autocompletion=schedules,
            rich_help_panel=_HOW,
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH|N", help="In pixels.", rich_help_panel=_HOW)
    ] = None,
    count: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="So many pictures: seed, seed + 1, ...", rich_help_panel=_HOW
        ),
    ] = None,
    wander: Annotated[
        bool | None,
        typer.Option(
            "--wander/--no-wander",
            help="Keep the starting noise, take a fresh path from it.",
            rich_help_panel=_HOW,
            show_default=False,
        ),
    ] = None,
    path_seed: Annotated[
        str | None, typer.Option(metavar="N", help="The seed of that path.", rich_help_panel=_HOW)
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where noise comes from: cpu, nv.", rich_help_panel=_HOW),
    ] = None,
    weighting: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose rule (brackets:1.2) in a prompt follow: a1111, comfy, plain.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PICTURE",
            help="Make this picture again; other options change it.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="With --from: even if it cannot be the same.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Begin with this picture, not noise.", rich_help_panel=_START
        ),
    ] = None,
    strength: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="0 to 1; how much of it is made anew. 0.75 if not said.",
            rich_help_panel=_START,
        ),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="If its shape differs: crop, stretch, pad.",
            rich_help_panel=_START,
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Paint only where this is white.", rich_help_panel=_START
        ),
    ] = None,
    mask_blur: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Pixels over which new and old blend.", rich_help_panel=_START
        ),
    ] = None,
    mask_fill: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What painting begins on: original, blur, noise, nothing.",
            rich_help_panel=_START,
        ),
    ] = None,
    mask_padding: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Paint only the mask and N pixels around it, at full size.",
            rich_help_panel=_START,
        ),
    ] = None,
    mask_invert: Annotated[
        bool | None,
        typer.Option(
            "--mask-invert/--no-mask-invert",
            help="Paint where it is black.",
            rich_help_panel=_START,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name (sfumato models), a file or a folder.",
            autocompletion=models,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=_MODEL),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.", rich_help_panel=_MODEL),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|FOLDER/",
            help="A .png, .jpg or .webp, or a folder; else the folder out/.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    filmstrip: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A sheet with every step.", rich_help_panel=_FILES),
    ] = None,
    animate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The steps as a .webp, .gif or .mp4.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print file names only.", rich_help_panel=_FILES)
    ] = False,
) -> None:
    """Make pictures from a prompt."""
    if prompt is None and source is None:
        raise RequestError(
            'generate needs a prompt, such as: sfumato generate "a red fox, 3d"\n'
            "(or --from PICTURE; an empty prompt is written as two quotes)."
        )
    if anyway and source is None:
        raise RequestError("--anyway has no effect without --from PICTURE; leave it out.")
    from sfumato.cli.generate import Order
    from sfumato.cli.generate import generate as run

    width, height = (None, None) if size is None else parse_size(size)
    given: dict[str, object] = {
        "prompt": prompt,
        "negative": negative,
        "seed": _whole("seed", seed),
        "steps": _whole("steps", steps),
        "guidance": _real("guidance", guidance),
        "rescale": _real("rescale", rescale),
        "sampler": sampler,
        "schedule": schedule,
        "width": width,
        "height": height,
        "count": _whole("count", count),
        "wander": wander,
        "path_seed": _whole("path_seed", path_seed),
        "stream": stream,
        "weighting": weighting,
        "strength": _real("strength", strength),
        "fit": fit,
        "mask_blur": _whole("mask_blur", mask_blur),
        "mask_fill": mask_fill,
        "mask_padding": _whole("mask_padding", mask_padding),
        "mask_invert": mask_invert,
        "model": model,
    }
    order = Order(
        changes={name: value for name, value in given.items() if value is not None},
        image=image,
        mask=mask,
        device=device,
        precision=precision,
        out=out,
        filmstrip=filmstrip,
        animation=animate,
        source=source,
        anyway=anyway,
        quiet=quiet,
    )
    run(order, cast("MakeEngine | None", context.obj) or _make_engine)


def _make_engine(device: str, precision: str) -> EngineLike:
    from sfumato.cli.folders import hashes_file
    from sfumato.engine import Engine

    return Engine(device=device, precision=precision, hashes=hashes_file())


def _whole(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise RequestError(f"{name} is {text!r:.40}, but must be a whole number.") from error


def _real(name: str, text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise RequestError(f"{name} is {text!r:.40}, but must be a number.") from error


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from "512x768" or "512"; raises `RequestError`."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() and len(part) < 9 for part in parts):
        raise RequestError(f"size is {text!r}, but must be like 512x768, or 512 for a square.")
    return int(parts[0]), int(parts[-1])


def info(
    picture: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how a picture was made."""
    from sfumato.cli.info import info as run

    run(picture, as_json=as_json)


def list_models(context: typer.Context) -> None:
    """List the models; or look into a model file."""
    if context.invoked_subcommand is None:
        from sfumato.cli.lists import models as run

        run()


def inspect(
    file: Annotated[Path, typer.Argument(help="A checkpoint, or a folder.", show_default=False)],
) -> None:
    """Say what a model file is, and how one can tell."""
    from sfumato.cli.lists import inspect as run

    run(file)


def list_samplers() -> None:
    """List the samplers and schedules."""
    from sfumato.cli.lists import samplers as run

    run()


def train(context: typer.Context) -> None:
    """Train a model of your own."""
    from sfumato.cli.train import app

    words = context.args
    status: object = get_command(app).main(words, prog_name="sfumato train", standalone_mode=False)
    if isinstance(status, int):
        raise typer.Exit(status)
