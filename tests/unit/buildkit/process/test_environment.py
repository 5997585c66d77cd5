"""The environment variables that reach docker."""

from __future__ import annotations

import re

import pytest

from mpbake.buildkit.process.environment import (
    CHILD_VARIABLES,
    WORKFLOW,
    child_environment,
    secret_variables,
    telemetry_variables,
    workflow_variables,
)
from mpbake.model.plan import Driver, Node
from tests.checkout import DOCS
from tests.unit.plans import resolve_text, target_of_text

WORLD = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "DOCKER_HOST": "unix:///x",
    "https_proxy": "http://proxy",
    "SSH_AUTH_SOCK": "/run/agent",
    "TOKEN": "secret",
    "OTHER_TOKEN": "secret",
    # these variables change builds, although the plan does not name them
    "BUILDX_BUILDER": "other",
    "BUILDX_BAKE_GIT_SSH": "x",
    "BUILDX_CONFIG": "/other",
    "BUILDKIT_PROGRESS": "plain",
    "SOURCE_DATE_EPOCH": "0",
    "TARGETPLATFORM": "linux/s390x",
    "COMPOSE_FILE": "x",
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    "BUILDX_NO_DEFAULT_OCI_ARTIFACT": "1",
    "BUILDX_GIT_LABELS": "full",
    "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": "policy.json",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
    # only some calls get these variables
    "GITHUB_ACTIONS": "true",
    "RUNNER_OS": "Linux",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces",
    "PYTHON_ON_WHALES_DEBUG": "1",
}
ALWAYS = {"PATH", "HOME", "DOCKER_HOST", "https_proxy", "SSH_AUTH_SOCK"}


def test_only_what_finds_things_is_passed() -> None:
    passed = child_environment(WORLD, [])
    assert set(passed) == ALWAYS
    assert passed.items() <= WORLD.items()
    assert child_environment({}, []) == {}


def test_the_list_is_in_order_and_changes_no_build() -> None:
    assert list(CHILD_VARIABLES) == sorted(set(CHILD_VARIABLES))
    doubtful = [name for name in CHILD_VARIABLES if re.match(r"BUILDX_|BUILDKIT_|SOURCE_DATE|COMPOSE_|MPBAKE_", name)]
    assert doubtful == ["BUILDX_DEFAULT_POLICY"]  # this variable makes buildx refuse sources, and changes no build
    assert list(WORKFLOW) == sorted(set(WORKFLOW) - set(CHILD_VARIABLES))


def test_the_lists_stand_in_the_documentation() -> None:
    documentation = DOCS / "environment.md"
    listed = re.findall(r"^[A-Za-z_0-9]+$", documentation.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [*CHILD_VARIABLES, *WORKFLOW]


@pytest.mark.parametrize(
    ("driver", "options", "passed"),
    [
        (Driver.DOCKER_CONTAINER, (("provenance-add-gha", "true"),), ["GITHUB_ACTIONS", "RUNNER_OS"]),
        (Driver.DOCKER_CONTAINER, (("provenance-add-gha", "false"),), []),
        (Driver.DOCKER_CONTAINER, (), []),
        (Driver.KUBERNETES, (), []),
    ],
)
def test_only_a_container_that_asks_for_it_is_told_of_the_workflow_run(
    driver: Driver, options: tuple[tuple[str, str], ...], passed: list[str]
) -> None:
    node = Node(builder="x", name="n", driver=driver, options=options)
    assert workflow_variables(WORLD, node) == {name: WORLD[name] for name in passed}


def test_where_traces_go() -> None:
    assert telemetry_variables(WORLD) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces"}


@pytest.mark.parametrize(
    ("secret", "variables"),
    [
        ("id=TOKEN", ["TOKEN"]),
        ("id=a,env=TOKEN", ["TOKEN"]),
        ("type=env,id=a,env=TOKEN", ["TOKEN"]),
        ("id=TOKEN,src=token.txt", []),
        ("id=TOKEN,source=token.txt", []),
        ("type=file,id=TOKEN,src=token.txt", []),
        ("type=env,id=TOKEN", ["TOKEN"]),
        ("type=env,id=a,src=TOKEN", ["TOKEN"]),
    ],
)
def test_variables_that_a_secret_comes_from(secret: str, variables: list[str]) -> None:
    target = target_of_text(f"[targets.web]\nsecret = ['{secret}']")
    assert secret_variables(target) == variables
    assert set(child_environment(WORLD, [target])) == ALWAYS | set(variables)


def test_secrets_of_links_and_of_every_target() -> None:
    plan = resolve_text("""
        [targets.web]
        secret = ["id=a,env=A"]
        contexts = { base = "target:base", again = "target:base" }
        [targets.base]
        secret = ["id=B"]
        contexts = { deep = "target:deep" }
        [targets.deep]
        secret = ["id=c,env=C"]
        [targets.other]
        secret = ["id=d,env=D"]
        [targets.unused]
        secret = ["id=e,env=E"]
        """)
    web, other = plan.targets["web"], plan.targets["other"]
    assert secret_variables(web) == ["A", "B", "C"]
    assert set(child_environment(dict.fromkeys("ABCDE", ""), [web, other])) == set("ABCD")


def test_many_layers_of_links_take_no_time() -> None:
    layers = "\n".join(
        f'[targets.{side}{n}]\ncontexts = {{ a = "target:l{n + 1}", b = "target:r{n + 1}" }}'
        for n in range(60)
        for side in "lr"
    )
    top = target_of_text(f"{layers}\n[targets.l60]\nsecret = ['id=A']\n[targets.r60]", "l0")
    assert secret_variables(top) == ["A"]
