"""What is told of a run beside its pictures, for it hinders nothing: each thing once."""

from __future__ import annotations

from sfumato.cli.machine import RunLike
from sfumato.cli.screen import Progress
from sfumato.remarks import NEGATIVE_UNHEARD, lacking, never_shown, read_first

__all__ = ["Remarks"]


class Remarks:
    """The remarks of one command: what was said of a model once is not said for the next picture.

    They stand above the bar, and where it is quiet nowhere.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._said = set[tuple[str | None, str]]()

    def on(self, run: RunLike) -> None:
        """Say how the model likes to be used where its file says it, and what it does not know."""
        from sfumato.effort import negative_unheard  # numpy

        model = run.request.model
        for few in self._new(model, () if run.few is None else (run.few,)):
            self.progress.note(f"{model} is {few}")
        if words := self._new(model, run.strange):
            hint = f"`sfumato models inspect {model}` lists what it knows"
            self.progress.note(f"{never_shown(model, words)}; {hint}")
        if names := self._new(model, run.taken):
            self.progress.note(read_first(model, names))
        if parts := self._new(model, run.absent):
            self.progress.note(f"{lacking(model, parts)}; give it by --text-encoder")
        if negative_unheard(run.request) and self._new(model, ("negative",)):
            self.progress.note(NEGATIVE_UNHEARD)

    def _new(self, model: str | None, words: tuple[str, ...]) -> list[str]:
        new = [word for word in words if (model, word) not in self._said]
        self._said |= {(model, word) for word in new}
        return new
