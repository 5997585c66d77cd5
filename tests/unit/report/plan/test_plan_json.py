"""Plans as JSON, for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from mpbake.base.text import count
from mpbake.cli.commands import plan as plan_command
from mpbake.graph.node_facts import NodeFacts
from mpbake.model.plan import Builder, Driver, Node, Target
from mpbake.report.plan.plan_json import plan_json
from mpbake.review.document.plan_document import plan_document
from tests.checkout import DOCS, PLANS
from tests.unit.graphs import TWO_NODES, graph_of, graph_of_text, graphs, review_of
from tests.unit.plans import text
from tests.unit.worlds import call, world, written

_DOCS = DOCS / "plan-json.md"

PLAN = f"""
[targets.web]
builder = "release"
description = "the front end"
context = "web"
platforms = ["linux/amd64", "linux/arm64"]
contexts = {{ base = "target:base", tools = "docker-image://alpine" }}
args = {{ VERSION = "1" }}
labels = {{ team = "x" }}
secret = ["id=token,env=TOKEN"]
tags = ["r/web:1"]
push = true
output = ["type=registry,compression=zstd", "type=local,dest=out"]
[targets.base]
builder = "release"
platforms = ["linux/amd64", "linux/arm64"]
[targets.tool]
needs = ["web"]
platforms = ["linux/amd64"]
tags = ["r/tool"]
push = true
load = true
{TWO_NODES}
"""


_NODE = {
    "driver": "remote",
    "slots": 0,
    "required": False,
    "insecure": False,
    "tls": {"ca": "ca.crt"},
    "options": {},
    "flags": [],
    "config": "",
    "config_file": "",
    "boot_timeout": 300.0,
    "certificate_days": 30,
    "deploy": {},
}


def parsed(toml: str, *names: str, warnings: tuple[str, ...] = (), **facts: str) -> dict[str, Any]:
    """Return the parsed JSON of a plan of some targets. Keywords are the platforms of the builders' local nodes."""
    reported = {f"{builder}/local": platforms for builder, platforms in facts.items()}
    review = review_of(graph_of_text(toml, *names, facts=reported), warnings, reported)
    parsed_plan: dict[str, Any] = json.loads(plan_json(review))
    return parsed_plan


def test_builders_are_those_used_with_the_nodes_used() -> None:
    assert parsed(PLAN + "[builders.unused]", "web")["builders"] == [
        {
            "name": "release",
            "driver": "remote",
            "external": False,
            "emulation": "warn",
            "emulators": "",
            "nodes": [
                {
                    **_NODE,
                    "id": "release/intel",
                    "endpoint": "tcp://intel:1234",
                    "platforms": ["linux/amd64", "linux/386"],
                },
                {**_NODE, "id": "release/arm", "endpoint": "tcp://arm:1234", "platforms": ["linux/arm64"]},
            ],
        }
    ]


def test_targets() -> None:
    web, tool, base = parsed(PLAN, "tool")["targets"]
    assert web == {
        "name": "web",
        "description": "the front end",
        "builder": "release",
        "platforms": ["linux/amd64", "linux/arm64"],
        "tags": ["r/web:1"],
        "args": {"VERSION": "1"},
        "labels": {"team": "x"},
        "contexts": {"tools": "docker-image://alpine", "base": "target:base"},
        "attributes": {"context": "web", "secret": ["id=token,env=TOKEN"]},
        "variants": {},
        "push": True,
        "push_options": {"compression": "zstd"},
        "load": False,
        "outputs": ["type=local,dest=out"],
        "needs": [],
        "checks": [],
        "timeout": 0.0,
        "stall_timeout": 300.0,
        "retries": 0,
        "dockerfile": {"path": "web/Dockerfile", "sha256": ""},
        "only_linked": False,
    }
    assert (tool["name"], tool["needs"], tool["load"], tool["builder"]) == ("tool", ["web"], True, "default")
    assert (base["name"], base["only_linked"], base["attributes"]) == ("base", True, {"context": "."})


def test_platforms_that_differ() -> None:
    web, *linked = parsed(
        """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        context = "web"
        args = { ARCH = "{{ platform.arch }}", V = "1" }
        labels = { team = "x" }
        [targets.web.platform."linux/arm64"]
        contexts = { base = "target:arm" }
        dockerfile = "arm.Dockerfile"
        [targets.arm]
        """,
        "web",
    )["targets"]
    assert web["variants"] == {
        "linux/amd64": {
            "args": {"ARCH": "amd64", "V": "1"},
            "labels": {"team": "x"},
            "contexts": {},
            "attributes": {"context": "web"},
            "dockerfile": {"path": "web/Dockerfile", "sha256": ""},
        },
        "linux/arm64": {
            "args": {"ARCH": "arm64", "V": "1"},
            "labels": {"team": "x"},
            "contexts": {"base": "target:arm"},
            "attributes": {"context": "web", "dockerfile": "arm.Dockerfile"},
            "dockerfile": {"path": "web/arm.Dockerfile", "sha256": ""},
        },
    }
    assert {name: web[name] for name in web["variants"]["linux/amd64"]} == web["variants"]["linux/amd64"]
    assert [(target["name"], target["only_linked"]) for target in linked] == [("arm", True)]


