"""The differences between a saved plan and the plan as it is now."""

from __future__ import annotations

from typing import Any

from mpbake.review.differences import changed_inputs, document_differences
from mpbake.review.saved_plan import InputStates
from tests.unit.graphs import TWO_NODES, graph_of_text, review_of

PLAN = """
[targets.web]
builder = "release"
platforms = ["linux/amd64", "linux/arm64"]
tags = ["r/web:1"]
push = true
"""


def document(plan: str) -> dict[str, Any]:
    return review_of(graph_of_text(plan + TWO_NODES)).document


def test_equal_documents_have_no_difference() -> None:
    assert document_differences(document(PLAN), document(PLAN)) == ""


def test_values_and_entries() -> None:
    changed = PLAN.replace("r/web:1", "r/web:2").replace('"linux/amd64", ', "") + "[targets.tool]\n"
    lines = document_differences(document(PLAN), document(changed)).split("\n")
    assert '  targets.web.tags: ["r/web:1"] -> ["r/web:2"]' in lines
    assert '  targets.web.platforms: ["linux/amd64", "linux/arm64"] -> ["linux/arm64"]' in lines
    assert "  targets.tool: added" in lines
    assert "  steps.build web linux/amd64 on release/intel: removed" in lines


def test_control_characters_are_not_printed() -> None:
    before, after = ({"targets": [{"name": "a\x1b", "push": value}]} for value in ("\x1b[2J", "b"))
    assert document_differences(before, after) == '  targets.a\\x1b.push: "\\u001b[2J" -> "b"'


def test_many_differences_are_counted() -> None:
    more = "".join(f"[targets.t{number}]\n" for number in range(60))
    found = document_differences(document(PLAN), document(PLAN + more)).split("\n")
    assert len(found) == 41
    assert found[-1].startswith("  and ")


def test_changed_inputs_are_named() -> None:
    before = InputStates(files={"build.toml": "1", "common.toml": "2"}, contexts={"web": ("a", ""), "api": ("b", "")})
    after = InputStates(files={"build.toml": "3", "new.toml": "4"}, contexts={"web": ("a", "x"), "api": ("b", "")})
    old, new = document(PLAN), document(PLAN.replace('"linux/amd64", ', ""))
    assert changed_inputs(before, after, old, new) == [
        "plan file build.toml",
        "plan file common.toml",
        "plan file new.toml",
        "context web",
        "node release/intel",
    ]
    new["targets"][0]["dockerfile"] = {"path": "web/Dockerfile", "sha256": "5"}
    assert "Dockerfile web/Dockerfile" in changed_inputs(before, after, old, new)
