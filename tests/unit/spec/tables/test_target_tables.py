"""The declared attributes of targets, and the tables of targets as written in a plan file."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.model.bake_fields import PathAccess, Paths
from mpbake.spec.tables.attributes import Exposure, Merge, Role, Scope
from mpbake.spec.tables.target_tables import (
    ATTRIBUTES,
    PLATFORM_ATTRIBUTES,
    TargetDefaultsSpec,
    TargetSpec,
    ValueKind,
    attributes_for,
    attributes_of,
    value_kind,
)
from tests.unit.plans import read_text

RULES = {
    "inherits": Merge.OWN,
    "description": Merge.REPLACE,
    "matrix": Merge.OWN,
    "exclude": Merge.OWN,
    "name": Merge.OWN,
    "builder": Merge.REPLACE,
    "context": Merge.REPLACE,
    "dockerfile": Merge.REPLACE,
    "dockerfile-inline": Merge.REPLACE,
    "contexts": Merge.BY_KEY,
    "args": Merge.BY_KEY,
    "labels": Merge.BY_KEY,
    "annotations": Merge.APPEND,
    "tags": Merge.REPLACE,
    "platforms": Merge.REPLACE,
    "platform": Merge.BY_PLATFORM,
    "target": Merge.REPLACE,
    "cache-from": Merge.APPEND,
    "cache-to": Merge.REPLACE,
    "secret": Merge.BY_FIELD,
    "ssh": Merge.BY_FIELD,
    "attest": Merge.BY_FIELD,
    "output": Merge.REPLACE,
    "push": Merge.REPLACE,
    "load": Merge.REPLACE,
    "needs": Merge.APPEND,
    "checks": Merge.APPEND,
    "let": Merge.BY_KEY,
    "enabled": Merge.REPLACE,
    "timeout": Merge.REPLACE,
    "stall-timeout": Merge.REPLACE,
    "retries": Merge.REPLACE,
    "no-cache": Merge.REPLACE,
    "no-cache-filter": Merge.APPEND,
    "pull": Merge.REPLACE,
    "shm-size": Merge.REPLACE,
    "ulimits": Merge.APPEND,
    "network": Merge.REPLACE,
    "extra-hosts": Merge.BY_KEY,
    "entitlements": Merge.APPEND,
    "resources": Merge.BY_KEY,
    "policy": Merge.APPEND,
    "call": Merge.REPLACE,
}


KEPT_FROM_BUILDKIT = {
    *("inherits", "description", "matrix", "exclude", "name", "builder", "tags", "platforms", "output", "push", "load"),
    *("needs", "checks", "let", "enabled", "timeout", "stall-timeout", "retries", "platform"),
}


def test_every_attribute_has_its_rule() -> None:
    assert {name: attribute.merge for name, attribute in ATTRIBUTES.items()} == RULES


ROLES = {
    Role.RUN: ("shm-size", "ulimits", "network", "extra-hosts", "resources"),
    Role.NO_CACHE: ("no-cache", "no-cache-filter"),
    Role.PULL: ("pull",),
    Role.RESULT: ("cache-to", "annotations", "attest"),
    Role.DESTINATION: ("tags", "output"),
}
"""The attributes by role, except the roles SOURCE and PLAN."""


def test_every_attribute_has_its_role() -> None:
    assert {role: attributes_for(role) for role in ROLES} == ROLES
    others = {name for name, attribute in ATTRIBUTES.items() if attribute.role not in ROLES}
    assert {*attributes_for(Role.PLAN, Role.SOURCE)} == others


def test_which_attributes_refer_to_other_tables() -> None:
    assert {name for name, attribute in ATTRIBUTES.items() if attribute.refers} == {"builder", "contexts", "needs"}


def test_in_which_scope_the_templates_of_attributes_are_rendered() -> None:
    scopes = {name: attribute.scope for name, attribute in ATTRIBUTES.items() if attribute.scope is not Scope.TARGET}
    assert scopes == {
        "inherits": Scope.PARENTS,
        "matrix": Scope.PLAN,
        "exclude": Scope.PLAN,
        "let": Scope.LOCAL,
    }


def test_who_can_read_the_value_of_an_attribute() -> None:
    exposures = {
        name: attribute.exposure for name, attribute in ATTRIBUTES.items() if attribute.exposure is not Exposure.PRINTED
    }
    assert exposures == {
        "args": Exposure.HISTORY,
        "dockerfile-inline": Exposure.HISTORY,
        "labels": Exposure.IMAGE,
        "annotations": Exposure.IMAGE,
        "tags": Exposure.LISTED,
        "context": Exposure.PRIVATE,
        "contexts": Exposure.PRIVATE,
        "cache-from": Exposure.PRIVATE,
        "cache-to": Exposure.PRIVATE,
        "enabled": Exposure.PRIVATE,
    }


def test_what_is_not_handed_to_buildkit_as_it_stands() -> None:
    assert {name for name, attribute in ATTRIBUTES.items() if not attribute.to_bake} == KEPT_FROM_BUILDKIT


def test_which_attributes_hold_paths() -> None:
    assert {name: attribute.paths for name, attribute in ATTRIBUTES.items() if attribute.paths is not Paths.NONE} == {
        "context": Paths.CONTEXT,
        "contexts": Paths.CONTEXT,
        "cache-from": Paths.FIELDS,
        "cache-to": Paths.FIELDS,
        "secret": Paths.FIELDS,
        "ssh": Paths.SSH,
        "output": Paths.FIELDS,
    }


def test_what_is_done_with_paths() -> None:
    assert {
        name: attribute.access for name, attribute in ATTRIBUTES.items() if attribute.access is not PathAccess.NEEDS
    } == {
        "cache-from": PathAccess.READS,
        "cache-to": PathAccess.WRITES,
        "output": PathAccess.WRITES,
    }


def test_which_attributes_may_differ_from_platform_to_platform() -> None:
    assert PLATFORM_ATTRIBUTES == ("dockerfile", "contexts", "args", "labels", "target", "cache-from", "cache-to")


def test_which_attributes_need_a_newer_buildx() -> None:
    assert {name: attribute.since for name, attribute in ATTRIBUTES.items() if any(attribute.since)} == {
        "network": (0, 17),
        "extra-hosts": (0, 25),
        "entitlements": (0, 17),
        "resources": (0, 35),
        "policy": (0, 31),
        "call": (0, 16),
    }


def test_defaults_for_targets_are_all_that_is_inherited() -> None:
    inherited = {name for name, attribute in ATTRIBUTES.items() if attribute.merge is not Merge.OWN}
    assert set(attributes_of(TargetDefaultsSpec)) == inherited - {"description"}


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [
        ("context", ValueKind.TEXT),
        ("timeout", ValueKind.TEXT),
        ("call", ValueKind.TEXT),
        ("push", ValueKind.FLAG),
        ("no-cache", ValueKind.FLAG),
        ("retries", ValueKind.NUMBER),
        ("tags", ValueKind.LIST),
        ("secret", ValueKind.LIST),
        ("checks", ValueKind.LIST),
        ("args", ValueKind.MAP),
        ("resources", ValueKind.MAP),
    ],
)
def test_what_kind_of_value_an_attribute_holds(attribute: str, kind: ValueKind) -> None:
    assert value_kind(attribute) is kind


def test_every_attribute_holds_something_that_is_known() -> None:
    assert {value_kind(name) for name in ATTRIBUTES} == set(ValueKind)


def test_every_attribute_is_described() -> None:
    assert all(field.description for field in TargetSpec.model_fields.values())


def target(toml: str) -> dict[str, Any]:
    """Return the keys of a target as written in a plan file."""
    _, spec = read_text(f"\n[targets.web]\n{toml}")
    return spec.targets["web"].written()


@pytest.mark.parametrize(
    ("written", "stated"),
    [
        ("", {}),
        (
            "args = { A = 1, B = true, C = 0.5, D = 'x', E = 0x10 }",
            {"args": {"A": "1", "B": "true", "C": "0.5", "D": "x", "E": "0x10"}},
        ),
        ("description = 7", {"description": "7"}),
        ("no-cache = true", {"no-cache": True}),
        ("push = '{{ release }}'", {"push": "{{ release }}"}),
        ("platforms = '{{ platforms }}'", {"platforms": "{{ platforms }}"}),
        ("platforms = ['{% if x %}linux/arm{% endif %}', '{# no #}']", None),
        ("tags = ['{{ Registry }}/WEB']", {"tags": ["{{ Registry }}/WEB"]}),
        ("tags = ['']", {"tags": [""]}),
        ("args = '{{ args }}'", {"args": "{{ args }}"}),
        ("matrix = { a = [1, 'b', 0.5, true, [1], { c = 1 }] }", {"matrix": {"a": [1, "b", 0.5, True, [1], {"c": 1}]}}),
        ("matrix = { a = '{{ versions }}' }", {"matrix": {"a": "{{ versions }}"}}),
        ("secret = ['{{ \"x }}']", {"secret": ['{{ "x }}']}),
        (
            "platform.'linux/arm64'.args = { A = 1 }\nplatform.'linux/386' = {}",
            {"platform": {"linux/arm64": {"args": {"A": "1"}}, "linux/386": {}}},
        ),
        ("checks = [{ run = ['a', 1] }, { target = 'test' }]", {"checks": [{"run": ["a", "1"]}, {"target": "test"}]}),
        ("checks = []\nplatform = {}", {"checks": [], "platform": {}}),
        ("resources = { memory = '1g', cpu-shares = 512 }", {"resources": {"memory": "1g", "cpu-shares": 512}}),
        ("extra-hosts = { db = '10.0.0.7' }", {"extra-hosts": {"db": "10.0.0.7"}}),
    ],
)
def test_what_a_target_states(written: str, stated: dict[str, Any] | None) -> None:
    assert stated is None or target(written) == stated
    target(written)


def test_only_what_is_stated_counts_as_written() -> None:
    assert target("push = false\ntags = []") == {"push": False, "tags": []}