def test_checks() -> None:
    (web,) = parsed(
        """
        [targets.web]
        checks = [{ run = ["php", "-v"] }, { target = "test", platforms = ["linux/amd64"] }]
        """,
        "web",
    )["targets"]
    assert web["checks"] == [
        {"run": ["php", "-v"], "target": "", "platforms": []},
        {"run": [], "target": "test", "platforms": ["linux/amd64"]},
    ]


PLAIN = """
[targets.web]
platforms = ["linux/amd64"]
tags = ["r/web:1"]
push = true
attest = ["type=provenance,disabled=true"]
"""


def test_steps() -> None:
    steps = {step["key"]: step for step in parsed(PLAN, "tool")["steps"]}
    assert list(steps) == [
        "bootstrap release/intel",
        "bootstrap release/arm",
        "bootstrap default/local",
        "build web linux/amd64 on release/intel",
        "build web linux/arm64 on release/arm",
        "publish web",
        "verify web",
        "build tool linux/amd64 on default/local",
        "publish tool",
        "verify tool",
    ]
    assert steps["bootstrap release/arm"] == {
        "key": "bootstrap release/arm",
        "kind": "bootstrap",
        "node": "release/arm",
        "after": [],
    }
    assert steps["build web linux/arm64 on release/arm"] == {
        "key": "build web linux/arm64 on release/arm",
        "kind": "build",
        "target": "web",
        "nodes": ["release/arm"],
        "platforms": [{"platform": "linux/arm64", "how": "native", "why": "release/arm declares it"}],
        "delivery": "untagged",
        "load": "",
        "shared": False,
        "spare": [],
        "after": ["bootstrap release/arm"],
    }
    assert steps["publish web"] == {
        "key": "publish web",
        "kind": "publish",
        "target": "web",
        "tags": ["r/web:1"],
        "uploads": [],
        "names": [],
        "together": False,
        "after": ["build web linux/amd64 on release/intel", "build web linux/arm64 on release/arm"],
    }
    assert steps["verify web"] == {
        "key": "verify web",
        "kind": "verify",
        "target": "web",
        "platforms": ["linux/amd64", "linux/arm64"],
        "tags": ["r/web:1"],
        "after": ["publish web"],
    }
    assert steps["publish tool"]["uploads"] == ["r/tool:mpbake-upload-*"]
    assert steps["publish tool"]["names"] == ["r/tool:latest"]
    assert steps["build tool linux/amd64 on default/local"]["load"] == "all"
    tool = steps["build tool linux/amd64 on default/local"]
    assert tool["delivery"] == "untagged"
    why = "default/local declares nothing; not probed yet"
    assert tool["platforms"] == [{"platform": "linux/amd64", "how": "unknown", "why": why}]
    assert tool["after"] == ["bootstrap default/local", "verify web"]
    (alone,) = (step for step in parsed(PLAIN, "web")["steps"] if step["kind"] == "build")
    assert alone["delivery"] == "untagged"


def test_checks_and_archives() -> None:
    plan = """
[targets.web]
builder = "release"
platforms = ["linux/amd64", "linux/arm64"]
output = ["type=oci,dest=web.tar"]
checks = [{ run = ["php", "-v"], platforms = ["linux/arm64"] }, { target = "test" }]
"""
    steps = parsed(plan + TWO_NODES, "web")["steps"]
    join, amd64, run, arm64 = (step for step in steps if step["kind"] in {"join", "check"})
    assert join == {
        "key": "join web",
        "kind": "join",
        "target": "web",
        "outputs": ["type=oci,dest=web.tar"],
        "after": ["build web linux/amd64 on release/intel", "build web linux/arm64 on release/arm"],
    }
    assert run == {
        "key": "check web linux/arm64 (1)",
        "kind": "check",
        "target": "web",
        "platforms": ["linux/arm64"],
        "run": ["php", "-v"],
        "stage": "",
        "after": ["build web linux/arm64 on release/arm"],
    }
    assert [(step["platforms"], step["run"], step["stage"]) for step in (amd64, arm64)] == [
        (["linux/amd64"], [], "test"),
        (["linux/arm64"], [], "test"),
    ]


