"""The tables of variables, groups, builders and whole plans, as written in a plan file."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.spec.tables.plan_tables import PlanSpec
from mpbake.spec.tables.value_types import AS_WRITTEN
from tests.unit.plans import problems_of_text, read_text


def test_short_forms() -> None:
    _, spec = read_text("""
        [variables]
        tag = "dev"
        ports = [80, 443]
        debug = false
        n = 1
        x = 0.5
        long = { default = "dev", env = "TAG", description = "image tag" }
        [groups]
        short = ["web"]
        template = "{{ all }}"
        long = { targets = ["web"], description = "the site" }
        """)
    assert {name: variable.default for name, variable in spec.variables.items()} == {
        "tag": "dev",
        "ports": [80, 443],
        "debug": False,
        "n": 1,
        "x": 0.5,
        "long": "dev",
    }
    assert (spec.variables["long"].env, spec.variables["long"].description) == ("TAG", "image tag")
    assert {name: group.targets for name, group in spec.groups.items()} == {
        "short": ["web"],
        "template": "{{ all }}",
        "long": ["web"],
    }
    assert spec.groups["long"].description == "the site"


@pytest.mark.parametrize(
    ("written", "stated"),
    [
        ("", {}),
        ("driver = '{{ driver }}'\nemulation = '{{ e }}'", {"driver": "{{ driver }}", "emulation": "{{ e }}"}),
        ("driver = 'docker'\nimage = 'x'\nnetwork = 'host'", {"driver": "docker", "image": "x", "network": "host"}),
    ],
)
def test_what_a_builder_states(written: str, stated: dict[str, Any]) -> None:
    _, spec = read_text(f"\n[builders.release]\n{written}")
    assert spec.builders["release"].written() == stated


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("version = 2", "build.toml:1: version: must be 1\n    version = 2"),
        ("version = '1'", "build.toml:1: version: must be 1\n    version = '1'"),
        ("version = []", "build.toml:1: version: must be 1\n    version = []"),
        ("[targets.web]", 'build.toml: "version" is missing\n  = write version = 1 at the top of the file'),
    ],
)
def test_the_version(written: str, problem: str) -> None:
    assert problems_of_text(written, version=False) == problem


def test_an_empty_plan_has_everything_empty() -> None:
    spec = PlanSpec.model_validate({"version": 1}, context=dict(AS_WRITTEN))
    assert (spec.targets, spec.builders, spec.groups, spec.variables) == ({}, {}, {}, {})
    assert spec.written() == {"version": 1}
