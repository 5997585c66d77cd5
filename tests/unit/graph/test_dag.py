"""The steps of a build graph and their dependencies."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.platforms import Platform, parse_platform
from mpbake.graph.dag import BuildGraph, Selection, build_graph, select_with_dependencies, with_dependencies
from mpbake.graph.links import linked_targets
from mpbake.graph.placement import place
from mpbake.model.plan import Builder, Driver, Node, Target
from mpbake.model.steps import BootstrapNode, BuildPiece, Delivery, Execution, Publish, Verify
from tests.unit.graphs import TWO_NODES, graph_of, graph_of_text, piece_of, sketch, sorted_steps, steps_of
from tests.unit.plans import resolve_text, text

AMD64 = parse_platform("linux/amd64")
ARM64 = parse_platform("linux/arm64")

TWO_TARGETS = """
    [targets._image]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    push = true
    [targets.web]
    inherits = ["_image"]
    tags = ["r/web:1"]
    needs = ["php"]
    [targets.php]
    inherits = ["_image"]
    platforms = ["linux/arm64"]
    tags = ["r/php:1"]
    """ + TWO_NODES.replace("\n", "\n    ")


def names(targets: tuple[Target, ...]) -> list[str]:
    return [target.name for target in targets]


# --- the targets of a run ---------------------------------------------------------------------------------------------


def test_needs_come_with_a_target_and_before_it() -> None:
    plan = resolve_text("""
        [targets.a]
        needs = ["c", "b"]
        [targets.b]
        needs = ["d"]
        [targets.c]
        needs = ["d"]
        [targets.d]
        [targets.unrelated]
        """)
    a, b, c, d, _ = plan.targets.values()
    assert with_dependencies([a]) == (d, c, b, a)
    assert with_dependencies([b]) == (d, b)
    assert with_dependencies([c, a]) == (d, c, b, a)
    assert with_dependencies([]) == ()


def test_links_do_not_come_by_themselves_but_what_they_need_does() -> None:
    plan = resolve_text("""
        [targets.web]
        contexts = { base = "target:base" }
        [targets.base]
        contexts = { deep = "target:deep" }
        [targets.deep]
        needs = ["toolchain"]
        [targets.toolchain]
        """)
    assert names(with_dependencies([plan.targets["web"]])) == ["toolchain", "web"]


def test_a_long_chain_of_needs_is_no_deep_recursion() -> None:
    chain = "\n".join(f'[targets.t{n}]\nneeds = ["t{n + 1}"]' for n in range(2000))
    plan = resolve_text(f"{chain}\n[targets.t2000]")
    assert names(with_dependencies([plan.targets["t0"]])) == [f"t{n}" for n in range(2000, -1, -1)]


def test_linked_targets_nearest_first_each_once() -> None:
    plan = resolve_text("""
        [targets.web]
        contexts = { one = "target:one", two = "target:two", same = "target:one", other = "files" }
        [targets.one]
        contexts = { deep = "target:deep" }
        [targets.two]
        contexts = { deep = "target:deep" }
        [targets.deep]
        """)
    assert names(linked_targets(plan.targets["web"])) == ["one", "two", "deep"]
    assert linked_targets(plan.targets["deep"]) == ()


# --- for some platforms only ------------------------------------------------------------------------------------------

NARROW = """
    [targets._image]
    platforms = ["linux/amd64", "linux/arm64"]
    [targets.tool]
    inherits = ["_image"]
    [targets.base]
    inherits = ["_image"]
    needs = ["tool"]
    [targets.web]
    inherits = ["_image"]
    contexts = { base = "target:base" }
    tags = ["r/web:1", "r/web:2"]
    push = true
    [targets.test]
    inherits = ["_image"]
    needs = ["web"]
    [targets.native]
    """


def chosen_from(names: tuple[str, ...], platforms: tuple[Platform, ...] = (ARM64,)) -> Selection:
    plan = resolve_text(NARROW)
    return select_with_dependencies([plan.targets[name] for name in names], platforms)


def narrow(*names: str, platforms: tuple[Platform, ...] = (ARM64,)) -> dict[str, str]:
    """Return the platforms of each target of a selection."""
    chosen = chosen_from(names, platforms)
    pieces = {target: place(target, {}, chosen.only.get(target, ())).pieces for target in chosen.targets}
    return {
        target.name: " ".join(placed.platform.architecture for piece in placed_pieces for placed in piece.platforms)
        for target, placed_pieces in pieces.items()
    }


def test_without_platforms_nothing_is_narrowed() -> None:
    assert chosen_from(("web", "test"), ()).only == {}
    assert chosen_from(("web", "test"), ()).warnings == ()


def test_only_what_was_chosen_is_narrowed() -> None:
    assert narrow("test") == {"tool": "amd64 arm64", "web": "amd64 arm64", "test": "arm64"}
    assert narrow("tool", "test") == {"tool": "arm64", "web": "amd64 arm64", "test": "arm64"}
    assert narrow("web", "test") == {"tool": "amd64 arm64", "web": "arm64", "test": "arm64"}
    assert narrow("test", "web") == {"tool": "amd64 arm64", "web": "arm64", "test": "arm64"}
    assert narrow("native") == {"native": "arm64"}
    assert narrow("native", platforms=(ARM64, AMD64)) == {"native": "arm64 amd64"}


def graph_of_chosen(*names: str) -> BuildGraph:
    chosen = chosen_from(names)
    return build_graph(
        chosen.targets, {target: place(target, {}, chosen.only.get(target, ())).pieces for target in chosen.targets}
    )


def test_who_needs_a_narrowed_target_waits_for_it() -> None:
    graph = graph_of_chosen("web", "test")
    (verify,) = [step for step in graph.steps if isinstance(step, Verify)]
    assert verify.target.name == "web"
    assert verify.platforms == (ARM64,)
    assert verify in graph.before[piece_of(graph, "test")]
    assert verify.target.platforms == (AMD64, ARM64), "the plan itself stays as it is"


def test_a_chosen_target_that_is_linked_to_as_well_is_built_once() -> None:
    graph = graph_of_chosen("web", "base")
    assert "build base linux/arm64 on default/local" in {step.key for step in graph.before[piece_of(graph, "web")]}
    assert [step.key for step in graph.steps].count("build base linux/arm64 on default/local") == 1


def test_platforms_that_a_push_leaves_out_are_warned_of() -> None:
    warning = "web: --platform omits {}: r/web:1, r/web:2 will lack them; add --no-push to only build"
    assert chosen_from(("web", "tool")).warnings == (warning.format("linux/amd64"),)
    both = warning.format("linux/amd64, linux/arm64")
    assert chosen_from(("web",), (parse_platform("linux/s390x"),)).warnings == (both,)
    assert chosen_from(("web",), (ARM64, AMD64)).warnings == ()
    assert chosen_from(("test", "tool")).warnings == (), "what is needed is pushed whole"


# --- graphs -----------------------------------------------------------------------------------------------------------


def test_a_release_on_two_nodes() -> None:
    assert sketch(graph_of_text(TWO_TARGETS)) == text("""
        bootstrap release/arm
        bootstrap release/intel
        build php linux/arm64 on release/arm
          after bootstrap release/arm
        publish php
          after build php linux/arm64 on release/arm
        verify php
          after publish php
        build web linux/amd64 on release/intel
          after bootstrap release/intel
          after verify php
        build web linux/arm64 on release/arm
          after bootstrap release/arm
          after verify php
        publish web
          after build web linux/amd64 on release/intel
          after build web linux/arm64 on release/arm
        verify web
          after publish web
        """)


def test_only_the_nodes_that_are_used_are_bootstrapped() -> None:
    graph = graph_of_text(TWO_TARGETS, "php")
    assert sketch(graph) == text("""
        bootstrap release/arm
        build php linux/arm64 on release/arm
          after bootstrap release/arm
        publish php
          after build php linux/arm64 on release/arm
        verify php
          after publish php
        """)
    assert names(graph.targets) == ["php"]


def test_of_a_set_of_equal_nodes_each_may_be_bootstrapped() -> None:
    graph = graph_of_text("""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64"]
        [builders.x]
        nodes.a = { endpoint = "tcp://a", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
        nodes.b = { endpoint = "tcp://b", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
        """)
    piece = piece_of(graph, "web")
    assert {node.name for node in piece.nodes} == {"a", "b"}
    assert graph.before[piece] == (BootstrapNode(node=piece.node),)
    assert graph.steps == (*(BootstrapNode(node=node) for node in piece.nodes), piece)


def test_on_equal_nodes_a_link_is_built_where_it_is_needed() -> None:
    plan = """
        [targets._t]
        builder = "x"
        platforms = ["linux/bmd64"]
        [targets.base]
        inherits = ["_t"]
        [targets.web]
        inherits = ["_t"]
        contexts = { base = "target:base" }
        [targets.worker]
        inherits = ["_t"]
        contexts = { base = "target:base" }
        [builders.x]
        nodes.a = { endpoint = "unix:///a", platforms = ["linux/bmd64"] }
        nodes.b = { endpoint = "unix:///b", platforms = ["linux/bmd64"] }
        """
    assert sketch(graph_of_text(plan)) == text("""
        bootstrap x/a
        bootstrap x/b
        build base linux/bmd64 on x/a
          after bootstrap x/a
        build base linux/bmd64 on x/a (shared)
          after bootstrap x/a
          after build base linux/bmd64 on x/a
        build web linux/bmd64 on x/a
          after bootstrap x/a
          after build base linux/bmd64 on x/a
          after build base linux/bmd64 on x/a (shared)
        build worker linux/bmd64 on x/a
          after bootstrap x/a
          after build base linux/bmd64 on x/a
          after build base linux/bmd64 on x/a (shared)
        """)
    (shared,) = shared_of(graph_of_text(plan, "web", "worker"))
    assert len(shared.nodes) == 2
    assert shared_of(graph_of_text(plan, "base", "web")) == [], "who needs it elsewhere builds it within"


def test_a_shared_base_of_a_single_platform_has_it_once() -> None:
    plan = """
        [targets._t]
        builder = "x"
        contexts = { base = "target:base" }
        [targets.base]
        platforms = ["linux/arm64"]
        [targets.a]
        inherits = ["_t"]
        platforms = ["linux/arm64"]
        [targets.b]
        inherits = ["_t"]
        platforms = ["linux/amd64"]
        [builders.x]
        driver = "remote"
        nodes.one = { endpoint = "unix:///x", platforms = ["linux/amd64", "linux/arm64"] }
        """
    for names in (("a", "b"), ("b", "a")):
        (shared,) = shared_of(graph_of_text(plan, *names))
        assert [(str(placed.platform), placed.execution) for placed in shared.platforms] == [
            ("linux/arm64", Execution.NATIVE)
        ]


def shared_of(graph: BuildGraph) -> list[BuildPiece]:
    return [step for step in graph.steps if isinstance(step, BuildPiece) and step.shared]


def test_what_is_not_pushed_is_neither_published_nor_verified() -> None:
    graph = graph_of_text(TWO_TARGETS.replace("push = true", "push = false"))
    assert sketch(graph) == text("""
        bootstrap release/arm
        bootstrap release/intel
        build php linux/arm64 on release/arm
          after bootstrap release/arm
        build web linux/amd64 on release/intel
          after bootstrap release/intel
          after build php linux/arm64 on release/arm
        build web linux/arm64 on release/arm
          after bootstrap release/arm
          after build php linux/arm64 on release/arm
        """)


def test_one_piece_for_several_repositories_is_published_too() -> None:
    graph = graph_of_text("""
        [targets.web]
        platforms = ["linux/amd64"]
        tags = ["r/web:1", "s/web:1"]
        push = true
        """)
    assert sketch(graph) == text("""
        bootstrap default/local
        build web linux/amd64 on default/local
          after bootstrap default/local
        publish web
          after build web linux/amd64 on default/local
        verify web
          after publish web
        """)


def test_the_steps_of_a_target() -> None:
    graph = graph_of_text(TWO_TARGETS)
    php, web = graph.targets
    assert [step.key.partition(" ")[0] for step in steps_of(graph, web)] == ["build", "build", "publish", "verify"]
    assert [type(step) for step in steps_of(graph, php)] == [BuildPiece, Publish, Verify]
    assert {type(step) for step in graph.steps} == {BootstrapNode, BuildPiece, Publish, Verify}


# --- shared links -----------------------------------------------------------------------------------------------------

LINKED = """
    [targets._image]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    [targets.base]
    inherits = ["_image"]
    [targets.web]
    inherits = ["_image"]
    contexts = { base = "target:base" }
    [targets.worker]
    inherits = ["_image"]
    platforms = ["linux/386"]
    contexts = { base = "target:base" }
    """ + TWO_NODES.replace("\n", "\n    ")


def test_a_link_of_one_piece_is_built_within_it() -> None:
    assert sketch(graph_of_text(LINKED, "web")) == text("""
        bootstrap release/intel
        bootstrap release/arm
        build web linux/amd64 on release/intel
          after bootstrap release/intel
        build web linux/arm64 on release/arm
          after bootstrap release/arm
        """)


def test_a_link_of_several_pieces_on_a_node_is_built_there_first() -> None:
    plan = LINKED.replace('platforms = ["linux/386"]', 'platforms = ["linux/amd64"]')
    assert sketch(graph_of_text(plan, "web", "worker")) == text("""
        bootstrap release/intel
        bootstrap release/arm
        build base linux/amd64 on release/intel (shared)
          after bootstrap release/intel
        build web linux/amd64 on release/intel
          after bootstrap release/intel
          after build base linux/amd64 on release/intel (shared)
        build web linux/arm64 on release/arm
          after bootstrap release/arm
        build worker linux/amd64 on release/intel
          after bootstrap release/intel
          after build base linux/amd64 on release/intel (shared)
        """)


def test_a_shared_link_is_built_for_all_its_users() -> None:
    plan = LINKED.replace("[targets.base]", '[targets.base]\nplatforms = ["linux/386", "linux/amd64", "linux/arm64"]')
    graph = graph_of_text(plan, "worker", "web")
    assert [step.key for step in graph.steps if isinstance(step, BuildPiece) and step.shared] == [
        "build base linux/386,linux/amd64 on release/intel (shared)"
    ]


def test_a_shared_link_that_differs_is_built_for_each_platform_by_itself() -> None:
    plan = """
        [targets._image]
        builder = "x"
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.base]
        inherits = ["_image"]
        args = { ARCH = "{{ platform.arch }}" }
        [targets.web]
        inherits = ["_image"]
        contexts = { base = "target:base" }
        [targets.worker]
        inherits = ["_image"]
        contexts = { base = "target:base" }
        [builders.x.nodes.one]
        platforms = ["linux/amd64", "linux/arm64"]
        """
    assert sketch(graph_of_text(plan, "web", "worker")) == text("""
        bootstrap x/one
        build base linux/amd64 on x/one (shared)
          after bootstrap x/one
        build base linux/arm64 on x/one (shared)
          after bootstrap x/one
        build web linux/amd64 on x/one
          after bootstrap x/one
          after build base linux/amd64 on x/one (shared)
        build web linux/arm64 on x/one
          after bootstrap x/one
          after build base linux/arm64 on x/one (shared)
        build worker linux/amd64 on x/one
          after bootstrap x/one
          after build base linux/amd64 on x/one (shared)
        build worker linux/arm64 on x/one
          after bootstrap x/one
          after build base linux/arm64 on x/one (shared)
        """)


def test_a_base_that_is_built_itself_serves_the_others_on_its_node() -> None:
    plan = LINKED.replace('platforms = ["linux/386"]', 'platforms = ["linux/amd64"]')
    assert sketch(graph_of_text(plan, "worker", "base")) == text("""
        bootstrap release/intel
        bootstrap release/arm
        build base linux/amd64 on release/intel
          after bootstrap release/intel
        build worker linux/amd64 on release/intel
          after bootstrap release/intel
          after build base linux/amd64 on release/intel
        build base linux/arm64 on release/arm
          after bootstrap release/arm
        """)


def test_a_base_that_is_built_itself_is_not_built_again_where_it_is() -> None:
    plan = LINKED.replace('platforms = ["linux/386"]', 'platforms = ["linux/amd64"]')
    assert shared_of(graph_of_text(plan, "web", "worker", "base")) == []


def test_a_shared_link_may_be_built_wherever_its_users_may() -> None:
    plan = LINKED.replace('platforms = ["linux/386"]', 'platforms = ["linux/arm64"]').replace(
        "[builders.release]", '[builders.release]\n    emulation = "allow"'
    )
    (shared,) = shared_of(graph_of_text(plan, "web", "worker"))
    assert ([node.name for node in shared.nodes], [node.name for node in shared.spare]) == (["arm"], ["intel"])


def test_links_of_links_are_shared_too_and_in_order() -> None:
    plan = """
        [targets.deep]
        [targets.base]
        contexts = { deep = "target:deep" }
        [targets.web]
        platforms = ["linux/amd64"]
        contexts = { base = "target:base" }
        [targets.worker]
        platforms = ["linux/amd64"]
        contexts = { base = "target:base" }
        [targets.other]
        platforms = ["linux/arm64"]
        contexts = { deep = "target:deep" }
        """
    assert sketch(graph_of_text(plan, "web", "worker", "other")) == text("""
        bootstrap default/local
        build deep linux/amd64,linux/arm64 on default/local (shared)
          after bootstrap default/local
        build base linux/amd64 on default/local (shared)
          after bootstrap default/local
          after build deep linux/amd64,linux/arm64 on default/local (shared)
        build web linux/amd64 on default/local
          after bootstrap default/local
          after build deep linux/amd64,linux/arm64 on default/local (shared)
          after build base linux/amd64 on default/local (shared)
        build worker linux/amd64 on default/local
          after bootstrap default/local
          after build deep linux/amd64,linux/arm64 on default/local (shared)
          after build base linux/amd64 on default/local (shared)
        build other linux/arm64 on default/local
          after bootstrap default/local
          after build deep linux/amd64,linux/arm64 on default/local (shared)
        """)


NESTED = """
    [targets.deep]
    platforms = ["linux/amd64"]
    tags = ["r/deep:1"]
    push = true
    [targets.base]
    contexts = { deep = "target:deep" }
    [targets.web]
    platforms = ["linux/amd64"]
    contexts = { base = "target:base" }
    [targets.worker]
    platforms = ["linux/amd64"]
    contexts = { base = "target:base" }
    """


def test_a_shared_link_waits_for_the_own_piece_of_what_it_links_to() -> None:
    graph = graph_of_text(NESTED, "web", "worker", "deep")
    shared = next(step for step in graph.steps if isinstance(step, BuildPiece) and step.shared)
    assert [step.key for step in sorted_steps(graph, graph.before[shared])] == [
        "bootstrap default/local",
        "build deep linux/amd64 on default/local",
    ]


def test_a_shared_link_waits_for_what_it_needs() -> None:
    plan = NESTED.replace("[targets.base]", '[targets.base]\nneeds = ["tool"]') + "[targets.tool]"
    graph = graph_of_text(plan, "web", "worker")
    pieces = [step for step in graph.steps if isinstance(step, BuildPiece)]
    assert [step.key for step in pieces] == [
        "build deep linux/amd64 on default/local (shared)",
        "build tool native on default/local",
        "build base linux/amd64 on default/local (shared)",
        "build web linux/amd64 on default/local",
        "build worker linux/amd64 on default/local",
    ]
    assert all(pieces[1] in graph.before[piece] for piece in pieces[2:])


def test_a_shared_link_of_targets_whose_platform_is_not_known() -> None:
    graph = graph_of_text(
        """
        [targets.base]
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.web]
        contexts = { base = "target:base" }
        [targets.worker]
        contexts = { base = "target:base" }
        """,
        "web",
        "worker",
    )
    assert [step.key for step in graph.steps][1:] == [
        "build base linux/amd64,linux/arm64 on default/local (shared)",
        "build web native on default/local",
        "build worker native on default/local",
    ]


# --- order ------------------------------------------------------------------------------------------------------------


def test_the_same_plan_gives_the_same_graph() -> None:
    assert sketch(graph_of_text(TWO_TARGETS)) == sketch(graph_of_text(TWO_TARGETS))
    assert sketch(graph_of_text(NESTED)) == sketch(graph_of_text(NESTED))


def test_targets_stand_in_the_order_in_which_they_were_asked_for() -> None:
    plan = "[targets.a]\n[targets.b]\n[targets.c]"
    keys = [step.key for step in graph_of_text(plan, "c", "a", "b").steps]
    assert keys == ["bootstrap default/local", *(f"build {name} native on default/local" for name in "cab")]


def test_nothing_to_do() -> None:
    assert build_graph((), {}) == BuildGraph(targets=(), steps=(), before={}, after={}, pools={})


def test_a_cycle_is_an_error_should_one_ever_get_here() -> None:
    needs: list[Target] = []
    builder = Builder(
        name="x", driver=Driver.DOCKER, nodes=(Node(builder="x", name="n", driver=Driver.DOCKER, platforms=(AMD64,)),)
    )
    a = Target(name="a", builder=builder, needs=needs)  # type: ignore[arg-type]
    b = Target(name="b", builder=builder, needs=(a,))
    needs.append(b)
    with pytest.raises(nx.NetworkXUnfeasible):
        build_graph((a, b), {target: place(target, {}).pieces for target in (a, b)})


# --- any plan ---------------------------------------------------------------------------------------------------------

BUILDER = Builder(
    name="x",
    driver=Driver.REMOTE,
    nodes=tuple(
        Node(builder="x", name=name, driver=Driver.REMOTE, platforms=platforms)
        for name, platforms in (("a", (AMD64,)), ("b", (AMD64,)), ("c", (ARM64,)))
    ),
)


@st.composite
def plans(draw: st.DrawFn) -> list[Target]:
    """Generate targets. Each needs and links to some of the targets before it."""
    targets: list[Target] = []
    for index in range(draw(st.integers(min_value=1, max_value=12))):
        some = st.lists(st.sampled_from(targets), max_size=3, unique=True) if targets else st.just([])
        links = draw(some)
        wanted = draw(st.sampled_from([(), (AMD64,), (ARM64,), (AMD64, ARM64)]))
        tags = draw(st.sampled_from([("r/x:1",), ("r/x:1", "s/x:1")]))
        targets.append(
            Target(
                name=f"t{index}",
                builder=BUILDER,
                platforms=wanted,
                tags=tags,
                push=draw(st.booleans()),
                needs=tuple(draw(some)),
                links={f"c{number}": link for number, link in enumerate(links)},
            )
        )
    return targets


@given(plans(), st.data())
def test_every_graph_is_in_order_and_complete(targets: list[Target], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(targets), min_size=1, unique=True))
    graph = graph_of(names)
    position = {step: index for index, step in enumerate(graph.steps)}
    assert len(position) == len(graph.steps)
    assert len({step.key for step in graph.steps}) == len(graph.steps)
    assert set(graph.before) == set(graph.after) == set(graph.steps)
    for step in graph.steps:
        assert all(position[other] < position[step] and step in graph.after[other] for other in graph.before[step])
        assert all(position[other] > position[step] and step in graph.before[other] for other in graph.after[step])
        if isinstance(step, BuildPiece):
            assert BootstrapNode(node=step.node) in graph.before[step]
            assert step.shared or step.target in graph.targets
            assert all(BootstrapNode(node=node) in position for node in step.nodes)
    for target in graph.targets:
        own = {step for step in steps_of(graph, target) if not (isinstance(step, BuildPiece) and step.shared)}
        last = {step for step in own if not own & set(graph.after[step])}
        for piece in (step for step in graph.steps if isinstance(step, BuildPiece) and target in step.target.needs):
            assert last <= set(graph.before[piece])
    again = graph_of(names)
    assert [step.key for step in again.steps] == [step.key for step in graph.steps]


def many(number: int) -> list[Target]:
    """Return pushed targets of two platforms. Every tenth needs the one before it, and all link to one base."""
    base = Target(name="base", builder=BUILDER)
    targets: list[Target] = []
    for index in range(number):
        needs = (targets[-1],) if index % 10 == 9 else ()
        targets.append(
            Target(
                name=f"t{index}",
                builder=BUILDER,
                platforms=(AMD64, ARM64),
                tags=(f"r/t{index}:1",),
                push=True,
                needs=needs,
                links={"base": base},
            )
        )
    return targets


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_targets(number: int) -> None:
    graph = graph_of(many(number))
    assert len(graph.steps) == number * 4 + len({"a", "b", "c"}) + len({"base on a or b", "base on c"})
    position = {step: index for index, step in enumerate(graph.steps)}
    assert all(position[one] < position[two] for two in graph.steps for one in graph.before[two])


# --- checks -----------------------------------------------------------------------------------------------------------

CHECKED = TWO_TARGETS.replace(
    'needs = ["php"]', 'checks = [{ run = ["a"], platforms = ["linux/arm64"] }, { run = ["b"] }]'
)


def test_a_target_is_published_when_its_checks_are_passed() -> None:
    assert sketch(graph_of_text(CHECKED, "web")) == text("""
        bootstrap release/intel
        bootstrap release/arm
        build web linux/amd64 on release/intel
          after bootstrap release/intel
        build web linux/arm64 on release/arm
          after bootstrap release/arm
        check web linux/amd64 (2)
          after build web linux/amd64 on release/intel
        check web linux/arm64 (1)
          after build web linux/arm64 on release/arm
        check web linux/arm64 (2)
          after build web linux/arm64 on release/arm
        publish web
          after build web linux/amd64 on release/intel
          after build web linux/arm64 on release/arm
          after check web linux/amd64 (2)
          after check web linux/arm64 (1)
          after check web linux/arm64 (2)
        verify web
          after publish web
        """)


def test_one_piece_with_checks_gets_its_tags_after_them() -> None:
    graph = graph_of_text("""
        [targets.web]
        tags = ["r/web:1"]
        push = true
        checks = [{ target = "test" }]
        [targets.tool]
        needs = ["unpushed"]
        [targets.unpushed]
        checks = [{ run = ["a"] }]
        """)
    assert piece_of(graph, "web").delivery is Delivery.UNTAGGED
    assert {step.key for step in graph.before[piece_of(graph, "tool")]} == {
        "bootstrap default/local",
        "build unpushed native on default/local",
        "check unpushed native (1)",
    }


# --- archives that are joined -----------------------------------------------------------------------------------------

ARCHIVED = """
    [targets._t]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    [targets.web]
    inherits = ["_t"]
    output = ["type=oci,dest=web.tar"]
    tags = ["r/web:1"]
    push = true
    [targets.test]
    inherits = ["_t"]
    platforms = ["linux/arm64"]
    output = ["type=oci,dest=test.tar"]
    needs = ["web"]
    """ + TWO_NODES.replace("\n", "\n    ")


@pytest.mark.parametrize(("push", "last"), [("true", "verify web"), ("false", "join web")])
def test_a_target_is_done_when_its_archive_is_joined(push: str, last: str) -> None:
    """Before its archive is joined, its tags do not move, and its dependents do not start."""
    graph = graph_of_text(ARCHIVED.replace("push = true", f"push = {push}"))
    by_key = {step.key: step for step in graph.steps}
    assert [key for key in by_key if key.startswith("join")] == ["join web"], "one piece has the whole archive"
    (after, *_) = graph.after[by_key["join web"]]
    assert after.key == ("publish web" if push == "true" else "build test linux/arm64 on release/arm")
    assert by_key[last] in graph.before[piece_of(graph, "test")]


# --- tags that move together ------------------------------------------------------------------------------------------


def test_tags_move_one_target_after_another_when_all_is_built() -> None:
    plan = resolve_text("""
        [targets.web]
        tags = ["r/web:1", "r/web:2"]
        push = true
        contexts = { middle = "target:middle" }
        [targets.middle]
        contexts = { base = "target:base" }
        [targets.base]
        tags = ["r/base:1"]
        push = true
        [targets.test]
        checks = [{ run = ["a"] }]
        """)
    chosen = tuple(plan.targets[name] for name in ("web", "base", "test"))
    graph = build_graph(chosen, {target: place(target, {}).pieces for target in chosen}, together=True)
    publishes = [step for step in graph.steps if isinstance(step, Publish)]
    assert [step.key for step in publishes] == ["publish base", "publish web"]
    assert {step.key for step in graph.before[publishes[0]]} == {
        "build web native on default/local",
        "build base native on default/local",
        "build test native on default/local",
        "check test native (1)",
    }
    assert {step.key for step in graph.before[publishes[1]]} == {"publish base", "build web native on default/local"}
    assert [step.every_tag for step in publishes] == [("r/base:1", "r/web:1", "r/web:2")] * 2
    assert [step.earlier_tags for step in publishes] == [(), ("r/base:1",)]


def test_tags_of_targets_that_do_not_link_to_each_other_move_together_too() -> None:
    graph = graph_of_text(
        """
        [targets.b]
        tags = ["r/b:1"]
        push = true
        [targets.a]
        tags = ["r/a:1"]
        push = true
        """,
        together=True,
    )
    assert sketch(graph) == text("""
        bootstrap default/local
        build b native on default/local
          after bootstrap default/local
        build a native on default/local
          after bootstrap default/local
        publish b
          after build b native on default/local
          after build a native on default/local
        verify b
          after publish b
        publish a
          after build a native on default/local
          after publish b
        verify a
          after publish a
        """)