def test_emulation_is_told() -> None:
    plan = parsed('[targets.a]\nplatforms = ["linux/arm64"]', "a", default="linux/amd64 linux/arm64")
    why = "default/local runs linux/amd64 natively, and emulates it"
    assert plan["steps"][1]["platforms"] == [{"platform": "linux/arm64", "how": "emulated", "why": why}]


def test_what_serves_only_links_is_shared() -> None:
    plan = '[targets.b]\ncontexts = { base = "target:base" }\n[targets.c]\ncontexts = { base = "target:base" }'
    steps = parsed(plan + "\n[targets.base]", "b", "c")["steps"]
    assert [(step["target"], step["shared"], step["delivery"]) for step in steps[1:]] == [
        ("base", True, "keep"),
        ("b", False, "keep"),
        ("c", False, "keep"),
    ]


def test_nothing_to_do() -> None:
    assert (
        plan_json(review_of(graph_of_text("")))
        == text("""
        {
        "format": 2,
        "id": "2263aa3d4f06322bbace7d93bcd3d985c5686adf63078b0de9cb898614d51b84",
        "grants": [],
        "registries": [],
        "builders": [],
        "targets": [],
        "steps": [],
        "warnings": []
        }
        """)
        + "\n"
    )


def test_each_thing_has_a_line_and_nothing_controls_the_screen() -> None:
    node = Node(builder="x", name="n", driver=Driver.REMOTE, endpoint="tcp://x\x1b[2J\n:1")
    builder = Builder(name="x", driver=Driver.REMOTE, nodes=(node,))
    target = Target(name="web", builder=builder, outputs=('type=local,"dest=\x07\r\u202e\x9b"',))
    shown = plan_json(review_of(graph_of([target]), ("slow", "old\nand \x1b[31mred")))
    assert shown.replace("\n", "").isprintable()
    assert shown.isascii()
    assert len(shown.splitlines()) == 2 + 2 + 1 + 1 + 3 + 3 + 4 + 4
    read = json.loads(shown)
    assert read["warnings"] == ["slow", "old\nand \x1b[31mred"]
    assert read["builders"][0]["nodes"][0]["endpoint"] == node.endpoint
    assert read["targets"][0]["outputs"] == list(target.outputs)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in PLANS.glob("*/build.toml")))
def test_example_plans_say_the_same_in_both_forms(name: str) -> None:
    as_text, as_json = (world(PLANS / name) for _ in range(2))
    assert call(plan_command.main, as_text, names=("release",)) == 0
    assert call(plan_command.main, as_json, names=("release",), format="json") == 0
    plan = json.loads(written(as_json.stdout))
    listed = [target for target in plan["targets"] if not target["only_linked"]]
    nodes = sum(len(builder["nodes"]) for builder in plan["builders"])
    assert written(as_text.stdout).startswith(
        f"plan: {count(len(listed), 'target')}, {count(nodes, 'node')}, {count(len(plan['steps']), 'step')}\n"
    )


@given(graphs())
def test_a_step_comes_after_those_that_it_names(graph: Any) -> None:
    seen: set[str] = set()
    for step in json.loads(plan_json(review_of(graph)))["steps"]:
        assert set(step["after"]) <= seen
        seen.add(step["key"])
    assert len(seen) == len(graph.steps)


def test_every_field_is_documented() -> None:
    documented = _DOCS.read_text(encoding="utf-8")
    plan = parsed(PLAN, "tool")
    names = {name for part in ("builders", "targets", "steps") for entry in plan[part] for name in entry}
    assert [name for name in sorted({*plan, *names}) if f"`{name}" not in documented] == []


@pytest.mark.parametrize(
    ("driver", "uploads", "names"),
    [
        (Driver.DOCKER, ["r/tool:mpbake-upload-*"], ["r/tool:latest"]),
        (Driver.DOCKER_CONTAINER, [], []),
    ],
)
def test_the_driver_of_the_default_builder_is_known_after_a_probe(
    driver: Driver, uploads: list[str], names: list[str]
) -> None:
    graph = graph_of_text(PLAN, "tool")
    document = plan_document(graph, (), (), lambda _: "", str, {"default/local": NodeFacts(driver=driver)})
    drivers = {node["id"]: node["driver"] for builder in document["builders"] for node in builder["nodes"]}
    steps = {step["key"]: step for step in document["steps"]}
    assert drivers["default/local"] == driver
    assert drivers["release/arm"] == "remote"
    assert steps["publish tool"]["uploads"] == uploads
    assert steps["publish tool"]["names"] == names
    # an engine that pushes an image has the image in its own store anyway
    assert steps["build tool linux/amd64 on default/local"]["load"] == ("" if names else "all")
