"""Prepares nodes for builds: creates missing nodes, starts stopped nodes, and never takes over a foreign resource."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import Cancelled, MpbakeError, Unreachable
from mpbake.buildkit.nodes.drivers.table import back_end_of, cluster_of
from mpbake.buildkit.nodes.engines.contexts import Contexts
from mpbake.buildkit.nodes.engines.engine import Engines, ask_engine
from mpbake.buildkit.nodes.first_start import NodeStart, ignore_progress
from mpbake.buildkit.nodes.instances.declaration import declare, for_run
from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
from mpbake.buildkit.nodes.records import Records, records_folder
from mpbake.buildkit.nodes.services import find_own_resource, start_node
from mpbake.graph.preflight.certificates import utc_now
from mpbake.model.marks import drifted_names
from mpbake.model.node_resources import keeps_cache
from mpbake.model.plan import ENGINE_DRIVER
from mpbake.run.state.locks import WAITING, hold_engine_lock, hold_node_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.buildkit.nodes.first_start import Tell
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Driver, Node, Target

_CREATED = "created"
"""The note of a node that this run created."""
_RETRY_SECONDS = 2.0
"""Seconds between two queries to a node whose connection may be broken."""


class ReadyNodes:
    """Prepares each node once in a run. Thread-safe.

    `folder` holds the buildx instances. `plan` is the file that declares the nodes.
    """

    def __init__(
        self,
        docker: Docker,
        folder: Path,
        environment: Mapping[str, str],
        plan: Path,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._docker = docker
        self.engines = Engines(docker)
        self._environment = environment
        self._plan = plan
        self._records = Records(folder=records_folder(environment), cluster_of=partial(cluster_of, docker))
        self._instances = Instances(docker, folder, environment)
        self._contexts = Contexts(docker=docker)
        self._now = now
        self._targets_of_default: Sequence[Target] = ()
        self._ready: dict[str, ReadyNode | MpbakeError] = {}
        self._known: dict[str, ReadyNode] = {}
        self._failed: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def settle_default(self, targets: Sequence[Target]) -> Driver:
        """Choose and return the driver of the default builder of `targets`.

        If the engine does not answer, `ready` raises that error for the builder's node until `forget` is called. Steps
        that do not use the node continue.
        """
        self._targets_of_default = targets
        try:
            return self._default_driver()
        except Unreachable as error:
            self._ready |= {node.id: error for target in targets for node in target.builder.nodes}
            return ENGINE_DRIVER

    def _default_driver(self) -> Driver:
        """Return the driver of the default builder. Raises Unreachable; the next call queries the engine again."""
        return self._instances.default_driver(self._targets_of_default, self.engines.facts())

    def ready(self, node: Node, tell: Tell = ignore_progress) -> ReadyNode:
        """Make sure that `node` exists and answers. `tell` receives the progress.

        Raises Unreachable, or UsageError if mpbake did not create the node's resource.
        """
        with self._lock_of(f"ready {node.id}"):
            result = self._ready.get(node.id) or self._try(node, tell)
            if isinstance(result, MpbakeError):
                raise result
            return result

    def _try(self, node: Node, tell: Tell) -> ReadyNode | MpbakeError:
        """Prepare `node` for builds, and store the result or the error.

        A failed node is not retried before `forget` is called.
        """
        result: ReadyNode | MpbakeError
        try:
            result = self._known[node.id] = self._make_ready(node, tell)
        except Cancelled:
            raise
        except MpbakeError as error:
            result = error
            self._failed.add(node.id)
        self._ready[node.id] = result  # return `result`, not this entry: another thread may remove the entry at once
        return result

    def instance(self, node: Node) -> ReadyNode:
        """Return the instance of a node that has been ready in this run, even if the node no longer answers."""
        return self._known.get(node.id) or self.ready(node)

    def version(self, node: Node) -> str:
        """Return the BuildKit version of `node`.

        A node that this run has not prepared yet is prepared first. The version is empty if the node reports none, or
        cannot be used.
        """
        with self._lock_of(f"ready {node.id}"):
            known: ReadyNode | MpbakeError | None = self._known.get(node.id)
            if known is None and node.id not in self._failed:
                known = self._try(node, ignore_progress)
        return known.facts.version if isinstance(known, ReadyNode) else ""

    def forget(self, node: Node) -> None:
        """Forget the result for a lost `node`, so that the next call of `ready` prepares the node again.

        `forget` does not wait for another thread that is preparing the node, and does not change the result of this
        thread.
        """
        self._ready.pop(node.id, None)

    @contextlib.contextmanager
    def pushing(self, ready: ReadyNode) -> Iterator[None]:
        """Prevent other processes of this user from pushing from the image store of the node's engine during the block.

        Otherwise an engine treats layers as uploaded while another push is still sending them, and the registry rejects
        the manifest.
        """
        address = self._instances.endpoints.address(ready.endpoint)
        engine = address.url if address else ready.endpoint
        among_processes = hold_engine_lock(self._environment, engine, cancelled=lambda: self._docker.cancelled)
        with self._lock_of(f"push {ready.endpoint}"), among_processes:
            yield

    def _lock_of(self, activity: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(activity, threading.Lock())

    def answers(self, node: Node, timeout: float) -> bool:
        """Whether a node that has been ready still answers within `timeout` seconds."""
        try:
            self._instances.ask(self.instance(node), timeout)
        except Unreachable:
            return False
        return True

    def answers_at_last(self, node: Node, timeout: float) -> bool:
        """Whether a node answers within `timeout` seconds.

        The node is queried several times, since a single query may fail by chance.
        """
        return any(self.answers(node, seconds) for seconds in self._attempts(timeout))

    def daemons(self, node: Node) -> frozenset[str]:
        """Return an id of each running BuildKit that may work on the next build of `node`; empty if unknown."""
        manager = None if node.external else back_end_of(node).manager(self._docker)
        return manager.daemons(node) if manager else frozenset()

    def serves(self, node: Node, daemons: frozenset[str]) -> bool:
        """Whether one of the `daemons` of `node` still runs and has a client; True if unknown."""
        manager = back_end_of(node).manager(self._docker) if daemons else None
        return manager is None or manager.serves(node, daemons)

    def engine_error(self, timeout: float) -> Unreachable | None:
        """Return why the engine in use does not answer within `timeout` seconds; None if the engine answers.

        The engine is queried several times, since a single query may fail by chance.
        """
        last_error: Unreachable | None = None
        for seconds in self._attempts(timeout):
            try:
                ask_engine(self._docker, timeout=seconds)
            except Unreachable as error:
                last_error = error
            else:
                return None
        return last_error

    def _attempts(self, timeout: float) -> Iterator[float]:
        """Yield the remaining seconds before each attempt within `timeout`, and pause between attempts."""
        end = time.monotonic() + timeout
        while (seconds := end - time.monotonic()) > 0:
            yield seconds
            self._docker.pause(min(_RETRY_SECONDS, end - time.monotonic()))

    def tidy(self) -> None:
        """Remove buildx's records of builds, which have no use in a private store."""
        for ready in self._known.values():
            if not ready.node.driver.rules.is_placed_by_buildx:
                shutil.rmtree(ready.store / "refs", ignore_errors=True)

    def _make_ready(self, declared: Node, tell: Tell) -> ReadyNode:
        automatic = declared.driver.rules.is_automatic
        node = replace(declared, driver=self._default_driver()) if automatic else declared
        if node.external:
            return self._instances.boot_external(node, NodeStart.of(node, tell))
        start = NodeStart.of(node, tell)
        warnings = back_end_of(node).reach(self._docker, node, self._now, self._environment, start)
        ready = self._make_declared_ready(node, tell)
        return replace(ready, warnings=(*warnings, *ready.warnings, *_earlier_workflow(ready)))

    def _make_declared_ready(self, node: Node, tell: Tell) -> ReadyNode:
        """Prepare a declared node for builds. The caller has checked the connection."""
        back_end = back_end_of(node)
        manager = back_end.manager(self._docker)
        rules = node.driver.rules.resource
        if manager is None or rules is None or not rules.is_made_by_buildx:
            return back_end.connect(self._instances, node, NodeStart.of(node, tell))
        return self._make_resource_ready(node, manager, tell)

    def _make_resource_ready(self, node: Node, manager: ResourceManager, tell: Tell) -> ReadyNode:
        """Prepare a node that runs in a container or a Deployment. A new node is recorded before it is created."""
        waiting, cancelled = partial(tell, WAITING), lambda: self._docker.cancelled
        with hold_node_lock(self._environment, node, waiting=waiting, cancelled=cancelled):
            start = NodeStart.of(node, tell)
            made = find_own_resource(self._contexts, manager, node)
            if made is None:
                manager.fetch(node, start)
                manager.prepare(node)
            warnings = () if made else self._records.add(node.builder, [node], self._plan)
            ready = start_node(self._instances, manager, self._instances.write(for_run(node)), start)
        return replace(ready, note=_note(made), warnings=(*warnings, *_drift(node, made)))


def _note(before: NodeResource | None) -> str:
    """Return whether the run created, started or just used the resource of a node. `before` is the earlier state."""
    if before is None:
        return _CREATED
    return "running" if before.status == "running" else "started"


def _earlier_workflow(ready: ReadyNode) -> tuple[str, ...]:
    """Warn about a container that is older than this run if the plan requests the workflow run in the provenance."""
    if not ready.workflow or ready.note == _CREATED:
        return ()
    builder = ready.node.builder
    problem = "provenance names the workflow run that made its container, which may be an earlier one"
    remedy = f"run `mpbake builders rm --keep-state {builder}` first, so that the run recreates it with its cache"
    return (f"{ready.node.id}: {problem}; {remedy}",)


def _drift(node: Node, made: NodeResource | None) -> tuple[str, ...]:
    """Warn about a resource that was created with other options than declared. The run uses the resource as it is."""
    changed = drifted_names(made.mark, declare(node).mark) if made else ()
    if not changed:
        return ()
    remedy = f"run `mpbake builders up {node.builder}` to recreate it{' with its cache' if keeps_cache(node) else ''}"
    return (f"{node.id} runs with options that differ from the plan ({', '.join(changed)}); {remedy}",)
