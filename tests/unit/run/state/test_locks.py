"""Locks between processes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import Cancelled, UsageError
from mpbake.run.state.locks import hold_lock

if TYPE_CHECKING:
    from pathlib import Path


def test_the_second_waits(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    order: list[str] = []

    def second() -> None:
        with hold_lock(environment, "Builder-CI", waiting=lambda: order.append("waits")):
            order.append("second")

    with hold_lock(environment, "builder-ci"):
        thread = threading.Thread(target=second)
        thread.start()
        while "waits" not in order:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["waits", "first", "second"]


def test_others_do_not_wait(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with hold_lock(environment, "a"), hold_lock(environment, "b", waiting=lambda: pytest.fail("it waits")):
        pass


def test_waiting_ends_when_all_ends(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with hold_lock(environment, "a"), pytest.raises(Cancelled), hold_lock(environment, "a", cancelled=lambda: True):
        pytest.fail("two hold it")


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with hold_lock(environment, "a"):
        (folder,) = tmp_path.glob("mpbake-*")
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="is not a private folder of this user"), hold_lock(environment, "a"):
        pytest.fail("everybody may write there")
    folder.rename(tmp_path / "elsewhere").chmod(0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is not a private folder of this user"), hold_lock(environment, "a"):
        pytest.fail("a link was followed")
