"""What a terminal shows: plain words, aligned columns, and how far a picture has come.

Results go to standard output, everything about the way there to standard error. A prompt found in
a stranger's picture may hold control characters; `plain` keeps them from steering the terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from sfumato.cli.machine import StepLike

_QUIET_SECONDS = 1.0  # between two lines where there is no terminal to draw a bar on


def plain(text: str) -> str:
    """The text with every control character but the line feed written out."""
    return "".join(c if c == "\n" or c.isprintable() else _written(c) for c in text)


def _written(char: str) -> str:
    return char.encode("unicode_escape").decode()


def say(text: str = "") -> None:
    """One or more lines of result, to standard output."""
    typer.echo(plain(text))


def note(text: str) -> None:
    """One or more lines beside the result, to standard error."""
    typer.echo(plain(text), err=True)


def error(message: str) -> None:
    """What was wrong, to standard error, on two lines at the most."""
    first, *rest = [line.strip() for line in plain(message).splitlines() if line.strip()] or ["?"]
    typer.echo(typer.style("error: ", fg="red", bold=True) + first, err=True)
    if rest:
        typer.echo("  " + " ".join(rest), err=True)


def columns(rows: Sequence[Sequence[str]], *, head: Sequence[str] = ()) -> None:
    """Rows as aligned columns, two spaces apart, the head bold on a terminal."""
    lines = [list(map(plain, row)) for row in ([head] if head else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for i, line in enumerate(lines):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        text = "  ".join(cells).rstrip()
        typer.echo(typer.style(text, bold=True) if head and i == 0 else text)


def amount(size: int) -> str:
    """Bytes as people say them: 4.27 GB, 39.30 MB."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size} bytes"


class Transfer:
    """How much of something big has arrived: one line that changes, or lines now and then."""

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.clock = what, clock
        self.told = clock()
        self.live = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """Tell that so many bytes of all are there."""
        now = self.clock()
        if done < total and now - self.told < (0.2 if self.live else 10 * _QUIET_SECONDS):
            return
        self.told = now
        text = f"{self.what}: {amount(done)} of {amount(total)}"
        if self.live:
            end = "\n" if done == total else "\r"
            typer.echo(f"\x1b[2K{plain(text)}{end}", err=True, nl=False)
        elif done < total:
            note(text)


def duration(seconds: float) -> str:
    """4.2 s, 42 s, 2 min 05 s, 1 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def rate(steps: int, seconds: float) -> str:
    """Steps per second, or seconds per step when it takes longer."""
    if steps == 0 or seconds <= 0:
        return ""
    each = seconds / steps
    return f"{each:.1f} s a step" if each >= 1 else f"{1 / each:.1f} steps/s"


class Progress:
    """How far a run of `count` pictures has come: a bar on a terminal, lines elsewhere.

    `clock` gives seconds; it is a parameter so that tests can hold it.
    """

    def __init__(
        self, count: int, *, quiet: bool = False, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.count = count
        self.quiet = quiet
        self.clock = clock
        self.bar: Bar | None = None
        self.begun = self.told = clock()
        self.steps = 0

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self.quiet:
            self.bar = _bar()
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def wait(self, what: str) -> None:
        """Say what takes its time before the first step."""
        if self.bar is None:
            if not self.quiet:
                note(what)
        elif not self.bar.task_ids:
            self.bar.add_task(plain(what), total=None, steps="", rate="", left="")
        else:
            self.bar.update(self.bar.task_ids[0], description=plain(what))

    def begin(self, picture: int, total: int) -> None:
        """The first of `total` steps of picture `picture`, from 0, is about to start."""
        if self.steps == 0:
            self.begun = self.clock()
        if self.bar is not None:
            task = self.bar.task_ids[0]
            self.bar.reset(task, total=total, description=self._name(picture))
            self.bar.update(task, steps=f"step 1 of {total}")

    def _name(self, picture: int) -> str:
        return f"picture {picture + 1} of {self.count}" if self.count > 1 else "picture"

    def upscaling(self, picture: int, done: int, total: int) -> None:
        """Of picture `picture`, from 0, `done` tiles of `total` are made larger."""
        now = self.clock()
        words = f"making it larger: {done} of {total}"
        if self.bar is not None:
            self.bar.update(
                self.bar.task_ids[0],
                description=self._name(picture),
                completed=done,
                total=total,
                steps=words,
                left="",
            )
        elif not self.quiet and (done == 0 or now - self.told >= _QUIET_SECONDS):
            self.told = now
            note(f"{self._name(picture)}: {words}")

    def follow(self, picture: int, step: StepLike) -> None:
        """Whatever is done by now of picture `picture`, from 0: a step, or a tile made larger."""
        if step.upscaling is None:
            self.step(picture, step.index, step.total)
        else:
            self.upscaling(picture, *step.upscaling)

    def step(self, picture: int, index: int, total: int) -> None:
        """Step `index` of `total`, both from 1, of picture `picture`, from 0, is done."""
        now = self.clock()
        self.steps += 1
        seconds = now - self.begun
        left = (total - index) + (self.count - picture - 1) * total
        name = self._name(picture)
        speed = rate(self.steps, seconds)
        remaining = f"{duration(seconds / self.steps * left)} left" if left else ""
        if self.bar is not None:
            self.bar.update(
                self.bar.task_ids[0],
                description=name,
                completed=index,
                total=total,
                steps=f"step {index} of {total}",
                rate=speed,
                left=remaining,
            )
        elif not self.quiet and (index in (1, total) or now - self.told >= _QUIET_SECONDS):
            self.told = now
            words = [f"{name}: step {index} of {total}", speed, remaining]
            note(", ".join(word for word in words if word))

    def note(self, text: str) -> None:
        """A line beside the result, above the bar; nothing where it is quiet."""
        if self.quiet:
            return
        if self.bar is None:
            note(text)
        else:
            self.bar.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line of result above the bar."""
        if self.bar is None or sys.stdout.isatty() is False:
            say(text)
        else:
            self.bar.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[steps]}", style="bold"),
        TextColumn("{task.fields[rate]}", style="cyan"),
        TextColumn("{task.fields[left]}", style="dim"),
        console=Console(stderr=True),
        transient=True,
    )
