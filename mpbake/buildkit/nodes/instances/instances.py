"""buildx instances of single nodes: each instance has its own folder, and mpbake queries a node through it.

An instance lists one node, so buildx cannot choose another node, and a node that does not answer delays no other node.
An instance only refers to its node: the folder of the instance can be removed at any time.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable, UsageError
from mpbake.base.platforms import reported_platform
from mpbake.base.text import duration
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.buildkit.nodes.failure_causes import node_text
from mpbake.buildkit.nodes.first_start import BootProgress
from mpbake.buildkit.nodes.instances.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.instances.declaration import without_spreading
from mpbake.buildkit.nodes.instances.inspect_output import (
    NOT_RUNNING,
    lacks_buildkit,
    max_parallelism,
    parse_as_one_node,
    parse_inspect,
    status_complaint,
)
from mpbake.buildkit.nodes.instances.instance_folders import InstanceFolders
from mpbake.buildkit.nodes.node_errors import unusable
from mpbake.buildkit.process.environment import workflow_variables
from mpbake.graph.default_driver import default_driver
from mpbake.graph.node_facts import NodeFacts
from mpbake.model.plan import CONTAINER_DRIVER, ENGINE_DRIVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mpbake.buildkit.nodes.engines.endpoints import Endpoints
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.process.docker import Docker, Watch
    from mpbake.graph.node_facts import EngineFacts
    from mpbake.model.plan import Driver, Node, Target


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyNode:
    """A node that answers: its facts, the buildx builder that reaches it, and a `note` about mpbake's work on it.

    `workflow` holds environment variables about the workflow run. buildx needs these variables to create the node's
    container.
    """

    node: Node
    facts: NodeFacts
    builder: str
    store: Path
    note: str = "running"
    warnings: tuple[str, ...] = ()
    workflow: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for a buildx call that uses the builder or creates the builder's container."""
        return {"BUILDX_CONFIG": str(self.store), **self.workflow}

    @property
    def endpoint(self) -> str:
        """The engine that the docker command must use; empty if any engine is suitable."""
        return self.node.endpoint if self.node.driver.rules.is_engine else ""


