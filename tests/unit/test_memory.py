"""The garbage collector rests, and works again."""

from __future__ import annotations

import gc

import pytest

from mpbake.memory import no_garbage


def test_collection_rests_and_goes_on() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError), no_garbage():
        raise KeyError(gc.isenabled())
    assert gc.isenabled()


def test_nothing_is_collected_within() -> None:
    with no_garbage():
        assert not gc.isenabled()


def test_who_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with no_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
