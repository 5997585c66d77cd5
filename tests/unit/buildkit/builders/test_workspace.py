"""The locks of builders: one process at a time changes a builder, and only while no build runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.plans import text
from tests.unit.workspaces import Engine, brought_up

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_container_in_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpbake.buildkit.builders.workspace._IDLE_PAUSE", 0)
    engine = Engine(mark="driver=0", busy=True)
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            ci/local: a build runs in buildx_buildkit_ci-local, so mpbake leaves it unchanged
              = run again when it is idle
            """)
    ]
    assert not [command for command in engine.commands if command.startswith("container rm")]
