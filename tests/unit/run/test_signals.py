"""Signals, and the work that they stop."""

from __future__ import annotations

import signal

import pytest

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.run.executor import StopRequest
from mpbake.run.signals import stoppable, stopped_by_signals


@pytest.mark.parametrize("code", [0, 2])
def test_work_that_ends_by_itself_has_its_own_exit_code(code: int) -> None:
    assert stoppable(lambda _: code) == code


def test_work_that_winds_up_after_a_signal_has_its_own_exit_code() -> None:
    def work(stop: StopRequest) -> int:
        stop(signal.SIGINT)
        return 5

    assert stoppable(work) == 5


def test_an_error_without_a_signal_is_raised() -> None:
    error = Unreachable("gone")

    def work(_: StopRequest) -> int:
        raise error

    with pytest.raises(Unreachable) as caught:
        stoppable(work)
    assert caught.value is error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_error_after_a_signal_is_the_signals_exit_code(number: signal.Signals) -> None:
    def work(stop: StopRequest) -> int:
        stop(number)
        raise MpbakeError("killed")

    assert stoppable(work) == 128 + number


def test_a_bug_is_told_even_after_a_signal() -> None:
    def work(stop: StopRequest) -> int:
        stop(signal.SIGINT)
        raise KeyError("web")

    with pytest.raises(KeyError):
        stoppable(work)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_requests_to_stop_until_the_work_is_over(number: signal.Signals) -> None:
    """This holds even if the parent process of the tests ignores signals."""
    before, stop = signal.signal(number, signal.SIG_DFL), StopRequest()
    try:
        with stopped_by_signals(stop):
            signal.raise_signal(number)
        assert stop.signal == number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    """A program under nohup ignores SIGHUP in this way."""
    before, stop = signal.signal(signal.SIGHUP, signal.SIG_IGN), StopRequest()
    try:
        with stopped_by_signals(stop):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert stop.signal == 0
