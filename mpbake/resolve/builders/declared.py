"""Resolve the builders and nodes that a plan declares."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platforms
from mpbake.base.references import has_host
from mpbake.base.text import one_line, parse_duration
from mpbake.model.drivers.rules import Ability
from mpbake.model.plan import (
    AUTOMATIC_DRIVER,
    BOOT_TIMEOUT,
    CERTIFICATE_DAYS,
    CONTAINER_DRIVER,
    Builder,
    Driver,
    Emulation,
    Node,
    TlsFiles,
)
from mpbake.resolve.builders.cluster_options import cluster_conflicts
from mpbake.resolve.builders.deployment import deploy_problems, deployed_node, shared_deployments
from mpbake.resolve.builders.emulators import emulator_problems, emulators_image
from mpbake.resolve.builders.external import DOCKER_NAME, external_builder, external_problems
from mpbake.resolve.builders.node_options import (
    folder_of_path,
    merge_over_general,
    node_options,
    option_problems,
    value_problems,
    with_absolute_paths,
)
from mpbake.resolve.builders.tls import tls_problems
from mpbake.resolve.names import key_below, name_problem
from mpbake.resolve.values import drop_absent
from mpbake.spec.problem import Problem
from mpbake.spec.tables.builder_tables import BuilderSpec, NodeSpec, TlsSpec
from mpbake.spec.tables.value_types import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.model.node_state import StoredBuilder
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.tables.plan_tables import PlanSpec

DEFAULT_BUILDER = "default"
DEFAULT_NODE = "local"
_FILES = ("ca", "cert", "key")


def resolve_builders(
    spec: PlanSpec,
    scope: Mapping[str, Any],
    renderer: ValueRenderer,
    folder: Callable[[KeyPath], Path],
    stored: Callable[[str], StoredBuilder | None] = lambda _: None,
) -> dict[str, Builder]:
    """Return every declared builder, and the builder for targets without `builder`.

    `folder` returns the folder that paths at a key are relative to. `stored` returns buildx's stored entry of a
    builder.
    """
    defaults = spec.defaults.builder.written()
    builders = {}
    for name, builder_spec in spec.builders.items():
        own = builder_spec.written()
        key_of = _key_of_builder(name, own)
        table = _resolved_table(merge_over_general(defaults, own), scope, renderer, key_of)
        if table.external:
            renderer.problems.extend(external_problems(("builders", name), own))
            entry = stored(name) if DOCKER_NAME.fullmatch(name) else None
            builders[name] = external_builder(name, table, entry)
        else:
            driver = Driver(table.driver or CONTAINER_DRIVER)
            renderer.problems.extend(_builder_problems(name, table, driver, own))
            builders[name] = _builder(name, table, driver, folder, key_of)
            renderer.problems.extend(_resource_problems(builders[name], table, key_of))
    key_of = key_below("defaults", "builder")
    table = _resolved_table(defaults, scope, renderer, key_of)
    renderer.problems.extend(value_problems(key_of(()), table.written()))
    if DEFAULT_BUILDER not in builders:
        driver = Driver(table.driver or AUTOMATIC_DRIVER)
        builders[DEFAULT_BUILDER] = _builder(DEFAULT_BUILDER, table, driver, folder, key_of)
    renderer.problems.extend(_shared_names(builders.values(), spec.builders))
    renderer.problems.extend(shared_deployments(node for builder in builders.values() for node in builder.nodes))
    return builders


def _resolved_table(
    written: Mapping[str, Any],
    scope: Mapping[str, Any],
    renderer: ValueRenderer,
    key_of: Callable[[KeyPath], KeyPath],
) -> BuilderSpec:
    """Render and validate the table of a builder."""
    return renderer.validated(BuilderSpec, drop_absent(renderer.render(written, scope, key_of)), key_of)


def _key_of_builder(name: str, own: Mapping[str, Any]) -> Callable[[KeyPath], KeyPath]:
    """Return a function that maps a path in a builder to a key: in the builder's `own` table, or in the defaults."""

    def key_of(path: KeyPath) -> KeyPath:
        is_default = path and path[0] not in own
        return ("defaults", "builder", *path) if is_default else ("builders", name, *path)

    return key_of


def _builder(
    name: str,
    table: BuilderSpec,
    driver: Driver,
    folder: Callable[[KeyPath], Path],
    key_of: Callable[[KeyPath], KeyPath],
) -> Builder:
    """Return the builder of a table. `key_of` maps a path in the table to a key, `folder` a key to a folder."""
    nodes = tuple(
        replace(
            _node(name, node_name, driver, table, folder_of_path(folder, key_of)),
            config_key=key_of(_config_path(node_name, table)),
        )
        for node_name in _nodes(table)
    )
    emulation = Emulation(table.emulation or Emulation.WARN)
    return Builder(name=name, driver=driver, nodes=nodes, emulation=emulation, emulators=emulators_image(table, driver))


