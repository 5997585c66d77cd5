"""Probing of nodes before a run, with a fake engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.builders.probing import probe_nodes
from mpbake.model.node_state import ResourceKind
from tests.unit.dockers import FakeDocker, failed
from tests.unit.plans import target_of_text
from tests.unit.workspaces import Engine, workspace_with

if TYPE_CHECKING:
    from pathlib import Path


def test_an_engine_that_does_not_answer_is_warned_of_though_it_decides_what_builds(tmp_path: Path) -> None:
    workspace, _ = workspace_with(
        tmp_path, FakeDocker({"system info": failed("Cannot connect to the Docker daemon at x")})
    )
    probe = probe_nodes(workspace.services, [target_of_text("[targets.web]")], workspace.plan)
    assert [(name, facts.unreachable, facts.platforms) for name, facts in probe.facts.items()] == [
        ("default/local", True, ())
    ]
    silence = "the Docker engine does not answer: Cannot connect to the Docker daemon at x"
    assert probe.notes == (f"default/local cannot be asked: {silence}",)


def test_what_must_be_created_is_told_and_nothing_is_created(tmp_path: Path) -> None:
    engine = Engine()
    workspace, _ = workspace_with(tmp_path, engine)
    target = target_of_text("[targets.web]\nbuilder = 'ci'\n[builders.ci]\nnodes.local = { endpoint = 'ssh://far' }")
    probe = probe_nodes(workspace.services, [target], workspace.plan)
    assert [row.status for row in probe.rows] == ["missing"]
    assert [(builder, str(change.action), change.kind) for builder, change in probe.changes] == [
        ("ci", "create", ResourceKind.CONTAINER),
        ("ci", "create", ResourceKind.ENTRY),
    ]
    assert not any("create" in command or " run " in command for command in engine.commands)
