"""Reads builders that exist in buildx: from the user's store, or as a part of a Docker engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, UsageError
from mpbake.base.text import did_you_mean, one_line
from mpbake.buildkit.nodes.engines.contexts import inspect_context
from mpbake.buildkit.nodes.engines.endpoints import DEFAULT_CONTEXT
from mpbake.buildkit.nodes.instances.buildx_store import entry_of, existing_builder
from mpbake.model.existing_builders import ExistingBuilder, ExistingNode
from mpbake.model.plan import ENGINE_DRIVER
from mpbake.resolve.builders.external import DOCKER_NAME

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.services import NodeServices

_CURRENT = "*"
"""The mark of the current builder in the output of `docker buildx ls`."""


def find_builder(services: NodeServices, name: str) -> ExistingBuilder:
    """Return the builder that `docker buildx ls` lists as `name`.

    buildx lists a builder for each docker context: the BuildKit in the engine of the context. Raises UsageError if
    there is no such builder, and MpbakeError if buildx's entry of the builder cannot be read.
    """
    name = name.removesuffix(_CURRENT)
    if DOCKER_NAME.fullmatch(name):
        entry = services.store.read(name)
        if entry is not None:
            return existing_builder(name.lower(), entry)
        if name == DEFAULT_CONTEXT or inspect_context(services.docker, name) is not None:
            endpoint = "" if name == DEFAULT_CONTEXT else name
            node = ExistingNode(name=name, endpoint=endpoint)
            return ExistingBuilder(name=name, driver=str(ENGINE_DRIVER), nodes=(node,))
    hint = did_you_mean(name, {*services.store.names(), DEFAULT_CONTEXT}, kind="builders")
    raise UsageError(f'buildx has no builder "{one_line(name)}"', hint=hint)


def is_engine_in_use(services: NodeServices, endpoint: str) -> bool:
    """Whether an endpoint is the engine that the docker command uses."""
    endpoints = services.instances.endpoints
    try:
        return endpoints.same(endpoint, endpoints.in_use())
    except MpbakeError:
        return False


def is_made_by_mpbake(services: NodeServices, name: str) -> bool:
    """Whether mpbake wrote the entry of a builder in the user's store."""
    entry = services.store.read(name)
    return entry is not None and entry_of(entry).is_ours
