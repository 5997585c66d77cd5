"""External builders, which mpbake does not manage."""

from __future__ import annotations

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.base.platforms import parse_platforms
from mpbake.model.node_state import StoredBuilder, StoredNode
from mpbake.model.plan import Builder, Driver, Emulation, Node
from mpbake.resolve import Inputs, resolve
from mpbake.spec.drivers import node_warnings
from tests.unit.graphs import graph_of_text
from tests.unit.plans import in_short, problems_of_text, read_text, text

PLAN = """
    [builders.Theirs]
    external = true
    emulation = "forbid"
    slots = 3
    [targets.web]
    builder = "Theirs"
    platforms = ["linux/amd64", "linux/arm64"]
    """


def builder_of(entry: StoredBuilder | None, plan: str = PLAN) -> Builder:
    plan_files, spec = read_text(plan)
    return resolve(plan_files, spec, Inputs(stored={"Theirs": entry}.get)).builders["Theirs"]


@pytest.mark.parametrize("driver", [Driver.DOCKER_CONTAINER, Driver.KUBERNETES, Driver.REMOTE])
def test_its_nodes_are_those_that_buildx_keeps(driver: Driver) -> None:
    entry = StoredBuilder(
        driver=str(driver),
        nodes=(
            StoredNode(name="theirs0", endpoint="ssh://a", platforms=("linux/amd64",)),
            StoredNode(name="theirs1", endpoint="ssh://b"),
        ),
    )
    one, two = (
        Node(
            builder="Theirs",
            name=name,
            driver=driver,
            endpoint=endpoint,
            platforms=parse_platforms(platforms),
            slots=3,
            external=True,
        )
        for name, endpoint, platforms in (("theirs0", "ssh://a", ["linux/amd64"]), ("theirs1", "ssh://b", []))
    )
    assert builder_of(entry) == Builder(
        name="Theirs", driver=driver, nodes=(one, two), emulation=Emulation.FORBID, external=True
    )
    assert one.buildx_name == "theirs0", "it has been named already"
    assert one.folder_name == "theirs0@Theirs", "others may have nodes of this name"


@pytest.mark.parametrize("entry", [StoredBuilder(driver="cloud", nodes=()), StoredBuilder(driver="remote", nodes=())])
def test_any_other_is_one_node_on_which_buildx_places(entry: StoredBuilder | None) -> None:
    node = Node(builder="Theirs", name="theirs", driver=Driver.EXTERNAL, slots=3, external=True)
    builder = builder_of(entry)
    assert (builder.driver, builder.nodes) == (Driver.EXTERNAL, (node,))
    (warning,) = node_warnings(builder.nodes)
    assert warning.message == "Theirs: buildx, not mpbake, assigns platforms to the nodes of this builder"
    assert (warning.code, warning.key) == (Code.PLACED_BY_BUILDX, ("builders", "Theirs", "external"))
    pieces = [str(step.key) for step in graph_of_text(PLAN, "web").steps if "build" in step.key]
    assert pieces == ["build web linux/amd64,linux/arm64 on Theirs/theirs"]


def test_one_that_is_not_there_may_be_a_docker_context() -> None:
    builder = builder_of(None)
    engine = Node(
        builder="Theirs", name="theirs", driver=Driver.DOCKER, endpoint="Theirs", slots=3, external=True, missing=True
    )
    assert (builder.driver, builder.nodes) == (Driver.DOCKER, (engine,))
    (warning,) = node_warnings(builder.nodes)
    assert (warning.message, warning.hint) == (
        "Theirs: unknown builder; if it is a docker context, its engine builds all platforms",
        "run `docker buildx ls` to see its name",
    )
    assert (warning.code, warning.key) == (Code.PLACED_BY_BUILDX, ("builders", "Theirs", "external"))


def test_the_engines_own_is_in_no_store_and_not_missing() -> None:
    plan_files, spec = read_text(PLAN.replace("Theirs", "default"))
    (node,) = resolve(plan_files, spec, Inputs()).builders["default"].nodes
    assert (node.driver, node.endpoint, node.missing) == (Driver.DOCKER, "", False)
    assert not list(node_warnings([node]))


def test_nothing_is_read_where_no_builder_can_be() -> None:
    asked: list[str] = []
    plan_files, spec = read_text("""
        [builders."../../x y"]
        external = true
        [builders."a.b+c_d-1"]
        external = true
        """)
    with pytest.raises(PlanError) as caught:
        resolve(plan_files, spec, Inputs(stored=asked.append))
    assert asked == ["a.b+c_d-1"]
    assert in_short(caught.value) == text("""
        build.toml:2: builders."../../x y": "../../x y" is not a valid builder name
            [builders."../../x y"]
          = run `docker buildx ls` to see its name
        """)


def test_a_plan_says_nothing_else_of_it() -> None:
    assert problems_of_text("""
        [builders.x]
        external = true
        driver = "remote"
        memory = "8g"
        nodes.one = {}
        """) == text("""
        build.toml:4: builders.x.driver: `driver` cannot be set for an external builder
            driver = "remote"
          = remove `driver` or `external`
        build.toml:5: builders.x.memory: `memory` cannot be set for an external builder
            memory = "8g"
          = remove `memory` or `external`
        build.toml:6: builders.x.nodes: `nodes` cannot be set for an external builder
            nodes.one = {}
          = remove `nodes` or `external`
        """)
