"""The guard that prevents unit tests from starting processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

STARTS: dict[str, Callable[[], object]] = {
    "subprocess.Popen": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "os.system": lambda: os.system("true"),  # noqa: S605 - refused, that is the test
    "os.posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable], {}),
    "os.fork": lambda: os.fork(),  # noqa: PLW0108 - looked up only when the guard stands
    "os.execv": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606
    "os.spawnv": lambda: os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", ""]),  # noqa: S606
}


@pytest.mark.parametrize("name", STARTS)
def test_starting_a_process_fails_the_test(name: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"a unit test starts a process: {name} with"):
        STARTS[name]()


@pytest.mark.allow_subprocess
def test_the_marker_allows_it() -> None:
    completed = subprocess.run([sys.executable, "-c", "print(1)"], check=True, capture_output=True, text=True)
    assert completed.stdout == "1\n"
