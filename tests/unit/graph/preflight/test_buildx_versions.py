"""Attributes and options that the installed buildx lacks."""

from __future__ import annotations

import pytest

from mpbake.base.errors import PlanError
from mpbake.graph.preflight.buildx_versions import check_builders, check_buildx
from mpbake.model.plan import Driver
from mpbake.resolve import Inputs, resolve
from mpbake.spec.tables.builder_tables import OPTIONS, SINCE
from mpbake.spec.tables.target_tables import ATTRIBUTES, ValueKind, value_kind
from tests.unit.plans import in_short, read_text, text

PLAN = """
    [targets._image]
    network = "none"
    [targets.web]
    inherits = ["_image"]
    contexts = { base = "target:base" }
    entitlements = ["network.host"]
    [targets.base]
    extra-hosts = { db = "10.0.0.7" }
    [targets.other]
    resources = { memory = "1g" }
    """


def complaints(toml: str, version: tuple[int, int], *names: str, default: Driver = Driver.DOCKER) -> str:
    """Return the problems of a run of the targets in `names` with this buildx, or an empty text."""
    plan_files, spec = read_text(toml)
    plan = resolve(plan_files, spec, Inputs())
    try:
        check_buildx(plan_files, [plan.targets[name] for name in names], version, default)
    except PlanError as error:
        return in_short(error)
    return ""


def complaints_of_builders(toml: str, version: tuple[int, int], *names: str) -> str:
    """Return the problems of the builders in `names` with this buildx, or an empty text."""
    plan_files, spec = read_text(toml)
    plan = resolve(plan_files, spec, Inputs())
    try:
        check_builders(plan_files, [plan.builders[name] for name in names], lambda: version)
    except PlanError as error:
        return in_short(error)
    return ""


def test_everything_that_would_be_ignored_at_once_and_where_it_stands() -> None:
    assert complaints(PLAN, (0, 16), "web") == text("""
        build.toml:3: targets._image.network: web: network needs buildx 0.17 or newer: buildx 0.16 ignores it
            network = "none"
          = install buildx 0.17 or newer, or remove network
        build.toml:7: targets.web.entitlements: web: entitlements needs buildx 0.17 or newer: buildx 0.16 ignores it
            entitlements = ["network.host"]
          = install buildx 0.17 or newer, or remove entitlements
        build.toml:9: targets.base.extra-hosts: base: extra-hosts needs buildx 0.25 or newer: buildx 0.16 ignores it
            extra-hosts = { db = "10.0.0.7" }
          = install buildx 0.25 or newer, or remove extra-hosts
        """)


@pytest.mark.parametrize(
    ("version", "names", "attributes"),
    [
        ((0, 13), ["web"], ["network", "entitlements", "extra-hosts"]),
        ((0, 17), ["web"], ["extra-hosts"]),
        ((0, 24), ["web", "base"], ["extra-hosts"]),
        ((0, 25), ["web"], []),
        ((1, 0), ["web", "other"], []),
        # targets that are not built have no requirements
        ((0, 25), ["other"], ["resources"]),
    ],
)
def test_what_is_asked_of_each_version(version: tuple[int, int], names: list[str], attributes: list[str]) -> None:
    problems = complaints(PLAN, version, *names)
    assert [line.partition("remove ")[2] for line in problems.splitlines() if "install" in line] == (attributes)


@pytest.mark.parametrize("name", [name for name, attribute in ATTRIBUTES.items() if any(attribute.since)])
def test_each_attribute_works_from_its_version_on(name: str) -> None:
    values = {ValueKind.TEXT: "'none'", ValueKind.MAP: "{ memory = '1g' }", ValueKind.LIST: "['x']"}
    written = "['filename=x']" if name == "policy" else values[value_kind(name)]
    plan = f"\n[targets.web]\n{name} = {written}"
    major, minor = ATTRIBUTES[name].since
    assert complaints(plan, (major, minor), "web") == ""
    assert f"web: {name} needs buildx {major}.{minor} or newer: " in complaints(plan, (major, minor - 1), "web")


@pytest.mark.parametrize("written", ["network = ''", "entitlements = []", "extra-hosts = {}"])
def test_what_is_empty_asks_for_nothing(written: str) -> None:
    assert complaints(f"\n[targets.web]\n{written}", (0, 13), "web") == ""


def test_platforms_that_differ_ask_for_the_same() -> None:
    plan = """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        args = { A = "{{ platform }}" }
        network = "none"
        """
    assert complaints(plan, (0, 16), "web").count(" or newer: ") == 1


def test_a_folder_that_an_older_buildx_would_not_empty() -> None:
    plan = """
        [targets.web]
        output = ["type=local,dest=out,mode=delete"]
        contexts = { base = "target:base" }
        [targets.base]
        output = ["type=local,dest=base,mode=delete"]
        [targets.copy]
        output = ["type=local,dest=copy,mode=copy", "out2"]
        """
    assert complaints(plan, (0, 34), "web", "copy") == text("""
        build.toml:3: targets.web.output: web: an output with mode=delete needs buildx 0.35 or newer: \
buildx 0.34 deletes nothing
            output = ["type=local,dest=out,mode=delete"]
          = install buildx 0.35 or newer, or remove mode=delete
        """)
    assert complaints(plan, (0, 35), "web") == ""


# --- options of builders ----------------------------------------------------------------------------------------------

