"""The rules of `remote` nodes whose BuildKit mpbake deploys: a container of an engine, which buildx reaches elsewhere.

buildx treats a deployed node like any other `remote` node. mpbake itself makes the container, in `mpbake builders up`.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from mpbake.model.drivers.remote import tls_options
from mpbake.model.drivers.rules import DriverRules, EndpointRules, ResourceRules
from mpbake.model.node_state import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mpbake.model.plan import Deployment, Node

SCHEMES = ("tcp", "docker-container")
"""The schemes of endpoints that lead to a deployed BuildKit."""
_START = "check that it answers, or start it; `mpbake builders up` deploys it"


def deployment(node: Node) -> Deployment:
    """Return the deployment of a node with this driver. Raises ValueError for a node of another driver."""
    if node.deploy is None:
        raise ValueError(node.id)
    return node.deploy


def files_volume(node: Node) -> str:
    """Return the name of the volume with the files of `node`."""
    return f"{deployment(node).container}-files"


def _settings(node: Node) -> dict[str, str]:
    """Return the settings on which a container depends, without empty values."""
    deploy = deployment(node)
    settings = {
        "image": deploy.image,
        "port": str(deploy.port or ""),
        "restart": deploy.restart,
        "rootless": "true" if deploy.rootless else "",
        "volume": deploy.volume,
    }
    return {name: value for name, value in settings.items() if value}


def _certificates(node: Node) -> dict[str, Path]:
    """Return the public certificates of the server by their names in `tls`.

    The private key belongs to the certificate.
    """
    files = deployment(node).tls.files
    return {f"tls.{name}": path for name, path in files.items() if name != "key"}


def _place(node: Node) -> dict[str, str]:
    deploy = deployment(node)
    return {"container": deploy.container, "volume": deploy.volume}


def _located(engine: str, place: Mapping[str, str]) -> dict[str, Any]:
    from mpbake.model.plan import Deployment  # noqa: PLC0415 - the drivers' table is part of the plan's module

    return {"deploy": Deployment(host=engine, container=place["container"], volume=place["volume"])}


def _log_hint(node: Node) -> str:
    deploy = deployment(node)
    option = "-H" if "://" in deploy.host else "--context"
    return f"look at its log: {shlex.join(['docker', option, deploy.host, 'logs', deploy.container])}"


DEPLOYED = DriverRules(
    name="deployed",
    variant_of="remote",
    endpoint=EndpointRules(schemes=SCHEMES, is_required=True, takes_tls=True, takes_servername=True),
    resource=ResourceRules(
        kind=lambda _: ResourceKind.CONTAINER,
        name=lambda node: deployment(node).container,
        keeps_cache=lambda _, wanted: wanted,
        add_mark=None,
        volume=lambda node: deployment(node).volume,
        files_volume=files_volume,
        settings=_settings,
        certificates=_certificates,
        place=_place,
        located=_located,
    ),
    is_declarable=False,
    is_stored=False,
    connects_on_create=True,
    start_text=_START,
    tls_options=tls_options,
    log_hint=_log_hint,
)
