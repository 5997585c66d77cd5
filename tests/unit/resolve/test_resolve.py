"""Whole plans: a realistic plan, all problems at the same time, and arbitrary input without a crash."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.base.references import is_local_context
from mpbake.graph.placement import place
from mpbake.graph.preflight.lint import lint_warnings
from mpbake.model.plan import Driver
from mpbake.report.diagnostics.diagnostics_github import diagnostics_github
from mpbake.report.diagnostics.diagnostics_json import diagnostics_json
from mpbake.report.diagnostics.diagnostics_text import diagnostics_text
from mpbake.report.plan.bake_definition import bake_text
from mpbake.report.plan.target_text import target_text
from mpbake.resolve import Inputs, Overrides, resolve, select_targets
from mpbake.resolve.targets import drafts
from mpbake.spec.tables.target_tables import ATTRIBUTES, TargetSpec
from mpbake.spec.tables.value_types import NAME
from tests.unit.plans import ROOT, problems_of_text, read_text, resolve_text, text

if TYPE_CHECKING:
    from mpbake.base.errors import Diagnostic, Location
    from mpbake.model.plan import Plan

TEAM = """
    # a team builds PHP and a web server for amd64 and arm64
    [variables]
    registry = "registry.example.com/team"
    tag = { default = "dev", env = "TAG", description = "image tag" }
    [builders.release]
    driver = "remote"
    emulation = "forbid"
    [builders.release.nodes.linux-amd64]
    endpoint = "tcp://10.0.0.5:1234"
    platforms = ["linux/amd64", "linux/386"]
    tls = { ca = "certs/ca.crt", cert = "certs/client.crt", key = "certs/client.key" }
    [builders.release.nodes.linux-arm64]
    endpoint = "tcp://127.0.0.1:1234"
    platforms = ["linux/arm64"]
    [groups]
    release = ["php", "web"]
    [targets._image]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    labels = { "org.opencontainers.image.version" = "{{ tag }}" }
    [targets.base]
    inherits = ["_image"]
    context = "base"
    [targets.php]
    inherits = ["_image"]
    context = "php"
    matrix = { php = ["8.1", "8.2"] }
    name = "php-{{ php | replace('.', '-') }}"
    args = { PHP_VERSION = "{{ php }}" }
    contexts = { base = "target:base" }
    tags = ["{{ registry }}/php:{{ php }}-fpm"]
    push = true
    [targets.web]
    inherits = ["_image"]
    needs = ["php"]
    context = "web"
    tags = ["{{ registry }}/web:{{ tag }}", "{{ '' if tag == 'dev' else registry ~ '/web' }}"]
    push = true
    """


def test_the_plan_of_a_team() -> None:
    plan = resolve_text(TEAM, environment={"TAG": "1.4.0"})
    assert (plan.file, plan.root) == (ROOT / "build.toml", ROOT)
    assert list(plan.builders) == ["release", "default"]
    assert list(plan.targets) == ["base", "php-8-1", "php-8-2", "web"]
    assert {name: [target.name for target in group.targets] for name, group in plan.groups.items()} == {
        "php": ["php-8-1", "php-8-2"],
        "release": ["php-8-1", "php-8-2", "web"],
    }
    php, web = plan.targets["php-8-2"], plan.targets["web"]
    assert php.builder is web.builder is plan.builders["release"]
    assert [str(platform) for platform in php.platforms] == ["linux/amd64", "linux/arm64"]
    assert php.tags == ("registry.example.com/team/php:8.2-fpm",)
    assert php.links == {"base": plan.targets["base"]}
    assert php.attributes == {
        "context": "/plan/php",
        "args": {"PHP_VERSION": "8.2"},
        "labels": {"org.opencontainers.image.version": "1.4.0"},
    }
    assert web.needs == (plan.targets["php-8-1"], php)
    assert web.tags == ("registry.example.com/team/web:1.4.0", "registry.example.com/team/web:latest")
    assert (php.push, web.push, plan.targets["base"].push) == (True, True, False)


def test_the_same_plan_with_other_values() -> None:
    plan = resolve_text(TEAM, variables={"registry": "localhost:5000"}, push=False)
    assert plan.targets["web"].tags == ("localhost:5000/web:dev",)
    assert not any(target.push for target in plan.targets.values())


def test_an_empty_plan() -> None:
    plan = resolve_text("")
    assert (plan.targets, plan.groups) == ({}, {})
    assert plan.builders["default"].driver is Driver.AUTOMATIC


def test_every_problem_at_once_in_the_order_of_lines() -> None:
    problems = problems_of_text(
        """
        [targets.web]
        inherits = ["_imgae"]
        context = "{{ contxt }}"
        needs = ["dbb"]
        tags = ["{{ 'Web' }}"]
        builder = "relase"
        [targets.db]
        contexts = { x = "target:web", y = "target:nope" }
        needs = ["web", "db"]
        push = true
        [targets._image]
        inherits = ["_image"]
        [targets.php]
        matrix = { v = [], context = ["a"] }
        [targets."php 8"]
        [groups]
        all = ["wbe"]
        again = ["all", "again"]
        web = ["db"]
        [builders.release]
        driver = "remote"
        [builders.k]
        driver = "docker"
        memory = "8g"
        [variables]
        context = 7
        "b-c" = 1
        """,
        variables={"context": "x"},
    )
    name_hint = "  = use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})"
    assert problems == text(f"""
        build.toml:3: targets.web.inherits[0]: unknown target "_imgae"
            inherits = ["_imgae"]
          = did you mean "_image"?
        build.toml:4: targets.web.context: unknown variable "contxt"
            context = "{{{{ contxt }}}}"
          = did you mean "context"?
        build.toml:5: targets.web.needs[0]: unknown target "dbb"
            needs = ["dbb"]
          = did you mean "db"?
        build.toml:6: targets.web.tags[0]: "Web" is not an image name: write [registry/]repository[:tag], \
