"""The hands that work on builders, one for each kind of thing, and how several work side by side."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mpbake.base.errors import Cancelled, MpbakeError, Unreachable
from mpbake.base.limits import affordable_threads
from mpbake.buildkit.nodes.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.causes import is_no_buildkit, is_paused
from mpbake.buildkit.nodes.contexts import Contexts
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.instances import Instances
from mpbake.buildkit.nodes.node_errors import hint_from_log
from mpbake.buildkit.nodes.records import Records, records_folder
from mpbake.buildkit.process.docker import Docker
from mpbake.buildkit.process.environment import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mpbake.buildkit.nodes.drivers.back_end import Keeper
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances import ReadyNode
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

Given = TypeVar("Given")
Made = TypeVar("Made")
_ASK_AGAIN = 2.0
"""Seconds between two questions to a node that is starting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeServices:
    """Everything that touches builders. `store` is the user's own, `scratch` a private folder."""

    docker: Docker
    environment: Mapping[str, str]
    scratch: Path
    contexts: Contexts
    instances: Instances
    store: BuildxStore
    records: Records
    now: Callable[[], datetime]

    def keeper(self, node: Node) -> Keeper | None:
        """Return the keeper of what mpbake makes for `node`; None if it makes nothing."""
        return back_end_of(node).keeper(self.docker)


@contextmanager
def open_services(
    environment: Mapping[str, str],
    redact: Callable[[str], str],
    now: Callable[[], datetime],
    when_stopped: Callable[[Callable[[], None]], None],
) -> Iterator[NodeServices]:
    """Such tools; no process and no private folder of them is left when the block is left.

    `when_stopped` is told how to end what runs.
    """
    with tempfile.TemporaryDirectory(prefix="mpbake-") as folder:
        docker = Docker(child_environment(environment, ()), Path(folder), redact)
        when_stopped(docker.cancel)
        try:
            yield tools_for(docker, environment, Path(folder), now)
        finally:
            docker.close()


def tools_for(
    docker: Docker, environment: Mapping[str, str], scratch: Path, now: Callable[[], datetime]
) -> NodeServices:
    """The tools of a user with this environment."""
    return NodeServices(
        docker=docker,
        environment=environment,
        scratch=scratch,
        contexts=Contexts(docker=docker),
        instances=Instances(docker, scratch, environment),
        store=BuildxStore(folder=store_folder(environment)),
        records=Records(folder=records_folder(environment)),
        now=now,
    )


def reached(contexts: Contexts, keeper: Keeper, node: Node) -> NodeResource | None:
    """What `node` lives in, which mpbake made; its docker context is made as declared, and goes if it was for nothing.

    Raises UsageError when one, or the volume for its cache, is somebody else's, Unreachable.
    """
    is_new = contexts.ensure(node)
    try:
        made = keeper.own(node)
        if made is None:
            keeper.check_new(node)
    except MpbakeError:
        if is_new:
            contexts.remove(node)
        raise
    return made


def start(instances: Instances, keeper: Keeper, instance: ReadyNode, boot: NodeStart) -> ReadyNode:
    """Start a node, and wait until it answers, for as long as it is starting and `boot` has time.

    buildx itself gives up after about 15 seconds in a container, and after 2 minutes in a cluster. Raises Unreachable,
    with the last lines of the node's log.
    """
    while True:
        try:
            return instances.booted(instance, boot)
        except Unreachable as error:
            if boot.is_over or is_no_buildkit(error.message) or not keeper.is_starting(instance.node):
                raise _with_last_words(keeper, instance.node, error) from None
        boot.tell("waiting for BuildKit to answer")
        keeper.docker.pause(_ASK_AGAIN)


def _with_last_words(keeper: Keeper, node: Node, error: Unreachable) -> Unreachable:
    """`error` with the last lines of the log of `node`, as far as they can be had, and what to do about them."""
    words = "" if is_paused(error.message) else keeper.last_words(node)
    if not words:
        return error
    return Unreachable(f"{error.message}\n{words}", hint=hint_from_log(node, words) or error.hint)


def side_by_side(do: Callable[[Given], Made], each: Sequence[Given]) -> list[Made | MpbakeError]:
    """What came of every one of `each`, done at the same time: a result or an error. Raises Cancelled."""

    def attempt(one: Given) -> Made | MpbakeError:
        try:
            return do(one)
        except Cancelled:
            raise
        except MpbakeError as error:
            return error

    with ThreadPoolExecutor(max_workers=affordable_threads(max(len(each), 1))) as workers:
        return list(workers.map(attempt, each))


def errors_of(results: Iterable[object]) -> list[MpbakeError]:
    """The errors among what came of several."""
    return [each for each in results if isinstance(each, MpbakeError)]
