"""Targets as a bake file, and the attributes that a bake file cannot express."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.report.plan.bake_definition import bake_text, export_losses
from tests.unit.plans import resolve_text, text

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN = """
    [variables]
    tag = "1.4"
    [groups]
    release = ["web", "php"]
    all = ["*"]
    [targets._image]
    platforms = ["linux/amd64", "linux/arm64"]
    labels = { version = "{{ tag }}" }
    [targets.base]
    inherits = ["_image"]
    context = "base"
    [targets.web]
    inherits = ["_image"]
    description = "the front end"
    context = "web"
    dockerfile = "prod.Dockerfile"
    contexts = { base = "target:base", files = "files" }
    args = { V = "{{ tag }}", COST = "5$", PATH = "${PATH}%{x}" }
    tags = ["r/web:{{ tag }}", "r/web"]
    output = ["type=registry,compression=zstd", "out"]
    secret = ["id=token,env=TOKEN"]
    no-cache = true
    [targets.php]
    inherits = ["_image"]
    matrix = { v = ["8.3", "8.4"] }
    name = "php-{{ v | replace('.', '-') }}"
    args = { PHP = "{{ v }}" }
    tags = ["r/php:{{ v }}"]
    push = true
    [targets.tool]
    load = true
    tags = ["tool"]
    """


def test_policies_are_exported_as_a_run_hands_them_on() -> None:
    definition = exported("[targets.web]\npolicy = ['filename=a.rego']")
    assert definition["target"]["web"]["policy"] == ["filename=a.rego,strict=true"]


def exported(toml: str, *names: str, only: Sequence[str] = ()) -> dict[str, Any]:
    """Return the bake file of the targets in `names`, or of all targets, for these platforms."""
    plan = resolve_text(toml)
    targets = [plan.targets[name] for name in names or plan.targets]
    definition: dict[str, Any] = json.loads(bake_text(plan, targets, parse_platforms(only)))
    return definition


def lost(toml: str, *names: str) -> list[str]:
    plan = resolve_text(toml)
    return list(export_losses([plan.targets[name] for name in names or plan.targets]))


# --- the contents of the file -----------------------------------------------------------------------------------------


def test_a_target_with_what_it_links_to() -> None:
    assert exported(PLAN, "web") == {
        "target": {
            "web": {
                "description": "the front end",
                "context": "/plan/web",
                "dockerfile": "prod.Dockerfile",
                "contexts": {"files": "/plan/files", "base": "target:base"},
                "args": {"V": "1.4", "COST": "5$", "PATH": "$${PATH}%%{x}"},
                "labels": {"version": "1.4"},
                "tags": ["r/web:1.4", "r/web:latest"],
                "platforms": ["linux/amd64", "linux/arm64"],
                "output": ["type=local,dest=/plan/out", "type=registry,compression=zstd"],
                "secret": ["id=token,env=TOKEN"],
                "no-cache": True,
            },
            "base": {
                "context": "/plan/base",
                "labels": {"version": "1.4"},
                "platforms": ["linux/amd64", "linux/arm64"],
            },
        },
    }


def test_groups_come_with_all_their_targets_or_not_at_all() -> None:
    everything = exported(PLAN)
    assert list(everything["target"]) == ["base", "web", "php-8-3", "php-8-4", "tool"]
    assert everything["group"] == {
        "php": {"targets": ["php-8-3", "php-8-4"]},
        "release": {"targets": ["web", "php-8-3", "php-8-4"]},
        "all": {"targets": ["base", "web", "php-8-3", "php-8-4", "tool"]},
    }
    assert list(exported(PLAN, "web", "php-8-3", "php-8-4")["group"]) == ["php", "release"]
    assert "group" not in exported(PLAN, "php-8-3")


@pytest.mark.parametrize(
    ("written", "output"),
    [
        ("", None),
        ("tags = ['r/web']\npush = true", ["type=registry"]),
        ("load = true", ["type=docker"]),
        ("tags = ['r/web']\npush = true\nload = true", ["type=docker", "type=registry"]),
        ("output = ['type=oci,dest=x.tar', 'o']", ["type=oci,dest=/plan/x.tar", "type=local,dest=/plan/o"]),
        ("tags = ['r/web']\noutput = ['type=image,push=true']", ["type=registry"]),
    ],
)
def test_where_results_go(written: str, output: list[str] | None) -> None:
    assert exported(f"\n[targets.web]\n{written}")["target"]["web"].get("output") == output


def test_other_platforms_for_the_targets_that_are_named() -> None:
    definition = exported(PLAN, "web", only=["linux/arm64"])["target"]
    assert definition["web"]["platforms"] == ["linux/arm64"]
    assert definition["base"]["platforms"] == ["linux/amd64", "linux/arm64"]


def test_it_is_read_with_ease() -> None:
    plan = resolve_text("\n[targets.web]\nargs = { A = 'ä\u009b\u202e' }")
    assert (
        bake_text(plan, [plan.targets["web"]])
        == text("""
        {
          "target": {
            "web": {
              "context": "/plan",
              "args": {
                "A": "\\u00e4\\u009b\\u202e"
              }
            }
          }
        }
        """)
        + "\n"
    )


# --- platforms that differ --------------------------------------------------------------------------------------------

APART = """
    [groups]
    default = ["web"]
    [targets._image]
    platforms = ["linux/amd64", "linux/arm/v7"]
    [targets.web]
    inherits = ["_image"]
    contexts = { base = "target:base", assets = "target:assets" }
    tags = ["r/web", "r/web:1"]
    push = true
    [targets.base]
    inherits = ["_image"]
    args = { ARCH = "{{ platform.arch }}" }
    [targets.base.platform."linux/arm/v7"]
    contexts = { libs = "target:libs" }
    [targets.libs]
    [targets.assets]
    platforms = ["linux/amd64"]
    contexts = { base = "target:base" }
    """


def test_platforms_that_differ_are_a_target_each_with_a_tag_each() -> None:
    definition = exported(APART, "web")
    assert definition["group"] == {
        "default": {"targets": ["web"]},
        "web": {"targets": ["web-linux-amd64", "web-linux-arm-v7"]},
        "base": {"targets": ["base-linux-amd64", "base-linux-arm-v7"]},
        "assets": {"targets": ["assets-linux-amd64"]},
    }
    assert definition["target"] == {
        "web-linux-amd64": {
            "context": "/plan",
            "contexts": {"base": "target:base-linux-amd64", "assets": "target:assets-linux-amd64"},
            "tags": ["r/web:latest-linux-amd64", "r/web:1-linux-amd64"],
            "platforms": ["linux/amd64"],
            "output": ["type=registry"],
        },
        "web-linux-arm-v7": {
            "context": "/plan",
            "contexts": {"base": "target:base-linux-arm-v7", "assets": "target:assets-linux-amd64"},
            "tags": ["r/web:latest-linux-arm-v7", "r/web:1-linux-arm-v7"],
            "platforms": ["linux/arm/v7"],
            "output": ["type=registry"],
        },
        "base-linux-amd64": {"context": "/plan", "args": {"ARCH": "amd64"}, "platforms": ["linux/amd64"]},
        "base-linux-arm-v7": {
            "context": "/plan",
            "args": {"ARCH": "arm"},
            "contexts": {"libs": "target:libs"},
            "platforms": ["linux/arm/v7"],
        },
        "assets-linux-amd64": {
            "context": "/plan",
            "contexts": {"base": "target:base-linux-amd64"},
            "platforms": ["linux/amd64"],
        },
        "libs": {"context": "/plan"},
    }


def test_only_some_of_the_platforms_that_differ() -> None:
    definition = exported(APART, "web", only=["linux/arm/v7"])
    assert definition["group"]["web"] == {"targets": ["web-linux-arm-v7"]}
    assert definition["group"]["base"] == {"targets": ["base-linux-amd64", "base-linux-arm-v7"]}


@pytest.mark.parametrize("names", [["web"], ["web", "base-linux-amd64"], ["base-linux-amd64", "web"]])
def test_a_name_that_would_mean_two_things(names: list[str]) -> None:
    plan = resolve_text(f"{APART}\n    [targets.base-linux-amd64]")
    with pytest.raises(UsageError) as caught:
        bake_text(plan, [plan.targets[name] for name in names])
    assert str(caught.value) == 'two targets would be called "base-linux-amd64"\n  = rename one of them'


def test_a_group_and_a_part_of_one_name() -> None:
    toml = APART.replace("[groups]", '[groups]\n    base-linux-amd64 = ["web"]')
    plan = resolve_text(toml)
    with pytest.raises(UsageError) as caught:
        bake_text(plan, [plan.targets["web"]])
    assert str(caught.value) == (
        'bake would take the target "base-linux-amd64" in the group "base" for the group "base-linux-amd64"\n'
        "  = rename the group or the target"
    )
    # a name of a group that is not exported stays free
    assert "base-linux-amd64" in exported(toml, "base")["target"]


def test_a_group_and_a_target_of_one_name() -> None:
    plan = resolve_text("""
        [groups]
        web = ["web", "api"]
        [targets.web]
        [targets.api]
        """)
    definition = json.loads(bake_text(plan, [*plan.targets.values()]))
    assert definition["group"] == {"web": {"targets": ["web", "api"]}}
    assert list(definition["target"]) == ["web", "api"]


def test_a_group_with_the_name_of_a_target_that_differs_by_platform() -> None:
    plan = resolve_text(APART.replace("[groups]", '[groups]\n    base = ["base", "libs"]'))
    groups = json.loads(bake_text(plan, [*plan.targets.values()]))["group"]
    assert groups["base"]["targets"] == ["base-linux-amd64", "base-linux-arm-v7", "libs"]


def test_a_target_in_a_group_that_bake_would_take_for_another_group() -> None:
    plan = resolve_text("""
        [groups]
        web = ["web", "api"]
        front = ["we*"]
        [targets.web]
        [targets.api]
        """)
    with pytest.raises(UsageError) as caught:
        bake_text(plan, [*plan.targets.values()])
    assert str(caught.value) == (
        'bake would take the target "web" in the group "front" for the group "web"\n  = rename the group or the target'
    )


# --- attributes that are lost -----------------------------------------------------------------------------------------

PARTS = "web: bake has no values for single platforms: exported as a target and a tag for each platform"


@pytest.mark.parametrize(
    ("written", "losses"),
    [
        ("", []),
        ("no-cache = true\nload = true\nstall-timeout = '1m'", []),
        ("needs = ['db']", ["web: bake has no needs: not exported"]),
        (
            "retries = 2\ntimeout = '5m'\nchecks = [{ run = ['true'] }]",
            ["web: bake has no checks, timeout, retries: not exported"],
        ),
        (
            "platforms = ['linux/amd64', 'linux/386']\nargs.A = '{{ platform }}'",
            [PARTS],
        ),
        (
            "platforms = ['linux/amd64', 'linux/386']\nargs.A = '{{ platform }}'\noutput = ['out']",
            [f"{PARTS}, all with the same output"],
        ),
        (
            "contexts = { db = 'target:db' }",
            ["db: bake has no retries: not exported"],
        ),
    ],
)
def test_losses(written: str, losses: list[str]) -> None:
    assert lost(f"\n[targets.web]\n{written}\n[targets.db]\nretries = 1", "web") == losses


def test_builders_are_lost() -> None:
    toml = """
        [builders.one]
        [builders.two]
        [builders.default]
        [targets.a]
        builder = "two"
        [targets.b]
        builder = "one"
        contexts = { c = "target:c" }
        [targets.c]
        builder = "two"
        [targets.d]
        """
    assert lost(toml, "a", "b") == [
        "a, c: bake files name no builder: two is not exported",
        "b: bake files name no builder: one is not exported",
    ]
    assert lost(toml, "d") == ["d: bake files name no builder: default is not exported"]
    assert lost("[targets.d]") == []


def test_a_target_without_platforms_that_links_to_parts() -> None:
    toml = APART.replace('[targets.web]\n    inherits = ["_image"]', "[targets.web]")
    assert exported(toml, "web")["target"]["web"]["contexts"] == {
        "base": "target:base-linux-amd64",
        "assets": "target:assets-linux-amd64",
    }
    assert lost(toml, "web")[0] == "web: has no platforms, but links to a target that differs by platform"
