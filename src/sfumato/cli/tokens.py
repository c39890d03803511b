"""`sfumato tokens`: what a model's tokenizers make of a prompt, without loading the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict

import typer

from sfumato.catalog import CATALOG, model_spec
from sfumato.cli.configuration import shelves as own_shelves
from sfumato.cli.screen import plain
from sfumato.familiar import familiar, strange
from sfumato.listing import Chunk, Heard, Token, first_alone, listed, networks, unread
from sfumato.request import Request
from sfumato.shelves import Shelves
from sfumato.spec import ModelSpec
from sfumato.vocabulary import Taker, Vocabulary
from sfumato.weights.detect import recognise
from sfumato.weights.few import hurried
from sfumato.weights.files import open_weights
from sfumato.weights.parts import absent_from

__all__ = ["tokens"]

_INDENT = "  "


def tokens(request: Request, model: str, *, as_json: bool) -> None:
    """Print the chunks and tokens of a request's prompts, what falls off, and what is unknown.

    Raises SfumatoError for a model that is not there, and for embeddings that are missing.
    """
    shelves = own_shelves()
    name, spec, known, lacks = _told(shelves, model)
    files = ((item.name, item.path) for item in shelves.items("embedding"))
    words = Vocabulary(files, shelves.hashes).heard(request, Taker(name, spec.embeds))
    learnt = {word.learnt.name: word.learnt.count for word in words}
    heard = listed(spec, request, learnt)
    if as_json:
        said = {
            "model": name,
            "embeddings": learnt,
            "heard": [{**asdict(each), "count": each.count} for each in heard],
            "networks": networks(request),
            "unread": unread(spec),
            "strange": strange(request, known),
            "absent": lacks,
        }
        typer.echo(json.dumps(said, indent=2))
        return
    typer.echo(typer.style(plain(f"{name}: {spec.title}"), bold=True))
    for each in heard:
        if each.text or each.what == "prompt":
            _tell(each)
    for network in networks(request):
        typer.echo(f"refused: {typer.style(plain(network), fg='red')}, for none can be attached")
    for encoder in first_alone(spec):
        typer.echo(f"{encoder}: of a longer prompt its first chunk alone is heard")
    for encoder in unread(spec):
        typer.echo(f"{encoder}: its tokenizer comes with the model, and is not read here")
    for each in lacks:
        typer.echo(f"{each}: {name} does not hold it, and hears less of the prompt")
    if words := ", ".join(strange(request, known)):
        typer.echo(f"never shown to the model: {typer.style(plain(words), fg='yellow')}")


def _told(
    shelves: Shelves, asked: str
) -> tuple[str, ModelSpec, frozenset[str] | None, tuple[str, ...]]:
    """The name of a model, its description, the words it was trained with and the readers of
    prompts that it paints without, by its header alone.

    A family without a file is described too.
    """
    if asked in CATALOG and CATALOG[asked].asset is None:
        return asked, CATALOG[asked], None, ()
    place = shelves.locate(asked)
    weights = open_weights(place.path)
    found = recognise(weights)
    name, layout = found.require()
    spec = hurried(model_spec(name), found.few)
    return place.name, spec, familiar(weights.metadata), absent_from(weights, spec, layout)


def _tell(heard: Heard) -> None:
    said = [heard.what, f"from step {heard.step} on" if heard.step > 1 else ""]
    said += [f"weight {heard.weight:g}" if heard.weight != 1 else ""]
    typer.echo(typer.style(", ".join(filter(None, said)), bold=True))
    for n, chunk in enumerate(heard.chunks, start=1):
        which = f"chunk {n} of {len(heard.chunks)}: " if len(heard.chunks) > 1 else ""
        typer.echo(f"{_INDENT}{which}{len(chunk.tokens)} of {chunk.room} tokens")
        for line in _lines(chunk):
            typer.echo(f"{_INDENT * 2}{line}")
    if heard.beyond:
        typer.echo(f"{_INDENT}falls off: {typer.style(plain(heard.beyond), fg='red')}")
    if heard.unknown:
        words = ", ".join(map(plain, heard.unknown))
        typer.echo(f"{_INDENT}cannot be read: {typer.style(words, fg='red')}")


def _lines(chunk: Chunk) -> Iterator[str]:
    """The tokens, a bar between those of one word, in lines as wide as the terminal."""
    room = max(20, shutil.get_terminal_size((100, 24)).columns - 2 * len(_INDENT))
    line, used = "", 0
    for token in chunk.tokens:
        shown = _shown(token)
        if used + len(shown) + 1 > room and line:
            yield line.rstrip()
            line, used = "", 0
        line += _styled(token, shown) + (" " if token.ends else "|")
        used += len(shown) + 1
    if line:
        yield line.rstrip()


def _shown(token: Token) -> str:
    return plain(token.text) + ("" if token.weight == 1 else f"×{token.weight:.4g}")


def _styled(token: Token, shown: str) -> str:
    if token.learnt:
        return typer.style(shown, fg="cyan")
    if token.weight == 1:
        return shown
    return typer.style(shown, fg="yellow" if token.weight > 1 else "blue")
