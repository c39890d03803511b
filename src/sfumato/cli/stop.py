"""How a run is stopped: by Ctrl-C, or by SIGTERM in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["TERMINATED", "Terminated", "terminable"]

TERMINATED = 143  # 128 + SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM: it stops a run as Ctrl-C does, with a status of its own."""


@contextmanager
def terminable() -> Generator[None]:
    """Let SIGTERM stop the run as Ctrl-C does; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
