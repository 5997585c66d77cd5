"""The rules of the default builder of a plan: the engine's own builder or a container, as the engine in use decides."""

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
