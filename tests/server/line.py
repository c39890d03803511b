"""A bare connection, for a client that hangs up at a moment of its own choosing."""

import json
from http.client import HTTPConnection
from typing import Any

from tests.server.conftest import LiveServer


def dialled(live: LiveServer, path: str, sent: dict[str, Any]) -> HTTPConnection:
    """A connection on which something was asked and nothing read; `close` hangs up."""
    line = HTTPConnection("127.0.0.1", live.port)
    line.request("POST", path, json.dumps(sent), {"Content-Type": "application/json"})
    return line
