"""The steps of a run, as immutable values, and their results.

`Step` is the closed union of all kinds of steps: code that handles steps uses `match` and `assert_never`. A step holds
no state of the run; the state is in `StepResult` and in the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, assert_never

from mpbake.base.tag_moves import TagMoves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.base.errors import MpbakeError
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Check, Node, Target


class Execution(StrEnum):
    """How a node builds a platform."""

    NATIVE = "native"
    EMULATED = "emulated"
    UNKNOWN = "not known yet"
    """mpbake has not asked the engine or the node yet."""


class Delivery(Enum):
    """The delivery of the image of a build piece."""

    KEEP = "nothing is pushed"
    UNTAGGED = "pushed by digest, without a tag; the `Publish` step moves the tags"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedPlatform:
    """A platform of a build piece, and the way in which the nodes of the piece build this platform."""

    platform: Platform
    execution: Execution


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapNode:
    """Make sure that a node exists, matches its declaration, and answers."""

    node: Node

    @property
    def key(self) -> str:
        """The name of the step, unique in a run."""
        return f"bootstrap {self.node.id}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BuildPiece:
    """Build some platforms of a target in one solve of BuildKit.

    - `nodes`: the candidate nodes, all equal, the preferred node first. The schedule picks one of these nodes when the
      piece starts.
    - `platforms`: the platforms to build; empty means the node's own platform.
    - `piece_count`: the number of pieces of the target.
    - `siblings`: the preferred nodes of all pieces of the target, if there are several pieces.
    - `shared`: the piece is built only because other targets link to its target. Each node that builds one of these
      other targets builds the shared piece once.
    - `spare`: nodes that emulate, or may emulate, platforms that the candidate nodes run natively. A spare node builds
      the piece when the candidate nodes are busy for long or are unavailable.
    """

    target: Target
    nodes: tuple[Node, ...]
    platforms: tuple[PlacedPlatform, ...] = ()
    delivery: Delivery = Delivery.KEEP
    piece_count: int = 1
    siblings: tuple[Node, ...] = ()
    shared: bool = False
    spare: tuple[Node, ...] = ()

    @property
    def node(self) -> Node:
        """The preferred node or, after `on`, the assigned node."""
        return self.nodes[0]

    def on(self, node: Node) -> BuildPiece:
        """Return this piece, assigned to `node`: one of its candidate nodes or spare nodes."""
        placed = self.platforms
        if node in self.spare:
            placed = tuple(replace(platform, execution=Execution.EMULATED) for platform in placed)
        return replace(self, nodes=(node,), spare=(), platforms=placed)

    @property
    def key(self) -> str:
        """The name of the step, unique in a run."""
        return f"build {self.target.name} {platform_list(self)} on {self.node.id}{' (shared)' if self.shared else ''}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JoinArchives:
    """Join the `oci` outputs of all pieces of a target into one layout for each output."""

    target: Target

    @property
    def key(self) -> str:
        """The name of the step, unique in a run."""
        return f"join {self.target.name}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckPiece:
    """Run a check of a target on one of its build pieces.

    - `piece`: the checked piece. After the start of the check, the piece is assigned to the node that runs the check:
      the node that built the piece, or an equal node.
    - `number`: the position of the check in its target, from 1.
    - `platforms`: the platforms of the piece to check; empty means the node's own platform.
    - `lost`: the node that built the piece was lost, so its cache may no longer hold the image.
    """

    piece: BuildPiece
    check: Check
    number: int
    platforms: tuple[Platform, ...] = ()
    lost: bool = False

    @property
    def target(self) -> Target:
        """The checked target."""
        return self.piece.target

    @property
    def key(self) -> str:
        """The name of the step, unique in a run."""
        return f"check {self.target.name} {','.join(map(str, self.platforms)) or 'native'} ({self.number})"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Publish:
    """Join the build pieces of a target into an index, and move the target's tags to this index.

    `order` lists the targets whose tags move together, this target included, in the order in which the tags move;
    empty if the tags of this target move alone.
    """

    target: Target
    order: tuple[Target, ...] = ()

    @property
    def key(self) -> str:
        """The name of the step, unique in a run."""
        return f"publish {self.target.name}"

    @property
    def together(self) -> tuple[Target, ...]:
        """All targets whose tags move together; at least this target."""
        return self.order or (self.target,)

    @property
    def every_tag(self) -> tuple[str, ...]:
        """The tags of all targets in `together`."""
        return tuple(tag for target in self.together for tag in target.tags)

    @property
    def earlier_tags(self) -> tuple[str, ...]:
        """The tags in `every_tag` that have already moved when this step begins."""
        earlier = takewhile(lambda target: target is not self.target, self.order)
        return tuple(tag for target in earlier for tag in target.tags)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Verify:
    """Read a target's tags back from the registry and compare the images with the plan.

    Empty `platforms` mean the node's own platform.
    """

    target: Target
    platforms: tuple[Platform, ...] = ()

    @property
    def key(self) -> str:
        """The name of the step, unique in a run."""
        return f"verify {self.target.name}"


Step = BootstrapNode | BuildPiece | JoinArchives | CheckPiece | Publish | Verify
"""Any step of a run. A new kind of step is added here; mypy then reports every `match` without the new kind."""
StepVerb = Literal["bootstrap", "build", "join", "check", "publish", "verify"]
"""The verb of a step, which is its kind in a plan document."""


def bootstrapped_node(step: Step) -> Node | None:
    """Return the node that a step bootstraps; None for any other kind of step."""
    match step:
        case BootstrapNode():
            return step.node
        case BuildPiece() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return None
        case _:
            assert_never(step)


def step_verb(step: Step) -> StepVerb:
    """Return the verb for a step, such as `build`."""
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


def step_subject(step: Step) -> str:
    """Return the node or target of a step."""
    match step:
        case BootstrapNode():
            return step.node.id
        case BuildPiece() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return step.target.name
        case _:
            assert_never(step)


def is_shared(step: Step) -> bool:
    """Return whether a step is a shared build piece: it is built only because other targets link to its target."""
    match step:
        case BuildPiece():
            return step.shared
        case BootstrapNode() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return False
        case _:
            assert_never(step)


def platform_list(piece: BuildPiece) -> str:
    """Return the platforms of a piece as `linux/amd64,linux/arm64`; `native` if the node decides."""
    return ",".join(str(placed.platform) for placed in piece.platforms) or "native"


class StepStatus(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The step never started, because a dependency did not succeed."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result that a runner reports for a successful step. For any other step, only `moves` is set.

    - `digest`: the digest of the built image, or of the image that the registry serves.
    - `image_id`: the id (by content) of the built image in the image store of an engine.
    - `uploaded`: the reference by digest of an image that is in a registry without a tag.
    - `node`: the id of the node that did the step.
    - `tags`: the published tags.
    - `platforms`: the platforms that were built or verified; `images`: the served digest for each verified platform.
    - `slots`: how many build pieces the node builds at once, as the node reports; 0 if the node does not report the
      number.
    - `weight`: the number of CPUs of a node; 0 if unknown.
    - `seconds`: how long the build of a piece in a batch took; 0 if unknown.
    - `note`: a remark on the step for the user.
    - `log`: the path of the step's log file.
    - `moves`: the state of the tags after a step that failed or was cancelled.
    - `warnings`: messages for the user.
    """

    digest: str = ""
    image_id: str = ""
    uploaded: str = ""
    node: str = ""
    tags: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    images: Mapping[Platform, str] = field(default_factory=dict)
    slots: int = 0
    weight: int = 0
    seconds: float = 0.0
    note: str = ""
    log: str = ""
    moves: TagMoves = field(default_factory=TagMoves)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """The final status of a step, and its duration in `seconds`.

    For a skipped step, `blocked_by` is the failed step that caused the skip.
    """

    step: Step
    status: StepStatus
    seconds: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    error: MpbakeError | None = None
    blocked_by: Step | None = None

    @property
    def built(self) -> bool:
        """Whether the step is a build piece that was built."""
        return isinstance(self.step, BuildPiece) and self.status is StepStatus.DONE
