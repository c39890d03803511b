"""What holds for every test: the same examples each time, and no way to the network."""

import socket
from typing import Any, NoReturn

import pytest
from hypothesis import settings

# A run on a busy machine is slow, not wrong; and a failure must come again when it is looked for.
settings.register_profile("sfumato", deadline=None, derandomize=True, database=None)
settings.load_profile("sfumato")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection fails: painting and reading files never may."""

    def refuse(_: socket.socket, address: Any) -> NoReturn:
        raise AssertionError(f"a test connects to {address}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
