"""The second comparison of bake files and imported plans: what it takes as equal, and what it must find."""

from __future__ import annotations

from typing import Any

import pytest
from bake_corpus.equality import differences, simplified


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"context": "./web/"}, {"context": "web"}),
        ({"tags": ["app", "app:latest"]}, {"tags": ["app:latest"]}),
        ({"args": {"A": "1", "B": None}}, {"args": {"A": "1"}}),
        ({"no-cache": False, "labels": {}}, {}),
        ({"platforms": ["arm64", "linux/arm"]}, {"platforms": ["linux/arm64/v8", "linux/arm/v7"]}),
        ({"output": ["type=registry"]}, {"output": [{"type": "image", "push": "true"}]}),
        ({"output": ["out"]}, {"output": [{"type": "local", "dest": "out"}]}),
        ({"cache-from": ["example.com/cache"]}, {"cache-from": [{"type": "registry", "ref": "example.com/cache"}]}),
        ({"secret": ["id=a,source=a.txt"]}, {"secret": [{"id": "a", "src": "a.txt"}]}),
        ({"ssh": ["default"]}, {"ssh": [{"id": "default"}]}),
        ({"call": "check", "output": ["out"]}, {"call": "check"}),
    ],
)
def test_forms_with_one_meaning_are_equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert simplified(first) == simplified(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"args": {"A": ""}}, {"args": {}}),
        ({"args": {"A": "1"}}, {"args": {"A": "1.0"}}),
        ({"tags": ["a:1", "b:1"]}, {"tags": ["b:1", "a:1"]}),
        ({"platforms": ["linux/amd64", "linux/arm64"]}, {"platforms": ["linux/arm64", "linux/amd64"]}),
        ({"output": ["type=docker"]}, {"output": ["type=image"]}),
        ({"contexts": {"base": "target:a"}}, {"contexts": {"base": "target:b"}}),
        ({"dockerfile-inline": "FROM a"}, {"dockerfile-inline": "FROM b"}),
        ({"no-cache": True}, {}),
    ],
)
def test_a_difference_is_found(first: dict[str, Any], second: dict[str, Any]) -> None:
    printed = [{"target": {"web": target}} for target in (first, second)]
    assert differences(printed[0], printed[1], {"web": "web"})


def test_a_target_that_the_plan_lacks_is_a_difference() -> None:
    assert differences({"target": {"web": {}}}, {"target": {}}, {"web": "web"})


def test_seconds_of_the_clock_are_not_compared() -> None:
    printed = [{"target": {"web": {"labels": {"created": f"2026-01-02T{time}Z"}}}} for time in ("03:04:05", "03:05:06")]
    assert differences(printed[0], printed[1], {"web": "web"}) == []
    printed[1]["target"]["web"]["labels"]["created"] = "2026-01-03T03:04:05Z"
    assert len(differences(printed[0], printed[1], {"web": "web"})) == 1


def test_links_follow_the_names_of_the_plan() -> None:
    theirs = {"target": {"Base": {}, "web": {"contexts": {"base": "target:Base"}}}}
    ours = {"target": {"base": {}, "web": {"contexts": {"base": "target:base"}}}}
    assert differences(theirs, ours, {"Base": "base", "web": "web"}) == []
