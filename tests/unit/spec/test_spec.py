"""The plan as written: what a table may hold, and how mistakes are told."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.errors import PlanError
from mpbake.model.bake_fields import PathAccess, Paths
from mpbake.spec.spec import (
    AS_WRITTEN,
    ATTRIBUTES,
    PLATFORM_ATTRIBUTES,
    Merge,
    PlanSpec,
    TargetDefaultsSpec,
    TargetSpec,
    ValueKind,
    attributes_of,
    value_kind,
)
from tests.unit.plans import problems_of_text, read_text, resolve_text, text

RULES = {
    "inherits": Merge.OWN,
    "description": Merge.OWN,
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
    *("needs", "checks", "enabled", "timeout", "stall-timeout", "retries", "platform"),
}


OF_NODES = (
    "allow-untrusted-image, annotations, buildkit-root-volume-memory, buildkitd, cgroup-parent, config, cpu-period, "
    "cpu-quota, cpu-shares, cpuset-cpus, cpuset-mems, default-load, …"
)
KNOWN = (
    "allow-untrusted-image, annotations, boot-timeout, buildkit-root-volume-memory, buildkitd, certificate-days, "
    "cgroup-parent, config, cpu-period, cpu-quota, cpu-shares, cpuset-cpus, …"
)


def test_every_attribute_has_its_rule() -> None:
    assert {name: attribute.merge for name, attribute in ATTRIBUTES.items()} == RULES


def test_what_is_not_handed_to_buildkit_as_it_stands() -> None:
    assert {name for name, attribute in ATTRIBUTES.items() if not attribute.to_bake} == KEPT_FROM_BUILDKIT


def test_which_attributes_hold_paths() -> None:
    assert {name: each.paths for name, each in ATTRIBUTES.items() if each.paths is not Paths.NONE} == {
        "context": Paths.CONTEXT,
        "contexts": Paths.CONTEXT,
        "cache-from": Paths.FIELDS,
        "cache-to": Paths.FIELDS,
        "secret": Paths.FIELDS,
        "ssh": Paths.SSH,
        "output": Paths.FIELDS,
    }


def test_what_is_done_with_paths() -> None:
    assert {name: each.access for name, each in ATTRIBUTES.items() if each.access is not PathAccess.NEEDS} == {
        "cache-from": PathAccess.READS,
        "cache-to": PathAccess.WRITES,
        "output": PathAccess.WRITES,
    }


def test_which_attributes_may_differ_from_platform_to_platform() -> None:
    assert PLATFORM_ATTRIBUTES == ("dockerfile", "contexts", "args", "labels", "target", "cache-from", "cache-to")


def test_which_attributes_need_a_newer_buildx() -> None:
    assert {name: each.since for name, each in ATTRIBUTES.items() if any(each.since)} == {
        "network": (0, 17),
        "extra-hosts": (0, 25),
        "entitlements": (0, 17),
        "resources": (0, 35),
        "policy": (0, 31),
        "call": (0, 16),
    }


def test_defaults_for_targets_are_all_that_is_inherited() -> None:
    inherited = {name for name, each in ATTRIBUTES.items() if each.merge is not Merge.OWN}
    assert set(attributes_of(TargetDefaultsSpec)) == inherited


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
    """What a target states, as it is written."""
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
    assert {name: each.default for name, each in spec.variables.items()} == {
        "tag": "dev",
        "ports": [80, 443],
        "debug": False,
        "n": 1,
        "x": 0.5,
        "long": "dev",
    }
    assert (spec.variables["long"].env, spec.variables["long"].description) == ("TAG", "image tag")
    assert {name: each.targets for name, each in spec.groups.items()} == {
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


PLATFORM = "is not a platform: write os/architecture[/variant], such as linux/arm64"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("context = []", "context: must be text in quotes, not a list"),
        ("context = 1979-05-27", "context: must be text in quotes, not a date or time"),
        ("context = 07:32:00", "context: must be text in quotes, not a date or time"),
        ("context = { a = 1 }", "context: must be text in quotes, not a table"),
        ("push = 1", "push: must be true or false, not a number"),
        ("push = 'true'", "push: must be true or false, not text"),
        ("tags = 'web'", "tags: must be a list in square brackets, not text"),
        (
            "tags = ['Web']",
            'tags[0]: "Web" is not an image name: write [registry/]repository[:tag], the repository in lower case',
        ),
        (
            "tags = ['a; b']",
            'tags[0]: "a; b" is not an image name: write [registry/]repository[:tag], the repository in lower case',
        ),
        ("tags = [['web']]", "tags[0]: must be text in quotes, not a list"),
        ("args = ['A=1']", "args: must be a table, not a list"),
        ("args = { A = ['x'] }", "args.A: must be text in quotes, not a list"),
        ("labels = { 'a.b' = {} }", 'labels."a.b": must be text in quotes, not a table'),
        ("platforms = ['linux']", f'platforms[0]: "linux" {PLATFORM}'),
        ("platforms = [5]", "platforms[0]: must be text in quotes, not a number"),
        ("platforms = ['5']", f'platforms[0]: "5" {PLATFORM}'),
        ("tags = [5]", "tags[0]: must be text in quotes, not a number"),
        ("platforms = true", "platforms: must be a list in square brackets, not true or false"),
        ("secret = ['\"id=x']", 'secret[0]: ""id=x" is not a list of key=value fields separated by commas'),
        ('output = ["a\\nb"]', r'output[0]: "a\nb" is not a list of key=value fields separated by commas'),
        ("matrix = { a = 'x' }", "matrix.a: must be a list in square brackets, not text"),
        ("matrix = ['a']", "matrix: each row must be a table"),
        ("matrix = 'a'", "matrix: must be a table, not text"),
        ("inherits = 'base'", "inherits: must be a list in square brackets, not text"),
        ("inherits = [1]", "inherits[0]: must be text in quotes, not a number"),
        ("checks = { run = ['x'] }", "checks: must be a list in square brackets, not a table"),
        ("checks = ['php -v']", "checks[0]: must be a table, not text"),
        ("args = { '' = 'x' }", 'args."": a name must not be empty'),
        ("contexts = { '' = '.' }", 'contexts."": a name must not be empty'),
        ("platform.'linux/arm64' = 'x'", 'platform."linux/arm64": must be a table, not text'),
        ("platform.'linux/arm64'.args = 1", 'platform."linux/arm64".args: must be a table, not a number'),
        ("platform.linux = {}", f'platform.linux: "linux" {PLATFORM}'),
        ("retries = 11", "retries: must be at most 10"),
    ],
)
def test_a_wrong_value_of_a_target(written: str, problem: str) -> None:
    assert problems_of_text(f"\n[targets.web]\n{written}") == f"build.toml:3: targets.web.{problem}\n    {written}"


@pytest.mark.parametrize(("value", "kind"), [("'linux/arm64'", "text"), ("['linux/arm64']", "a list")])
def test_platforms_under_the_name_that_bake_gives_them(value: str, kind: str) -> None:
    assert problems_of_text(f"\n[targets.web]\nplatform = {value}") == (
        f"build.toml:3: targets.web.platform: must be a table, not {kind}\n"
        f"    platform = {value}\n"
        "  = what is built for stands in platforms"
    )


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("targets = 1", "targets: must be a table, not a number"),
        ("targets = { a = 1 }", "targets.a: must be a table, not a number"),
        *(
            (
                f"targets = {{ a = {{ {name} = 1 }} }}",
                f'targets.a.{name}: unknown key "{name}"\n  = did you mean "{right}"?',
            )
            for name, right in (
                *(("build-args", "args"), ("buildargs", "args"), ("build_args", "args")),
                *(("depends_on", "needs"), ("depends-on", "needs"), ("depends", "needs"), ("image", "tags")),
                *(("file", "dockerfile"), ("outputs", "output"), ("secrets", "secret"), ("cache_from", "cache-from")),
            )
        ),
        (
            "targets = { a = { env = 1 } }",
            'targets.a.env: unknown key "env"\n  = build arguments stand in args, values for templates in [variables]',
        ),
        ("targets = { a = { contxt = 1 } }", 'targets.a.contxt: unknown key "contxt"\n  = did you mean "context"?'),
        (
            "targets = { a = { no_cache = true } }",
            'targets.a.no_cache: unknown key "no_cache"\n  = did you mean "no-cache"?',
        ),
        ("builders = []", "builders: must be a table, not a list"),
        ("builders = { a = 1 }", "builders.a: must be a table, not a number"),
        ("builders = { a = { drivr = 'x' } }", 'builders.a.drivr: unknown key "drivr"\n  = did you mean "driver"?'),
        (
            "builders = { a = { nodes = { b = { tls = { kez = 'x' } } } } }",
            'builders.a.nodes.b.tls.kez: unknown key "kez"\n  = did you mean "key"?',
        ),
        (
            "builders = { a = { nodes = { b = { zzz = 'x' } } } }",
            'builders.a.nodes.b.zzz: unknown key "zzz"\n  = known keys: ' + OF_NODES,
        ),
        (
            "builders = { a = { driver = 'dokker' } }",
            'builders.a.driver: unknown value "dokker"\n  = did you mean "docker"?',
        ),
        (
            "builders = { a = { driver = 'automatic' } }",
            (
                'builders.a.driver: unknown value "automatic"\n'
                "  = known values: docker, docker-container, kubernetes, remote"
            ),
        ),
        (
            "builders = { a = { emulation = 'x; y' } }",
            'builders.a.emulation: unknown value "x; y"\n  = known values: allow, forbid, warn',
        ),
        ("defaults = { bilder = {} }", 'defaults.bilder: unknown key "bilder"\n  = did you mean "builder"?'),
        (
            "targets = { a = { platform = { 'linux/arm64' = { context = '.' } } } }",
            ('targets.a.platform."linux/arm64".context: unknown key "context"\n  = did you mean "contexts"?'),
        ),
        (
            "targets = { a = { checks = [{ rn = [] }] } }",
            'targets.a.checks[0].rn: unknown key "rn"\n  = did you mean "run"?',
        ),
        (
            "targets = { a = { checks = [{ run = ['x'], target = 'y' }] } }",
            (
                "targets.a.checks[0]: a check has either run or target\n"
                '  = for example { run = ["php", "-v"] }, or { target = "test" }'
            ),
        ),
        (
            "targets = { a = { checks = [{ run = [], target = '' }] } }",
            'targets.a.checks[0]: run is empty\n  = for example { run = ["php", "-v"] }',
        ),
        (
            "targets = { a = { checks = [{}] } }",
            (
                "targets.a.checks[0]: a check has either run or target\n"
                '  = for example { run = ["php", "-v"] }, or { target = "test" }'
            ),
        ),
        ("builders = { a = { certificate-days = 99999999999 } }", "builders.a.certificate-days: must be at most 36500"),
        ("builders = { a = { certificate-days = -1 } }", "builders.a.certificate-days: must be at least 0"),
        ("builders = { a = { replicas = 1001 } }", "builders.a.replicas: must be at most 1000"),
        ("builders = { a = { cpu-shares = 262145 } }", "builders.a.cpu-shares: must be at most 262144"),
        ("builders = { a = { cpu-period = 1000001 } }", "builders.a.cpu-period: must be at most 1000000"),
        ("builders = { a = { cpu-quota = 1000000001 } }", "builders.a.cpu-quota: must be at most 1000000000"),
        (
            "builders = { a = { boot-timeout = '24h1s' } }",
            'builders.a.boot-timeout: "24h1s" is too long: at most 24h',
        ),
        ("targets = { a = { timeout = '8761h' } }", 'targets.a.timeout: "8761h" is too long: at most 8760h'),
        (
            "targets = { a = { resources = { memry = '1g' } } }",
            'targets.a.resources.memry: unknown key "memry"\n  = did you mean "memory"?',
        ),
        (
            "defaults = { target = { inherits = ['x'] } }",
            (
                'defaults.target.inherits: unknown key "inherits"\n'
                "  = known keys: annotations, args, attest, builder, cache-from, cache-to, call, checks, context, "
                "contexts, dockerfile, dockerfile-inline, …"
            ),
        ),
        (
            "defaults = { builder = { nodes = {} } }",
            'defaults.builder.nodes: unknown key "nodes"\n  = known keys: ' + KNOWN,
        ),
        (
            "builders = { a = { driver = '' } }",
            'builders.a.driver: unknown value ""\n  = known values: docker, docker-container, kubernetes, remote',
        ),
        ("variables = { a = 1979-05-27 }", "variables.a: a variable cannot hold a date or time"),
        (
            "variables = { a = { env = 'X' } }",
            'variables.a: variable "a" has no value\n  = pass --var a=…, or set X',
        ),
        ("variables = { a = { default = 1, env = [] } }", "variables.a.env: must be text in quotes, not a list"),
        (
            "variables = { a = { default = 1, defalt = 1 } }",
            'variables.a.defalt: unknown key "defalt"\n  = did you mean "default"?',
        ),
        (
            "variables = { a = { x = 1 } }",
            (
                'variables.a.x: unknown key "x"\n  = if the table is the value, write default = { … }; '
                "known keys: choices, default, description, env, max, min, pattern, required, sensitive, type"
            ),
        ),
        ("variables = 1", "variables: must be a table, not a number"),
        ("groups = { a = 1 }", "groups.a: must be a list in square brackets, not a number"),
        ("groups = { a = { description = 'x' } }", 'groups.a: "targets" is missing'),
        ("groups = { a = ['x', {}] }", "groups.a[1]: must be text in quotes, not a table"),
        ("groups = { a = { targets = 1 } }", "groups.a.targets: must be a list in square brackets, not a number"),
        (
            "groups = { a = { targets = [], target = [] } }",
            'groups.a.target: unknown key "target"\n  = did you mean "targets"?',
        ),
        ("target = {}", 'target: unknown table "target"\n  = did you mean "targets"?'),
        (
            "zzz = 1",
            (
                'zzz: unknown table "zzz"\n'
                "  = known keys: builders, defaults, groups, include, publish, requires, targets, variables, version"
            ),
        ),
    ],
)
def test_a_wrong_table(written: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    expected = f"build.toml:2: {message}\n    {written}" + (f"\n{hint}" if hint else "")
    assert problems_of_text(f"\n{written}") == expected


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


def test_a_number_too_long_to_print() -> None:
    digits = "f" * 5000
    assert target(f"args = {{ A = 0x{digits} }}") == {"args": {"A": f"0x{digits}"}}
    assert problems_of_text(f"\n[targets.web]\nretries = 0x{digits}").startswith(
        "build.toml:3: targets.web.retries: must be "
    )


def test_a_misspelt_attribute_without_a_near_one_lists_the_first_dozen() -> None:
    assert problems_of_text("""
        [targets.web]
        zzz = 1
        """) == text("""
        build.toml:3: targets.web.zzz: unknown key "zzz"
            zzz = 1
          = known keys: annotations, args, attest, builder, cache-from, cache-to, call, checks, context, contexts, \
