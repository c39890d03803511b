"""`sfumato library` and its options: the server's pictures, while no server is running.

What a command needs is imported inside it, so that help and completion answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.complete import samplers

__all__ = ["app"]

_Home = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The one of sfumato serve.", show_default=False),
]
_Database = Annotated[
    str | None,
    typer.Option(metavar="URL", help="PostgreSQL; else a file in the home.", show_default=False),
]
_Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="As search lists them.", show_default=False)
]


def app() -> typer.Typer:
    """The commands of the library, to be put below `sfumato library`."""
    library = typer.Typer(help="Keep and find the pictures of sfumato serve.", no_args_is_help=True)
    library.command("import")(take_in)
    library.command()(search)
    library.command()(trash)
    library.command()(restore)
    library.command()(empty)
    return library


def take_in(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Or single files.", show_default=False),
    ],
    home: _Home = None,
    database: _Database = None,
) -> None:
    """Take in pictures of any program, with all folders in a folder; the files stay as they are."""
    from sfumato.cli.librarian import Where
    from sfumato.cli.librarian import take_in as run

    if status := run(Where(home, database), places):
        raise typer.Exit(status)


def search(
    text: Annotated[
        str, typer.Argument(help='Words, "phrases", -words that must not be.', show_default=False)
    ] = "",
    seed: Annotated[int | None, typer.Option(metavar="N", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", show_default=False)] = None,
    sampler: Annotated[
        str | None, typer.Option(metavar="NAME", autocompletion=samplers, show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="sfumato, a1111, comfyui, ..., other.", show_default=False
        ),
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="DAY", help="Such as 2026-11-25.", show_default=False)
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="DAY", show_default=False)] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", show_default=False)] = None,
    favourites: Annotated[bool, typer.Option("--favourites", help="Only these.")] = False,
    in_trash: Annotated[bool, typer.Option("--trash", help="What lies in the trash.")] = False,
    files: Annotated[bool, typer.Option("--files", help="Print file names only.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 50,
    home: _Home = None,
    database: _Database = None,
) -> None:
    """List what is found, the newest first; without words all there is."""
    from sfumato.cli.librarian import Where, moment
    from sfumato.cli.librarian import search as run
    from sfumato.server.library import Search

    wanted = Search(
        text=text,
        seed=seed,
        model=model,
        sampler=sampler,
        source=source,
        after=moment("after", after),
        before=moment("before", before),
        favourite=True if favourites else None,
        tag=tag,
        trash=in_trash,
    )
    run(Where(home, database), wanted, limit=limit, files=files)


def trash(ids: _Ids, home: _Home = None, database: _Database = None) -> None:
    """Put pictures into the trash."""
    from sfumato.cli.librarian import Where
    from sfumato.cli.librarian import trash as run

    run(Where(home, database), ids)


def restore(ids: _Ids, home: _Home = None, database: _Database = None) -> None:
    """Take pictures out of the trash."""
    from sfumato.cli.librarian import Where
    from sfumato.cli.librarian import restore as run

    run(Where(home, database), ids)


def empty(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: _Home = None,
    database: _Database = None,
) -> None:
    """Remove for good what lies in the trash."""
    from sfumato.cli.librarian import Where
    from sfumato.cli.librarian import empty as run

    run(Where(home, database), yes=yes)
