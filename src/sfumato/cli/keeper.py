"""What `sfumato models` does: models are listed, looked into, taken in, fetched and removed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from sfumato.cli.configuration import models, shelves
from sfumato.cli.folders import hashes_file
from sfumato.cli.screen import Transfer, amount, columns, note, say
from sfumato.errors import RequestError
from sfumato.familiar import familiar
from sfumato.shelves import Item, Role, Shelves, without_suffix

if TYPE_CHECKING:
    from sfumato.shelves.choice import Wish
    from sfumato.weights.detect import Inspection
    from sfumato.weights.entries import Weights

__all__ = ["add", "get", "inspect", "listed", "remove"]

_KIND = 48  # letters of it in a list
ROLES: tuple[Role, ...] = get_args(Role)


def listed(role: str | None, *, as_json: bool) -> None:
    """Print all models, their parts and add-ons; and what could not be looked into."""
    wanted = None if role is None else _role(role, "--only")
    places = shelves()
    items = places.items(wanted)
    if as_json:
        say(json.dumps([_facts(item) for item in items], indent=2, ensure_ascii=False))
    elif items:
        columns(
            [_row(item) for item in items], head=("name", "what it is", "size", "stored", "where")
        )
    else:
        note(f"there is no {wanted} here")
    for trouble in places.troubles:
        note(trouble)
    if not as_json and all(item.bundled for item in places.items()):
        note(
            "Your own: sfumato models add FILE; or name folders in the configuration "
            "(docs/models.md)"
        )


def _row(item: Item) -> tuple[str, ...]:
    kind = item.kind if len(item.kind) <= _KIND else item.kind[: _KIND - 1] + "…"
    where = "bundled" if item.bundled else str(item.path.parent)
    return item.name, kind, amount(item.bytes), item.precision, where


def _facts(item: Item) -> dict[str, object]:
    return {
        "name": item.name,
        "role": item.role,
        "kind": item.kind,
        "opens_as": item.spec_name,
        "family": item.family,
        "precision": item.precision,
        "bytes": item.bytes,
        "owner": item.owner,
        "path": str(item.path),
        "sha256": item.sha256,
        "trouble": item.trouble,
    }


def _role(word: str, option: str) -> Role:
    if word not in ROLES:
        raise RequestError(f"{option} is {word!r:.40}, but must be one of {', '.join(ROLES)}.")
    return word


def _opens(found: Inspection) -> str:
    """As what a file is opened, and whether it needs other files beside it."""
    if found.spec_name is None:
        return "not by this version"
    alone = found.role == "denoiser"
    return f"as {found.spec_name}{', with --vae and --text-encoder for the rest' * alone}"


def _lacking(weights: Weights, found: Inspection) -> tuple[str, ...]:
    """The readers of prompts that a whole model paints without, for its files do not hold them."""
    from sfumato.catalog import CATALOG
    from sfumato.weights.parts import absent_from

    spec = None if found.spec_name is None else CATALOG.get(found.spec_name)
    if found.role != "model" or spec is None or found.layout is None:
        return ()
    return absent_from(weights, spec, found.layout)


def inspect(name: str, *, sha256: bool, as_json: bool) -> None:
    """Print what a model file is, and the evidence; raises `WeightsError` if it is none."""
    from sfumato.weights.detect import recognise
    from sfumato.weights.files import open_weights
    from sfumato.weights.hashes import digest, remembered

    path = shelves().locate(name, None).path
    hashes, weights = hashes_file(), open_weights(path)
    found = recognise(weights)
    lacking = _lacking(weights, found)
    known = digest(weights, hashes) if sha256 else remembered(path, hashes)
    words = sorted(familiar(weights.metadata) or ())
    facts: Mapping[str, object] = {
        "file": str(path),
        "role": found.role,
        "kind": found.kind,
        "opens_as": found.spec_name,
        "layout": found.layout,
        "precision": found.precision,
        "tensors": found.tensors,
        "parameters": found.parameters,
        "bytes": found.bytes,
        "sha256": known,
        "evidence": found.evidence,
        "absent": lacking,
        "words": words,
    }
    if as_json:
        say(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    rows = [
        ("file", str(path)),
        ("kind", found.kind),
        ("opens", _opens(found)),
        *(("lacks", f"{each}, and hears less of a prompt; --text-encoder") for each in lacking),
        ("layout", found.layout or "unknown"),
        ("precision", found.precision),
        (
            "holds",
            f"{found.tensors:,} tensors, {found.parameters:,} numbers, {amount(found.bytes)}",
        ),
        ("in memory", f"{amount(2 * found.parameters)} in bf16 or fp16, twice that in fp32"),
        ("sha256", known or "not read yet; --sha256 reads it"),
    ]
    rows += [("because" if i == 0 else "", line) for i, line in enumerate(found.evidence)]
    if words:
        rows += [("words", f"{len(words):,}; others it was never shown"), ("", ", ".join(words))]
    columns(rows)


def add(path: Path, role: str | None, *, link: bool) -> None:
    """Copy or link a model into our own folder, and say by which name it is there."""
    from sfumato.shelves.keep import add as run

    done = run(
        path,
        _own(),
        role=None if role is None else _role(role, "--as"),
        link=link,
        hashes=hashes_file(),
        tell=Transfer(path.name),
    )
    _tell_name(done.path, "" if done.new else "it was there already: ")


def get(wish: Wish) -> None:
    """Fetch a model, say what it is, and by which name it is there."""
    if os.environ.get("SFUMATO_OFFLINE", "0") not in ("", "0"):
        raise RequestError("SFUMATO_OFFLINE is set, so nothing is fetched; unset it to allow it.")
    from sfumato.shelves import hub
    from sfumato.shelves.choice import variants

    cache, endpoint = models().hub, os.environ.get("HF_ENDPOINT") or None
    if cache is None:
        raise RequestError(
            "models.huggingface is false in the configuration, so there is no place for what is "
            "fetched; give it a folder."
        )
    offer = hub.look_up(wish, endpoint)
    count = "1 file" if len(offer.chosen) == 1 else f"{len(offer.chosen)} files"
    note(f"{wish.repository}, {offer.commit[:8]}: {count}, {amount(offer.bytes)}, to {cache}")
    others = variants(list(offer.files))
    if not wish.files and wish.variant is None and others:
        note(f"there is also --variant {' or '.join(others)}, which may be smaller")
    got = hub.get(offer, cache, endpoint, hashes=hashes_file(), tell=Transfer(wish.repository))
    inside = [i for i in shelves().items() if i.path == got.snapshot or i.path in got.files]
    if not inside:
        say(f"{got.snapshot} holds nothing that sfumato paints with")
    for item in inside:
        _tell_item(item)


def _tell_name(path: Path, lead: str) -> None:
    item = next((item for item in shelves().items() if item.path == path), None)
    if item is None:
        say(f"{lead}{path}")
    else:
        _tell_item(item, lead)


def _tell_item(item: Item, lead: str = "") -> None:
    use = f'; paint with it: --model "{item.name}"' if item.spec_name is not None else ""
    say(f"{lead}{item.name}: {item.trouble or item.kind}{use}")


def remove(name: str, *, yes: bool, anywhere: bool) -> None:
    """Delete a model, once the user has said so."""
    from sfumato.shelves.keep import remove as run

    places = shelves()
    item = _exactly(places, name)
    if item.bundled:
        raise RequestError(f"{item.name} is part of sfumato and cannot be removed.")
    if item.owner != "sfumato" and not anywhere:
        whose = {"you": "in a folder of yours", "Hugging Face": "in the Hugging Face cache"}
        place = whose.get(item.owner, f"in a folder of {item.owner}")
        raise RequestError(
            f"{item.name} lies {place}, which sfumato leaves alone: {item.path}\n"
            "Add --anywhere to delete it there."
        )
    link = item.path.is_symlink() and item.owner != "Hugging Face"
    what = "the link to it" if link else amount(item.bytes)
    if not yes:
        typer.confirm(f"Delete {item.name} ({item.path}, {what}) for good?", abort=True, err=True)
    run(item, models().own)
    say(f"{item.name} is removed")


def _exactly(places: Shelves, name: str) -> Item:
    """What is to be deleted is named whole, with or without its suffix; no beginning is enough."""
    item = places.find(name, None)
    names = {item.name.lower(), item.last.lower()}
    if name.strip().lower() not in names | {without_suffix(known) for known in names}:
        raise RequestError(f"There is no {name!r:.80}. Did you mean {item.name}? Write it whole.")
    return item


def _own() -> Path:
    place = models().own
    if place is None:
        raise RequestError(
            "there is no home folder here; set models.folder in the configuration "
            "(SFUMATO_CONFIG names the file)."
        )
    return place
