"""The command line: words to a `Request`, and a picture, its place and its seed back.

This room alone reads argv. Nothing here imports torch before a picture is asked for.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sfumato.cli.loading import unswept

if TYPE_CHECKING:
    from sfumato.cli.machine import MakeEngine

__all__ = ["main"]

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def main(argv: Sequence[str] | None = None, *, make_engine: MakeEngine | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for the user's mistakes, 130 for Ctrl-C.

    A fault of the program itself is not caught: its traceback is what helps to mend it.
    `make_engine` stands in for `sfumato.engine.Engine`, for tests.
    """
    from sfumato.errors import SfumatoError

    # What Pillow finds odd in a file is refused in our own words, or does no harm.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode shows \u72d0 for 狐
            stream.reconfigure(errors="backslashreplace")
    try:
        with unswept():
            import typer

            from sfumato.cli import screen
            from sfumato.cli.app import command

        words = list(sys.argv[1:] if argv is None else argv)
        try:
            status: object = command().main(
                words or ["--help"], prog_name="sfumato", standalone_mode=False, obj=make_engine
            )
        except SfumatoError as error:
            screen.error(str(error))
            return USER_ERROR
        except typer.TyperException as error:
            screen.error(error.format_message())
            return USER_ERROR
        except typer.Abort:
            return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status if isinstance(status, int) else 0
