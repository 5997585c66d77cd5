"""The garbage collector is paused and resumed."""

from __future__ import annotations

import gc
import weakref

import pytest

from mpbake.base.memory import freeze_objects, paused_collector


def test_collection_rests_and_goes_on() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError), paused_collector():
        raise KeyError(gc.isenabled())
    assert gc.isenabled()


def test_nothing_is_collected_within() -> None:
    with paused_collector():
        assert not gc.isenabled()


def test_who_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with paused_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_kept_is_not_looked_through() -> None:
    garbage = weakref.ref(_Loop())
    try:
        freeze_objects()
        gc.collect()
        assert garbage() is not None
    finally:
        gc.unfreeze()
    gc.collect()
    assert garbage() is None


class _Loop:
    """An object that refers to itself: only the collector can free it."""

    def __init__(self) -> None:
        self.around = self
