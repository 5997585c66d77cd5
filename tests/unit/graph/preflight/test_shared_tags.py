"""Runs whose tags move together."""

from __future__ import annotations

from mpbake.base.errors import key_path_text
from mpbake.graph.preflight.shared_tags import dependencies_on_shared_tags
from tests.unit.plans import resolve_text

PLAN = """
    [targets.web]
    contexts = { base = "target:base" }
    [targets.base]
    needs = ["plain", "pushed"]
    [targets.plain]
    [targets.pushed]
    tags = ["r/pushed:1"]
    push = true
    """


def test_nobody_may_wait_for_tags_that_move_in_the_end() -> None:
    (problem,) = dependencies_on_shared_tags([resolve_text(PLAN).targets["web"]])
    assert (key_path_text(problem.key), problem.message) == (
        "targets.base.needs",
        'base: needs "pushed", but no tag moves before all targets are built (publish = "together")',
    )
    assert "contexts = { NAME" in problem.hint


def test_what_is_not_pushed_may_be_needed() -> None:
    assert list(dependencies_on_shared_tags(resolve_text(PLAN, push=False).targets.values())) == []


def test_the_command_line_wins() -> None:
    assert str(resolve_text("").publish) == "each"
    assert str(resolve_text('\npublish = "together"').publish) == "together"
    assert str(resolve_text('\npublish = "together"', publish="each").publish) == "each"