the repository in lower case
            tags = ["{{{{ 'Web' }}}}"]
        build.toml:7: targets.web.builder: unknown builder "relase"
            builder = "relase"
          = did you mean "release"?
        build.toml:8: targets.db: references form a cycle: db -> db
            [targets.db]
          = remove one of these references
        build.toml:9: targets.db.contexts.y: unknown target "nope"
            contexts = {{ x = "target:web", y = "target:nope" }}
          = known targets: db, php, php 8, web
        build.toml:11: targets.db.push: pushes, but has no tags
            push = true
          = add `tags`: they name where the image is pushed
        build.toml:13: targets._image.inherits: references form a cycle: _image -> _image
            inherits = ["_image"]
          = remove one of these references
        build.toml:15: targets.php.matrix.v: must be a list with at least one value
            matrix = {{ v = [], context = ["a"] }}
        build.toml:15: targets.php.matrix.context: "context" is also a variable of the plan
            matrix = {{ v = [], context = ["a"] }}
          = rename one of them
        build.toml:16: targets."php 8": "php 8" is not a valid name
            [targets."php 8"]
        {name_hint}
        build.toml:18: groups.all[0]: unknown target "wbe"
            all = ["wbe"]
          = did you mean "web"?
        build.toml:19: groups.again: references form a cycle: again -> again
            again = ["all", "again"]
          = remove one of these references
        build.toml:20: groups.web: "web" is both a group and a target
            web = ["db"]
          = rename one of them
        build.toml:21: builders.release.nodes.local: a remote node needs an endpoint
            [builders.release]
          = add one, for example endpoint = "tcp://10.0.0.5:1234"
        build.toml:25: builders.k.memory: the docker driver does not support memory
            memory = "8g"
          = remove it, or use driver = "docker-container"
        build.toml:27: variables.context: variable "context": the value "x" of --var is not a whole number
            context = 7
        build.toml:28: variables.b-c: "b-c" is not a valid variable name
            "b-c" = 1
          = use letters, digits and underscores
        """)


def test_a_broken_target_draws_no_complaint_about_what_its_values_would_have_been() -> None:
    assert problems_of_text("""
        [targets.web]
        tags = ["{{ nope }}"]
        push = true
        needs = ["nobody"]
        platforms = "{{ nope }}"
        """) == text("""
        build.toml:3: targets.web.tags[0]: unknown variable "nope"
            tags = ["{{ nope }}"]
          = there are no variables
        build.toml:5: targets.web.needs[0]: unknown target "nobody"
            needs = ["nobody"]
          = known targets: web
        build.toml:6: targets.web.platforms: unknown variable "nope"
            platforms = "{{ nope }}"
          = there are no variables
        """)


def test_references_are_looked_at_though_other_values_are_wrong() -> None:
    assert problems_of_text("""
        [targets.web]
        enabled = "{{ 1 }}"
        timeout = "{{ 'x' }}"
        inherits = ["nobody"]
        builder = "nope"
        needs = ["", "zz"]
        contexts = { q = "target:qq", r = "target:{{ nothing }}" }
        """) == text("""
        build.toml:3: targets.web.enabled: must be true or false, not a number
            enabled = "{{ 1 }}"
        build.toml:4: targets.web.timeout: "x" is not a duration: write 90s, 30m, 1h or 1h30m
            timeout = "{{ 'x' }}"
        build.toml:5: targets.web.inherits[0]: unknown target "nobody"
            inherits = ["nobody"]
          = known targets: web
        build.toml:6: targets.web.builder: unknown builder "nope"
            builder = "nope"
          = known builders: default
        build.toml:7: targets.web.needs[1]: unknown target "zz"
            needs = ["", "zz"]
          = known targets: web
        build.toml:8: targets.web.contexts.q: unknown target "qq"
            contexts = { q = "target:qq", r = "target:{{ nothing }}" }
          = known targets: web
        build.toml:8: targets.web.contexts.r: unknown variable "nothing"
            contexts = { q = "target:qq", r = "target:{{ nothing }}" }
          = there are no variables
        """)


def test_references_are_looked_at_though_the_matrix_is_wrong() -> None:
    assert problems_of_text("""
        [variables]
        v = 1
        [targets.web]
        matrix = { v = [1, 2] }
        name = "web-{{ v }}"
        enabled = "{{ v == 1 }}"
        builder = "nope"
        needs = ["zz", "off"]
        contexts = { q = "target:qq-{{ v }}" }
        [targets.off]
        enabled = false
        """) == text("""
        build.toml:5: targets.web.matrix.v: "v" is also a variable of the plan
            matrix = { v = [1, 2] }
          = rename one of them
        build.toml:8: targets.web.builder: unknown builder "nope"
            builder = "nope"
          = known builders: default
        build.toml:9: targets.web.needs[0]: unknown target "zz"
            needs = ["zz", "off"]
          = known targets: off, web
        """)


@pytest.mark.parametrize(
    ("enabled", "problem"),
    [
        ("", 'build.toml:5: targets.web.needs[0]: target "off" is disabled'),
        ("enabled = true", 'build.toml:5: targets.web.needs[0]: target "off" is disabled'),
        ("enabled = false", ""),
        ('enabled = "{{ 1 }}"', "build.toml:4: targets.web.enabled: must be true or false, not a number"),
    ],
)
def test_a_target_of_which_it_is_not_known_whether_it_is_enabled_may_need_a_disabled_one(
    enabled: str, problem: str
) -> None:
    problems = problems_of_text(f"""
        [targets.web]
        timeout = "{{{{ 'x' }}}}"
        {enabled}
        needs = ["off"]
        [targets.off]
        enabled = false
        """)
    others = [line for line in problems.splitlines() if line.startswith("build.toml:") and ".timeout: " not in line]
    assert others == ([problem] if problem else [])


def test_the_builder_of_the_command_line_counts_for_a_broken_target_too() -> None:
    assert "nope" not in problems_of_text(
        """
        [targets.web]
        timeout = "{{ 'x' }}"
        builder = "nope"
        """,
        builder="default",
    )


BASES = [
    TEAM,
    """
    [variables]
    n = 3
    on = true
    list = ["linux/amd64", "linux/arm64"]
    [defaults.builder]
    driver = "docker-container"
    emulation = "allow"
    [builders.b]
    image = "moby/buildkit:{{ n }}"
    nodes = { one = { endpoint = "ssh://one" }, two = { endpoint = "ssh://two", platforms = "{{ list }}" } }
    [groups]
    default = ["a", "m", "m-?-*"]
    nested = { targets = ["default", "c"], description = "all" }
    [targets.a]
    platforms = "{{ list }}"
    secret = ["id=x,src=x", "id=y,env=Y"]
    ssh = ["default", "k=k.pem"]
    output = ["out", "type=tar,dest=out.tar"]
    cache-from = ["type=local,src=cache"]
    cache-to = ["type=local,dest=cache"]
    attest = ["type=sbom"]
    [targets.m]
    inherits = ["a", "c"]
    matrix = { x = ["1", "2"], y = ["", "z"], z = "{{ range(n) | list }}" }
    name = "m-{{ x }}-{{ y or 'none' }}-{{ z }}"
    secret = ["id=x,env={{ x }}"]
    needs = ["{{ 'c' if on else '' }}"]
    tags = ["m:{{ x }}{{ y }}-{{ z }}"]
    push = "{{ on and x == '1' }}"
    [targets.c]
    contexts = { a = "target:a", b = "docker-image://alpine", c = "." }
    args = { N = 1, B = true, F = 0.5, T = "{{ n + 1 }}" }
    dockerfile-inline = '''
    FROM scratch
    '''
    """,
    """
    [defaults.target]
    platforms = ["linux/amd64", "linux/arm64"]
    cache-to = ["type=local,dest=cache/{{ platform.slug }}"]
    [defaults.target.platform."linux/386"]
    target = "old"
    [targets._image]
    args = { ARCH = "{{ platform.arch }}" }
    checks = [{ run = ["true"] }, { target = "test", platforms = ["linux/amd64"] }]
    [targets.web]
    inherits = ["_image"]
    contexts = { base = "target:base-{{ platform.arch }}", files = "files" }
    extra-hosts = { db = "10.0.0.7" }
    resources = { memory = "1g", cpu-shares = 2 }
    [targets.web.platform."linux/arm64"]
    dockerfile = "arm.Dockerfile"
    labels = { a = "b" }
    [targets.base-amd64]
    call = "check"
    [targets.base-arm64]
    inherits = ["web"]
    contexts = { base = "" }
    network = "host"
    entitlements = ["network.host"]
    """,
]

VALUES = [
    *("1", "-1", "0.5", "true", "1979-05-27", "07:32:00", "inf", "nan", "9223372036854775808", '""', "[]", "{}"),
    *(
        '"a"',
        '"web"',
        '"php"',
        '"m"',
        '"_image"',
        '"default"',
        '"*"',
        '"["',
        '"target:web"',
        '"target:"',
        '"linux/arm64"',
    ),
    *(
        '"{{ tag }}"',
        '"{{ list }}"',
        '"{{ nope }}"',
        '"{{ n }}"',
        '"{{ none }}"',
        '"{{ 1 / 0 }}"',
        '"{{"',
        '"{% if %}"',
    ),
    *('"{{ {} }}"', '"{{ (1, 2) }}"', '"{{ [nope] }}"', '"{{ range(3) }}"', "\"{{ '{{' }}\"", "'{{ \"\\x00\" }}'"),
    *('"{{ [[1], {}, none] }}"', '"{{ {1: 2} }}"', '"{{ {none: none} }}"', '"{{ on }}"', '"x{{ y }}"', "\"{{ '' }}\""),
    *(
        "['\"x']",
        "['''\"{{ \"'\" }}''']",
        '["a\\nb"]',
        '["\\u0000"]',
        '["\\u202e"]',
        '["a,b,=,=c"]',
        '["type=registry"]',
    ),
    *(
        '["a"]',
        '["web", "a"]',
        "[1, true, {}]",
        "[[]]",
        '["{{ list }}"]',
        '["{{ n }}"]',
        "[\"{{ '' }}\"]",
        '["type=env,src=x"]',
        '["{{ platform }}"]',
        '[{ run = ["x"] }, { target = "y" }]',
    ),
    *(
        "{ a = 1 }",
        '{ a = "target:a" }',
        "{ a = [1, 2] }",
        '{ "" = "" }',
        '{ "a.b" = { c = [] } }',
        '{ a = "{{ list }}" }',
        '{ a = "{{ platform.arch }}" }',
        '{ "linux/arm64" = { args = { A = 1 }, contexts = { a = "target:a" } } }',
        '{ "linux/amd64" = {}, "linux/x86_64" = {} }',
    ),
    *(
        '{ default = 1, env = "X" }',
        "{ targets = [] }",
        '{ endpoint = "" }',
        '{ one = {}, "a b" = {} }',
        "{ nodes = {} }",
    ),
    *('"remote"', '"kubernetes"', '"docker"', '"automatic"', '"forbid"', "[" * 60 + "]" * 60),
]
KEYS = [
    *ATTRIBUTES,
    *("driver", "emulation", "image", "network", "nodes", "nodes.one", "nodes.one.tls", "endpoint", "tls", "tls.cert"),
    *("default", "env", "targets", "builder", "version", "a", '"a b"', '""', '"\\u0000"', "tag", "n", "list", "on"),
]
HEADERS = [
    *(
        "[targets.a]",
        "[targets.web]",
        "[targets._image]",
        "[targets.new]",
        '[targets."a\\nb"]',
        "[targets]",
        "[[targets]]",
    ),
    *(
        "[builders.b]",
        "[builders.default]",
        "[builders.b.nodes.three]",
        "[builders.b.nodes.one.tls]",
        "[defaults.builder]",
    ),
    *("[defaults.target]", '[targets.a.platform."linux/arm64"]', "[[targets.web.checks]]"),
    *("[variables]", "[variables.n]", "[groups]", "[groups.default]", "[groups.a]", "[other]", "[targets.m.matrix]"),
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Return a valid plan with some lines changed, moved, removed, repeated or invented."""
    lines = draw(st.sampled_from(BASES)).split("\n")
    values, keys = st.sampled_from(VALUES), st.sampled_from(KEYS)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(1, len(lines) - 1))
        match draw(
            st.sampled_from(["value", "value", "value", "pair", "pair", "header", "drop", "double", "move", "type"])
        ):
            case "value":
                key = lines[at].partition("=")[0]
                lines[at] = f"{key}= {draw(values)}"
            case "pair":
                lines.insert(at, f"{draw(keys)} = {draw(values)}")
            case "header":
                lines.insert(at, draw(st.sampled_from(HEADERS)))
            case "drop" if len(lines) > 2:
                del lines[at]
            case "double":
                lines.insert(draw(st.integers(1, len(lines))), lines[at])
            case "move":
                lines.insert(draw(st.integers(1, len(lines) - 1)), lines.pop(at))
            case _:
                place = draw(st.integers(0, len(lines[at])))
                typed = draw(st.sampled_from([*"{}[]\"'=.,#ax1 \\\x00\r", "{{", "}}", "{%", '"""', "\u202e"]))
                lines[at] = lines[at][:place] + typed + lines[at][place + draw(st.integers(0, 2)) :]
    return "\n".join(lines)


