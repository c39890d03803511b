"""What a command that paints takes beside a wish: from what, with what, and where to.

One table of options; a command takes the rows that it names, and gets all that was typed as one
`Order`, by the decorator `takes_order`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from sfumato.cli.options import HOW, MODEL, OPTIONS, given
from sfumato.errors import RequestError

__all__ = [
    "FILES",
    "FRAMES",
    "MACHINE",
    "MANY",
    "ORIGIN",
    "OUT_FILE",
    "OUT_FOLDER",
    "Device",
    "Json",
    "Many",
    "Order",
    "Precision",
    "Quiet",
    "takes_order",
]

FILES, _MANY = "Files and output", "Many prompts"

Device: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL),
]
Precision: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.", rich_help_panel=MODEL),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print file names only.", rich_help_panel=FILES)
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="For programs.")]
_Prompt: TypeAlias = Annotated[
    str | None, typer.Argument(help='What to show. May be empty: "".', show_default=False)
]


def _file(metavar: str, help: str, panel: str = FILES, flag: str | None = None) -> object:
    """A row that takes a place."""
    flags = () if flag is None else (flag,)
    told = typer.Option(*flags, metavar=metavar, help=help, rich_help_panel=panel)
    return Annotated[Path | None, told]


def _switch(flag: str, help: str, panel: str) -> object:
    """A row that is on or off."""
    return Annotated[bool, typer.Option(flag, help=help, rich_help_panel=panel)]


def _text(metavar: str, help: str) -> object:
    """A row that takes a text about files."""
    return Annotated[str | None, typer.Option(metavar=metavar, help=help, rich_help_panel=FILES)]


# The tables: a field of `Order` (or of `Many`), and what typer reads off it.
ORIGIN: Mapping[str, object] = {
    "source": _file(
        "PICTURE", "Make this picture again; other options change it.", HOW, flag="--from"
    ),
    "anyway": _switch("--anyway", "With --from: even if it cannot be the same.", HOW),
}
MACHINE: Mapping[str, object] = {"device": Device, "precision": Precision}
OUT_FILE: Mapping[str, object] = {
    "out": _text("FILE|FOLDER/", "A .png, .jpg or .webp, or a folder; else the folder out/."),
    "quiet": Quiet,
}
OUT_FOLDER: Mapping[str, object] = {
    "out": _text("FOLDER", "Where it goes; what is there already is not made again."),
    "quiet": Quiet,
}
FRAMES: Mapping[str, object] = {
    "filmstrip": _file("FILE", "A sheet with every step."),
    "animation": _file("FILE", "The steps as a .webp, .gif or .mp4.", flag="--animate"),
}
MANY: Mapping[str, object] = {
    "file": _file(
        "FILE",
        "A prompt a line, or a .jsonl or .csv with any option; made where not there yet.",
        _MANY,
        flag="--prompts",
    ),
    "dynamic": _switch(
        "--dynamic", "{a|b} in a prompt is a choice, drawn for each picture by its seed.", _MANY
    ),
    "combine": _switch("--combine", "A picture of every choice that there is.", _MANY),
    "wildcards": _file("FOLDER", "Its name.txt holds the choices of __name__, one a line.", _MANY),
}


@dataclass(frozen=True)
class Many:
    """Where an order's prompts come from, if it is for more than one: see `cli.many`.

    `file` has one wish a line; `dynamic` draws each picture's prompt from a template, by its seed,
    `combine` takes every prompt that the template can give; `wildcards` is their folder.
    """

    file: Path | None = None
    dynamic: bool = False
    combine: bool = False
    wildcards: Path | None = None

    @property
    def asked(self) -> bool:
        return self != Many()


@dataclass(frozen=True)
class Order:
    """What the user typed, before it is a request.

    `changes` holds the fields of `Request` that were given; all else is the model's, or that of
    the picture `source` (`--from`). `image` and `mask` are the files to start from.
    """

    changes: Mapping[str, object]
    image: Path | None = None
    mask: Path | None = None
    device: str | None = None
    precision: str | None = None
    out: str | None = None
    filmstrip: Path | None = None
    animation: Path | None = None
    source: Path | None = None
    anyway: bool = False
    quiet: bool = False
    many: Many = Many()


_Command: TypeAlias = Callable[..., None]


def takes_order(*tables: Mapping[str, object]) -> Callable[[_Command], _Command]:
    """A command for typer whose first parameter, an `Order`, is made of a prompt, of all rows of
    `OPTIONS` and of those of `tables`.

    typer reads a command's options off its signature. Here that is the command's own with all of
    these in place of the first, behind its context and before its own options, which are
    keyword-only.
    """
    rows = {name: annotation for table in tables for name, annotation in table.items()}

    def taken(command: _Command) -> _Command:
        own = inspect.signature(command, eval_str=True)
        _, context, *mine = own.parameters.values()

        def called(context: typer.Context, prompt: str | None, **typed: object) -> None:
            words = {option.name: typed.pop(option.name) for option in OPTIONS}
            beside = {name: typed.pop(name) for name in rows}
            command(_order(command.__name__, prompt, words, beside), context, **typed)

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        everything = [
            context,
            inspect.Parameter(
                "prompt", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=_Prompt
            ),
            *(option.parameter() for option in OPTIONS),
            *mine,
            *(_parameter(name, annotation) for name, annotation in rows.items()),
        ]
        called.__signature__ = own.replace(parameters=everything)  # pyright: ignore[reportFunctionMemberAccess]
        return called

    return taken


def _parameter(name: str, annotation: object) -> inspect.Parameter:
    is_switch = getattr(annotation, "__origin__", None) is bool
    default = False if is_switch else None
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=annotation)


def _order(
    command: str, prompt: str | None, words: Mapping[str, object], beside: dict[str, Any]
) -> Order:
    """What was typed. Raises RequestError where nothing says what to paint."""
    source, prompts = beside.get("source"), beside.get("file")
    if prompt is None and source is None and prompts is None:
        raise RequestError(
            f'{command} needs a prompt, such as: sfumato {command} "a red fox, 3d"\n'
            "(or --from PICTURE; an empty prompt is written as two quotes)."
        )
    if beside.get("anyway") and source is None:
        raise RequestError("--anyway has no effect without --from PICTURE; leave it out.")
    wish = given(words)
    many = {name: beside.pop(name) for name in MANY if name in beside}
    return Order(
        changes={**({} if prompt is None else {"prompt": prompt}), **wish.changes},
        image=wish.image,
        mask=wish.mask,
        many=Many(**many),
        **beside,
    )
