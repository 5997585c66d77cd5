"""Steps: their names, the nodes of a build piece, and the targets that are published together."""

from __future__ import annotations

from typing import assert_never, get_args

from mpbake.base.platforms import parse_platform
from mpbake.model.plan import Builder, Check, Driver, Node, Target
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    Execution,
    JoinArchives,
    PlacedPlatform,
    Publish,
    Step,
    StepResult,
    StepStatus,
    Verify,
    bootstrapped_node,
    is_shared,
)

NODE, SPARE = (Node(builder="b", name=name, driver=Driver.REMOTE) for name in ("node", "spare"))
BUILDER = Builder(name="b", driver=Driver.REMOTE, nodes=(NODE, SPARE))
BASE, WEB, TOOL = (Target(name=name, builder=BUILDER, tags=(f"r/{name}",)) for name in ("base", "web", "tool"))
PLACED = PlacedPlatform(platform=parse_platform("linux/amd64"), execution=Execution.NATIVE)
PIECE = BuildPiece(target=WEB, nodes=(NODE,), platforms=(PLACED,), spare=(SPARE,))
STEPS: tuple[Step, ...] = (
    BootstrapNode(node=NODE),
    PIECE,
    JoinArchives(target=WEB),
    CheckPiece(piece=PIECE, check=Check(run=("true",)), number=1),
    Publish(target=WEB),
    Verify(target=WEB),
)


def kind_of(step: Step) -> str:
    """Handle every kind of step. mypy reports a missing kind."""
    match step:
        case BootstrapNode():
            return "bootstrap"
        case BuildPiece():
            return "build"
        case JoinArchives():
            return "join"
        case CheckPiece():
            return "check"
        case Publish():
            return "publish"
        case Verify():
            return "verify"
        case _:
            assert_never(step)


def test_the_kinds_of_steps_are_closed() -> None:
    assert [type(step) for step in STEPS] == list(get_args(Step))
    assert [step.key.partition(" ")[0] for step in STEPS] == [kind_of(step) for step in STEPS]


def test_each_step_has_a_name_of_its_own() -> None:
    assert [step.key for step in STEPS] == [
        "bootstrap b/node",
        "build web linux/amd64 on b/node",
        "join web",
        "check web native (1)",
        "publish web",
        "verify web",
    ]
    assert BuildPiece(target=WEB, nodes=(NODE,), shared=True).key == "build web native on b/node (shared)"


def test_a_spare_node_emulates() -> None:
    assert PIECE.on(NODE).platforms == (PLACED,)
    piece = PIECE.on(SPARE)
    assert (piece.node, piece.spare) == (SPARE, ())
    assert [placed.execution for placed in piece.platforms] == [Execution.EMULATED]


def test_tags_that_move_together() -> None:
    alone, together = Publish(target=WEB), Publish(target=WEB, order=(BASE, WEB, TOOL))
    assert (alone.together, alone.every_tag, alone.earlier_tags) == ((WEB,), ("r/web",), ())
    assert together.together == (BASE, WEB, TOOL)
    assert together.every_tag == ("r/base", "r/web", "r/tool")
    assert together.earlier_tags == ("r/base",)


def test_only_a_piece_that_is_done_is_built() -> None:
    assert StepResult(step=PIECE, status=StepStatus.DONE).built
    assert not StepResult(step=PIECE, status=StepStatus.FAILED).built
    assert not StepResult(step=Verify(target=WEB), status=StepStatus.DONE).built


def test_the_node_of_a_bootstrap() -> None:
    assert [bootstrapped_node(step) for step in STEPS] == [NODE, *[None] * (len(STEPS) - 1)]


def test_only_a_build_piece_is_shared() -> None:
    assert not any(map(is_shared, STEPS))
    assert is_shared(BuildPiece(target=WEB, nodes=(NODE,), shared=True))