class Written(str):
    """Return a value as TOML text."""

    __slots__ = ()


LEGAL = {
    "targets": list(ATTRIBUTES),
    "builders": ["driver", "emulation", "image", "network", "nodes"],
    "nodes": ["endpoint", "platforms", "tls"],
    "variables": ["default", "env", "description"],
    "groups": ["targets", "description"],
}


STARTS = {
    "[": {
        name for name, schema in TargetSpec.model_json_schema()["properties"].items() if schema.get("type") == "array"
    },
    "{": {"contexts", "args", "labels", "matrix", "nodes", "tls", "platform", "extra-hosts", "resources"},
    "tf": {"push", "load", "no-cache", "pull"},
}
"""The first characters of a valid value for these keys. The value of any other key is a text."""


def as_toml(value: Any) -> str:
    """Return a value as TOML on one line."""
    match value:
        case Written():
            return value
        case dict():
            return "{ " + ", ".join(f"{json.dumps(key)} = {as_toml(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(as_toml(item) for item in value) + "]"
        case _:
            return json.dumps(value)


@st.composite
def altered(draw: st.DrawFn) -> str:
    """Return a valid plan with other values of some attributes. Most of these plans reach the later stages."""
    plan = tomli.loads("version = 1\n" + dedent(draw(st.sampled_from(BASES))))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["targets", "targets", "targets", *LEGAL]))
        tables = plan.setdefault("builders" if kind == "nodes" else kind, {})
        table = draw(st.sampled_from([*tables, *tables, "new", "a b"]))
        if kind == "nodes":
            nodes = tables.setdefault(table, {})
            tables = nodes.setdefault("nodes", {}) if isinstance(nodes, dict) else {}
            tables = tables if isinstance(tables, dict) else {}
            table = "one"
        if not isinstance(tables.setdefault(table, {}), dict):
            tables[table] = {}
        key = draw(st.sampled_from(LEGAL[kind]))
        start = next((start for start, keys in STARTS.items() if key in keys), "\"'")
        fitting = [value for value in VALUES if value.startswith((*start, '"{{'))]
        tables[table][key] = Written(draw(st.sampled_from(fitting if draw(st.integers(0, 9)) else VALUES)))
    del plan["version"]
    return "\n" + "\n".join(f"{key} = {as_toml(value)}" for key, value in plan.items())


