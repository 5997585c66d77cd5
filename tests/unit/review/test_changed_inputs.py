"""The changes since a plan was saved are named."""

from __future__ import annotations

from typing import Any

from mpbake.review.changed_inputs import changed_inputs
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
