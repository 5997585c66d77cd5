"""Resolve and check `deploy`: how mpbake deploys the BuildKit of a `remote` node."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from mpbake.base.codes import Code
from mpbake.base.references import has_host, is_loopback
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_document
from mpbake.model.drivers.deployed import SCHEMES, deployment
from mpbake.model.plan import DEPLOYED_IMAGE, RESTART, Deployment, Driver, TlsFiles
from mpbake.resolve.builders.external import DOCKER_NAME
from mpbake.resolve.builders.node_options import (
    absolute_paths,
    alternatives_text,
    folder_of_path,
    named_files,
    restart_problems,
)
from mpbake.resolve.names import key_below
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Node
    from mpbake.spec.tables.builder_tables import DeploySpec, NodeSpec

BUILDKIT_PORT = 1234
"""The port of BuildKit if an endpoint names none."""
_HOST_SCHEMES = ("ssh", "tcp", "unix")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_THROUGH_CONTAINER = "docker-container://NAME?context=CONTEXT"


def deployed_node(node: Node, spec: NodeSpec, folder: Callable[[KeyPath], Path]) -> Node:
    """Return a `remote` node with its deployment. `folder` returns the folder for a path in the table `deploy`."""
    deploy = spec.deploy
    name = f"mpbake-{node.buildx_name}"
    url = urlsplit(node.endpoint) if has_host(node.endpoint) else urlsplit("")
    by_container = url.scheme == "docker-container"
    config = absolute_paths(deploy.buildkitd, folder_of_path(folder, key_below("buildkitd")))
    result = Deployment(
        host=deploy.host,
        container=url.netloc if by_container else name,
        volume=deploy.volume or name,
        tls=TlsFiles() if by_container else _server_files(node, deploy, folder),
        port=0 if by_container else url.port or BUILDKIT_PORT,
        image=deploy.image or f"{DEPLOYED_IMAGE}{'-rootless' if deploy.rootless else ''}",
        restart=deploy.restart or RESTART,
        rootless=deploy.rootless,
    )
    return replace(
        node,
        driver=Driver(node.driver.rules.deployed_as),
        deploy=result,
        config=toml_document(config),
        config_names=named_files(config),
    )


def _server_files(node: Node, deploy: DeploySpec, folder: Callable[[KeyPath], Path]) -> TlsFiles:
    """Return the TLS files of the server, as the plan names them.

    Defaults: the authority is the node's `tls.ca`; the certificate and the key are in the folder of `tls.cert`.
    """
    written = {name: getattr(deploy.tls, name) for name in ("ca", "cert", "key")}
    paths = {name: folder(("tls", name)) / path for name, path in written.items() if path}
    beside = node.tls.cert.parent if node.tls.cert else Path()
    stem = f"{node.builder}-{node.name}"
    return TlsFiles(
        ca=paths.get("ca", node.tls.ca),
        cert=paths.get("cert", beside / f"{stem}.pem"),
        key=paths.get("key", beside / f"{stem}-key.pem"),
    )


def deploy_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    """Yield the problems of the table `deploy` at `key`, if `node` has such a table."""
    if "deploy" not in node.written():
        return
    scheme = node.endpoint.partition("://")[0]
    if not driver.rules.deployed_as:
        message = f"the {driver} driver does not support deploy"
        others = alternatives_text(other for other in Driver if other.rules.deployed_as)
        hint = f"remove it, or use driver = {others}: only its nodes need a BuildKit that somebody starts"
        yield _misplaced(key, message, hint)
        return
    if node.endpoint and scheme not in SCHEMES:
        message = f"mpbake cannot deploy a BuildKit that listens at {one_line(scheme)}://"
        hint = f"use tcp://HOST:PORT with tls, or {_THROUGH_CONTAINER}"
        yield _misplaced(key, message, hint)
    yield from _host_problems((*key, "host"), node.deploy.host, is_written="host" in node.deploy.written())
    yield from restart_problems((*key, "restart"), node.deploy.restart)
    if node.deploy.volume and not _VOLUME.fullmatch(node.deploy.volume):
        message = f'"{one_line(node.deploy.volume)}" is not a valid name of a volume'
        hint = "use letters, digits, dots, hyphens and underscores"
        yield Problem(code=Code.BAD_OPTION, key=(*key, "volume"), message=message, hint=hint)
    if scheme == "docker-container":
        yield from _container_problems(key, node)
    elif scheme == "tcp":
        yield from _tls_problems(key, node)


def _misplaced(key: KeyPath, message: str, hint: str) -> Problem:
    return Problem(code=Code.DEPLOY_MISPLACED, key=key, message=message, hint=hint, of_key=True)


def _host_problems(key: KeyPath, host: str, *, is_written: bool) -> Iterator[Problem]:
    """Yield the problems of the engine on which BuildKit is deployed."""
    scheme, colon, path = host.partition("://")
    known = ", ".join(f"{supported}://" for supported in _HOST_SCHEMES)
    if not host:
        message, hint = '"host" is missing', 'name the engine, for example host = "ssh://root@10.0.0.5"'
        if is_written:
            yield _bad_host(key, "is empty", hint)
        else:
            yield Problem(code=Code.MISSING_KEY, key=key[:-1], message=message, hint=hint)
    elif not colon:
        if not DOCKER_NAME.fullmatch(host):
            yield _bad_host(key, f'"{one_line(host)}" is neither a URL nor a valid name of a docker context')
    elif scheme not in _HOST_SCHEMES:
        yield _bad_host(key, f"docker does not support {one_line(scheme)}://", f"use one of {known}")
    elif scheme == "unix" and not path.startswith("/"):
        yield _bad_host(key, "the path of a unix socket must be absolute", "write it like unix:///run/docker.sock")
    elif scheme in {"tcp", "ssh"} and not has_host(host):
        yield _bad_host(key, "has no valid host and port", f"write it like {scheme}://10.0.0.5")
    elif scheme == "tcp" and not is_loopback(host):
        message = "is an engine on another machine without TLS: anyone who can reach its port has full control of it"
        hint = "use ssh://, or name a docker context with TLS"
        yield Problem(code=Code.NO_TLS, key=key, message=message, hint=hint)


def _bad_host(key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(code=Code.BAD_ENDPOINT, key=key, message=message, hint=hint)


def _container_problems(key: KeyPath, node: NodeSpec) -> Iterator[Problem]:
    """Yield the problems of a node that buildx reaches through the container itself, with a docker context."""
    url = urlsplit(node.endpoint)
    context, host = dict(parse_qsl(url.query)).get("context", ""), node.deploy.host
    if "://" in host:
        message = "buildx reaches a container only through a docker context"
        hint = f"make one, and name it here: docker context create NAME --docker host={one_line(host)}"
        yield _bad_host((*key, "host"), message, hint)
    elif host and context != host:
        message = f"does not lead to the engine of deploy.host, {one_line(host)}"
        hint = f"write {one_line(f'docker-container://{url.netloc}?context={host}')}"
        yield _bad_host((*key[:-1], "endpoint"), message, hint)
    if node.deploy.tls.written():
        message, hint = "tls is supported only for tcp:// endpoints", "remove tls"
        yield Problem(code=Code.TLS_MISPLACED, key=(*key, "tls"), message=message, hint=hint)


def _tls_problems(key: KeyPath, node: NodeSpec) -> Iterator[Problem]:
    """Yield the problems of a node that listens on a port, which requires mutual TLS."""
    missing = [name for name in ("ca", "cert", "key") if not getattr(node.tls, name)]
    if missing:
        message = "mpbake opens no port without mutual TLS: anyone who can reach the port becomes root on the machine"
        unless = f"or use {_THROUGH_CONTAINER}, which opens no port"
        keys = "tls = { ca, cert, key }" if len(missing) > 2 else " and ".join(f"tls.{name}" for name in missing)
        remove = ", remove insecure" if node.insecure else ""
        yield Problem(code=Code.NO_TLS, key=key, message=message, hint=f"set {keys}{remove}, {unless}", of_key=True)
    if bool(node.deploy.tls.cert) != bool(node.deploy.tls.key):
        message, hint = "cert and key must be set together", "set both, or neither"
        yield Problem(code=Code.TLS_PAIR, key=(*key, "tls"), message=message, hint=hint)


def shared_deployments(nodes: Iterable[Node]) -> Iterator[Problem]:
    """Yield a problem for the later of two nodes that use one volume, container or port of an engine."""
    seen: dict[tuple[str, str, str], Node] = {}
    for node in nodes:
        if node.deploy is None or node.external:
            continue
        deploy = deployment(node)
        used = {"volume": deploy.volume, "container": deploy.container, "port": str(deploy.port or "")}
        for kind, value in used.items():
            other = seen.setdefault((deploy.host, kind, value), node) if value else node
            if other is not node:
                key: KeyPath = ("builders", node.builder, "nodes", node.name, "deploy")
                message = f"uses the {kind} {one_line(value)}, as node {other.id} does"
                hint = f"change the {kind} of one of them, or its host"
                yield Problem(code=Code.BAD_OPTION, key=key, message=message, hint=hint, of_key=True)
