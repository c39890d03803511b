"""The parts that every dialect is given: made once when the server starts, and handed in whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.server.events import Hub
    from sfumato.server.inputs import Inputs
    from sfumato.server.jobs import Jobs
    from sfumato.server.library import Library
    from sfumato.server.settings import Settings
    from sfumato.server.shelf import Shelf
    from sfumato.server.worker import Worker

__all__ = ["Services"]


@dataclass(frozen=True)
class Services:
    """What a dialect may use; none of them makes one of these for itself."""

    settings: Settings
    jobs: Jobs
    library: Library
    inputs: Inputs
    shelf: Shelf
    hub: Hub
    worker: Worker
