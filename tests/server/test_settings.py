"""A server that would be open to strangers, or reached by nobody, is refused before it starts."""

from pathlib import Path
from typing import Any

import pytest

from sfumato.server.settings import Settings, SettingsError, is_loopback

TOKEN = "0123456789abcdef"


def settings(**given: Any) -> Settings:
    return Settings(home=Path("home"), **given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_secret(host: str) -> None:
    assert settings(host=host).closed
    assert not settings(host=host).guarded


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "::ffff:127.0.0.1.example.org", "box", "localhost.box"]
)
def test_an_address_that_others_reach_needs_a_secret(host: str) -> None:
    with pytest.raises(SettingsError, match="can be reached by others"):
        settings(host=host)
    assert settings(host=host, token=TOKEN).guarded
    assert settings(host=host, user="ada", password="lovelace").guarded


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"token": ""}, "at least 16"),
        ({"token": "short"}, "at least 16"),
        ({"token": "a token with spaces in it"}, "only ASCII"),
        ({"token": "a-token-with-ümlauts"}, "only ASCII"),
        ({"user": "ada"}, "belong together"),
        ({"password": "lovelace"}, "belong together"),
        ({"user": "ada", "password": "short"}, "at least 8"),
        ({"user": "", "password": "lovelace"}, "is empty"),
        ({"user": "a:da", "password": "lovelace"}, "no colon"),
        ({"port": 65536}, "65535"),
        ({"port": -1}, "65535"),
        ({"hosts": ("http://box",)}, "no host name"),
        ({"hosts": ("box:7860",)}, "no host name"),
        ({"hosts": ("*",)}, "no host name"),
        ({"origins": ("*",)}, "no origin"),
        ({"origins": ("null",)}, "no origin"),
        ({"origins": ("http://box/",)}, "no origin"),
        ({"origins": ("box:3000",)}, "no origin"),
    ],
)
def test_what_cannot_work_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        settings(**given)
    secret = given.get("token") or given.get("password")
    assert not secret or secret not in str(refused.value)


def test_secrets_do_not_show_in_the_settings_words() -> None:
    shown = repr(settings(token=TOKEN, user="ada", password="lovelace"))
    assert TOKEN not in shown
    assert "lovelace" not in shown


def test_what_names_a_host_or_an_origin_is_taken() -> None:
    made = settings(
        hosts=("box", "pictures.example.org", "192.168.1.5", "::5"),
        origins=("http://localhost:3000", "https://example.org", "http://[::1]:3000"),
    )
    assert len(made.hosts) + len(made.origins) == 7


def test_an_address_that_only_looks_like_loopback_is_none() -> None:
    assert not any(map(is_loopback, ["127.0.0.1.example.org", "0.0.0.0", "::", "", "1270.0.1"]))
