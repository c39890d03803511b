"""The doorkeeper: who is admitted, who is not, and who must wait."""

import base64

import pytest

from sfumato.server.auth import (
    ADDRESSES,
    FREE_TRIES,
    LONGEST_WAIT,
    SESSION_SECONDS,
    SESSIONS,
    Doorkeeper,
    Patience,
    Wait,
)
from sfumato.server.settings import Settings

TOKEN = "0123456789abcdef"
HOME = "10.0.0.1"


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token_only(settings: Settings, clock: Clock) -> Doorkeeper:
    return Doorkeeper(Settings(home=settings.home, token=TOKEN), clock)


@pytest.fixture
def password_only(settings: Settings, clock: Clock) -> Doorkeeper:
    return Doorkeeper(Settings(home=settings.home, user="ada", password="löve:lace"), clock)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("words", ["", "  ", "Bearer", "Basic", "Basic !!!", "Bearer x"])
def test_nobody_is_asked_where_nothing_is_set(settings: Settings, words: str) -> None:
    keeper = Doorkeeper(settings)
    assert all(keeper.admits(words, "", HOME) is True for _ in range(20))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_right_token_is_admitted(token_only: Doorkeeper, scheme: str) -> None:
    assert token_only.admits(f"{scheme} {TOKEN}", "", HOME) is True
    assert token_only.admits(f"  {scheme}   {TOKEN}  ", "", HOME) is True


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Token {TOKEN}",
        "Basic",
        "Basic " + TOKEN,
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        basic("", ""),
    ],
)
def test_a_wrong_token_is_not(token_only: Doorkeeper, words: str) -> None:
    assert token_only.admits(words, "", HOME) is False


def test_a_client_that_knows_basic_only_may_give_the_token_as_password(
    token_only: Doorkeeper,
) -> None:
    assert token_only.admits(basic("anybody", TOKEN), "", HOME) is True


def test_user_and_password_must_both_be_right(password_only: Doorkeeper) -> None:
    assert password_only.admits(basic("ada", "löve:lace"), "", HOME) is True
    assert password_only.admits(basic("ada", "lovelace"), "", HOME) is False
    assert password_only.admits(basic("bob", "löve:lace"), "", HOME) is False
    assert password_only.admits(basic("", "löve:lace"), "", HOME) is False
    assert password_only.admits("Bearer löve:lace", "", HOME) is False


def test_after_some_wrong_passwords_even_the_right_one_waits(
    password_only: Doorkeeper, clock: Clock
) -> None:
    for _ in range(FREE_TRIES):
        assert password_only.admits(basic("ada", "guess"), "", HOME) is False
    assert password_only.admits(basic("ada", "löve:lace"), "", HOME) == Wait(1.0)
    clock.now += 1.0
    assert password_only.admits(basic("ada", "löve:lace"), "", HOME) is True


def test_each_further_wrong_password_waits_twice_as_long_up_to_a_minute(clock: Clock) -> None:
    patience = Patience(clock)
    waits: list[float] = []
    for _ in range(FREE_TRIES + 9):
        patience.wrong(HOME)
        waits.append(patience.wait(HOME))
        clock.now += waits[-1]
    assert waits == [0.0] * (FREE_TRIES - 1) + [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert waits[-1] == LONGEST_WAIT


def test_another_address_does_not_wait(password_only: Doorkeeper) -> None:
    for _ in range(FREE_TRIES):
        password_only.admits(basic("ada", "guess"), "", HOME)
    assert password_only.admits(basic("ada", "löve:lace"), "", "10.0.0.2") is True


def test_a_right_token_never_waits_and_a_wrong_one_does(token_only: Doorkeeper) -> None:
    for _ in range(FREE_TRIES):
        assert token_only.admits("Bearer guess", "", HOME) is False
    assert token_only.admits("Bearer guess", "", HOME) == Wait(1.0)
    assert token_only.admits(f"Bearer {TOKEN}", "", HOME) is True


def test_only_so_many_addresses_are_remembered(clock: Clock) -> None:
    patience = Patience(clock)
    for number in range(ADDRESSES + 1):
        for _ in range(FREE_TRIES):
            patience.wrong(str(number))
    assert patience.wait("0") == 0
    assert patience.wait("1") > 0


def test_a_login_opens_a_session_that_only_its_name_gets_into(token_only: Doorkeeper) -> None:
    session = token_only.login(TOKEN, "", "", HOME)
    assert isinstance(session, str)
    assert len(session) > 40
    assert token_only.admits("", session, HOME) is True
    assert token_only.admits("", session[:-1], HOME) is False
    assert token_only.admits("", "", HOME) is False
    assert token_only.login(TOKEN, "", "", HOME) != session


def test_a_login_with_user_and_password(password_only: Doorkeeper) -> None:
    assert password_only.login("", "ada", "wrong", HOME) is None
    assert password_only.login("löve:lace", "", "", HOME) is None
    session = password_only.login("", "ada", "löve:lace", HOME)
    assert password_only.admits("", str(session), HOME) is True


def test_an_empty_login_is_none(token_only: Doorkeeper, password_only: Doorkeeper) -> None:
    assert token_only.login("", "", "", HOME) is None
    assert password_only.login("", "", "", HOME) is None


def test_logins_that_are_wrong_wait(password_only: Doorkeeper) -> None:
    for _ in range(FREE_TRIES):
        assert password_only.login("", "ada", "wrong", HOME) is None
    assert password_only.login("", "ada", "löve:lace", HOME) == Wait(1.0)


def test_a_session_ends_by_logout_and_by_age(token_only: Doorkeeper, clock: Clock) -> None:
    first, second = (str(token_only.login(TOKEN, "", "", HOME)) for _ in range(2))
    token_only.logout(first)
    token_only.logout("none of ours")
    assert token_only.admits("", first, HOME) is False
    assert token_only.admits("", second, HOME) is True
    clock.now += SESSION_SECONDS
    assert token_only.admits("", second, HOME) is False


def test_the_session_that_was_idle_longest_makes_room(token_only: Doorkeeper) -> None:
    first, second = (str(token_only.login(TOKEN, "", "", HOME)) for _ in range(2))
    assert token_only.admits("", first, HOME) is True
    for _ in range(SESSIONS - 1):
        token_only.login(TOKEN, "", "", HOME)
    assert token_only.admits("", first, HOME) is True
    assert token_only.admits("", second, HOME) is False
