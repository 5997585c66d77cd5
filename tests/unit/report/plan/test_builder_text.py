"""Builders as text: the summary of changes, and the table of nodes."""

from __future__ import annotations

from mpbake.base.platforms import parse_platforms
from mpbake.model.node_state import Action, Change, NodeRow, ResourceKind
from mpbake.model.plan import Driver, Node
from mpbake.report.plan.builder_text import changes_summary, inventory_text
from tests.unit.plans import text

LOCAL = Node(
    builder="CI",
    name="local",
    driver=Driver.DOCKER_CONTAINER,
    options=(("env.TOKEN", "s3cret"), ("image", "moby/buildkit:v2"), ("memory", "8g")),
    flags=("--debug",),
)


def test_a_summary() -> None:
    create = Change(action=Action.CREATE, kind=ResourceKind.CONTAINER, name="x", reason="")
    start = Change(action=Action.START, kind=ResourceKind.CONTAINER, name="x", reason="")
    assert changes_summary([start, create, create]) == "2 to create, 1 to start"
    assert changes_summary([]) == "nothing to do"


def test_the_list() -> None:
    far = Node(
        builder="release",
        name="arm",
        driver=Driver.REMOTE,
        endpoint="tcp://far:1234",
        platforms=parse_platforms(["linux/arm64"]),
    )
    running = NodeRow(
        node=LOCAL,
        status="running",
        version="v0.20.0",
        reported=parse_platforms(["linux/amd64", "linux/amd64/v2", "linux/386", "linux/arm64"]),
        drift=("memory", "entry: flags"),
    )
    stopped = NodeRow(node=LOCAL, status="exited")
    gone = NodeRow(node=far, status="unusable", trouble="node release/arm: no answer\n  = is it up?")
    table, _, troubles = inventory_text([[running, stopped], [gone]]).partition("\n\n")
    assert troubles == "node release/arm: no answer\n  = is it up?\n"
    assert table == text("""
        node         driver            endpoint        status    buildkit  drift
        CI/local     docker-container  (in use)        running   v0.20.0   memory, entry: flags
          native    linux/amd64, linux/amd64/v2, linux/386
          emulated  linux/arm64
        CI/local     docker-container  (in use)        exited    -         -
        release/arm  remote            tcp://far:1234  unusable  -         -
          declared  linux/arm64
        """)
    assert inventory_text([]).startswith('no builder is declared; "default" is ')


def test_many_platforms_fit_a_terminal() -> None:
    names = "linux/amd64 linux/arm64 linux/riscv64 linux/ppc64le linux/s390x linux/mips64le linux/arm/v7 linux/arm/v6"
    shown = inventory_text([[NodeRow(node=LOCAL, status="running", reported=parse_platforms(names.split()))]])
    assert shown.partition("\n  native ")[2] == (
        "   linux/amd64\n"
        "  emulated  linux/arm64, linux/riscv64, linux/ppc64le, linux/s390x,\n"
        "            linux/mips64le, linux/arm/v7, linux/arm/v6\n"
    )
