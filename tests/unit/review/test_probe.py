"""The facts of a probe as JSON."""

from __future__ import annotations

from mpbake.base.platforms import parse_platforms
from mpbake.graph.node_facts import NodeFacts
from mpbake.model.node_state import Action, Change, Drift, NodeRow, ResourceKind
from mpbake.model.plan import Driver, Node
from mpbake.review.probe import NodeProbe, ServedTag, probe_document

A = Node(builder="x", name="a", driver=Driver.REMOTE)
B = Node(builder="x", name="b", driver=Driver.DOCKER_CONTAINER)
REPORTED = parse_platforms(["linux/amd64", "linux/386", "linux/arm64"])
PROBE = NodeProbe(
    rows=(
        NodeRow(node=A, status="running", version="v0.20", reported=REPORTED),
        NodeRow(node=B, status="missing"),
        NodeRow(node=B, status="unusable", trouble="no answer\n  = a hint", silent=True),
    ),
    changes=(
        (
            "x",
            Change(
                action=Action.REPLACE,
                kind=ResourceKind.CONTAINER,
                name="x-b",
                reason="differs",
                node=B,
                differences=(Drift(name="memory", before="4g", after="8g"),),
            ),
        ),
        ("x", Change(action=Action.CREATE, kind=ResourceKind.ENTRY, name="x", reason="missing")),
    ),
    unclear=(("x", "node b"),),
)


def test_the_facts_and_notes() -> None:
    assert PROBE.facts == {
        "x/a": NodeFacts(driver=Driver.REMOTE, platforms=REPORTED, version="v0.20"),
        "x/b": NodeFacts(driver=Driver.DOCKER_CONTAINER, unreachable=True),
    }
    assert PROBE.notes == (
        "x/b was not asked: it is missing, and a probe starts no node",
        "x/b cannot be asked: no answer",
    )


def test_the_document() -> None:
    tags = (
        ServedTag(tag="r/a:1", target="a", digest="sha256:1"),
        ServedTag(tag="r/a:2", target="a"),
        ServedTag(tag="r/a:3", target="a", trouble="denied"),
    )
    document = probe_document(PROBE, tags)
    assert document["nodes"][0] == {
        "id": "x/a",
        "driver": "remote",
        "status": "running",
        "version": "v0.20",
        "native": ["linux/amd64", "linux/386"],
        "emulated": ["linux/arm64"],
        "trouble": "",
    }
    assert document["changes"] == [
        {
            "builder": "x",
            "node": "x/b",
            "action": "replace",
            "resource": "container",
            "name": "x-b",
            "reason": "differs",
            "differences": ["memory: 4g -> 8g"],
        },
        {
            "builder": "x",
            "node": "",
            "action": "create",
            "resource": "builder",
            "name": "x",
            "reason": "missing",
            "differences": [],
        },
    ]
    assert document["unclear"] == [{"builder": "x", "part": "node b"}]
    assert [(tag["state"], tag["digest"], tag["trouble"]) for tag in document["tags"]] == [
        ("moves", "sha256:1", ""),
        ("new", "", ""),
        ("unknown", "", "denied"),
    ]
    assert document["warnings"] == list(PROBE.notes)
