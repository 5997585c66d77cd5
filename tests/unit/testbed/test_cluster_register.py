"""The machine's list of real clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testbed_cluster import register

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the list in the test's own folder."""
    monkeypatch.setattr(register, "_FOLDER", tmp_path / "clusters")
    return tmp_path / "clusters"


def test_a_cluster_without_an_owner_is_abandoned(tmp_path: Path) -> None:
    register.enter("a", tmp_path, owned=True)
    assert register.abandoned() == []
    assert register.release("a")
    assert register.abandoned() == [tmp_path]


def test_a_cluster_that_was_started_by_hand_is_kept(folder: Path, tmp_path: Path) -> None:
    register.enter("a", tmp_path, owned=False)
    assert register.abandoned() == []
    assert not register.release("a")
    register.leave("a")
    assert not folder.exists()
    register.leave("a")
