"""The steps of a run, as frozen types; what happened to one is a `StepResult`, never a field of the step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING

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
    """Only the engine or node can say, and it has not been asked."""


class Delivery(Enum):
    """What a piece does with its image."""

    KEEP = "nothing is pushed"
    UNTAGGED = "pushed without a tag; `Publish` gives the tags"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedPlatform:
    """A platform and how the nodes of its piece build it."""

    platform: Platform
    execution: Execution


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapNode:
    """Make sure that a node exists, is the declared one, and answers."""

    node: Node

    @property
    def key(self) -> str:
        """Unique among the steps of a run."""
        return f"bootstrap {self.node.id}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BuildPiece:
    """Build some platforms of a target in one solve.

    `nodes` are equal, the preferred first: which of them builds it is decided when it starts. `of` is the number of
    pieces of the target; if there are several, `siblings` are the preferred nodes of all of them. Without `platforms`
    the node's own is meant. A piece that exists only for those who link to
    the target is `shared`: it is built once on each of its nodes that builds one of them. `spare` are nodes that
    emulate what its own run natively, or may: they help out when its own are busy for long, or cannot be had.
    """

    target: Target
    nodes: tuple[Node, ...]
    platforms: tuple[PlacedPlatform, ...] = ()
    delivery: Delivery = Delivery.KEEP
    of: int = 1
    siblings: tuple[Node, ...] = ()
    shared: bool = False
    spare: tuple[Node, ...] = ()

    @property
    def node(self) -> Node:
        """The preferred node; the only one of a piece that has been given to one."""
        return self.nodes[0]

    def on(self, node: Node) -> BuildPiece:
        """The piece as it is built on `node`, one of its nodes or a spare one."""
        placed = self.platforms
        if node in self.spare:
            placed = tuple(replace(each, execution=Execution.EMULATED) for each in placed)
        return replace(self, nodes=(node,), spare=(), platforms=placed)

    @property
    def key(self) -> str:
        """Unique among the steps of a run."""
        return f"build {self.target.name} {platform_list(self)} on {self.node.id}{' (shared)' if self.shared else ''}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JoinArchives:
    """Write each `oci` output of a target that is built in pieces as one layout of all of them."""

    target: Target

    @property
    def key(self) -> str:
        """Unique among the steps of a run."""
        return f"join {self.target.name}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckPiece:
    """Have a piece pass a check of its target; the target's `number`-th, from 1.

    Once it has been started, the node of its `piece` is the one on which it is done: that which has built the piece,
    or an equal one. `platforms` are those of the piece that the check is for; none where the node's own is meant.
    `lost` says that the node that has built the piece was lost since: its cache may be gone.
    """

    piece: BuildPiece
    check: Check
    number: int
    platforms: tuple[Platform, ...] = ()
    lost: bool = False

    @property
    def target(self) -> Target:
        """The target that is checked."""
        return self.piece.target

    @property
    def key(self) -> str:
        """Unique among the steps of a run."""
        return f"check {self.target.name} {','.join(map(str, self.platforms)) or 'native'} ({self.number})"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Publish:
    """Join the pieces of a target and give it its tags.

    `order` are all targets whose tags move together, this one among them, in the order in which they do.
    """

    target: Target
    order: tuple[Target, ...] = ()

    @property
    def key(self) -> str:
        """Unique among the steps of a run."""
        return f"publish {self.target.name}"

    @property
    def together(self) -> tuple[Target, ...]:
        """All that moves together, be it the target alone."""
        return self.order or (self.target,)

    @property
    def every_tag(self) -> tuple[str, ...]:
        """The tags of all that moves together."""
        return tuple(tag for target in self.together for tag in target.tags)

    @property
    def earlier_tags(self) -> tuple[str, ...]:
        """Those of them that have moved when this step begins."""
        before = takewhile(lambda each: each is not self.target, self.order)
        return tuple(tag for target in before for tag in target.tags)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Verify:
    """Read back what the registry serves and compare it with the plan.

    Without `platforms` the node's own is meant.
    """

    target: Target
    platforms: tuple[Platform, ...] = ()

    @property
    def key(self) -> str:
        """Unique among the steps of a run."""
        return f"verify {self.target.name}"


Step = BootstrapNode | BuildPiece | JoinArchives | CheckPiece | Publish | Verify


def platform_list(piece: BuildPiece) -> str:
    """`linux/amd64,linux/arm64`, or `native` where the node decides."""
    return ",".join(str(each.platform) for each in piece.platforms) or "native"


class StepStatus(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Never started, since something it depends on did not succeed."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a runner reports of a step that succeeded, and `moves` of one that did not.

    `digest` is what the registry serves, or what was built; `kept` is what a built image is called in the store of an
    engine, by its content;
    `uploaded` the reference by digest of what a registry has already, without a tag; `node` the node that did it;
    `tags` what has been published; `platforms` what was built, or read back, and `images` the digest of each as it is
    served; `slots` how many pieces a node says it can build at once, 0 where it does not say; `weight` its CPUs, 0
    where they are not known; `seconds` how long a piece of a batch was worked on, 0 where that is not known; `log` the
    step's log file. `moves` says what became of the tags of a step that failed or was cancelled.
    """

    digest: str = ""
    kept: str = ""
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
    """How a step ended, and how long it took in seconds. `blame` is the failed step that a skipped one waited for."""

    step: Step
    status: StepStatus
    seconds: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    error: MpbakeError | None = None
    blame: Step | None = None

    @property
    def built(self) -> bool:
        """Whether this is a piece that was built."""
        return isinstance(self.step, BuildPiece) and self.status is StepStatus.DONE
