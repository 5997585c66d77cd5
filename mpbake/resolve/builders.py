"""Builders and nodes as meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mpbake.plan import Builder, Driver, Emulation, Node, Tls
from mpbake.platforms import parse_platforms
from mpbake.resolve.naming import bad_name, below
from mpbake.spec import NAME, BuilderSpec, NodeSpec, PlanSpec, Problem
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.errors import KeyPath
    from mpbake.resolve.rendering import Rendering

DEFAULT_BUILDER = "default"
CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def resolve_builders(spec: PlanSpec, scope: Mapping[str, Any], rendering: Rendering, root: Path) -> dict[str, Builder]:
    """Every declared builder, and the one that targets without a builder get."""
    builders = {}
    for name, written in spec.builders.items():
        where = below("builders", name)
        raw = spec.defaults.builder.written() | written.written()
        raw["nodes"] = {node: each.written() | {"tls": each.tls.written()} for node, each in written.nodes.items()}
        rendered = rendering.value(raw, scope, where)
        table = rendering.table(BuilderSpec, rendered, where)
        builders[name] = _builder(name, table, root, rendering.problems)
    rendering.problems.extend(_shared_names(builders.values()))
    if DEFAULT_BUILDER not in builders:
        where = below("defaults", "builder")
        rendered = rendering.value(spec.defaults.builder.written(), scope, where)
        builders[DEFAULT_BUILDER] = default = _default_builder(rendering.table(BuilderSpec, rendered, where))
        if default.driver is Driver.KUBERNETES:
            rendering.problems.append(_no_kubernetes(where(())))
    return builders


def _default_builder(table: BuilderSpec) -> Builder:
    driver = Driver(table.driver) if table.driver else Driver.AUTOMATIC
    node = Node(builder=DEFAULT_BUILDER, name="local", driver=driver, image=table.image, network=table.network)
    emulation = Emulation(table.emulation or Emulation.WARN)
    return Builder(name=DEFAULT_BUILDER, driver=driver, nodes=(node,), emulation=emulation)


def _builder(name: str, table: BuilderSpec, root: Path, problems: list[Problem]) -> Builder:
    key: KeyPath = ("builders", name)
    driver = Driver(table.driver or Driver.DOCKER_CONTAINER)
    if not NAME.fullmatch(name):
        problems.append(bad_name(key, name))
    elif not name[0].isalpha():
        problems.append(Problem(key=key, message="a builder's name begins with a letter", hint="buildx takes no other"))
    nodes = []
    for node_name, node in (table.nodes or {"local": NodeSpec()}).items():
        node_key: KeyPath = (*key, "nodes", node_name)
        problems += _node_problems(node_key, driver, node)
        nodes.append(_node(name, node_name, driver, table, node, root))
    problems += _shared_endpoints(key, nodes)
    emulation = Emulation(table.emulation or Emulation.WARN)
    return Builder(name=name, driver=driver, nodes=tuple(nodes), emulation=emulation)


def _node(builder: str, name: str, driver: Driver, table: BuilderSpec, node: NodeSpec, root: Path) -> Node:
    files = {field: root / getattr(node.tls, field) for field in ("ca", "cert", "key") if getattr(node.tls, field)}
    return Node(
        builder=builder,
        name=name,
        driver=driver,
        endpoint=node.endpoint,
        platforms=parse_platforms(node.platforms),
        tls=Tls(servername=node.tls.servername, **files),
        image=table.image,
        network=table.network,
    )


def _node_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> list[Problem]:
    """What the driver of a node makes impossible or necessary."""
    found = []
    if not NAME.fullmatch(str(key[-1])):
        found.append(bad_name(key, str(key[-1])))
    if driver is Driver.KUBERNETES:
        found.append(_no_kubernetes(key[:2]))
    found += _endpoint_problems((*key, "endpoint"), driver, node.endpoint)
    if driver is Driver.REMOTE and not node.endpoint:
        found.append(
            Problem(
                key=key, message="a remote node needs an endpoint", hint='for example endpoint = "tcp://10.0.0.5:1234"'
            )
        )
    if driver is not Driver.REMOTE and node.tls.written():
        found.append(
            Problem(
                key=(*key, "tls"), message=f"the {driver} driver takes no tls", hint='it belongs to driver = "remote"'
            )
        )
    if bool(node.tls.cert) != bool(node.tls.key):
        found.append(Problem(key=(*key, "tls"), message="cert and key belong together", hint="give both, or neither"))
    return found


def _no_kubernetes(key: KeyPath) -> Problem:
    return Problem(
        key=key, message="the kubernetes driver is not supported yet", hint="use docker, docker-container or remote"
    )


_SCHEMES = {
    Driver.REMOTE: ("tcp", "unix", "docker-container", "kube-pod"),
    Driver.DOCKER: ("ssh", "tcp", "unix"),
    Driver.DOCKER_CONTAINER: ("ssh", "tcp", "unix"),
}


def _endpoint_problems(key: KeyPath, driver: Driver, endpoint: str) -> Iterator[Problem]:
    """What is no address of a node of this driver. A name without `://` is a docker context's."""
    schemes = _SCHEMES.get(driver, ())
    scheme, colon, rest = endpoint.partition("://")
    if not endpoint or not schemes:
        return
    if not colon:
        if driver is Driver.REMOTE:
            hint = f"write {one_line(f'tcp://{endpoint}')}"
            yield Problem(key=key, message="is no URL", hint=hint)
        elif not CONTEXT_NAME.fullmatch(endpoint):
            yield Problem(key=key, message=f'"{one_line(endpoint)}" is neither a URL nor the name of a docker context')
    elif scheme not in schemes:
        known = ", ".join(f"{each}://" for each in schemes)
        yield Problem(
            key=key, message=f"a {driver} node is not reached by {one_line(scheme)}://", hint=f"known: {known}"
        )
    elif scheme == "unix" and not rest.startswith("/"):
        yield Problem(key=key, message="the path of a unix socket must be absolute", hint="unix:///run/buildkitd.sock")
    elif scheme in {"tcp", "ssh"} and not _has_host(endpoint):
        yield Problem(key=key, message="has no valid host and port", hint=f"for example {scheme}://10.0.0.5:1234")


def _has_host(endpoint: str) -> bool:
    try:
        url = urlsplit(endpoint)
        host = url.hostname or ""
        return host[:1] not in ("", "-") and (url.port is None or url.port > 0)
    except ValueError:
        return False


def _shared_names(builders: Iterable[Builder]) -> Iterator[Problem]:
    """Nodes whose buildx name, and so whose container, would be the same."""
    seen: dict[str, Node] = {}
    for node in (node for builder in builders for node in builder.nodes):
        other = seen.setdefault(node.buildx_name, node)
        if other is not node:
            key: KeyPath = ("builders", node.builder, "nodes", node.name)
            message = f"{node.id} and {other.id} are both {node.buildx_name} to buildx"
            yield Problem(key=key, message=message, hint="rename one of them")


def _shared_endpoints(key: KeyPath, nodes: Sequence[Node]) -> list[Problem]:
    """Two nodes on one endpoint, which buildx refuses."""
    seen: dict[str, str] = {}
    found = []
    for node in nodes:
        if node.endpoint in seen:
            message = f'node "{one_line(node.name)}" has the same endpoint as "{one_line(seen[node.endpoint])}"'
            found.append(
                Problem(
                    key=(*key, "nodes", node.name), message=message, hint="one endpoint serves one node of a builder"
                )
            )
        seen.setdefault(node.endpoint, node.name)
    return found
