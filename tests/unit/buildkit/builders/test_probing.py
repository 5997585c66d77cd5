"""Probing of nodes before a run, with a fake engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.builders.probing import probe_nodes
from tests.unit.dockers import FakeDocker, failed
from tests.unit.plans import target_of_text
from tests.unit.workspaces import workspace_with

if TYPE_CHECKING:
    from pathlib import Path


def test_an_engine_that_does_not_answer_is_warned_of_though_it_decides_what_builds(tmp_path: Path) -> None:
    workspace, _ = workspace_with(
        tmp_path, FakeDocker({"system info": failed("Cannot connect to the Docker daemon at x")})
    )
    facts, warnings = probe_nodes(workspace.services, [target_of_text("[targets.web]")], workspace.plan)
    assert [(name, facts.unreachable, facts.platforms) for name, facts in facts.items()] == [
        ("default/local", True, ())
    ]
    silence = "the Docker engine does not answer: Cannot connect to the Docker daemon at x"
    assert warnings == (f"default/local cannot be asked: {silence}",)
