"""Calls of mpbake in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mpbake import __version__
from mpbake.base.errors import BuildFailed
from mpbake.integrations import calls
from mpbake.integrations.calls import MpbakeProcess, lines_of, without_inputs
from mpbake.integrations.program import exit_code_of
from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.allow_subprocess

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
CANCELLED = """
import pathlib, signal, sys, time
def end(number, _):
    print(f"cancelled by {number}", flush=True)
    time.sleep(0.5)
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def test_the_output_and_the_exit_code() -> None:
    mpbake = MpbakeProcess(environment=ENVIRONMENT)
    assert mpbake.read(["--version"]) == (0, f"mpbake {__version__}\n")
    assert mpbake.run(["no-such-command"]) == 3


def test_a_signal_reaches_mpbake_and_its_end_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def command(arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", CANCELLED, *arguments]

    def cancel() -> None:
        deadline = time.monotonic() + 20
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    ready = tmp_path / "ready"
    monkeypatch.setattr(calls, "_command", command)
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=cancel)
    thread.start()
    assert MpbakeProcess(environment=ENVIRONMENT).run([str(ready)]) == 128 + signal.SIGTERM
    thread.join()
    assert capfd.readouterr().out == f"cancelled by {int(signal.SIGTERM)}\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_that_a_signal_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_command", lambda _: ["sh", "-c", "kill -9 $$"])
    assert MpbakeProcess(environment=ENVIRONMENT).run([]) == 137


def test_inputs_are_not_passed_on() -> None:
    environment = {"INPUT_GITHUB_TOKEN": "x", "TOKEN": "y", "TAG": "1"}
    assert without_inputs(environment, "TOKEN") == {"TAG": "1"}
    assert lines_of(" a b \n\n c\r\n") == ("a b", "c")


def test_the_end_of_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(error: BaseException) -> int:
        def program() -> int:
            raise error

        return exit_code_of(program, lambda error: f"error: {error}\n")

    assert failing(BuildFailed("no", hint="do this")) == 1
    assert capsys.readouterr().out == "error: no\n  = do this\n"
    assert failing(KeyboardInterrupt()) == 130
    assert exit_code_of(lambda: 3, str) == 3
