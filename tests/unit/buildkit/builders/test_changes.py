"""The changes of a declared builder, computed from its declared and actual state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mpbake.buildkit.builders.changes import Entries, builder_changes
from mpbake.model.node_state import Action, NodeResource, NodeState, ResourceKind, StoredBuilder, StoredNode
from mpbake.model.plan import Builder, Driver, Node, TlsFiles
from mpbake.report.plan.builder_text import changes_text
from tests.unit.plans import text

LOCAL = Node(
    builder="CI",
    name="local",
    driver=Driver.DOCKER_CONTAINER,
    options=(("env.TOKEN", "s3cret"), ("image", "moby/buildkit:v2"), ("memory", "8g")),
    flags=("--debug",),
)
CI = Builder(name="CI", driver=Driver.DOCKER_CONTAINER, nodes=(LOCAL,))
MARK = "driver=1;env.TOKEN=2;flags=3;image=4;memory=5"
RIGHT = NodeResource(id="c0ffee", name="buildx_buildkit_ci-local", status="running", mark=MARK)
ENTRY = StoredBuilder(driver="docker-container", nodes=(StoredNode(name="ci-local", endpoint="desktop"),))


def state(made: NodeResource | None = RIGHT, **more: object) -> NodeState:
    return replace(NodeState(node=LOCAL, mark=MARK, settings=LOCAL.options, made=made), **more)  # type: ignore[arg-type]


def decided(*nodes: NodeState, kept: StoredBuilder | None = ENTRY, declared: StoredBuilder | None = ENTRY) -> str:
    """Return the planned changes as text."""
    return changes_text(CI, builder_changes(CI, nodes, Entries(stored=kept, declared=declared)))


def test_nothing_to_do() -> None:
    assert builder_changes(CI, [state()], Entries(stored=ENTRY, declared=ENTRY)) == ()
    assert decided(state()) == "CI (docker-container)\n  as declared\n"
    assert decided(state(), kept=None, declared=None) == "CI (docker-container)\n  as declared\n"


def test_everything_is_missing() -> None:
    secured = replace(LOCAL, endpoint="tcp://far:2376", tls=TlsFiles(ca=Path("/c/ca.crt")))
    assert (
        decided(state(None, node=secured, context=False), kept=None)
        == text("""
        CI (docker-container)
          ~ correct docker context mpbake-ci-local: buildx reaches an engine by TLS through a docker context only
          + create container buildx_buildkit_ci-local: unless it exists, which only the docker context can show
          + create builder ci: for use by hand: docker buildx build --builder ci
        """)
        + "\n"
    )


def test_what_stands_still_is_started() -> None:
    assert (
        decided(state(replace(RIGHT, status="exited")))
        == text("""
        CI (docker-container)
          > start container buildx_buildkit_ci-local: it is exited
        """)
        + "\n"
    )


def test_what_was_made_with_other_options_is_made_anew() -> None:
    old = replace(
        RIGHT,
        status="exited",
        mark="config=0;driver=1;env.TOKEN=0;image=0;memory=0;network=0",
        settings=(("image", "moby/buildkit:v1"), ("memory", str(1 << 32)), ("network", "host")),
    )
    changes = builder_changes(CI, [state(old)], Entries(stored=ENTRY, declared=ENTRY))
    assert [(change.action, change.kind, change.node) for change in changes] == [
        (Action.REPLACE, ResourceKind.CONTAINER, LOCAL)
    ]
    assert (
        changes_text(CI, changes)
        == text("""
        CI (docker-container)
          ± replace container buildx_buildkit_ci-local: it was made with other options; its cache stays
              config: another -> as declared
              env.TOKEN: another -> as declared
              flags: others -> --debug
              image: moby/buildkit:v1 -> moby/buildkit:v2
              memory: 4g -> 8g
              network: host -> (none)
        """)
        + "\n"
    )
    assert "s3cret" not in changes_text(CI, changes)


@pytest.mark.parametrize(("count", "shown"), [(1 << 30, "1g"), (3 << 29, "1536m"), (1 << 10, "1k"), (1000, "1000b")])
def test_amounts(count: int, shown: str) -> None:
    old = replace(RIGHT, mark=MARK.replace("memory=5", "memory=0"), settings=(("memory", str(count)),))
    assert f"memory: {shown} -> 8g" in decided(state(old))


def test_a_mark_of_another_format_is_drift() -> None:
    assert "replace container" in decided(state(replace(RIGHT, mark="96c5747e0ee97b71")))


def test_a_node_in_trouble_is_left_alone() -> None:
    assert builder_changes(CI, [state(None, trouble="no route to host")], Entries(stored=ENTRY, declared=ENTRY)) == ()


def test_an_entry_that_says_something_else() -> None:
    one = StoredNode(name="x-a", endpoint="tcp://a", platforms=("linux/amd64",), options=(("cacert", "1"),))
    two = StoredNode(name="x-b", endpoint="tcp://b", options=(("env.A", "secret"), ("memory", "1g")))
    gone = StoredNode(name="x-c", endpoint="tcp://c")
    kept = StoredBuilder(driver="docker-container", nodes=(two, one, gone))
    declared = StoredBuilder(
        driver="remote",
        nodes=(
            replace(one, endpoint="tcp://a:1", platforms=("linux/amd64", "linux/386"), options=(("cacert", "2"),)),
            replace(two, options=(("memory", "2g"),), flags=("--debug",)),
        ),
    )
    assert (
        decided(state(), kept=kept, declared=declared)
        == text("""
        CI (docker-container)
          ~ correct builder ci: buildx's store has other values
              driver: docker-container -> remote
              x-b: flags: (none) -> --debug
              x-b: env.A: another -> as declared
              x-b: memory: 1g -> 2g
              x-a: endpoint: tcp://a -> tcp://a:1
              x-a: platforms: linux/amd64 -> linux/amd64, linux/386
              x-a: cacert: another -> as declared
              node x-c: listed -> (none)
        """)
        + "\n"
    )


def test_the_order_of_nodes_matters() -> None:
    one, two = StoredNode(name="x-a", endpoint="a"), StoredNode(name="x-b", endpoint="b")
    kept, declared = (StoredBuilder(driver="remote", nodes=nodes) for nodes in ((two, one), (one, two)))
    assert "order: x-b, x-a -> x-a, x-b" in decided(state(), kept=kept, declared=declared)


def test_what_is_found_is_safe_to_print() -> None:
    evil = replace(ENTRY, nodes=(StoredNode(name="ci-local", endpoint="\x1b[2J"),))
    assert r"endpoint: \x1b[2J -> desktop" in decided(state(), kept=evil)
