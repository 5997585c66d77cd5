"""The expected duration of a run."""

from __future__ import annotations

from mpbake.review.expected import expected_document
from tests.unit.graphs import graph_of_text

GRAPH = graph_of_text("""
    [targets.web]
    platforms = ["linux/amd64"]
    tags = ["r/web:1"]
    push = true
    [targets.tool]
    needs = ["web"]
    [targets.new]
    """)


def test_the_builds_that_are_recorded_and_the_critical_path() -> None:
    recorded = {"web": {"linux/amd64": [30.4, 10.0, 20.2]}, "tool": {"native": [8.6]}, "gone": {"native": [1.0]}}
    assert expected_document(GRAPH, recorded, lambda: 30.8) == {
        "seconds": 31,
        "builds": {"build web linux/amd64 on default/local": 20, "build tool native on default/local": 9},
        "unrecorded": 1,
        "path": [
            "build web linux/amd64 on default/local",
            "publish web",
            "verify web",
            "build tool native on default/local",
        ],
    }


def test_without_records_of_the_run_nothing_is_expected() -> None:
    def never() -> float:
        raise AssertionError

    assert expected_document(GRAPH, {}, never) == {}
    assert expected_document(GRAPH, {"gone": {"native": [1.0]}}, never) == {}
