"""What a client is told of its request beside the pictures, for it hinders nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.effort import negative_unheard
from sfumato.errors import SfumatoError
from sfumato.familiar import strange

if TYPE_CHECKING:
    from sfumato.request import Request
    from sfumato.server.shelf import Shelf

__all__ = ["remarks"]


def remarks(shelf: Shelf, request: Request) -> tuple[str, ...]:
    """A sentence on how the model is used that was distilled for few steps, one on the words that
    it was never shown, one on what it reads without, and one on a negative prompt without effect.

    Nothing for a model that is not here any more, or whose file is damaged: painting tells that.
    """
    name = shelf.default.name if request.model is None else request.model
    if all(row.name != name for row in shelf.rows()):
        return ()
    try:
        knows = shelf.knows(name)
    except SfumatoError:
        return ()
    said = list[str]()
    if few := next(row.few for row in shelf.rows() if row.name == name):
        said.append(f"{name} is {few.told}.")
    if words := ", ".join(f'"{word}"' for word in strange(request, knows.words)):
        said.append(f"{name} was never shown {words}, and may paint something else.")
    if knows.absent:
        said.append(
            f"{name} paints without its {' and '.join(knows.absent)}, which its file does not "
            "hold, and hears less of the prompt."
        )
    if negative_unheard(request):
        said.append("negative has no effect with guidance 1; give guidance above 1.")
    return tuple(said)
