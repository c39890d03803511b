"""`sfumato models` and its options: what models there are, new ones, and what a file is.

What a command needs is imported inside it, so that help and completion answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.complete import everything

__all__ = ["app"]

_Json = Annotated[bool, typer.Option("--json", help="For programs.")]
_Name = Annotated[
    str,
    typer.Argument(
        metavar="FILE|NAME",
        help="As the list has it.",
        autocompletion=everything,
        show_default=False,
    ),
]


def app() -> typer.Typer:
    """The commands of the models, to be put below `sfumato models`."""
    models = typer.Typer()
    models.callback(invoke_without_command=True)(listed)
    models.command()(inspect)
    models.command()(add)
    models.command()(get)
    models.command()(remove)
    return models


def listed(
    context: typer.Context,
    role: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="ROLE",
            help="model, denoiser, vae, text_encoder, embedding, lora, other.",
            show_default=False,
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """List the models; look into one; add, fetch and remove some."""
    if context.invoked_subcommand is None:
        from sfumato.cli.keeper import listed as run

        run(role, as_json=as_json)


def inspect(
    name: _Name,
    sha256: Annotated[
        bool, typer.Option("--sha256", help="Even if the whole file must be read for it.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Say what a model file is, and how one can tell."""
    from sfumato.cli.keeper import inspect as run

    run(name, sha256=sha256, as_json=as_json)


def add(
    path: Annotated[Path, typer.Argument(help="A checkpoint, or a folder.", show_default=False)],
    link: Annotated[bool, typer.Option("--link", help="Leave it where it is.")] = False,
    role: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="ROLE",
            help="Where a file does not say it: embedding, lora, ...",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Take a model into sfumato's own folder: a copy, checked, or a link."""
    from sfumato.cli.keeper import add as run

    run(path, role, link=link)


def get(
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="On the hub.", show_default=False)
    ],
    files: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="NAME", help="Or a pattern; may be repeated."),
    ] = None,
    revision: Annotated[
        str, typer.Option(metavar="NAME", help="A branch, a tag or a commit.")
    ] = "main",
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as fp16.", show_default=False)
    ] = None,
) -> None:
    """Fetch a model from the Hugging Face hub. Nothing else of sfumato uses the network."""
    from sfumato.cli.keeper import get as run
    from sfumato.shelves.choice import Wish

    run(Wish(repository, revision, tuple(files or ()), variant))


def remove(
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    anywhere: Annotated[
        bool,
        typer.Option("--anywhere", help="Also from the folders of other programs, and yours."),
    ] = False,
) -> None:
    """Delete a model for good."""
    from sfumato.cli.keeper import remove as run

    run(name, yes=yes, anywhere=anywhere)
