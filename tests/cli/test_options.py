"""The table of options that say what a picture shall be."""

from dataclasses import fields

import pytest

from sfumato.cli.options import OPTIONS, given, parse_size
from sfumato.errors import RequestError
from sfumato.request import Request


def test_every_field_of_a_request_can_be_given_and_no_other():
    named = [name for option in OPTIONS for name in option.fields or (option.name,)]
    # A prompt is an argument; its templates are written down where it is drawn from one.
    otherwise = {"prompt", "template", "negative_template"}
    assert sorted(named) == sorted({f.name for f in fields(Request)} - otherwise)


@pytest.mark.parametrize("option", OPTIONS, ids=[option.name for option in OPTIONS])
def test_an_option_is_shown_as_it_was_typed(option):
    typed = "512x768" if "WxH" in option.metavar else {"seed": "0"}.get(option.name, "1")
    words_typed = [typed, "2"] if option.many else typed
    values = option.values(words_typed if option.metavar else False)
    words = option.words(values)
    assert words[0].startswith(("--no-", option.flag))
    if option.many:
        assert words == [option.flag, typed, option.flag, "2"]
    elif option.metavar:
        assert words == [option.flag, typed]
        assert option.values(words[1]) == values
    else:
        assert words == [f"--no-{option.flag[2:]}"]


OFF = [option for option in OPTIONS if option.off]


@pytest.mark.parametrize("option", OFF, ids=[option.name for option in OFF])
def test_what_takes_a_value_away_is_shown_as_it_was_typed(option):
    values = option.values(option.off)
    assert set(values.values()) == {None}
    assert option.words(values) == [option.flag, option.off]
    assert option.words({}) == []


def test_what_was_not_typed_changes_nothing():
    assert given(dict.fromkeys(option.name for option in OPTIONS)).changes == {}


def test_a_value_that_begins_with_a_dash_is_joined_to_its_option():
    negative = next(option for option in OPTIONS if option.name == "negative")
    assert negative.words({"negative": "-blurry"}) == ["--negative=-blurry"]


@pytest.mark.parametrize("typed", ["", "x", "12x", "1x2x3", "-1x5", "1e3", "9" * 9])
def test_a_size_that_is_none_is_refused_by_name(typed):
    with pytest.raises(RequestError, match="must be like 512x768"):
        parse_size(typed)
