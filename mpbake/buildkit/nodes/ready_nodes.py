"""Nodes made ready: created when missing, started when stopped, left alone when right, never taken over."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import Cancelled, MpbakeError, Unreachable
from mpbake.buildkit.nodes.connection import check_node
from mpbake.buildkit.nodes.contexts import Contexts
from mpbake.buildkit.nodes.declaration import declare
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.engine import Engines, ask_engine
from mpbake.buildkit.nodes.first_start import NodeStart, ignore_progress
from mpbake.buildkit.nodes.instances import Instances, ReadyNode
from mpbake.buildkit.nodes.records import Records, records_folder
from mpbake.buildkit.nodes.tools import reached, start
from mpbake.graph.preflight.certificates import utc_now
from mpbake.model.marks import drifted_names
from mpbake.model.node_resources import keeps_cache
from mpbake.model.plan import ENGINE_DRIVER
from mpbake.run.state.locks import WAITING, hold_engine_lock, hold_node_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.buildkit.nodes.drivers.back_end import Keeper
    from mpbake.buildkit.nodes.first_start import Tell
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Driver, Node, Target

_CREATED = "created"
"""What a run notes of a node that it has made."""
_ASK_AGAIN = 2.0
"""Seconds between two questions to a node that says no, which may be a connection that broke."""


class ReadyNodes:
    """Makes nodes ready, each once for a run; safe to use from several threads.

    `folder` holds the instances, `plan` is the file that declares the nodes.
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
        self._records = Records(folder=records_folder(environment))
        self._instances = Instances(docker, folder, environment)
        self._contexts = Contexts(docker=docker)
        self._now = now
        self._of_default: Sequence[Target] = ()
        self._ready: dict[str, ReadyNode | MpbakeError] = {}
        self._known: dict[str, ReadyNode] = {}
        self._failed: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def settle_default(self, targets: Sequence[Target]) -> Driver:
        """Decide which driver the default builder of `targets` has, where the plan leaves it to the engine; the driver.

        Where the engine does not answer, its node will say so until it is forgotten: what does not need it goes on.
        """
        self._of_default = targets
        try:
            return self._default_driver()
        except Unreachable as error:
            self._ready |= {node.id: error for target in targets for node in target.builder.nodes}
            return ENGINE_DRIVER

    def _default_driver(self) -> Driver:
        """The driver of the default builder. Raises Unreachable, and asks the engine again the next time."""
        return self._instances.default_driver(self._of_default, self.engines.facts())

    def ready(self, node: Node, tell: Tell = ignore_progress) -> ReadyNode:
        """Make sure that `node` exists and answers; `tell` hears what is done for that, often.

        Raises Unreachable, or UsageError when it is somebody else's.
        """
        with self._lock_of(f"ready {node.id}"):
            found = self._ready.get(node.id) or self._try(node, tell)
            if isinstance(found, MpbakeError):
                raise found
            return found

    def _try(self, node: Node, tell: Tell) -> ReadyNode | MpbakeError:
        """What became of `node`; what failed once is not tried again until it is to be forgotten."""
        found: ReadyNode | MpbakeError
        try:
            found = self._known[node.id] = self._make_ready(node, tell)
        except Cancelled:
            raise
        except MpbakeError as error:
            found = error
            self._failed.add(node.id)
        self._ready[node.id] = found  # which is not read back: another thread may forget it at once
        return found

    def instance(self, node: Node) -> ReadyNode:
        """The instance of a node that has been ready in this run, whether or not it answers now."""
        return self._known.get(node.id) or self.ready(node)

    def version(self, node: Node) -> str:
        """The BuildKit version that `node` states, which is made ready unless that was tried in this run.

        Empty if it states none, or could not be made ready.
        """
        with self._lock_of(f"ready {node.id}"):
            known: ReadyNode | MpbakeError | None = self._known.get(node.id)
            if known is None and node.id not in self._failed:
                known = self._try(node, ignore_progress)
        return known.facts.version if isinstance(known, ReadyNode) else ""

    def forget(self, node: Node) -> None:
        """`node` was lost: when it is asked for again, it is made ready anew.

        Where another thread is about it, that is not waited for, and what comes of it counts.
        """
        self._ready.pop(node.id, None)

    @contextlib.contextmanager
    def pushing(self, ready: ReadyNode) -> Iterator[None]:
        """Within, an engine pushes from its own store, and no other process of this user has it do so.

        It takes layers that another push still sends for sent, and the registry then refuses the manifest.
        """
        address = self._instances.endpoints.address(ready.endpoint)
        engine = address.url if address else ready.endpoint
        among_us = hold_engine_lock(self._environment, engine, cancelled=lambda: self._docker.cancelled)
        with self._lock_of(f"push {ready.endpoint}"), among_us:
            yield

    def _lock_of(self, what: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(what, threading.Lock())

    def answers(self, node: Node, timeout: float) -> bool:
        """Whether a node that has been ready still answers, within so many seconds."""
        try:
            self._instances.asked(self.instance(node), timeout)
        except Unreachable:
            return False
        return True

    def answers_at_last(self, node: Node, timeout: float) -> bool:
        """As `answers`, of a node that may say no for a moment: it is asked until the time is over."""
        return any(self.answers(node, left) for left in self._until(timeout))

    def engine_complaint(self, timeout: float) -> Unreachable | None:
        """Why the engine in use does not answer within so many seconds, if it does not; it is asked as a node is."""
        found: Unreachable | None = None
        for left in self._until(timeout):
            try:
                ask_engine(self._docker, timeout=left)
            except Unreachable as error:
                found = error
            else:
                return None
        return found

    def _until(self, timeout: float) -> Iterator[float]:
        """The seconds that are left, as often as something may be asked within `timeout`, with pauses in between."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            yield left
            self._docker.pause(min(_ASK_AGAIN, end - time.monotonic()))

    def tidy(self) -> None:
        """Remove what buildx writes down of each build, which nobody reads in a private store."""
        for ready in self._known.values():
            if not ready.node.driver.rules.is_placed_by_buildx:
                shutil.rmtree(ready.store / "refs", ignore_errors=True)

    def _make_ready(self, declared: Node, tell: Tell) -> ReadyNode:
        automatic = declared.driver.rules.is_automatic
        node = replace(declared, driver=self._default_driver()) if automatic else declared
        if node.external:
            return self._instances.external(node, NodeStart.of(node, tell))
        warnings = check_node(node, self._now, self._environment)
        ready = self._declared(node, tell)
        return replace(ready, warnings=(*warnings, *ready.warnings, *_earlier_workflow(ready)))

    def _declared(self, node: Node, tell: Tell) -> ReadyNode:
        """A node that the plan says all of, and that can be reached as far as that can be told beforehand."""
        back_end = back_end_of(node)
        keeper = back_end.keeper(self._docker)
        if keeper is None:
            return back_end.connect(self._instances, node, NodeStart.of(node, tell))
        return self._kept_node(node, keeper, tell)

    def _kept_node(self, node: Node, keeper: Keeper, tell: Tell) -> ReadyNode:
        """A BuildKit that lives in a container or a Deployment: known by its mark; made when missing, and noted."""
        waiting, cancelled = partial(tell, WAITING), lambda: self._docker.cancelled
        with hold_node_lock(self._environment, node, waiting=waiting, cancelled=cancelled):
            boot = NodeStart.of(node, tell)
            made = reached(self._contexts, keeper, node)
            if made is None:
                keeper.fetch(node, boot)
                keeper.prepare(node)
            unnoted = () if made else self._records.add(node.builder, [node], self._plan)
            ready = start(self._instances, keeper, self._instances.written(node), boot)
        return replace(ready, note=_note(made), warnings=(*unnoted, *_drift(node, made)))


def _note(before: NodeResource | None) -> str:
    """What had to be done with what a node lives in, from what it was before."""
    if before is None:
        return _CREATED
    return "running" if before.status == "running" else "started"


def _earlier_workflow(ready: ReadyNode) -> tuple[str, ...]:
    """Warn of a container that was made before this run, if it is to put a workflow run into provenance."""
    if not ready.workflow or ready.note == _CREATED:
        return ()
    builder = ready.node.builder
    remedy = f"mpbake builders rm --keep-state {builder} before the run, which then makes it anew with its cache"
    return (
        f"{ready.node.id}: provenance names the workflow run that made its container, perhaps not this one; {remedy}",
    )


def _drift(node: Node, made: NodeResource | None) -> tuple[str, ...]:
    """What a run says of what was made with other options: it is used as it is."""
    changed = drifted_names(made.mark, declare(node).mark) if made else ()
    if not changed:
        return ()
    remedy = f"mpbake builders up {node.builder} makes it anew{', and its cache stays' if keeps_cache(node) else ''}"
    return (f"{node.id} runs with other options than the plan declares ({', '.join(changed)}); {remedy}",)
