"""The commands and their options; each says what it takes and hands over at once.

What a command needs is imported inside it, so that help, lists and completion answer at once.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.main import get_command

from sfumato.cli.choosing import sheet, steps, verify, why
from sfumato.cli.complete import models
from sfumato.cli.library import app as library
from sfumato.cli.machine import real_engine
from sfumato.cli.models import app as models_app
from sfumato.cli.options import HOW, MODEL, Given, takes_wish
from sfumato.cli.serve import serve
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from typer.core import TyperGroup

    from sfumato.cli.generate import MakeEngine

_FILES, _MANY = "Files and output", "Many prompts"


def command() -> TyperGroup:
    """The whole command `sfumato`, ready to be called with words."""
    app = typer.Typer(
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(sfumato)
    app.command()(generate)
    app.command()(info)
    app.command()(sheet)
    app.command()(steps)
    app.command()(tokens)
    app.command()(upscale)
    app.command()(verify)
    app.command()(why)
    app.add_typer(models_app(), name="models")
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


@takes_wish
def generate(
    given: Given,
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(help='What to show. May be empty: "".', show_default=False)
    ] = None,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PICTURE",
            help="Make this picture again; other options change it.",
            rich_help_panel=HOW,
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="With --from: even if it cannot be the same.", rich_help_panel=HOW
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.", rich_help_panel=MODEL),
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
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A prompt a line, or a .jsonl or .csv with any option; made where not there yet.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="{a|b} in a prompt is a choice, drawn for each picture by its seed.",
            rich_help_panel=_MANY,
        ),
    ] = False,
    combine: Annotated[
        bool,
        typer.Option(
            "--combine", help="A picture of every choice that there is.", rich_help_panel=_MANY
        ),
    ] = False,
    wildcards: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Its name.txt holds the choices of __name__, one a line.",
            rich_help_panel=_MANY,
        ),
    ] = None,
) -> None:
    """Make pictures from a prompt."""
    if prompt is None and source is None and prompts is None:
        raise RequestError(
            'generate needs a prompt, such as: sfumato generate "a red fox, 3d"\n'
            "(or --from PICTURE; an empty prompt is written as two quotes)."
        )
    if anyway and source is None:
        raise RequestError("--anyway has no effect without --from PICTURE; leave it out.")
    from sfumato.cli.generate import Many, Order
    from sfumato.cli.generate import generate as one
    from sfumato.cli.many import many

    order = Order(
        changes={**({} if prompt is None else {"prompt": prompt}), **given.changes},
        image=given.image,
        mask=given.mask,
        device=device,
        precision=precision,
        out=out,
        filmstrip=filmstrip,
        animation=animate,
        source=source,
        anyway=anyway,
        quiet=quiet,
        many=Many(prompts, dynamic, combine, wildcards),
    )
    run = many if order.many.asked else one
    run(order, cast("MakeEngine | None", context.obj) or real_engine)


def info(
    picture: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how a picture was made."""
    from sfumato.cli.info import info as run

    run(picture, as_json=as_json)


def tokens(
    prompt: Annotated[str, typer.Argument(help="The prompt.", show_default=False)],
    negative: Annotated[str, typer.Option(metavar="TEXT", help="The negative prompt.")] = "",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A name (sfumato models), a file or a folder; only its header is read.",
            autocompletion=models,
        ),
    ] = "mini",
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="For what changes on the way.", show_default=False),
    ] = None,
    weighting: Annotated[str, typer.Option(metavar="NAME", help="a1111, comfy, plain.")] = "a1111",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show how a model reads a prompt: chunks, tokens, weights, and what falls off."""
    from sfumato.cli.tokens import tokens as run
    from sfumato.request import Request

    request = Request(prompt, negative, steps=steps, weighting=weighting)
    run(request, model, as_json=as_json)


def upscale(
    context: typer.Context,
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE...", help="PNG, JPEG or WebP.", show_default=False),
    ],
    factor: Annotated[
        int, typer.Option("--to", metavar="2|4", help="So many times as wide and high.")
    ] = 4,
    upscaler: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="By this network; without, by the one that comes along."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="Where to; else the folder out/. In a folder all are .png.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also what is there already.", rich_help_panel=_FILES),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print file names only.", rich_help_panel=_FILES)
    ] = False,
) -> None:
    """Make finished pictures two or four times larger."""
    from sfumato.cli.upscale import Enlarge
    from sfumato.cli.upscale import upscale as run

    if factor not in (2, 4):
        raise RequestError(f"--to is {factor}, but must be 2 or 4.")
    wish = Enlarge(pictures, factor, upscaler, out, replace, device, quiet)
    status = run(wish, cast("MakeEngine | None", context.obj) or real_engine)
    if status:
        raise typer.Exit(status)


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
