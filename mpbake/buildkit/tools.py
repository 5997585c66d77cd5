"""The hands that work on builders, one for each kind of thing, and how several work side by side."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mpbake.buildkit.causes import is_paused, remedy_of_log
from mpbake.buildkit.containers import Containers
from mpbake.buildkit.contexts import Contexts
from mpbake.buildkit.deployments import Deployments
from mpbake.buildkit.docker import Docker
from mpbake.buildkit.environment import child_environment
from mpbake.buildkit.instances import Instances
from mpbake.buildkit.records import Records, records_folder
from mpbake.buildkit.store import Store, store_folder
from mpbake.descriptors import affordable
from mpbake.errors import Cancelled, MpbakeError, Unreachable
from mpbake.plan import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mpbake import lifecycle
    from mpbake.buildkit.instances import Ready
    from mpbake.plan import Node

Given = TypeVar("Given")
Made = TypeVar("Made")
Keeper = Containers | Deployments


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """Everything that touches builders. `store` is the user's own, `scratch` a private folder."""

    docker: Docker
    environment: Mapping[str, str]
    scratch: Path
    containers: Containers
    contexts: Contexts
    instances: Instances
    store: Store
    records: Records
    now: Callable[[], datetime]

    def keeper(self, node: Node) -> Keeper | None:
        """See `keeper_of`."""
        return keeper_of(self.docker, node)


@contextmanager
def open_tools(
    environment: Mapping[str, str],
    hide: Callable[[str], str],
    now: Callable[[], datetime],
    when_stopped: Callable[[Callable[[], None]], None],
) -> Iterator[Tools]:
    """Such tools; no process and no private folder of them is left when the block is left.

    `when_stopped` is told how to end what runs.
    """
    with tempfile.TemporaryDirectory(prefix="mpbake-") as folder:
        docker = Docker(child_environment(environment, ()), Path(folder), hide)
        when_stopped(docker.cancel)
        try:
            yield tools_for(docker, environment, Path(folder), now)
        finally:
            docker.close()


def keeper_of(docker: Docker, node: Node) -> Keeper | None:
    """Who looks after what mpbake makes for a node of this driver; None where it makes nothing."""
    match node.driver:
        case Driver.DOCKER_CONTAINER:
            return Containers(docker=docker)
        case Driver.KUBERNETES:
            return Deployments(docker=docker)
        case _:
            return None


def tools_for(docker: Docker, environment: Mapping[str, str], scratch: Path, now: Callable[[], datetime]) -> Tools:
    """The tools of a user with this environment."""
    return Tools(
        docker=docker,
        environment=environment,
        scratch=scratch,
        containers=Containers(docker=docker),
        contexts=Contexts(docker=docker),
        instances=Instances(docker, scratch, environment),
        store=Store(folder=store_folder(environment)),
        records=Records(folder=records_folder(environment)),
        now=now,
    )


def reached(contexts: Contexts, keeper: Keeper, node: Node) -> lifecycle.Made | None:
    """What `node` lives in, which mpbake made; its docker context is made as declared, and goes if it was for nothing.

    Without any, the place for its cache is prepared. Raises UsageError when one is somebody else's, Unreachable.
    """
    is_new = contexts.ensure(node)
    try:
        made = keeper.own(node)
        if made is None:
            keeper.prepare(node)
    except MpbakeError:
        if is_new:
            contexts.remove(node)
        raise
    return made


def boot(instances: Instances, keeper: Keeper, instance: Ready) -> Ready:
    """Start what is to answer; when it does not, it says itself why. Raises Unreachable."""
    try:
        return instances.booted(instance)
    except Unreachable as error:
        words = "" if is_paused(error.message) else keeper.last_words(instance.node)
        if not words:
            raise
        hint = remedy_of_log(instance.node, words) or error.hint
        raise Unreachable(f"{error.message}\n{words}", hint=hint) from None


def side_by_side(do: Callable[[Given], Made], each: Sequence[Given]) -> list[Made | MpbakeError]:
    """What came of every one of `each`, done at the same time: a result or an error. Raises Cancelled."""

    def attempt(one: Given) -> Made | MpbakeError:
        try:
            return do(one)
        except Cancelled:
            raise
        except MpbakeError as error:
            return error

    with ThreadPoolExecutor(max_workers=affordable(max(len(each), 1))) as workers:
        return list(workers.map(attempt, each))


def errors_of(results: Iterable[object]) -> list[MpbakeError]:
    """The errors among what came of several."""
    return [each for each in results if isinstance(each, MpbakeError)]
