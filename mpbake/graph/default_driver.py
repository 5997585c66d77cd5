"""Choose the driver of the default builder. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.platforms import can_execute
from mpbake.graph.links import grouped_by_variant
from mpbake.model.plan import CONTAINER_DRIVER, ENGINE_DRIVER, Driver
from mpbake.spec.drivers import unsupported_requests

if TYPE_CHECKING:
    from collections.abc import Collection

    from mpbake.base.platforms import Platform
    from mpbake.graph.node_facts import EngineFacts
    from mpbake.model.plan import Target


def default_driver(targets: Collection[Target], engine: EngineFacts) -> Driver:
    """Return the driver of the default builder: `docker` if the engine can build and deliver all `targets`.

    The alternative is the `docker-container` driver. An engine with the containerd image store can build and deliver
    nearly everything. An engine with the classic store builds only its own platform, one platform at a time, without
    cache export and without archives of OCI layouts. Neither store allows a push of build pieces that are joined later.
    """
    targets = tuple(targets)
    if any(target.push and _is_split(target) for target in targets):
        return CONTAINER_DRIVER
    if engine.containerd_store or all(_suits_classic_store(target, engine.platform) for target in targets):
        return ENGINE_DRIVER
    return CONTAINER_DRIVER


def _is_split(target: Target) -> bool:
    """Whether the values of `target` differ by platform, so that even a single node builds the platforms separately."""
    return len(grouped_by_variant(target, target.platforms)) > 1


def _suits_classic_store(target: Target, own: Platform) -> bool:
    """Whether an engine with the classic image store and the platform `own` can do all that `target` requests."""
    if target.push and target.outputs:
        return False
    unsupported = unsupported_requests(target, target.platforms, ENGINE_DRIVER, containerd_store=False)
    return all(can_execute(own, platform) for platform in target.platforms) and next(unsupported, None) is None
