"""The commands that artists choose with, and their options; each hands over at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.machine import engine_maker
from sfumato.cli.options import MODEL
from sfumato.cli.taking import (
    MACHINE,
    ORIGIN,
    OUT_FOLDER,
    Device,
    Json,
    Order,
    Precision,
    takes_order,
)
from sfumato.errors import RequestError

_AXES, _LADDER = "The sheet", "The ladder"


@takes_order(ORIGIN, MACHINE, OUT_FOLDER)
def sheet(
    order: Order,
    context: typer.Context,
    *,
    x: Annotated[
        str | None,
        typer.Option(
            "--x",
            metavar="FIELD=VALUES",
            help="From column to column: steps=4,8,16 or seed=1..3 or prompt:red=red,green.",
            rich_help_panel=_AXES,
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option("--y", metavar="FIELD=VALUES", help="From row to row.", rich_help_panel=_AXES),
    ] = None,
    z: Annotated[
        str | None,
        typer.Option(
            "--z", metavar="FIELD=VALUES", help="From sheet to sheet.", rich_help_panel=_AXES
        ),
    ] = None,
) -> None:
    """Make a sheet of pictures in which one to three things change."""
    if x is None:
        raise RequestError("sheet needs --x FIELD=VALUES, such as --x steps=4,8,16.")
    if z is not None and y is None:
        raise RequestError("--z needs --y; with two axes take --x and --y.")
    from sfumato.cli.sheet import sheet as run

    run(order, [axis for axis in (x, y, z) if axis is not None], engine_maker(context))


@takes_order(ORIGIN, MACHINE, OUT_FOLDER)
def steps(
    order: Order,
    context: typer.Context,
    *,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="The numbers of steps to try; else 4,6,8,12,16,24,32,48.",
            rich_help_panel=_LADDER,
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Look at so many seeds, one after the other.",
            rich_help_panel=_LADDER,
        ),
    ] = 1,
) -> None:
    """Find out how many steps are worth their time."""
    from sfumato.choose.ladder import RUNGS
    from sfumato.cli.ladder import rungs
    from sfumato.cli.ladder import steps as run

    tried = list(RUNGS) if ladder is None else rungs(ladder)
    run(order, tried, seeds, engine_maker(context))


def verify(
    context: typer.Context,
    pictures: Annotated[
        list[Path], typer.Argument(help="Pictures that sfumato made.", show_default=False)
    ],
    image: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A picture that one of them started from.", show_default=False
        ),
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A mask of one of them.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name (sfumato models), a file or a folder; else that of the recipe.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    vae: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Where the VAE of its own lies now.", rich_help_panel=MODEL
        ),
    ] = None,
    text_encoders: Annotated[
        list[str] | None,
        typer.Option(
            "--text-encoder",
            metavar="FILE",
            help="Where those of their own lie now: all of them, once for each.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    refiner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The model that took over; else found.", rich_help_panel=MODEL
        ),
    ] = None,
    device: Device = None,
    precision: Precision = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print verdicts only.")] = False,
) -> None:
    """Make pictures again from their recipes and compare: 0 equal, 1 apart, 2 could not."""
    from sfumato.cli.verify import Check
    from sfumato.cli.verify import verify as run

    check = Check(
        pictures,
        images=image or (),
        masks=mask or (),
        model=model,
        vae=vae,
        text_encoders=tuple(text_encoders or ()),
        refiner=refiner,
        device=device,
        precision=precision,
        as_json=as_json,
        quiet=quiet or as_json,
    )
    status = run(check, engine_maker(context))
    if status:
        raise typer.Exit(status)


def why(
    a: Annotated[Path, typer.Argument(help="One picture.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="The other.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Say in what two pictures' recipes differ."""
    from sfumato.cli.why import why as run

    run(a, b, as_json=as_json)
