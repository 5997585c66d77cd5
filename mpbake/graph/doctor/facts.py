"""The facts that the checks of `mpbake doctor` judge. `mpbake.buildkit.doctor` finds these facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from mpbake.graph.node_facts import NodeFacts
from mpbake.model.node_resources import has_engine
from mpbake.model.plan import AUTOMATIC_DRIVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.graph.node_facts import EngineFacts
    from mpbake.model.node_state import NodeRow
    from mpbake.model.plan import Builder, Driver, Node, Target
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.attributes import Version

Fact = TypeVar("Fact")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unanswered:
    """A question without an answer: the reason, and what the user can do."""

    reason: str
    remedy: str = ""


Answer: TypeAlias = Fact | Unanswered


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """The part of a plan that is checked. Without a plan, targets and builders are empty.

    `targets` include dependencies. `builders` are the builders of these targets; if the command line names no target,
    all builders of the plan. `only` maps targets to platforms that replace their declared platforms.
    """

    plan_files: PlanFiles | None = None
    targets: tuple[Target, ...] = ()
    builders: tuple[Builder, ...] = ()
    only: Mapping[Target, Sequence[Platform]] = field(default_factory=dict)

    @property
    def plan(self) -> Path:
        """The plan file, which is needed for builders only. Raises ValueError without a plan."""
        if self.plan_files is None:
            raise ValueError("there is no plan")
        return self.plan_files.path

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of all builders."""
        return tuple(node for builder in self.builders for node in builder.nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """The least seconds by which a clock is ahead of the clock of this machine; negative for a clock that is behind."""

    ahead: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """The report of a Docker engine.

    `address` is the URL of the engine, `root` its data folder. `is_local` says that this folder is on this machine.
    """

    address: str
    facts: EngineFacts
    version: str
    root: Path
    is_local: bool
    clock: Answer[Clock]


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeReport:
    """A node of the plan.

    `row` is the row of the node in `mpbake builders`, with the driver that a run uses. `expected` are the platforms
    that the BuildKit of the node's engine reports, if the node itself does not exist yet. `warnings` come from the
    check of the connection to the node.
    """

    row: NodeRow
    expected: tuple[Platform, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that the node reports or will report, the platform of the hardware first."""
        return self.row.reported or self.expected


@dataclass(frozen=True, kw_only=True, slots=True)
class PushAccess:
    """The answer of a registry to an upload that was opened and cancelled.

    `message` says why uploads do not work; empty if they do. `status` is the HTTP status of a refusal; 0 if there was
    no response.
    """

    has_login: bool
    status: int = 0
    message: str = ""
    hint: str = ""


class Purpose(StrEnum):
    """The purpose of a folder."""

    STATE = "logs of runs"
    RECORDS = "records of builders"
    TEMPORARY = "temporary files"
    ENGINE = "images and caches"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A folder of this machine whose file system may be full. The folder itself may not exist yet."""

    path: Path
    purpose: Purpose


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """The free space of the file system of a folder: bytes, and files (None if the system sets no limit)."""

    free: int
    files: int | None = None
    is_writable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All facts. `client` is the version of the docker command, `default` the driver of the default builder in a run.

    `engine` is the engine in use. `engine_platforms` are the platforms that the BuildKit of this engine reports. mpbake
    asks for these platforms only without a plan, since the nodes of a plan report more. Mappings are by node ID
    (`nodes`, `engines`), repository (`pushes`), registry (`registry_clocks`) and folder (`spaces`).
    """

    subject: Subject
    now: datetime
    client: Answer[str]
    buildx: Answer[Version]
    engine: Answer[Engine]
    engine_platforms: Answer[tuple[Platform, ...]]
    default: Driver = AUTOMATIC_DRIVER
    nodes: Mapping[str, Answer[NodeReport]] = field(default_factory=dict)
    engines: Mapping[str, Answer[Engine]] = field(default_factory=dict)
    pushes: Mapping[str, Answer[PushAccess]] = field(default_factory=dict)
    registry_clocks: Mapping[str, Answer[Clock]] = field(default_factory=dict)
    spaces: Mapping[Place, Answer[Space]] = field(default_factory=dict)

    @property
    def reports(self) -> dict[str, NodeReport]:
        """The reports of nodes, without the nodes that mpbake could not query, by ID."""
        return {name: report for name, report in self.nodes.items() if isinstance(report, NodeReport)}

    @property
    def node_facts(self) -> dict[str, NodeFacts]:
        """The facts for the placement of targets, as after a probe."""
        return {
            name: NodeFacts(
                driver=report.row.node.driver,
                platforms=report.platforms,
                version=report.row.version,
                unreachable=report.row.silent,
            )
            for name, report in self.reports.items()
            if report.platforms or report.row.silent
        }

    def driver(self, node: Node) -> Driver:
        """Return the driver that a run uses for `node`."""
        return self.default if node.driver.rules.is_automatic else node.driver

    @staticmethod
    def is_on_engine_in_use(node: Node) -> bool:
        """Whether `node` is on the engine that the docker command uses."""
        return has_engine(node) and not node.engine

    def uses_engine(self) -> bool:
        """Whether a run uses the engine in use, as a node of the plan or for `load`. True without a plan."""
        subject = self.subject
        on_node = any(map(self.is_on_engine_in_use, subject.nodes))
        return subject.plan_files is None or on_node or any(target.load for target in subject.targets)
