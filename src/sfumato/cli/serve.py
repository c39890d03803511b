"""The command `sfumato serve` and its options; what it needs is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sfumato.cli.complete import models
from sfumato.cli.loading import unswept
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from sfumato.cli.serving import MakePainter
    from sfumato.server.painter import Painter

_MODEL, _FILES, _WHO = "Model and machine", "Files", "Who may use it"


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen. Others need a token or login.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="7860, or the next free.", show_default=False
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    home: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of its pictures and jobs.", rich_help_panel=_FILES),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="PostgreSQL; else a file in the home.", rich_help_panel=_FILES
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What is painted with unless a request names another.",
            autocompletion=models,
            rich_help_panel=_MODEL,
        ),
    ] = "mini",
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--models",
            metavar="FOLDER",
            help="Of checkpoints that may be asked for; may be repeated.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=_MODEL),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.", rich_help_panel=_MODEL),
    ] = "auto",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With the token; or SFUMATO_TOKEN.", rich_help_panel=_WHO
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who may; or SFUMATO_USER.", rich_help_panel=_WHO),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With the password; or SFUMATO_PASSWORD.", rich_help_panel=_WHO
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Another name that it goes by; repeatable.", rich_help_panel=_WHO
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE", help="Whose pages may use it too; repeatable.", rich_help_panel=_WHO
        ),
    ] = None,
) -> None:
    """Serve the page, and HTTP for other programs."""
    from sfumato.cli.configuration import shelves
    from sfumato.cli.serving import Order
    from sfumato.cli.serving import serve as run

    for folder in folders or ():
        if not folder.is_dir():
            raise RequestError(f"--models {folder} is not a folder; give one that holds models.")
    places = shelves(folders or ())
    places.locate(model)  # an unknown name is told before anything is begun
    order = Order(
        host=host,
        port=port,
        home=home,
        model=model,
        device=device,
        precision=precision,
        user=user,
        token_file=token_file,
        password_file=password_file,
        database=database,
        hosts=tuple(allow_host or ()),
        origins=tuple(cors or ()),
        browse=open_,
    )
    run(order, cast("MakePainter | None", context.obj) or _make_painter, places)


def _make_painter(device: str, precision: str, model: str) -> Painter:
    from sfumato.cli.configuration import shelves

    with unswept():
        from sfumato.engine import Engine

    engine = Engine(device=device, precision=precision, model=model, shelves=shelves())
    engine.load()
    return engine
