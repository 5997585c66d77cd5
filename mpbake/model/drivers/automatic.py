"""The rules of a plan's default builder: its driver is `docker` or `docker-container`, depending on the engine."""

from __future__ import annotations

from mpbake.model.drivers.rules import DriverRules, EndpointRules

_START = "check that it answers; if a container, create or start it if needed"

AUTOMATIC = DriverRules(
    name="automatic",
    endpoint=EndpointRules(is_engine=True),
    is_declarable=False,
    is_stored=False,
    is_automatic=True,
    takes_default_config=True,
    start_text=_START,
    external_start_text=_START,
)