class Instances:
    """Writes instances below `folder`, and queries nodes.

    Several threads may use an object, each for different nodes.
    """

    def __init__(self, docker: Docker, folder: Path, environment: Mapping[str, str]) -> None:
        self.docker = docker
        self._environment = environment
        self._folders = InstanceFolders(docker, folder, environment)
        self._has_buildkit: bool | None = None
        self._asking = threading.Lock()

    @property
    def endpoints(self) -> Endpoints:
        """Resolves endpoints as docker does for this user."""
        return self._folders.endpoints

    def ask_engine(self, node: Node) -> ReadyNode:
        """Query the builder with the `docker` driver that every engine has, through a new buildx store.

        An existing store may have come with a checkout. Raises Unreachable, and UsageError if the engine has no
        BuildKit.
        """
        ready = self._engine_builder(node, self._folders.open(node))
        inspected, lines = self._inspect(ready)
        if lacks_buildkit(lines):
            raise UsageError(
                f"node {node.id}: the engine does not contain BuildKit (podman does not)",
                hint=f'set driver = "{CONTAINER_DRIVER}" in its builder: BuildKit then runs in a container',
            )
        return replace(ready, facts=self._facts(node, inspected, lines))

    def default_driver(self, targets: Sequence[Target], engine: EngineFacts) -> Driver:
        """Return the driver of the default builder of `targets` on the `engine` in use, which may have no BuildKit."""
        driver = default_driver(targets, engine)
        if driver.rules.is_engine and not engine.containerd_store and not self._engine_has_buildkit(targets[0]):
            return CONTAINER_DRIVER
        return driver

    def _engine_has_buildkit(self, target: Target) -> bool:
        """Ask buildx whether the engine in use has a BuildKit of its own. buildx starts nothing for that."""
        with self._asking:
            if self._has_buildkit is None:
                node = replace(target.builder.nodes[0], driver=ENGINE_DRIVER)
                with tempfile.TemporaryDirectory(prefix="mpb") as folder:
                    _, lines = self._inspect(self._engine_builder(node, Path(folder)))
                self._has_buildkit = not lacks_buildkit(lines)
            return self._has_buildkit

    def _engine_builder(self, node: Node, store: Path) -> ReadyNode:
        """Return the builder that is part of the engine of `node`, without a query of the engine."""
        builder = node.endpoint or self.endpoints.context_in_use()
        return ReadyNode(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder="default" if "://" in builder else builder,
            store=store,
        )

    def write(self, node: Node) -> ReadyNode:
        """Return the instance of `node` as declared.

        Rewrite the instance if it differs, without contacting the node.
        """
        ready = ReadyNode(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder=node.buildx_name,
            store=self._folders.open_instance(node),
            workflow=workflow_variables(self._environment, node),
        )
        self._folders.write(node, ready.store, self.endpoint(node), ready.environment)
        return ready

    def boot(self, ready: ReadyNode, start: NodeStart, watch: Watch | None = None) -> ReadyNode:
        """Create and start the node if necessary, and return `ready` with the node's facts.

        `buildx inspect` waits for an answer until 20 seconds after its own start, even if the node takes longer to
        start. buildx then reports a status from before the start, so mpbake queries the node again. `watch` may end a
        start that has no hope. Raises Unreachable, or UsageError if buildx rejects the declared options.
        """
        progress = BootProgress(lambda step: start.tell(self.docker.redact(step)))
        inspected, lines = self._inspect(
            ready, bootstrap=True, timeout=start.seconds, on_stderr=progress.feed, watch=watch
        )
        if inspected.timed_out:
            raise _start_timed_out(ready.node, self.docker.redact(progress.step))
        if not inspected.returncode and not _is_answer(lines):
            return self.ask(ready, min(start.seconds, INSPECT_TIMEOUT))
        inspected = replace(inspected, stderr=self.docker.redact(progress.text))
        return replace(ready, facts=self._facts(ready.node, inspected, lines))

    def ask(self, ready: ReadyNode, timeout: float = INSPECT_TIMEOUT) -> ReadyNode:
        """Return `ready` with the facts that the node reports within `timeout` seconds. A stopped node is not started.

        Raises Unreachable.
        """
        inspected, lines = self._inspect(ready, timeout=timeout)
        return replace(ready, facts=self._facts(ready.node, inspected, lines))

    def boot_external(self, node: Node, start: NodeStart) -> ReadyNode:
        """Start a node of an external builder, and return it once it answers."""
        if node.driver.rules.is_engine:
            return self.ask_engine(node)
        original = self._external_builder(node)
        if node.driver.rules.is_placed_by_buildx:
            return self.boot(original, start)
        copy = self._external_node(node)
        try:
            return self.ask(copy)
        except Unreachable:
            self.boot(original, start)
            return self.ask(copy)

    def ask_external(self, node: Node) -> ReadyNode:
        """Return a node of an external builder in its current state. A stopped node is not started.

        The `note` is buildx's status of the node. Raises Unreachable.
        """
        if node.driver.rules.is_engine:
            return self.ask_engine(node)
        by_buildx = node.driver.rules.is_placed_by_buildx
        ready = self._external_builder(node) if by_buildx else self._external_node(node)
        inspected, lines = self._inspect(ready)
        status = lines.get("status", "")
        if status in NOT_RUNNING and not inspected.returncode and "error" not in lines:
            return replace(ready, note=status)
        return replace(ready, facts=self._facts(ready.node, inspected, lines))

    def _external_builder(self, node: Node) -> ReadyNode:
        """Return the external builder of `node`, in the user's own buildx store."""
        return ReadyNode(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder=node.builder.lower(),
            store=store_folder(self._environment),
        )

    def _external_node(self, node: Node) -> ReadyNode:
        """Return an instance of one node of an external builder, copied from the user's store. Raises Unreachable."""
        builder = BuildxStore(folder=store_folder(self._environment)).read(node.builder) or {"Nodes": ()}
        single = next((entry for entry in builder["Nodes"] or () if entry.get("Name") == node.name), None)
        if single is None:
            raise Unreachable(f"node {node.id}: buildx no longer lists this builder", hint="try: docker buildx ls")
        store = self._folders.open(node)
        options = without_spreading(node, single.get("DriverOpts") or {}) or None
        entry = {**builder, "Name": node.name, "Nodes": [{**single, "Platforms": None, "DriverOpts": options}]}
        BuildxStore(folder=store).put(node.name, entry)
        return ReadyNode(node=node, facts=NodeFacts(driver=node.driver), builder=node.name, store=store)

    def endpoint(self, node: Node) -> str:
        """Return the endpoint of `node` for buildx; empty if the node's driver has no endpoints. Raises Unreachable.

        For the engine in use, the endpoint is the docker context or URL. An instance therefore keeps its engine when
        the user switches to another context.
        """
        rules = node.driver.rules.endpoint
        if not rules.schemes or not rules.is_engine:
            return node.endpoint
        return engine_of(node) or self.endpoints.in_use()

    def _inspect(
        self,
        ready: ReadyNode,
        *,
        bootstrap: bool = False,
        timeout: float = INSPECT_TIMEOUT,
        on_stderr: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> tuple[Completed, dict[str, str]]:
        """Return the result of `buildx inspect` for a builder, and its lines by key."""
        inspected = self.docker.follow(
            lambda client: client.buildx.describe(ready.builder, bootstrap=bootstrap),
            endpoint=ready.endpoint,
            environment=ready.environment,
            timeout=timeout,
            on_stderr=on_stderr,
            watch=watch,
        )
        parse = parse_as_one_node if ready.node.driver.rules.is_placed_by_buildx else parse_inspect
        return inspected, parse(inspected.stdout)

    def _facts(self, node: Node, inspected: Completed, lines: Mapping[str, str]) -> NodeFacts:
        """Return the facts that `node` reports. Raises Unreachable without a report, and UsageError as `boot` does."""
        if inspected.returncode or not _is_answer(lines):
            raise unusable(node, inspected, lines.get("error") or inspected.stderr or status_complaint(lines))
        platforms = tuple(reported_platform(name.rstrip("*")) for name in lines["platforms"].split(", "))
        version = next((value for key, value in lines.items() if key in {"buildkit version", "buildkit"}), "")
        slots = max_parallelism(f"{inspected.stdout}\n{self._folders.config(node)}")
        return NodeFacts(driver=node.driver, platforms=platforms, version=version, slots=slots)


def _is_answer(lines: Mapping[str, str]) -> bool:
    """Whether a node answered buildx. buildx lists fixed platforms also for a node that does not run."""
    return "error" not in lines and bool(lines.get("platforms")) and lines.get("status") not in NOT_RUNNING


def _start_timed_out(node: Node, step: str) -> Unreachable:
    """Return the error of a node that did not answer within its `boot-timeout`; `step` is buildx's last step."""
    message = f"{node_text(node)} cannot be used: no answer within {duration(node.boot_timeout)}"
    message += f" ({step})" if step else ""
    hints = [node.driver.rules.log_hint(node), "raise boot-timeout"]
    return Unreachable(message, hint="; or ".join(filter(None, hints)))
