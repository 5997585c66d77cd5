"""The abilities of each driver."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mpbake.base.codes import Code
from mpbake.model.drivers.rules import Abilities
from mpbake.model.plan import Driver
from mpbake.spec.drivers import ROWS, node_warnings, table_text, unsupported_requests
from tests.checkout import CHECKOUT
from tests.unit.plans import resolve_text, target_of_text, text


def test_every_ability_is_in_the_table() -> None:
    assert list(ROWS) == [field.name for field in fields(Abilities)]


def test_the_table_in_docs_is_this_one() -> None:
    stored = (CHECKOUT / "docs" / "builders.md").read_text(encoding="utf-8")
    assert table_text() in stored, f"docs/builders.md does not hold the table of mpbake.spec.drivers:\n{table_text()}"


CACHE = "cache-to = ['type=registry,ref=r/c']"
CONTAINERD = 'enable the containerd image store of the engine, or set driver = "docker-container"'


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("", ""),
        ("platforms = ['linux/amd64']", ""),
        ("cache-to = ['type=inline']", ""),
        ("output = ['type=tar,dest=x', 'out']", ""),
        (CACHE, "cache-to type=registry,ref=r/c"),
        ("output = ['type=oci,dest=x']", "output type=oci,dest=/plan/x"),
        ("platforms = ['linux/amd64', 'linux/arm64']", "platforms linux/amd64, linux/arm64"),
    ],
)
def test_what_the_classic_image_store_cannot_do(asked: str, problem: str) -> None:
    target = target_of_text(f"[targets.web]\n{asked}")
    requests = list(unsupported_requests(target, target.platforms, Driver.DOCKER, containerd_store=False))
    assert [(request.message, request.hint) for request in requests] == (
        [(f"the docker driver does not support {problem} with this engine's image store", CONTAINERD)]
        if problem
        else []
    )
    assert not list(unsupported_requests(target, target.platforms, Driver.DOCKER, containerd_store=True))
    for driver in (Driver.DOCKER_CONTAINER, Driver.KUBERNETES, Driver.REMOTE):
        assert not list(unsupported_requests(target, target.platforms, driver, containerd_store=False))


def test_a_single_platform_of_several_is_not_too_much() -> None:
    target = target_of_text("[targets.web]\nplatforms = ['linux/amd64', 'linux/arm64']")
    assert not list(unsupported_requests(target, target.platforms[:1], Driver.DOCKER, containerd_store=False))


def test_nodes_in_the_clear_are_warned_of() -> None:
    plan = resolve_text("""
        [builders.x]
        driver = "remote"
        [builders.x.nodes]
        open = { endpoint = "tcp://10.0.0.5:1234", insecure = true }
        closed = { endpoint = "tcp://10.0.0.6:1234", insecure = true, tls = { ca = "ca.crt" } }
        here = { endpoint = "tcp://127.0.0.1:1234" }
        """)
    (warning,) = node_warnings(plan.builders["x"].nodes)
    assert (warning.code, warning.key) == (Code.INSECURE_NODE, ("builders", "x", "nodes", "open", "insecure"))
    assert warning.message == ("x/open: tcp://10.0.0.5:1234 has no TLS (insecure = true)")


@pytest.mark.parametrize(
    ("options", "warns"),
    [
        ('replicas = 2\nloadbalance = "random"', True),
        ('replicas = 2\nloadbalance = "sticky"', False),
        ("replicas = 2", False),
        ('loadbalance = "random"', False),
    ],
)
def test_a_spread_over_pods_that_a_run_does_not_make_is_warned_of(options: str, *, warns: bool) -> None:
    plan = resolve_text(f'[builders.k]\ndriver = "kubernetes"\n{options}\n[builders.k.nodes.n]')
    found = list(node_warnings(plan.builders["k"].nodes))
    assert [(problem.code, problem.message, problem.hint) for problem in found] == (
        [
            (
                Code.DOUBTFUL_VALUE,
                'k/n: mpbake builds all targets of a run in one pod, despite loadbalance = "random"',
                "to spread the targets of a run, declare several nodes instead of several replicas",
            )
        ]
        if warns
        else []
    )


def test_the_table() -> None:
    assert (
        table_text()
        == text("""
        |  | `docker` | `docker-container` | `kubernetes` | `remote` |
        | --- | --- | --- | --- | --- |
        | pushed images are in the engine too, without `load` | yes | no | no | no |
        | `cache-to` other than `inline` | with the containerd image store | yes | yes | yes |
        | output `oci` | with the containerd image store | yes | yes | yes |
        | outputs `local` and `tar` | yes | yes | yes | yes |
        | image of several platforms | with the containerd image store | yes | yes | yes |
        | push of an image with several build pieces (several nodes, or platforms that differ) | no | yes | yes | yes |
        | `buildkitd`, `config` and `flags` | no | yes | yes | where BuildKit is started |
        | docker context as `endpoint` | yes | yes | no | no |
        """)
        + "\n"
    )
