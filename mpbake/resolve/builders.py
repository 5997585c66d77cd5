"""Builders and nodes as meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mpbake.codes import Code
from mpbake.plan import Builder, Driver, Emulation, Node, Tls
from mpbake.platforms import parse_platforms
from mpbake.resolve.naming import bad_name, below
from mpbake.resolve.rendering import without_empty
from mpbake.spec import NAME, BuilderSpec, NodeSpec, PlanSpec, Problem
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.errors import KeyPath
    from mpbake.resolve.rendering import Rendering

DEFAULT_BUILDER = "default"
_FILES = ("ca", "cert", "key")
CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def resolve_builders(
    spec: PlanSpec, scope: Mapping[str, Any], rendering: Rendering, folder: Callable[[KeyPath], Path]
) -> dict[str, Builder]:
    """Every declared builder, and the one that targets without a builder get. `folder` is where a key's paths start."""
    builders = {}
    for name, written in spec.builders.items():
        where = below("builders", name)
        raw = spec.defaults.builder.written() | written.written()
        raw["nodes"] = {node: each.written() | {"tls": each.tls.written()} for node, each in written.nodes.items()}
        rendered = without_empty(rendering.value(raw, scope, where))
        table = rendering.table(BuilderSpec, rendered, where)
        builders[name] = _builder(name, table, folder, rendering.problems)
    rendering.problems.extend(_shared_names(builders.values()))
    if DEFAULT_BUILDER not in builders:
        where = below("defaults", "builder")
        rendered = without_empty(rendering.value(spec.defaults.builder.written(), scope, where))
        builders[DEFAULT_BUILDER] = default = _default_builder(rendering.table(BuilderSpec, rendered, where))
        if default.driver is Driver.KUBERNETES:
            rendering.problems.append(_no_kubernetes(where(())))
    return builders


def _default_builder(table: BuilderSpec) -> Builder:
    driver = Driver(table.driver) if table.driver else Driver.AUTOMATIC
    node = Node(
        builder=DEFAULT_BUILDER,
        name="local",
        driver=driver,
        image=table.image,
        network=table.network,
        slots=table.slots or 0,
    )
    emulation = Emulation(table.emulation or Emulation.WARN)
    return Builder(name=DEFAULT_BUILDER, driver=driver, nodes=(node,), emulation=emulation)


def _builder(name: str, table: BuilderSpec, folder: Callable[[KeyPath], Path], problems: list[Problem]) -> Builder:
    key: KeyPath = ("builders", name)
    driver = Driver(table.driver or Driver.DOCKER_CONTAINER)
    if not NAME.fullmatch(name):
        problems.append(bad_name(key, name))
    elif not name[0].isalpha():
        message, hint = "a builder's name begins with a letter", "buildx takes no other"
        problems.append(Problem(code=Code.BAD_NAME, key=key, message=message, hint=hint, of_key=True))
    nodes = []
    for node_name, node in (table.nodes or {"local": NodeSpec()}).items():
        node_key: KeyPath = (*key, "nodes", node_name)
        problems += _node_problems(node_key, driver, node)
        nodes.append(_node(name, node_name, driver, table, _with_files(node, node_key, folder)))
    problems += _shared_endpoints(key, nodes)
    emulation = Emulation(table.emulation or Emulation.WARN)
    return Builder(name=name, driver=driver, nodes=tuple(nodes), emulation=emulation)


def _with_files(node: NodeSpec, key: KeyPath, folder: Callable[[KeyPath], Path]) -> NodeSpec:
    """`node`, the paths of its certificates absolute."""
    files = {field: getattr(node.tls, field) for field in _FILES}
    absolute = {field: str(folder((*key, "tls", field)) / path) for field, path in files.items() if path}
    return node.model_copy(update={"tls": node.tls.model_copy(update=absolute)})


def _node(builder: str, name: str, driver: Driver, table: BuilderSpec, node: NodeSpec) -> Node:
    files = {field: Path(getattr(node.tls, field)) for field in _FILES if getattr(node.tls, field)}
    return Node(
        builder=builder,
        name=name,
        driver=driver,
        endpoint=node.endpoint,
        platforms=parse_platforms(node.platforms),
        tls=Tls(servername=node.tls.servername, **files),
        image=table.image,
        network=table.network,
        slots=node.slots or table.slots or 0,
        required=node.required,
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
        message, hint = "a remote node needs an endpoint", 'for example endpoint = "tcp://10.0.0.5:1234"'
        found.append(Problem(code=Code.NODE_WITHOUT_ENDPOINT, key=key, message=message, hint=hint))
    if driver is not Driver.REMOTE and node.tls.written():
        message, hint = f"the {driver} driver takes no tls", 'it belongs to driver = "remote"'
        found.append(Problem(code=Code.TLS_WITHOUT_REMOTE, key=(*key, "tls"), message=message, hint=hint))
    if bool(node.tls.cert) != bool(node.tls.key):
        message, hint = "cert and key belong together", "give both, or neither"
        found.append(Problem(code=Code.TLS_PAIR, key=(*key, "tls"), message=message, hint=hint))
    return found


def _no_kubernetes(key: KeyPath) -> Problem:
    message, hint = "the kubernetes driver is not supported yet", "use docker, docker-container or remote"
    return Problem(code=Code.DRIVER_UNSUPPORTED, key=key, message=message, hint=hint)


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
            yield _bad_endpoint(key, "is no URL", hint)
        elif not CONTEXT_NAME.fullmatch(endpoint):
            yield _bad_endpoint(key, f'"{one_line(endpoint)}" is neither a URL nor the name of a docker context')
    elif scheme not in schemes:
        known = ", ".join(f"{each}://" for each in schemes)
        yield _bad_endpoint(key, f"a {driver} node is not reached by {one_line(scheme)}://", f"known: {known}")
    elif scheme == "unix" and not rest.startswith("/"):
        yield _bad_endpoint(key, "the path of a unix socket must be absolute", "unix:///run/buildkitd.sock")
    elif scheme in {"tcp", "ssh"} and not _has_host(endpoint):
        yield _bad_endpoint(key, "has no valid host and port", f"for example {scheme}://10.0.0.5:1234")


def _bad_endpoint(key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(code=Code.BAD_ENDPOINT, key=key, message=message, hint=hint)


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
            yield Problem(code=Code.NODE_NAME_TWICE, key=key, message=message, hint="rename one of them")


def _shared_endpoints(key: KeyPath, nodes: Sequence[Node]) -> list[Problem]:
    """Two nodes on one endpoint, which buildx refuses."""
    seen: dict[str, str] = {}
    found = []
    for node in nodes:
        if node.endpoint in seen:
            message = f'node "{one_line(node.name)}" has the same endpoint as "{one_line(seen[node.endpoint])}"'
            hint = "one endpoint serves one node of a builder"
            at: KeyPath = (*key, "nodes", node.name)
            found.append(Problem(code=Code.ENDPOINT_TWICE, key=at, message=message, hint=hint))
        seen.setdefault(node.endpoint, node.name)
    return found
