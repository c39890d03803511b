"""A small model hub on loopback: the routes that huggingface_hub calls, and ways to misbehave."""

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"
LARGE = 1000  # bytes; what is longer is kept by its sha256, as large files are on the real hub


@dataclass
class Hub:
    """Files by repository and name. The sets hold names of what goes wrong.

    `most` is how many bytes of a file are given at once; who asks for more gets none.
    `breaks` says after how many bytes each answer with a file's bytes breaks off, how often.
    `asked` are the requests that came: method, path and the first byte of a range.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    lies: set[str] = field(default_factory=set)
    ignores_ranges: bool = False
    most: int | None = None
    breaks: dict[str, int] = field(default_factory=dict)
    times: int = 0
    fails: int | None = None
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    address: str = ""

    def fetched(self, name: str) -> list[int]:
        """Where each transfer of a file began."""
        return [at for method, path, at in self.asked if method == "GET" and path.endswith(name)]


def mark(data: bytes) -> str:
    """What the hub names a file's bytes by."""
    if len(data) > LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        given = self.headers.get("Range", "")
        first, _, last = given.removeprefix("bytes=").partition("-")
        start, end = int(first or 0), int(last) + 1 if last else None
        hub.asked.append((self.command, path, start))
        if hub.fails is not None:
            self.refuse(hub.fails, "")
        elif path.startswith("/api/models/"):
            owner, name, *rest = path.removeprefix("/api/models/").split("/")
            self.tell_repository(f"{owner}/{name}", rest[-1] if rest else "main")
        else:
            owner, name, _, revision, *file = path.strip("/").split("/")
            self.send_file(f"{owner}/{name}", revision, "/".join(file), start, end)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def found(self, repository: str, revision: str) -> bool:
        if repository not in self.hub.repositories:
            self.refuse(404, "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        else:
            return True
        return False

    def tell_repository(self, repository: str, revision: str) -> None:
        if not self.found(repository, revision):
            return
        files = self.hub.repositories[repository]
        rows = []
        for name, data in files.items():
            row = {"rfilename": name, "size": len(data), "blobId": mark(data[:LARGE])}
            if len(data) > LARGE:
                row["lfs"] = {"sha256": mark(data), "size": len(data), "pointerSize": 134}
            rows.append(row)
        body = json.dumps({"id": repository, "sha": COMMIT, "siblings": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(
        self, repository: str, revision: str, name: str, start: int, end: int | None
    ) -> None:
        hub = self.hub
        if not self.found(repository, revision):
            return
        if repository in hub.gated:
            self.refuse(403, "GatedRepo")
            return
        data = hub.repositories[repository].get(name)
        if data is None:
            self.refuse(404, "EntryNotFound")
            return
        etag = mark(data)
        if name in hub.lies:
            data = bytes(len(data))
        if hub.ignores_ranges:
            start, end = 0, None
        ranged, size = start > 0 or end is not None, len(data)
        data = data[:end]
        if self.command == "GET" and hub.most is not None and len(data) - start > hub.most:
            self.refuse(400, "")
            return
        self.send_response(206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{size}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        if name in hub.breaks and hub.times > 0:
            hub.times -= 1
            self.wfile.write(data[start : start + hub.breaks[name]])
            self.close_connection = True
            return
        self.wfile.write(data[start:])


@contextmanager
def serving(hub: Hub) -> Generator[Hub]:
    """The hub at `hub.address` until the block ends."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
