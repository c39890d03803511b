"""The commands that artists choose with, and their options; each hands over at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sfumato.cli.machine import real_engine
from sfumato.cli.options import HOW, MODEL, Given, takes_wish
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from sfumato.cli.generate import MakeEngine, Order

_AXES, _FILES = "The sheet", "Files and output"
_Prompt = Annotated[
    str | None, typer.Argument(help='What to show. May be empty: "".', show_default=False)
]
_Source = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="PICTURE",
        help="Begin with this picture's recipe; other options change it.",
        rich_help_panel=HOW,
    ),
]
_Anyway = Annotated[
    bool,
    typer.Option(
        "--anyway", help="With --from: even if it cannot be the same.", rich_help_panel=HOW
    ),
]
_Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL),
]
_Precision = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.", rich_help_panel=MODEL),
]
_Folder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Where it goes; what is there already is not made again.",
        rich_help_panel=_FILES,
    ),
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print file names only.", rich_help_panel=_FILES)
]


@takes_wish
def sheet(
    given: Given,
    context: typer.Context,
    prompt: _Prompt = None,
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
    source: _Source = None,
    anyway: _Anyway = False,
    device: _Device = None,
    precision: _Precision = None,
    out: _Folder = None,
    quiet: _Quiet = False,
) -> None:
    """Make a sheet of pictures in which one to three things change."""
    order = _order("sheet", given, prompt, source, anyway, (device, precision), (out, quiet))
    if x is None:
        raise RequestError("sheet needs --x FIELD=VALUES, such as --x steps=4,8,16.")
    if z is not None and y is None:
        raise RequestError("--z needs --y; with two axes take --x and --y.")
    from sfumato.cli.sheet import sheet as run

    axes = [axis for axis in (x, y, z) if axis is not None]
    run(order, axes, cast("MakeEngine | None", context.obj) or real_engine)


@takes_wish
def steps(
    given: Given,
    context: typer.Context,
    prompt: _Prompt = None,
    *,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="The numbers of steps to try; else 4,6,8,12,16,24,32,48.",
            rich_help_panel="The ladder",
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Look at so many seeds, one after the other.",
            rich_help_panel="The ladder",
        ),
    ] = 1,
    source: _Source = None,
    anyway: _Anyway = False,
    device: _Device = None,
    precision: _Precision = None,
    out: _Folder = None,
    quiet: _Quiet = False,
) -> None:
    """Find out how many steps are worth their time."""
    order = _order("steps", given, prompt, source, anyway, (device, precision), (out, quiet))
    from sfumato.choose.ladder import RUNGS
    from sfumato.cli.ladder import rungs
    from sfumato.cli.ladder import steps as run

    tried = list(RUNGS) if ladder is None else rungs(ladder)
    run(order, tried, seeds, cast("MakeEngine | None", context.obj) or real_engine)


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
    device: _Device = None,
    precision: _Precision = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print verdicts only.")] = False,
) -> None:
    """Make pictures again from their recipes and compare: 0 equal, 1 apart, 2 could not."""
    from sfumato.cli.verify import Check
    from sfumato.cli.verify import verify as run

    check = Check(
        pictures, image or (), mask or (), model, device, precision, as_json, quiet or as_json
    )
    status = run(check, cast("MakeEngine | None", context.obj) or real_engine)
    if status:
        raise typer.Exit(status)


def why(
    a: Annotated[Path, typer.Argument(help="One picture.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="The other.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in what two pictures' recipes differ."""
    from sfumato.cli.why import why as run

    run(a, b, as_json=as_json)


def _order(
    command: str,
    given: Given,
    prompt: str | None,
    source: Path | None,
    anyway: bool,
    machine: tuple[str | None, str | None],
    output: tuple[str | None, bool],
) -> Order:
    """What was typed for a command that paints."""
    if prompt is None and source is None:
        raise RequestError(
            f'{command} needs a prompt, such as: sfumato {command} "a red fox, 3d"\n'
            "(or --from PICTURE; an empty prompt is written as two quotes)."
        )
    if anyway and source is None:
        raise RequestError("--anyway has no effect without --from PICTURE; leave it out.")
    from sfumato.cli.generate import Order

    return Order(
        changes={**({} if prompt is None else {"prompt": prompt}), **given.changes},
        image=given.image,
        mask=given.mask,
        device=machine[0],
        precision=machine[1],
        out=output[0],
        source=source,
        anyway=anyway,
        quiet=output[1],
    )
