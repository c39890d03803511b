"""A request, written down as a command, as Python and as an HTTP call: all make the same pictures.

What the request leaves to its model is left out of them too. A seed that is not yet drawn stays
open, so such calls make a picture each of their own.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from sfumato.catalog import BUNDLED
from sfumato.images import Source
from sfumato.request import Request

__all__ = ["Calls", "Server", "calls", "wire"]

_SEEDS = ("seed", "path_seed")
_SOURCES = ("image", "mask")
_KINDS: Mapping[str, str] = {"image": "", "mask": ', "mask"'}
_UNPRINTED: Mapping[str, str] = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", "'": "\\'"}


@dataclass(frozen=True)
class Server:
    """What a call must know of the server: its address, its model, and whether it asks who calls.

    ``url`` has no slash at its end; ``model`` is what a request gets that names none; ``login`` is
    "", "token" or "user".
    """

    url: str
    model: str = BUNDLED
    login: str = ""


@dataclass(frozen=True)
class Calls:
    """The three ways, each as text to be copied."""

    command: str
    python: str
    http: str


def calls(request: Request, server: Server) -> Calls:
    """How to make a request's pictures elsewhere. No secret is in it, only the name of one."""
    given = _given(request, server)
    return Calls(
        command=_command(given, request, server),
        python=_python(given, request, server),
        http=_http(given, server),
    )


def wire(request: Request) -> dict[str, object]:
    """What a request says beyond its defaults, as the native API reads it; seeds are text."""
    return {name: _wired(name, value) for name, value in _said(request).items()}


def _said(request: Request) -> dict[str, object]:
    values = {f.name: (getattr(request, f.name), f.default) for f in fields(request)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _given(request: Request, server: Server) -> dict[str, object]:
    """The fields that must be said; elsewhere another model may be the one for no name."""
    given = {"prompt": request.prompt, **_said(request)}
    if request.model is None and server.model != BUNDLED:
        given["model"] = server.model
    return given


def _wired(name: str, value: object) -> object:
    if name in _SEEDS:
        return str(value)
    return value.sha256 if isinstance(value, Source) else value


# ---- the command


def _command(given: Mapping[str, object], request: Request, server: Server) -> str:
    if any("\0" in value for value in given.values() if isinstance(value, str)):
        return "# A command line cannot hold the character NUL, which is in this request."
    words = ["sfumato", "generate"]
    prompt, last = request.prompt, list[str]()
    if prompt.startswith("-"):
        last = ["--", _quoted(prompt)]
    else:
        words.append(_quoted(prompt))
    for name, value in given.items():
        words += _option(name, value, given)
    return "".join([*_fetched(given, server), " ".join([*words, *last])])


def _option(name: str, value: object, given: Mapping[str, object]) -> Iterator[str]:
    if name == "prompt" or (name == "height" and "width" in given):
        return
    flag = f"--{name.replace('_', '-')}"
    if name == "width" and "height" in given:
        flag, value = "--size", f"{value}x{given['height']}"
    elif isinstance(value, Source):
        value = _file(name, value)
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


def _python(given: Mapping[str, object], request: Request, server: Server) -> str:
    model = request.model or (server.model if server.model != BUNDLED else None)
    sources = {name: value for name, value in given.items() if isinstance(value, Source)}
    lines = ["import sfumato"]
    if sources:
        lines = ["from pathlib import Path", "", *lines, "from sfumato.images import Source"]
    lines += [""] + [
        f'{name} = Source.read(Path("{_file(name, source)}"){_KINDS[name]})'
        for name, source in sources.items()
    ]
    lines += [f"engine = sfumato.load({'' if model is None else _literal(model)})"]
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
