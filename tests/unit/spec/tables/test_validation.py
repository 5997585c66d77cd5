"""The messages for wrong keys and values in tables."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.errors import PlanError
from tests.unit.plans import problems_of_text, read_text, resolve_text, text

OF_NODES = (
    "allow-untrusted-image, annotations, buildkit-root-volume-memory, buildkitd, buildx-name, cgroup-parent, config, "
    "cpu-period, cpu-quota, cpu-shares, cpuset-cpus, cpuset-mems, …"
)


KNOWN = (
    "allow-untrusted-image, annotations, boot-timeout, buildkit-root-volume-memory, buildkitd, certificate-days, "
    "cgroup-parent, config, cpu-period, cpu-quota, cpu-shares, cpuset-cpus, …"
)


def target(toml: str) -> dict[str, Any]:
    """Return the keys of a target as written in a plan file."""
    _, spec = read_text(f"\n[targets.web]\n{toml}")
    return spec.targets["web"].written()


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
        ("matrix = [{ a = 1 }, 'a']", "matrix: row 2 must be a table, not text"),
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
        "  = list the platforms of the target in `platforms`"
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
            (
                'targets.a.env: unknown key "env"\n'
                "  = put build arguments in `args`, and values for templates in [variables]"
            ),
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
                "targets.a.checks[0]: a check must have either run or target\n"
                '  = write { run = ["php", "-v"] } or { target = "test" }'
            ),
        ),
        (
            "targets = { a = { checks = [{ run = [], target = '' }] } }",
            'targets.a.checks[0]: run is empty\n  = name a command: { run = ["php", "-v"] }',
        ),
        (
            "targets = { a = { checks = [{}] } }",
            (
                "targets.a.checks[0]: a check must have either run or target\n"
                '  = write { run = ["php", "-v"] } or { target = "test" }'
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
                'variables.a.x: unknown key "x"\n  = write default = { … } if the table is the value; '
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
                "  = known keys: builders, defaults, functions, groups, include, publish, requires, targets, "
                "variables, version"
            ),
        ),
    ],
)
def test_a_wrong_table(written: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    expected = f"build.toml:2: {message}\n    {written}" + (f"\n{hint}" if hint else "")
    assert problems_of_text(f"\n{written}") == expected


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
          = write it like id=token,env=TOKEN
        build.toml:4: targets.web.shm-size: "lots" is not a size
            shm-size = "{{ 'lots' }}"
          = write it like 512m or 2g
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
    problems = problems_of_text(f"\n[targets.web]\n{line}".replace("'VALUE'", f'"{value}"'))
    assert problems.startswith(f"build.toml:3: targets.web.{line.partition(' ')[0]}")
    setting = line.replace(" ", "").replace("VALUE", "nowhere")
    with pytest.raises(PlanError, match=r"\[bad-value\]"):
        resolve_text("\n[targets.web]\ntags = ['r/web']", settings=(f"web.{setting}",))
