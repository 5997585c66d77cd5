"""Asks registries for their time, and whether this user may push."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.buildkit.doctor.engines import clock_between
from mpbake.buildkit.registry.client import repository_of
from mpbake.buildkit.registry.transport import NoResponse
from mpbake.graph.doctor.facts import PushAccess

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mpbake.buildkit.registry.client import RegistryClient
    from mpbake.buildkit.registry.registries import Registries
    from mpbake.graph.doctor.facts import Clock
    from mpbake.model.plan import Builder

_SECONDS = 20.0
"""Seconds within which a registry must answer."""


def push_access(registries: Registries, builder: Builder, name: str) -> PushAccess:
    """Open an upload to the repository `name` with the user's login, and cancel the upload. Raises UsageError."""
    client, repository = _client(registries, builder), repository_of(name)
    failure = client.probe(repository)
    if failure is None:
        return PushAccess(has_login=True)
    error = failure.error(name)
    message = error.message.removeprefix(f"{name}: ")
    try:
        has_login = client.has_login(repository)
    except MpbakeError:  # `failure` contains the reason why the login cannot be read
        has_login = True
    return PushAccess(has_login=has_login, status=failure.status, message=message, hint=error.hint)


def registry_clock(registries: Registries, builder: Builder, registry: str, now: Callable[[], datetime]) -> Clock:
    """Return how far the clock of a registry's server is ahead. Raises Unreachable if the response contains no date."""
    before = now().replace(microsecond=0)  # the server's time has whole seconds
    try:
        time = _client(registries, builder).server_time(registry)
    except NoResponse as lost:
        raise Unreachable(lost.reason) from None
    if time is None:
        raise Unreachable("the registry does not report its time")
    return clock_between(time, before, now())


def _client(registries: Registries, builder: Builder) -> RegistryClient:
    return replace(registries.client(builder), read_timeout=_SECONDS, write_timeout=_SECONDS)
