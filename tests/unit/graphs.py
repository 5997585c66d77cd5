"""Placements and graphs of plans in text form, and graphs as readable sketches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from mpbake.base.platforms import parse_platforms
from mpbake.graph.dag import BuildGraph, build_graph, with_dependencies
from mpbake.graph.node_facts import NodeFacts
from mpbake.graph.placement import place
from mpbake.model.plan import Builder, Check, Driver, Node, Target
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Execution, PlacedPlatform, Publish, Step
from mpbake.resolve import select_targets
from mpbake.review.document.plan_document import plan_document
from mpbake.review.plan_review import PlanReview
from tests.unit.plans import resolve_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TWO_NODES = """
[builders.release]
driver = "remote"
nodes.intel = { endpoint = "tcp://intel:1234", platforms = ["linux/amd64", "linux/386"], tls = { ca = "ca.crt" } }
nodes.arm = { endpoint = "tcp://arm:1234", platforms = ["linux/arm64"], tls = { ca = "ca.crt" } }
"""
"""An Intel node and an ARM node of one builder, as the end of a plan."""


def facts_of(reported: Mapping[str, str], driver: Driver = Driver.DOCKER_CONTAINER) -> dict[str, NodeFacts]:
    """Return the facts of nodes. `reported` maps the id of a node to its platforms, such as `linux/amd64 linux/386`.

    The first platform is that of the hardware. A node without platforms did not answer.
    """
    return {
        node: NodeFacts(driver=driver, platforms=parse_platforms(platforms.split()), unreachable=not platforms)
        for node, platforms in reported.items()
    }


def graph_of(
    targets: Iterable[Target], facts: Mapping[str, str] | None = None, *, together: bool = False
) -> BuildGraph:
    """Return the graph of a run of `targets` on nodes with these `facts`."""
    everything = with_dependencies(targets)
    known = facts_of(facts or {})
    return build_graph(everything, {target: place(target, known).pieces for target in everything}, together=together)


def graph_of_text(
    toml: str,
    *names: str,
    facts: Mapping[str, str] | None = None,
    together: bool = False,
    relative: bool = True,
) -> BuildGraph:
    """Return the graph of a run of the targets in `names`, or of all targets.

    With `relative`, paths stay relative to the plan's folder, as for a review; otherwise they are absolute.
    """
    plan = resolve_text(toml, relative=relative)
    return graph_of(select_targets(plan, names) if names else plan.targets.values(), facts, together=together)


def sketch(graph: BuildGraph) -> str:
    """Return a line for each step: its key, and the keys of its dependencies."""
    return "\n".join(
        step.key + "".join(f"\n  after {before.key}" for before in sorted_steps(graph, graph.before[step]))
        for step in graph.steps
    )


def sorted_steps(graph: BuildGraph, steps: Iterable[Step]) -> list[Step]:
    """Return `steps` in the graph's order."""
    place_of = {step: index for index, step in enumerate(graph.steps)}
    return sorted(steps, key=place_of.__getitem__)


def steps_of(graph: BuildGraph, target: Target) -> list[Step]:
    """Return the steps of a target, including its shared pieces."""
    return [step for step in graph.steps if not isinstance(step, BootstrapNode) and step.target is target]


def piece_of(graph: BuildGraph, target: str) -> BuildPiece:
    """Return the first piece of a target."""
    return next(step for step in graph.steps if isinstance(step, BuildPiece) and step.target.name == target)


PLATFORMS = st.sampled_from([(), parse_platforms(["linux/amd64"]), parse_platforms(["linux/arm64"])])
"""The platforms of a piece, or the platforms that a node reports."""


@st.composite
def graphs(draw: st.DrawFn, *, retries: int = 0) -> BuildGraph:
    """Generate a graph of pieces on one or two nodes, with their checks, and with steps that need no node.

    The first node may be required. The other nodes, and a third one, may be spare nodes of other pieces. Each step
    depends on some of the steps before it. A check depends on its piece. Only pieces on the same nodes depend on a
    shared piece. A piece may link to the target of another piece that it depends on.
    """
    a = Node(builder="x", name="a", driver=Driver.DOCKER, required=draw(st.integers(0, 3)) == 0)
    b = Node(builder="x", name="b", driver=Driver.DOCKER)
    c = Node(builder="x", name="c", driver=Driver.DOCKER)
    builder = Builder(name="x", driver=Driver.DOCKER, nodes=(a, b, c))
    helped = draw(st.booleans())
    steps: list[Step] = []
    before: dict[Step, tuple[Step, ...]] = {}
    for index in range(draw(st.integers(min_value=0, max_value=15))):
        target = Target(name=f"t{index}", builder=builder, retries=draw(st.integers(0, retries)))
        nodes = draw(st.sampled_from([(a,), (b,), (a, b), (b, a), ()]))
        shared = draw(st.integers(0, 3)) == 0
        checked = [other for other in steps if isinstance(other, BuildPiece) and not other.shared]
        if checked and draw(st.integers(0, 2)) == 0:
            piece = draw(st.sampled_from(checked))
            check = CheckPiece(piece=piece, check=Check(run=("true",)), number=index)
            before[check] = (piece,)
            steps.append(check)
            continue
        not_its = [node for node in builder.nodes if helped and node not in nodes]
        spare = tuple(node for node in not_its if shared or draw(st.booleans()))
        placed = tuple(PlacedPlatform(platform=platform, execution=Execution.NATIVE) for platform in draw(PLATFORMS))
        step: Step = Publish(target=target)
        if nodes:
            step = BuildPiece(target=target, nodes=nodes, shared=shared, spare=spare, platforms=placed)
        others = [other for other in steps if _may_follow(step, other)]
        chosen = tuple(draw(st.lists(st.sampled_from(others), max_size=3, unique=True))) if others else ()
        if isinstance(step, BuildPiece) and not shared:
            bases = [piece.target for piece in chosen if isinstance(piece, BuildPiece) and not piece.shared]
            links = {base.name: base for base in bases if draw(st.booleans())}
            step = replace(step, target=replace(target, links=links))
        before[step] = chosen
        steps.append(step)
    after = {step: tuple(other for other in steps if step in before[other]) for step in steps}
    pools = {step: frozenset(node.id for node in step.nodes) for step in steps if isinstance(step, BuildPiece)}
    return BuildGraph(targets=(), steps=tuple(steps), before=before, after=after, pools=pools)


def _may_follow(step: Step, other: Step) -> bool:
    """Return whether `step` may depend on `other`. Only pieces on the same nodes may depend on a shared piece."""
    if not isinstance(other, BuildPiece) or not other.shared:
        return not (isinstance(step, BuildPiece) and step.shared)
    return isinstance(step, BuildPiece) and {*step.nodes} == {*other.nodes}


def review_of(graph: BuildGraph, warnings: Iterable[str] = (), facts: Mapping[str, str] | None = None) -> PlanReview:
    """Return the review of a graph of nodes with these `facts`. No Dockerfile has a digest."""
    document = plan_document(graph, (), tuple(warnings), lambda _: "", str, facts_of(facts or {}))
    return PlanReview(graph=graph, document=document)