description, dockerfile, …
        """)


def test_entries_of_lists_are_checked_as_written_and_as_filled_in() -> None:
    assert problems_of_text("""
        [targets.web]
        secret = ["id=tok,scr=x", "{{ 'id=' }}"]
        cache-to = ["type=registri,ref=r/c"]
        """) == text("""
        build.toml:3: targets.web.secret[0]: unknown field "scr"
            secret = ["id=tok,scr=x", "{{ 'id=' }}"]
          = did you mean "src"?
        build.toml:4: targets.web.cache-to[0]: unknown type "registri"
            cache-to = ["type=registri,ref=r/c"]
          = did you mean "registry"?
        """)
    assert problems_of_text("""
        [targets.web]
        secret = ["{{ 'id=' }}"]
        shm-size = "{{ 'lots' }}"
        """) == text("""
        build.toml:3: targets.web.secret[0]: a secret needs an id
            secret = ["{{ 'id=' }}"]
          = for example id=token,env=TOKEN
        build.toml:4: targets.web.shm-size: "lots" is not a size
            shm-size = "{{ 'lots' }}"
          = for example 512m or 2g
        """)


@pytest.mark.parametrize(
    "line",
    [
        "network = 'VALUE'",
        "annotations = ['VALUE']",
        "ulimits = ['VALUE']",
        "call = 'chekc'",
        "entitlements = ['devic=gpu']",
    ],
)
@pytest.mark.parametrize("value", ["nowhere", "{{ 'nowhere' }}"])
def test_values_that_no_buildx_takes(line: str, value: str) -> None:
    found = problems_of_text(f"\n[targets.web]\n{line}".replace("'VALUE'", f'"{value}"'))
    assert found.startswith(f"build.toml:3: targets.web.{line.partition(' ')[0]}")
    setting = line.replace(" ", "").replace("VALUE", "nowhere")
    with pytest.raises(PlanError, match=r"\[bad-value\]"):
        resolve_text("\n[targets.web]\ntags = ['r/web']", settings=(f"web.{setting}",))