def _nodes(table: BuilderSpec) -> Mapping[str, NodeSpec]:
    """Return the nodes of a builder; without declared nodes, a single node: the engine of the docker command."""
    return table.nodes or {DEFAULT_NODE: NodeSpec()}


def _config_path(node: str, table: BuilderSpec) -> KeyPath:
    """Return the path in a builder's table at which the configuration file of a node is named."""
    return ("nodes", node, "config") if _nodes(table)[node].config else ("config",)


def _node(builder: str, name: str, driver: Driver, table: BuilderSpec, folder: Callable[[KeyPath], Path]) -> Node:
    node = _nodes(table)[name]
    is_deployed = "deploy" in node.written() and driver.rules.deployed_as
    own_folder = folder_of_path(folder, key_below("nodes", name))
    resolved = node_options(
        # The default builder may become a container.
        CONTAINER_DRIVER if driver.rules.is_automatic else driver,
        with_absolute_paths(table.written(), folder),
        with_absolute_paths(node.written(), own_folder),
    )
    tls = _tls(node.tls, folder_of_path(own_folder, key_below("tls")))
    declared = Node(
        builder=builder,
        name=name,
        driver=driver,
        endpoint=node.endpoint,
        stated_buildx_name=node.buildx_name,
        platforms=parse_platforms(node.platforms),
        tls=tls,
        slots=node.slots or table.slots or 0,
        required=node.required,
        insecure=node.insecure,
        options=resolved.options,
        flags=resolved.flags,
        config=resolved.config,
        config_names=resolved.config_names,
        config_file=resolved.config_file,
        boot_timeout=parse_duration(table.boot_timeout) if table.boot_timeout else BOOT_TIMEOUT,
        certificate_days=CERTIFICATE_DAYS if table.certificate_days is None else table.certificate_days,
    )
    return deployed_node(declared, node, folder_of_path(own_folder, key_below("deploy"))) if is_deployed else declared


def _tls(tls: TlsSpec, folder: Callable[[KeyPath], Path]) -> TlsFiles:
    files = {name: getattr(tls, name) for name in _FILES}
    return TlsFiles(servername=tls.servername, **{name: folder((name,)) / path for name, path in files.items() if path})


