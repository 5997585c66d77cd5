"""The tables of formats and reporters."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.cli.commands import plan
from mpbake.report.formats import (
    DIAGNOSTICS_FORMATS,
    DIFF_FORMATS,
    EXPORT_FORMATS,
    PLAN_FORMATS,
    REPORTERS,
    SCHEMA_FORMATS,
    Implementation,
    format_help,
)
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mpbake.review.plan_review import PlanReview

TABLES: tuple[Mapping[str, Implementation[Any]], ...] = (
    PLAN_FORMATS,
    DIAGNOSTICS_FORMATS,
    DIFF_FORMATS,
    EXPORT_FORMATS,
    SCHEMA_FORMATS,
    REPORTERS,
)


@pytest.mark.parametrize(
    "choice", [choice for table in TABLES for choice in table.values()], ids=lambda each: each.module
)
def test_every_implementation_can_be_loaded(choice: Implementation[Any]) -> None:
    assert callable(choice.load())


def test_help_names_every_format() -> None:
    assert format_help(PLAN_FORMATS) == (
        "Output format: text (for review), json (for programs), markdown (for a comment), mermaid (a flowchart), "
        "dot (for Graphviz)."
    )


def test_a_new_plan_format_is_one_module_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count_steps(review: PlanReview) -> str:
        return f"{len(review.graph.steps)} steps, {len(review.warnings)} warnings\n"

    module = ModuleType("made_up_format")
    module.count_steps = count_steps  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made_up: Implementation[Any] = Implementation(
        name="count", about="a number", module="made_up_format", function="count_steps"
    )
    monkeypatch.setitem(PLAN_FORMATS, made_up.name, made_up)
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\n")
    here = world(tmp_path)
    assert call(plan.main, here, names=("web",), format="count") == 0
    assert written(here.stdout) == "2 steps, 0 warnings\n"
