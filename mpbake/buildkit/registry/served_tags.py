"""Asks registries to which digests the tags of a plan point now. Moves and writes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mpbake.base.errors import Cancelled, MpbakeError
from mpbake.base.limits import affordable_threads
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.review.probe import ServedTag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.buildkit.registry.registries import Registries
    from mpbake.model.plan import Target

_WORKERS = 16


def served_tags(registries: Registries, targets: Iterable[Target]) -> tuple[ServedTag, ...]:
    """Return the state of each tag that `targets` push, in the order of the plan. Raises Cancelled."""
    pushed = [(target, tag) for target in targets if target.push for tag in target.tags]
    with ThreadPoolExecutor(max_workers=affordable_threads(_WORKERS)) as workers:
        return tuple(workers.map(lambda entry: _served(registries, *entry), pushed))


def _served(registries: Registries, target: Target, tag: str) -> ServedTag:
    """Return the state of one tag. A registry that does not answer the question leaves the state unknown."""
    try:
        client = registries.client(target.builder).without_retries
        digest = client.digest(repository_of(tag), tag.rpartition(":")[2])
    except Cancelled:
        raise
    except RequestFailed as error:
        return ServedTag(tag=tag, target=target.name, trouble=str(error.failure))
    except MpbakeError as error:
        return ServedTag(tag=tag, target=target.name, trouble=error.message)
    return ServedTag(tag=tag, target=target.name, digest=digest)