def outcome(toml: str, **overrides: bool) -> str:
    """Resolve a plan and render the result as text. Only MpbakeError may be raised."""
    try:
        plan_files, spec = read_text(toml)
        changes = Overrides(**overrides)  # type: ignore[arg-type]
        plan = resolve(plan_files, spec, Inputs(overrides=changes))
    except PlanError as error:
        check_messages(error, toml)
        return str(error)
    except MpbakeError as error:
        return str(error)
    check_plan(plan)
    check_diagnostics(lint_warnings(plan_files, plan), toml)
    return f"{list(plan.targets)} {list(plan.groups)} {list(plan.builders)}"


def check_messages(error: PlanError, toml: str) -> None:
    assert error.diagnostics
    check_diagnostics(error.diagnostics, toml)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", str(error))


def check_diagnostics(diagnostics: tuple[Diagnostic, ...], toml: str) -> None:
    for diagnostic in diagnostics:
        assert diagnostic.message
        assert diagnostic.location is not None
        assert 0 <= diagnostic.location.line <= toml.count("\n") + 1
        check_mark(diagnostic, diagnostic.location)
    parsed = json.loads(diagnostics_json(diagnostics))["diagnostics"]
    assert [entry["code"] for entry in parsed] == [diagnostic.code for diagnostic in diagnostics]
    assert diagnostics_github(diagnostics).count("\n") == len(diagnostics)
    assert diagnostics_text(diagnostics) == "".join(f"{diagnostic}\n" for diagnostic in diagnostics)


