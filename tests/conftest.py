"""What holds for every test: the same examples each time, and no way to the network."""

import socket
from typing import Any

import pytest
from hypothesis import settings

# A run on a busy machine is slow, not wrong; and a failure must come again when it is looked for.
settings.register_profile("sfumato", deadline=None, derandomize=True, database=None)
settings.load_profile("sfumato")


@pytest.fixture(autouse=True)
def bare_user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test sees no configuration and no models of whoever runs it, and leaves none behind."""
    home = tmp_path_factory.mktemp("user")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home / name))
    for name in ("SFUMATO_CONFIG", "SFUMATO_OFFLINE", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)


@pytest.fixture
def loopback() -> None:
    """Named by a test that talks to a server which it started itself, on this machine."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A test that opens a connection fails, unless it goes to loopback and the test says so."""
    allowed = "loopback" in request.fixturenames

    def guarded(name: str) -> None:
        connect = getattr(socket.socket, name)

        def check(line: socket.socket, address: Any) -> Any:
            here = isinstance(address, str | bytes) or address[0] in ("127.0.0.1", "::1")
            if not (allowed and here):
                raise AssertionError(f"a test connects to {address}")
            return connect(line, address)

        monkeypatch.setattr(socket.socket, name, check)

    for name in ("connect", "connect_ex"):
        guarded(name)
