"""A request, written down as a command, as Python and as an HTTP call: all make the same pictures.

What the request leaves to its model is left out of them too. A seed that is not yet drawn stays
open, so such calls make a picture each of their own.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import cast

from sfumato.catalog import BUNDLED
from sfumato.embedding import Embedding, embeddings_to_json, embeddings_to_text
from sfumato.limits import SEEDS
from sfumato.request import Request
from sfumato.resolve import Defaults, resolve
from sfumato.source import Source

__all__ = ["Calls", "Server", "calls"]

_SOURCES = ("image", "mask")
# What the command line takes as one, such as 512x768.
_SIZES: Mapping[str, str] = {"width": "height", "seed_width": "seed_height"}
# What is found on the shelves by its name; the bundled model and its upscaler are at hand without.
_SHELVED = ("model", "refiner", "upscaler", "embeddings")
_KINDS: Mapping[str, str] = {"image": "", "mask": ', "mask"'}
_UNPRINTED: Mapping[str, str] = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", "'": "\\'"}


@dataclass(frozen=True)
class Server:
    """What a call must know of the server: its address, its model, and whether it asks who calls.

    ``url`` has no slash at its end; ``model`` is what a request gets that names none; ``login`` is
    "", "token" or "user". ``defaults`` are those of the request's model, if they are known.
    """

    url: str
    model: str = BUNDLED
    login: str = ""
    defaults: Defaults | None = None


@dataclass(frozen=True)
class Calls:
    """The three ways, each as text to be copied."""

    command: str
    python: str
    http: str


def calls(request: Request, server: Server) -> Calls:
    """How to make a request's pictures elsewhere. No secret is in it, only the name of one."""
    request = _sized(request, server.defaults)
    model = server.model if request.model is None else request.model
    elsewhere = _given(request, None if model == BUNDLED else model)
    here = _given(request, None if model == server.model else model)
    return Calls(
        command=_command(elsewhere, server), python=_python(elsewhere), http=_http(here, server)
    )


def _sized(request: Request, defaults: Defaults | None) -> Request:
    """With both sides where one was given: the command line knows none without the other."""
    if defaults is None or (request.width is None) == (request.height is None):
        return request
    sized = resolve(
        request, defaults, model=BUNDLED, draw_seed=lambda: 0, sampler_name=str, schedule_name=str
    )
    return replace(request, width=sized.width, height=sized.height)


