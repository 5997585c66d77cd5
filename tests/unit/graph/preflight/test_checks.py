"""The list of preflight checks, and the stage of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.cli.loading import NO_OVERRIDES, load_plan
from mpbake.cli.options import SourceOptions
from mpbake.cli.selection import place_targets, preflight_input, select_for
from mpbake.graph.preflight.checks import (
    PREFLIGHT_CHECKS,
    PreflightInput,
    Stage,
    preflight_problems,
    preflight_warnings,
)
from tests.unit.worlds import world

if TYPE_CHECKING:
    from pathlib import Path

PLAN = """\
version = 1
publish = "together"
[builders.far]
driver = "remote"
emulation = "forbid"
[builders.far.nodes.intel]
endpoint = "tcp://intel:1"
platforms = ["linux/amd64"]
insecure = true
[targets.base]
tags = ["r/base:1"]
push = true
[targets.web]
builder = "far"
platforms = ["linux/arm64"]
tags = ["r/base:1"]
push = true
needs = ["base"]
context = "missing"
"""


def subject_of(folder: Path, plan: str = PLAN) -> PreflightInput:
    (folder / "build.toml").write_text(plan)
    here = world(folder)
    plan_files, loaded = load_plan(SourceOptions(), here)
    selection = select_for(loaded, ("*",), NO_OVERRIDES)
    return preflight_input(plan_files, selection, place_targets(selection, {}).values(), here)


def codes(subject: PreflightInput, *stages: Stage) -> list[Code]:
    return sorted(problem.code for problem in preflight_problems(subject, *stages))


def test_every_stage_has_its_checks(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    files = [Code.MISSING_DOCKERFILE, Code.MISSING_FOLDER]
    plan = [Code.EMULATION_FORBIDDEN, Code.NEEDS_TOGETHER]
    assert codes(subject, Stage.PLAN) == sorted([*plan, Code.TAG_TWICE])
    assert codes(subject, Stage.RUN) == sorted([*files, *plan, Code.TAG_TWICE])
    assert codes(subject, Stage.RUN_PLACED) == [Code.EMULATION_FORBIDDEN]
    assert codes(subject, Stage.CHECK_TARGETS) == sorted([*files, Code.EMULATION_FORBIDDEN])
    assert codes(subject, Stage.CHECK_TARGETS, Stage.CHECK_PLAN) == sorted([*files, *plan])


def test_errors_are_raised_together(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        preflight_warnings(subject_of(tmp_path), Stage.PLAN)
    assert [error.code for error in caught.value.diagnostics] == [
        Code.EMULATION_FORBIDDEN,
        Code.TAG_TWICE,
        Code.NEEDS_TOGETHER,
    ]


def test_warnings_are_returned(tmp_path: Path) -> None:
    plan = PLAN.replace('platforms = ["linux/arm64"]\ntags = ["r/base:1"]', 'tags = ["r/web:1"]').replace("needs", "#")
    (warning,) = preflight_warnings(subject_of(tmp_path, plan), Stage.PLAN)
    assert warning.startswith("far/intel: tcp://intel:1 has no TLS")


@pytest.mark.parametrize("context", ["bin/out", "bin/out/linux", "bin"])
def test_a_folder_that_another_target_writes_is_only_missing_in_a_run(tmp_path: Path, context: str) -> None:
    (tmp_path / "Dockerfile").touch()
    plan = f"""
        version = 1
        [targets.binaries]
        output = ["bin/out"]
        [targets.release]
        contexts = {{ binaries = "{context}", other = "bin/output" }}
        output = ["type=cacheonly"]
        """
    subject = subject_of(tmp_path, plan)
    assert codes(subject, Stage.CHECK_TARGETS) == [Code.MISSING_FOLDER]
    assert codes(subject, Stage.RUN) == [Code.MISSING_FOLDER] * 2


def test_names_are_unique_and_every_check_has_a_stage() -> None:
    names = [check.name for check in PREFLIGHT_CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.stages for check in PREFLIGHT_CHECKS)
