"""The rules of the docker driver: the BuildKit of a Docker engine."""

from __future__ import annotations

from mpbake.model.drivers.rules import CHECK_ONLY, Abilities, Ability, DriverRules, EndpointRules

DOCKER = DriverRules(
    name="docker",
    abilities=Abilities(
        load=Ability.YES,
        cache_export=Ability.WITH_CONTAINERD,
        archives=Ability.WITH_CONTAINERD,
        folders=Ability.YES,
        several_platforms=Ability.WITH_CONTAINERD,
        parts=Ability.NO,
        configuration=Ability.NO,
        contexts=Ability.YES,
    ),
    endpoint=EndpointRules(
        schemes=("ssh", "tcp", "unix"),
        is_engine=True,
        no_tls_hint="use a docker context with TLS or ssh://, or set insecure = true: "
        "then everyone who reaches the port controls the engine",
    ),
    is_stored=False,
    is_engine=True,
    start_text=CHECK_ONLY,
    external_start_text=CHECK_ONLY,
)
