"""The page's files: each of our own type, its modules kept by browsers until one of them changes.

The page is some fifty small modules, as they are written. So that a second visit asks for none of
them, the front page names them below a folder that is called after the state of all files: what
lies there never changes, and a browser need not ask.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import final

from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

__all__ = ["PAGE", "TYPES", "Page"]

PAGE = Path(str(files("sfumato").joinpath("server", "static")))
# Told here: what the machine thinks a suffix means can be wrong, and nosniff takes it at its word.
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
ASKED_AGAIN = "no-cache"  # kept, but never shown without asking
FOREVER = "public, max-age=31536000, immutable"
_LINK = re.compile(r'(?<==")(js|css)/')
_KEPT = re.compile(r"(js|css)/at-([0-9a-f]{16})/(.+)")


@final
class Page(StaticFiles):
    """The page's files, below one folder."""

    # The state of the files when the front page was asked for last: its modules, asked for at once,
    # do not each look at all of them again.
    _shown = ""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; 404 for what is none, whatever the method."""
        reads = scope["method"] in ("GET", "HEAD")
        if path == "." and reads:
            return self._front(Headers(scope=scope).get("if-none-match", ""))
        kept = _KEPT.fullmatch(path.replace(os.sep, "/"))
        if kept is not None:
            path = str(Path(kept[1], kept[3]))
        if not reads and not self.lookup_path(path)[1]:
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        kind = TYPES.get(Path(path).suffix)
        if kind is not None and answer.status_code == 200:
            answer.headers["content-type"] = kind
        # An older front page may ask for what was there; it gets what there is, and asks again.
        lasting = kept is not None and kept[2] == (self._shown or _state(PAGE))
        answer.headers["cache-control"] = FOREVER if lasting else ASKED_AGAIN
        return answer

    def _front(self, known: str) -> Response:
        """The front page, whose modules and styles are named by the state that they are in."""
        state = self._shown = _state(PAGE)
        headers = {"cache-control": ASKED_AGAIN, "etag": f'"{state}"'}
        if state in known:
            return Response(status_code=304, headers=headers)
        html = (PAGE / "index.html").read_text("utf-8")
        linked = _LINK.sub(rf"\1/at-{state}/", html)
        return Response(linked, media_type=TYPES[".html"], headers=headers)


def _state(folder: Path) -> str:
    """What changes when any file below the folder does: 16 hex digits."""
    found = sha256()
    for path in sorted(folder.rglob("*")):
        told = path.stat()
        found.update(f"{path.name} {told.st_mtime_ns} {told.st_size}\n".encode())
    return found.hexdigest()[:16]
