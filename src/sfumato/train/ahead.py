"""What the next steps need, made in other processes before it is asked for.

A step's data are a pure function of its number, so any process can make them: with or without
others, a training sees the same.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from sfumato.errors import SfumatoError

__all__ = ["Ahead"]

Made = TypeVar("Made")
Make = Callable[[int], Made]  # of a number


class Ahead(Generic[Made]):
    """A function of whole numbers, each result made ahead by one of some processes.

    It is made of numbers beyond the one asked for, too, though of none after ``last``. Numbers may
    be asked for from any one on, each the one after the last: others begin anew. With no processes
    every result is made when it is asked for. The function must not use a GPU, for the processes
    are forked. What it raises for a user is raised where the result is asked for; any other error
    ends its process, and is a RuntimeError there.
    """

    def __init__(self, make: Make[Made], processes: int, last: int | None = None) -> None:
        self._make, self._processes, self._last = make, processes, last
        self._running: list[tuple[BaseProcess, Connection]] = []
        self._next = 0

    def __call__(self, number: int) -> Made:
        if self._processes == 0:
            return self._make(number)
        if number != self._next or not self._running:
            self.close()
            self._begin(number)
        process, pipe = self._running[number % self._processes]
        self._next = number + 1
        try:
            made: Made | SfumatoError = pipe.recv()
        except (EOFError, OSError) as error:  # between two results, or within one
            process.join()
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"making {number} failed, see above") from error
            raise SfumatoError(
                "A process that made the training's data was killed; the state saved last is still "
                "good.\n  Was memory short? Train with fewer: workers in the recipe."
            ) from error
        if isinstance(made, SfumatoError):
            raise made
        return made

    def _numbers(self, first: int) -> Iterable[int]:
        """What one process makes."""
        if self._last is None:
            return count(first, self._processes)
        return range(first, self._last + 1, self._processes)

    def close(self) -> None:
        """Ends the processes. They end with this one, too."""
        for process, pipe in self._running:
            pipe.close()
            process.terminate()
        for process, _ in self._running:
            process.join()
        self._running = []

    def _begin(self, number: int) -> None:
        context = multiprocessing.get_context("fork")  # what the function knows is shared, not sent
        self._running = []
        for i in range(self._processes):
            ours, its = context.Pipe(duplex=False)
            readers = [*(pipe for _, pipe in self._running), ours]
            numbers = self._numbers(number + (i - number) % self._processes)
            process = context.Process(
                target=_serve, args=(self._make, its, numbers, readers), daemon=True
            )
            process.start()
            its.close()
            self._running.append((process, ours))


def _serve(
    make: Make[object], pipe: Connection, numbers: Iterable[int], readers: Sequence[Connection]
) -> None:
    """One result after the other; the pipe holds back who is too far ahead."""
    # Ctrl-C is for who asked; how that one hears signals was forked along with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for reader in readers:  # else the pipe would have a reader even when who asked is gone
        reader.close()
    for number in numbers:
        try:
            made = make(number)
        except SfumatoError as error:
            made = error
        try:
            pipe.send(made)
        except BrokenPipeError:
            return