def check_mark(diagnostic: Diagnostic, place: Location) -> None:
    """Assert that the mark is within the shown line, and that at most four lines are shown."""
    assert place.column <= len(place.excerpt) + 1
    assert place.column + place.length <= len(place.excerpt) + 2
    _, *lines = str(diagnostic).split("\n")
    marks = [line for line in lines if re.fullmatch(" *\\^+", line)]
    assert len(lines) <= 3
    assert bool(marks) == bool(place.excerpt.strip() and place.column)


def check_plan(plan: Plan) -> None:
    for name, target in plan.targets.items():
        assert NAME.fullmatch(name)
        assert target.name == name
        assert plan.builders[target.builder.name] is target.builder
        assert all(plan.targets[other.name] is other for other in (*target.needs, *target.links.values()))
        assert target.tags or not target.push
        assert json.loads(json.dumps(target.attributes)) == target.attributes
        assert all(type(value) is str for value in (*target.tags, *target.outputs, target.description))
        contexts = [target.attributes["context"], *target.attributes.get("contexts", {}).values()]
        assert all(Path(context).is_absolute() or not is_local_context(context) for context in contexts)
        assert tomli.loads(target_text(target))["targets"].keys() == {name}
        assert place(target, {}).pieces or place(target, {}).problems
    with contextlib.suppress(UsageError):  # two of these keys would have the same name
        assert json.loads(bake_text(plan, list(plan.targets.values())))["target"] or not plan.targets
    for name, group in plan.groups.items():
        assert name not in plan.targets
        assert set(select_targets(plan, [name])) == set(group.targets) if group.targets else True
    for builder in plan.builders.values():
        assert builder.nodes
        assert all(node.driver is builder.driver for node in builder.nodes)