def _builder_problems(name: str, table: BuilderSpec, driver: Driver, own: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of a builder and its nodes that come from the builder's `own` table, not from defaults."""
    key: KeyPath = ("builders", name)
    if not NAME.fullmatch(name):
        yield name_problem(key, name)
    elif not name[0].isalpha():
        message, hint = "a builder's name must start with a letter", "rename it: buildx accepts no other names"
        yield Problem(code=Code.BAD_NAME, key=key, message=message, hint=hint, of_key=True)
    yield from option_problems(key, driver, {name: value for name, value in table.written().items() if name in own})
    yield from emulator_problems(key, driver, table, own)
    for node_name, node in _nodes(table).items():
        yield from _node_problems((*key, "nodes", node_name), driver, node)
    if driver.rules.endpoint.schemes:
        yield from _shared_endpoints((*key, "nodes"), table.nodes)


def _resource_problems(builder: Builder, table: BuilderSpec, key_of: Callable[[KeyPath], KeyPath]) -> Iterator[Problem]:
    """Yield the problems of the resources of the nodes of `builder`: invalid names and contradictory options."""
    conflicts: dict[Problem, None] = {}
    for node in builder.nodes:
        key: KeyPath = ("builders", builder.name, "nodes", node.name)
        rules = node.driver.rules.resource
        if reason := rules.bad_name(node) if rules else "":
            hint = "rename the builder or the node: the name consists of both"
            yield Problem(code=Code.BAD_NAME, key=key, message=one_line(reason), hint=hint, of_key=True)
        if rules and not node.driver.rules.endpoint.is_engine:
            conflicts |= dict.fromkeys(cluster_conflicts(node.name, table, key_of))
    yield from conflicts


def _node_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    """Yield the problems of a node, including unsupported and missing options of its driver."""
    if not NAME.fullmatch(str(key[-1])):
        yield name_problem(key, str(key[-1]))
    if node.buildx_name and not BUILDX_NAME.fullmatch(node.buildx_name):
        message = f'"{one_line(node.buildx_name)}" is not a valid name of a node in buildx'
        hint = "use letters, digits, `.`, `_` and `-`, with a letter first; `docker buildx ls` lists the names of nodes"
        yield Problem(code=Code.BAD_NAME, key=(*key, "buildx-name"), message=message, hint=hint)
    yield from _endpoint_problems((*key, "endpoint"), driver, node.endpoint)
    if driver.rules.endpoint.is_required and not node.endpoint:
        message, hint = f"a {driver} node needs an endpoint", 'add one, for example endpoint = "tcp://10.0.0.5:1234"'
        yield Problem(code=Code.NODE_WITHOUT_ENDPOINT, key=key, message=message, hint=hint)
    yield from option_problems(key, driver, node.written())
    yield from deploy_problems((*key, "deploy"), driver, node)
    yield from tls_problems(key, driver, node)


BUILDX_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
"""A name of a builder or node that buildx accepts. buildx keeps names in lower case."""
_POD_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
"""A DNS subdomain name, as Kubernetes requires for the name of a pod."""
_NAME_PATTERNS = {"docker-container": DOCKER_NAME, "kube-pod": _POD_NAME}
_NAMED_KINDS = {"docker-container": "container", "kube-pod": "pod"}


def _endpoint_problems(key: KeyPath, driver: Driver, endpoint: str) -> Iterator[Problem]:
    """Yield the problems of a node's endpoint. An endpoint without `://` is the name of a docker context."""
    schemes = driver.rules.endpoint.schemes
    scheme, colon, rest = endpoint.partition("://")
    if not endpoint:
        return
    if not schemes:
        yield _bad_endpoint(key, f"a {driver} node cannot have an endpoint", driver.rules.endpoint.misplaced_hint)
    elif not colon:
        if driver.rules.abilities.contexts is Ability.NO:
            hint = f"write {one_line(f'tcp://{endpoint}')}"
            yield _bad_endpoint(key, "is not a URL", hint)
        elif not DOCKER_NAME.fullmatch(endpoint):
            yield _bad_endpoint(key, f'"{one_line(endpoint)}" is neither a URL nor a valid name of a docker context')
    elif scheme not in schemes:
        known = ", ".join(f"{supported}://" for supported in schemes)
        yield _bad_endpoint(key, f"the {driver} driver does not support {one_line(scheme)}://", f"use one of {known}")
    elif scheme == "unix" and not rest.startswith("/"):
        yield _bad_endpoint(
            key, "the path of a unix socket must be absolute", "write it like unix:///run/buildkitd.sock"
        )
    elif scheme in {"tcp", "ssh"} and not has_host(endpoint):
        yield _bad_endpoint(key, "has no valid host and port", f"write it like {scheme}://10.0.0.5:1234")
    elif scheme in _NAME_PATTERNS and not _NAME_PATTERNS[scheme].fullmatch(rest.partition("?")[0]):
        kind = _NAMED_KINDS[scheme]
        yield _bad_endpoint(key, f"has no valid {kind} name", f"write it like {scheme}://my-buildkit")


def _bad_endpoint(key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(code=Code.BAD_ENDPOINT, key=key, message=message, hint=hint)


def _shared_names(builders: Iterable[Builder], declared: Container[str]) -> Iterator[Problem]:
    """Yield the problems of builders, and of nodes of different builders, with the same name in buildx.

    The problem is located at the later of the two `declared` builders.
    """
    first: dict[str, Builder] = {}
    for builder in sorted(builders, key=lambda builder: builder.name in declared):
        other = first.setdefault(builder.name.lower(), builder)
        if other is not builder:
            yield _builder_twice(builder.name, other.name, other_declared=other.name in declared)
    yield from _shared_nodes(builder for builder in first.values() if not builder.external)


def _builder_twice(name: str, other: str, *, other_declared: bool) -> Problem:
    """Return the problem of a builder that would share its buildx entry, records and lock with another builder."""
    message = f'builders "{one_line(name)}" and "{one_line(other)}" have the same buildx name {one_line(name.lower())}'
    hint_for_default = f'write "{other}", the builder of targets that name none, or rename yours'
    hint = "rename one of them" if other_declared else hint_for_default
    return Problem(code=Code.BUILDER_NAME_TWICE, key=("builders", name), message=message, hint=hint, of_key=True)


def _shared_nodes(builders: Iterable[Builder]) -> Iterator[Problem]:
    """Yield a problem for the later of two nodes with the same buildx name, and thus the same container."""
    seen: dict[str, Node] = {}
    for node in (node for builder in builders for node in builder.nodes):
        other = seen.setdefault(node.buildx_name, node)
        if other is not node:
            key: KeyPath = ("builders", node.builder, "nodes", node.name)
            message = f"nodes {node.id} and {other.id} have the same buildx name {node.buildx_name}"
            yield Problem(code=Code.NODE_NAME_TWICE, key=key, message=message, hint="rename one of them")


def _shared_endpoints(key: KeyPath, nodes: Mapping[str, NodeSpec]) -> Iterator[Problem]:
    """Yield a problem for two nodes of a builder with one endpoint, which buildx refuses."""
    seen: dict[str, str] = {}
    for name, node in nodes.items():
        first = seen.setdefault(node.endpoint, name)
        if first != name:
            message = f'node "{one_line(name)}" has the same endpoint as "{one_line(first)}"'
            hint = "change one of them: a builder can use an endpoint only once"
            yield Problem(code=Code.ENDPOINT_TWICE, key=(*key, name), message=message, hint=hint)
