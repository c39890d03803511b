"""What a client is told of its request beside the pictures, for it hinders nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.effort import negative_unheard
from sfumato.errors import SfumatoError
from sfumato.familiar import spoken, strange
from sfumato.remarks import NEGATIVE_UNHEARD, called_otherwise, lacking, never_shown
from sfumato.text.words import words_in

if TYPE_CHECKING:
    from sfumato.request import Request
    from sfumato.server.shelf import Shelf

__all__ = ["remarks"]


def remarks(shelf: Shelf, request: Request) -> tuple[str, ...]:
    """A sentence on how the model is used that was distilled for few steps, one on the words that
    it was never shown, one on a prompt with none of its names, one on what it reads without, and
    one on a negative prompt without effect.

    Nothing for a model that is not here any more, or whose file is damaged: painting tells that.
    """
    name = shelf.default.name if request.model is None else request.model
    row = next((row for row in shelf.rows() if row.name == name), None)
    if row is None:
        return ()
    try:
        knows = shelf.knows(name)
    except SfumatoError:
        return ()
    said = list[str]()
    if row.few is not None:
        said.append(f"{name} is {row.few.told}.")
    if words := strange(request, knows.words):
        said.append(f"{never_shown(name, words)}.")
    text = spoken(request)
    if knows.names is not None and words_in(text) and not knows.names.mentioned(text):
        said.append(f"{called_otherwise(name)}.")
    if knows.absent:
        said.append(f"{lacking(name, knows.absent)}.")
    if negative_unheard(request):
        said.append(f"{NEGATIVE_UNHEARD}.")
    return tuple(said)