@pytest.mark.parametrize("toml", BASES)
def test_the_plans_to_be_mutated_are_valid(toml: str) -> None:
    assert outcome(toml).startswith("['")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(mutated(), altered(), altered()))
def test_a_mutated_plan_is_resolved_or_explained(toml: str) -> None:
    assert outcome(toml) == outcome(toml)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, derandomize=False, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(mutated(), altered(), altered()),
    st.fixed_dictionaries({}, optional={"push": st.booleans(), "load": st.just(value=True)}),
)
def test_many_mutated_plans_are_resolved_or_explained(toml: str, overrides: dict[str, bool]) -> None:
    assert outcome(toml, **overrides) == outcome(toml, **overrides)


# --- plans that are too large -----------------------------------------------------------------------------------------

TOO_LARGE = "  = split the plan, or use fewer and shorter values (docs/templates.md lists the limits)"


def test_templates_that_take_too_much_work_together_are_one_problem() -> None:
    labels = "\n".join(f"l{number} = \"{{{{ 'a' * 900000 ~ {number} }}}}\"" for number in range(1000))
    lines = problems_of_text(f"\n[targets.web.labels]\n{labels}").splitlines()
    assert re.fullmatch(
        r"build.toml:\d+: targets.web.labels.l\d+: the templates of this plan take too much work", lines[0]
    )
    assert lines[2:] == [TOO_LARGE]


def test_values_that_many_targets_repeat_are_one_problem() -> None:
    plan = f"""
        [targets.web]
        name = "web-{{{{ n }}}}"
        matrix = {{ n = "{{{{ range(1000) | list }}}}" }}
        labels = {{ text = "{"x" * 30_000}" }}
        """
    lines = problems_of_text(plan).splitlines()
    assert lines[0] == "build.toml:5: targets.web.labels.text: the values of all targets together are too large"
    assert lines[-1] == TOO_LARGE


def test_a_plan_with_too_many_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = """
        [targets.a]
        [targets.b]
        name = "b-{{ n }}"
        matrix = { n = [1, 2] }
        """
    monkeypatch.setattr(drafts, "MAX_TARGETS", 3)
    assert list(resolve_text(plan).targets) == ["a", "b-1", "b-2"]
    monkeypatch.setattr(drafts, "MAX_TARGETS", 2)
    assert problems_of_text(plan) == text(f"""
        build.toml:3: targets.b: the plan has more than 2 targets
            [targets.b]
        {TOO_LARGE}
        """)
