"""Surveys of the actual state of builders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.builders.survey import survey_builder
from tests.unit.workspaces import CI, OUT_OF_REACH, Engine, workspace_with

if TYPE_CHECKING:
    from pathlib import Path


def test_one_engine_out_of_reach_does_not_hide_the_others(tmp_path: Path) -> None:
    engine = Engine()
    engine.unreachable = True
    workspace, _ = workspace_with(tmp_path, engine)
    state = survey_builder(workspace.services, CI, workspace.plan)
    assert [error.message for error in state.errors] == [OUT_OF_REACH]
    assert [change.kind.value for change in state.changes] == ["builder"]
    assert state.unclear == ("node ci/local",)
