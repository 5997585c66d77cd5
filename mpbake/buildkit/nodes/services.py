"""The services that work on nodes, and functions that start nodes and that handle several nodes in parallel."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mpbake.base.errors import Cancelled, MpbakeError, Unreachable
from mpbake.base.limits import affordable_threads
from mpbake.buildkit.nodes.causes import is_no_buildkit, is_paused
from mpbake.buildkit.nodes.drivers.table import back_end_of, cluster_of
from mpbake.buildkit.nodes.engines.contexts import Contexts
from mpbake.buildkit.nodes.instances.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.instances.instances import Instances
from mpbake.buildkit.nodes.node_errors import hint_from_log
from mpbake.buildkit.nodes.records import Records, records_folder
from mpbake.buildkit.nodes.start_watch import StartWatch
from mpbake.buildkit.process.docker import Docker
from mpbake.buildkit.process.environment import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances.instances import ReadyNode
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

Item = TypeVar("Item")
Result = TypeVar("Result")
_RETRY_SECONDS = 2.0
"""Seconds between two queries to a node that is starting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeServices:
    """The services for nodes and builders. `store` is the user's buildx store, `scratch` a private folder."""

    docker: Docker
    environment: Mapping[str, str]
    scratch: Path
    contexts: Contexts
    instances: Instances
    store: BuildxStore
    records: Records
    now: Callable[[], datetime]

    def manager(self, node: Node) -> ResourceManager | None:
        """Return the manager of the resource of `node`; None if the node needs no resource."""
        return back_end_of(node).manager(self.docker)


@contextmanager
def open_services(
    environment: Mapping[str, str],
    redact: Callable[[str], str],
    now: Callable[[], datetime],
    when_stopped: Callable[[Callable[[], None]], None],
) -> Iterator[NodeServices]:
    """Yield services for a block. At the end of the block, all processes have ended and the private folder is removed.

    `when_stopped` receives the function that ends running processes.
    """
    with tempfile.TemporaryDirectory(prefix="mpbake-") as folder:
        docker = Docker(child_environment(environment, ()), Path(folder), redact)
        when_stopped(docker.cancel)
        try:
            yield services_for(docker, environment, Path(folder), now)
        finally:
            docker.close()


def services_for(
    docker: Docker, environment: Mapping[str, str], scratch: Path, now: Callable[[], datetime]
) -> NodeServices:
    """Return the services of a user with this `environment`."""
    return NodeServices(
        docker=docker,
        environment=environment,
        scratch=scratch,
        contexts=Contexts(docker=docker),
        instances=Instances(docker, scratch, environment),
        store=BuildxStore(folder=store_folder(environment)),
        records=Records(folder=records_folder(environment), cluster_of=partial(cluster_of, docker)),
        now=now,
    )


def find_own_resource(contexts: Contexts, manager: ResourceManager, node: Node) -> NodeResource | None:
    """Return the resource of `node`; None if the resource must be created. Create or correct the node's docker context.

    If the node cannot be used, a new docker context is removed again. Raises Unreachable, and UsageError if mpbake did
    not create the resource, the docker context or the cache volume.
    """
    is_new = contexts.ensure(node)
    try:
        made = manager.own(node)
        if made is None:
            manager.check_new(node)
    except MpbakeError:
        if is_new:
            contexts.remove(node)
        raise
    return made


def start_node(instances: Instances, manager: ResourceManager, instance: ReadyNode, start: NodeStart) -> ReadyNode:
    """Start a node and wait for an answer, as long as the node is starting and `start` has time.

    buildx itself stops waiting after about 15 seconds for a container, and after 2 minutes in a cluster, whatever the
    reason. Raises Unreachable with the last lines of the node's log.
    """
    watch = StartWatch(manager=manager, node=instance.node)
    while True:
        try:
            manager.wait(instance.node, start)
            return instances.boot(instance, start, watch.watch)
        except Unreachable as error:
            if blocked := watch.error:
                raise _with_log(manager, instance.node, blocked) from None
            if start.is_over or is_no_buildkit(error.message) or not manager.is_starting(instance.node):
                raise _with_log(manager, instance.node, error) from None
        start.tell("waiting for BuildKit to answer")
        manager.docker.pause(_RETRY_SECONDS)


def _with_log(manager: ResourceManager, node: Node, error: Unreachable) -> Unreachable:
    """Return `error` with the last lines of the log of `node` and a hint from these lines, if the log has any lines."""
    log = "" if is_paused(error.message) else manager.end_of_log(node)
    if not log:
        return error
    return Unreachable(f"{error.message}\n{log}", hint=hint_from_log(node, log) or error.hint)


def side_by_side(do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | MpbakeError]:
    """Call `do` for all `items` in parallel. Return a result or an error for each item. Raises Cancelled."""

    def attempt(item: Item) -> Result | MpbakeError:
        try:
            return do(item)
        except Cancelled:
            raise
        except MpbakeError as error:
            return error

    with ThreadPoolExecutor(max_workers=affordable_threads(max(len(items), 1))) as workers:
        return list(workers.map(attempt, items))


def errors_of(results: Iterable[object]) -> list[MpbakeError]:
    """Return the errors in `results`."""
    return [result for result in results if isinstance(result, MpbakeError)]