def _said(request: Request) -> dict[str, object]:
    values = {f.name: (getattr(request, f.name), f.default) for f in fields(request)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _given(request: Request, model: str | None) -> dict[str, object]:
    """The fields that must be said, the prompt first; ``model`` if it is not the usual one."""
    given = {"prompt": request.prompt, **_said(request)}
    for name in ("model", "template", "negative_template"):  # a template decides nothing
        given.pop(name, None)
    if given.get("embeddings") == ():  # nothing that the prompts name, which so goes without saying
        del given["embeddings"]
    return given if model is None else {**given, "model": model}


def _wired(name: str, value: object) -> object:
    if name in SEEDS:
        return str(value)
    if name == "embeddings":
        return embeddings_to_json(cast("tuple[Embedding, ...]", value))
    return value.sha256 if isinstance(value, Source) else value


# ---- the command


def _command(given: Mapping[str, object], server: Server) -> str:
    if ("width" in given) != ("height" in given):
        return "# The command line takes width and height together; give the other one, too."
    words = ["sfumato", "generate"]
    prompt, last = str(given["prompt"]), list[str]()
    if prompt.startswith("-"):
        last = ["--", _quoted(prompt)]
    else:
        words.append(_quoted(prompt))
    for name, value in given.items():
        words += _option(name, value, given)
    return "".join([*_fetched(given, server), " ".join([*words, *last])])


def _option(name: str, value: object, given: Mapping[str, object]) -> Iterator[str]:
    if name in ("prompt", *_SIZES.values()):
        return
    flag = f"--{name.replace('_', '-')}"
    if name in _SIZES:
        flag, value = flag.replace("width", "size"), f"{value}x{given[_SIZES[name]]}"
    elif isinstance(value, Source):
        value = _file(name, value)
    elif name == "embeddings":
        value = embeddings_to_text(cast("tuple[Embedding, ...]", value))
    elif isinstance(value, tuple):
        value = ",".join(_number(one) for one in cast("tuple[float, ...]", value))
    if isinstance(value, bool):
        yield flag if value else f"--no-{flag.removeprefix('--')}"
        return
    text = _number(value) if isinstance(value, float) else str(value)
    yield from [f"{flag}={_quoted(text)}"] if text.startswith("-") else [flag, _quoted(text)]


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _quoted(text: str) -> str:
    """One word for a shell. What a terminal would not show is spelled out, as bash and zsh read."""
    if text.replace("\n", " ").isprintable():
        return shlex.quote(text)
    spelled = "".join(_spelled(character) for character in text)
    return f"$'{spelled}'"


def _spelled(character: str) -> str:
    if character in _UNPRINTED:
        return _UNPRINTED[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


# ---- what a request starts from


def _file(name: str, source: Source) -> str:
    return f"{name}-{source.sha256[:12]}.png"


def _fetched(given: Mapping[str, object], server: Server) -> Iterator[str]:
    """The lines of a shell that get the pictures which the request starts from."""
    for name in _SOURCES:
        source = given.get(name)
        if isinstance(source, Source):
            address = f"{server.url}/api/inputs/{source.sha256}"
            yield f"curl -fsS{_login(server)} -o {_file(name, source)} {shlex.quote(address)}\n"


def _login(server: Server) -> str:
    return {
        "": "",
        "token": ' -H "Authorization: Bearer $SFUMATO_TOKEN"',
        "user": ' -u "$SFUMATO_USER:$SFUMATO_PASSWORD"',
    }[server.login]


# ---- Python


def _python(given: Mapping[str, object]) -> str:
    sources = {name: value for name, value in given.items() if isinstance(value, Source)}
    shelved = any(name in given for name in _SHELVED)
    lines = ["import sfumato"]
    if sources:
        lines = ["from pathlib import Path", "", *lines]
    if shelved:
        lines += ["from sfumato.cli.configuration import shelves"]
    lines += [""] + [
        f'{name} = sfumato.Source.read(Path("{_file(name, source)}"){_KINDS[name]})'
        for name, source in sources.items()
    ]
    said = [_literal(given["model"])] if "model" in given else []
    said += ["shelves=shelves()"] if shelved else []
    lines += [f"engine = sfumato.load({', '.join(said)})"]
    lines += ["request = sfumato.Request("]
    lines += [
        f"    {name}={name if isinstance(value, Source) else _literal(value)},"
        for name, value in given.items()
        if name != "model"
    ]
    lines += [
        ")",
        "for picture in engine.submit(request).result().pictures:",
        '    picture.save(f"{picture.recipe.request.seed}.png")',
    ]
    return "\n".join(lines)


def _literal(value: object) -> str:
    """A value as Python reads it; plain text in double quotes, which JSON writes as Python does."""
    if isinstance(value, tuple):
        rows = cast("tuple[Embedding | float, ...]", value)
        learnt = [row for row in rows if isinstance(row, Embedding)]
        each = [f"sfumato.Embedding({_literal(e.name)}, {_literal(e.sha256)})," for e in learnt]
        return f"({' '.join(each)})" if each else repr(rows)
    plain = isinstance(value, str) and value.isprintable()
    return json.dumps(value, ensure_ascii=False) if plain else repr(value)


# ---- HTTP


def _http(given: Mapping[str, object], server: Server) -> str:
    said = {name: _wired(name, value) for name, value in given.items()}
    body = json.dumps({"request": said}, ensure_ascii=False)
    if not body.isprintable():
        body = json.dumps({"request": said})
    return (
        f"curl -fsS{_login(server)} {shlex.quote(f'{server.url}/api/jobs')} \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )
