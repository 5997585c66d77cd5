"""The diff of two plans as JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings

from mpbake.report.diff.diff_json import diff_json
from mpbake.review.diff.plan_diff import diff_documents
from tests.unit.documents import document_of, documents
from tests.unit.report.diff.test_diff_text import AFTER, BEFORE


def test_the_fields() -> None:
    diff = json.loads(diff_json(diff_documents(document_of(BEFORE), document_of(AFTER))))
    assert (diff["format"], diff["differs"]) == (1, True)
    assert diff["security"] == [
        {"kind": "secret", "value": "id=t,env=TOKEN", "is_new": True, "users": ["tool"], "known": False}
    ]
    assert [(target["state"], target["before"], target["after"]) for target in diff["targets"]] == [
        ("changed", "web", "web"),
        ("renamed", "worker", "jobs"),
        ("added", "", "tool"),
        ("removed", "old", ""),
    ]
    assert diff["targets"][0]["changes"][3] == {
        "path": ["args", "VERSION"],
        "kind": "value",
        "before": "1",
        "after": "2",
    }
    assert diff["tags"][0] == {"tag": "r.io/web:2", "before": [], "after": ["web"]}
    spot = {"nodes": ["release/arm"], "how": "native"}
    assert diff["placements"] == [{"target": "web", "platform": "linux/arm64", "before": [], "after": [spot]}]


@settings(max_examples=30)
@given(documents(), documents())
def test_it_is_json_in_ascii(before: dict[str, Any], after: dict[str, Any]) -> None:
    text = diff_json(diff_documents(before, after))
    assert text.isascii()
    assert json.loads(text)["differs"] is (before["id"] != after["id"])
