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
from sfumato.cli.machine import engine_maker
from sfumato.cli.models import app as models_app
from sfumato.cli.serve import serve
from sfumato.cli.taking import (
    FILES,
    FRAMES,
    MACHINE,
    MANY,
    ORIGIN,
    OUT_FILE,
    Device,
    Json,
    Order,
    Quiet,
    takes_order,
)
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from typer.core import TyperGroup


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


@takes_order(ORIGIN, MACHINE, OUT_FILE, FRAMES, MANY)
def generate(order: Order, context: typer.Context) -> None:
    """Make pictures from a prompt."""
    from sfumato.cli.generate import generate as one
    from sfumato.cli.many import many

    run = many if order.many.asked else one
    run(order, engine_maker(context))


def info(
    picture: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP.", show_default=False)],
    as_json: Json = False,
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
    as_json: Json = False,
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
    device: Device = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="Where to; else the folder out/. In a folder all are .png.",
            rich_help_panel=FILES,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also what is there already.", rich_help_panel=FILES),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make finished pictures two or four times larger."""
    from sfumato.cli.upscale import Enlarge
    from sfumato.cli.upscale import upscale as run

    if factor not in (2, 4):
        raise RequestError(f"--to is {factor}, but must be 2 or 4.")
    wish = Enlarge(pictures, factor, upscaler, out, replace, device, quiet)
    status = run(wish, engine_maker(context))
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
