"""Loading modules without a search for garbage: only as long as it takes."""

import gc

import pytest

from sfumato.cli.loading import unswept


def test_nothing_is_collected_meanwhile_and_it_is_again_after():
    assert gc.isenabled()
    with unswept():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_also_where_a_module_cannot_be_loaded():
    with pytest.raises(ImportError), unswept():
        raise ImportError
    assert gc.isenabled()


def test_who_wants_nothing_collected_is_left_to_it():
    gc.disable()
    try:
        with unswept(), unswept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