BUILDERS = """
    [defaults.builder]
    default-load = true
    [builders.cluster]
    driver = "kubernetes"
    requests = { cpu = "1", ephemeral-storage = "2Gi" }
    [builders.cluster.nodes.one]
    [builders.cluster.nodes.two]
    env = { HTTP_PROXY = "http://proxy" }
    timeout = "2m"
    [builders.ci]
    env = { A = "b" }
    [builders.far]
    driver = "remote"
    nodes = { a = { endpoint = "unix:///a", default-load = false }, b = { endpoint = "unix:///b" } }
    [targets.web]
    builder = "ci"
    [targets.plain]
    """


def test_every_option_that_would_be_refused_and_where_it_stands() -> None:
    assert complaints_of_builders(BUILDERS, (0, 13), "cluster", "far") == text("""
        build.toml:3: defaults.builder.default-load: cluster: default-load of the kubernetes driver needs \
buildx 0.14 or newer: buildx 0.13 refuses it
            default-load = true
          = install buildx 0.14 or newer, or remove default-load
        build.toml:3: defaults.builder.default-load: far: default-load of the remote driver needs \
buildx 0.14 or newer: buildx 0.13 refuses it
            default-load = true
          = install buildx 0.14 or newer, or remove default-load
        build.toml:6: builders.cluster.requests.ephemeral-storage: cluster: requests.ephemeral-storage of the \
kubernetes driver needs buildx 0.14 or newer: buildx 0.13 refuses it
            requests = { cpu = "1", ephemeral-storage = "2Gi" }
          = install buildx 0.14 or newer, or remove requests.ephemeral-storage
        build.toml:9: builders.cluster.nodes.two.env: cluster/two: env of the kubernetes driver needs \
buildx 0.28 or newer: buildx 0.13 refuses it
            env = { HTTP_PROXY = "http://proxy" }
          = install buildx 0.28 or newer, or remove env
        build.toml:10: builders.cluster.nodes.two.timeout: cluster/two: timeout of the kubernetes driver needs \
buildx 0.15 or newer: buildx 0.13 refuses it
            timeout = "2m"
          = install buildx 0.15 or newer, or remove timeout
        build.toml:15: builders.far.nodes.a.default-load: far/a: default-load of the remote driver needs \
buildx 0.14 or newer: buildx 0.13 refuses it
            nodes = { a = { endpoint = "unix:///a", default-load = false }, b = { endpoint = "unix:///b" } }
          = install buildx 0.14 or newer, or remove default-load
        """)


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ((0, 14), ["env", "timeout"]),
        ((0, 15), ["env"]),
        ((0, 28), []),
        ((1, 0), []),
    ],
)
def test_what_builders_ask_of_each_version(version: tuple[int, int], options: list[str]) -> None:
    problems = complaints_of_builders(BUILDERS, version, "cluster", "ci", "far")
    assert [line.partition("remove ")[2] for line in problems.splitlines() if "install" in line] == (options)


def test_a_run_is_about_the_builders_of_its_targets_only() -> None:
    problems = complaints(BUILDERS, (0, 13), "web")
    assert "ci: default-load of the docker-container driver needs buildx 0.14 or newer" in problems
    assert problems.count("refuses it") == 1, "containers have always had env"


@pytest.mark.parametrize(("default", "count"), [(Driver.DOCKER, 0), (Driver.DOCKER_CONTAINER, 1)])
def test_the_engines_own_builder_is_told_of_no_option(default: Driver, count: int) -> None:
    assert complaints(BUILDERS, (0, 13), "plain", default=default).count("default-load of") == count


def test_buildx_is_not_asked_where_nothing_is_new() -> None:
    toml = """
        [builders.ci]
        env = { A = "b" }
        image = "x"
        [builders.theirs]
        external = true
        """
    plan_files, spec = read_text(toml)
    check_builders(plan_files, resolve(plan_files, spec, Inputs()).builders.values(), lambda: pytest.fail("asked"))


VALUES = {
    "requests.ephemeral-storage": "requests = { ephemeral-storage = '1Gi' }",
    "limits.ephemeral-storage": "limits = { ephemeral-storage = '1Gi' }",
    "persistent-volume-claim.requests.storage": "persistent-volume-claim = { requests = { storage = '1Gi' } }",
    "env": "env = { A = 'b' }",
    "default-load": "default-load = true",
    "provenance-add-gha": "provenance-add-gha = false",
    "allow-untrusted-image": "allow-untrusted-image = true",
    "timeout": "timeout = '2m'",
    "schedulername": "schedulername = 'x'",
    "buildkit-root-volume-memory": "buildkit-root-volume-memory = '1Gi'",
}


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        (name, driver)
        for name, since in SINCE.items()
        for driver in since.drivers or OPTIONS[name.partition(".")[0]].drivers
    ],
)
def test_each_option_works_from_its_version_on(name: str, driver: Driver) -> None:
    node = "[builders.x.nodes.a]\nendpoint = 'unix:///a'" if driver is Driver.REMOTE else ""
    plan = f"\n[builders.x]\ndriver = '{driver}'\n{VALUES[name]}\n{node}"
    major, minor = SINCE[name].version
    assert complaints_of_builders(plan, (major, minor), "x") == ""
    problems = complaints_of_builders(plan, (major, minor - 1), "x")
    assert f"x: {name} of the {driver} driver needs buildx {major}.{minor} or newer: " in problems
