"""Builders and nodes as meant."""

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
from mpbake.resolve.builders.external import DOCKER_NAME, external_builder, external_problems
from mpbake.resolve.builders.node_options import (
    merge_over_general,
    node_options,
    option_problems,
    path_starts,
    value_problems,
    with_absolute_paths,
)
from mpbake.resolve.builders.tls import tls_problems
from mpbake.resolve.names import key_below, name_problem
from mpbake.resolve.values import drop_empty_strings
from mpbake.spec.spec import NAME, BuilderSpec, NodeSpec, PlanSpec, Problem, TlsSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.model.node_state import StoredBuilder
    from mpbake.resolve.values import ValueRenderer

DEFAULT_BUILDER = "default"
DEFAULT_NODE = "local"
_FILES = ("ca", "cert", "key")


def resolve_builders(
    spec: PlanSpec,
    scope: Mapping[str, Any],
    rendering: ValueRenderer,
    folder: Callable[[KeyPath], Path],
    stored: Callable[[str], StoredBuilder | None] = lambda _: None,
) -> dict[str, Builder]:
    """Every declared builder, and the one that targets without a builder get.

    `folder` is where a key's paths start; `stored` tells what buildx keeps of a builder.
    """
    defaults = spec.defaults.builder.written()
    builders = {}
    for name, written in spec.builders.items():
        own = written.written()
        where = _stated(name, own)
        table = rendering.table(
            BuilderSpec, drop_empty_strings(rendering.value(merge_over_general(defaults, own), scope, where)), where
        )
        if table.external:
            rendering.problems.extend(external_problems(("builders", name), own))
            entry = stored(name) if DOCKER_NAME.fullmatch(name) else None
            builders[name] = external_builder(name, table, entry)
        else:
            driver = Driver(table.driver or CONTAINER_DRIVER)
            rendering.problems.extend(_builder_problems(name, table, driver, own))
            builders[name] = _builder(name, table, driver, folder, where)
    where = key_below("defaults", "builder")
    table = rendering.table(BuilderSpec, drop_empty_strings(rendering.value(defaults, scope, where)), where)
    rendering.problems.extend(value_problems(where(()), table.written()))
    if DEFAULT_BUILDER not in builders:
        driver = Driver(table.driver or AUTOMATIC_DRIVER)
        builders[DEFAULT_BUILDER] = _builder(DEFAULT_BUILDER, table, driver, folder, where)
    rendering.problems.extend(_shared_names(builders.values(), spec.builders))
    return builders


def _stated(name: str, own: Mapping[str, Any]) -> Callable[[KeyPath], KeyPath]:
    """A function that tells where the value at a path of a builder is written: in its own table, or as a default."""

    def where(path: KeyPath) -> KeyPath:
        of_default = path and path[0] not in own
        return ("defaults", "builder", *path) if of_default else ("builders", name, *path)

    return where


def _builder(
    name: str,
    table: BuilderSpec,
    driver: Driver,
    folder: Callable[[KeyPath], Path],
    where: Callable[[KeyPath], KeyPath],
) -> Builder:
    """The builder that a table means. `where` tells the key of a path below it, `folder` where a key's paths start."""
    made = (_node(name, each, driver, table, path_starts(folder, where)) for each in _nodes(table))
    nodes = tuple(replace(each, config_at=where(_config_path(each.name, table))) for each in made)
    emulation = Emulation(table.emulation or Emulation.WARN)
    return Builder(name=name, driver=driver, nodes=nodes, emulation=emulation)


def _nodes(table: BuilderSpec) -> Mapping[str, NodeSpec]:
    """The nodes of a builder; one that declares none has a single one where the docker command is."""
    return table.nodes or {DEFAULT_NODE: NodeSpec()}


def _config_path(node: str, table: BuilderSpec) -> KeyPath:
    """Where below a builder's table the configuration file of a node is named."""
    return ("nodes", node, "config") if _nodes(table)[node].config else ("config",)


def _node(builder: str, name: str, driver: Driver, table: BuilderSpec, folder: Callable[[KeyPath], Path]) -> Node:
    node = _nodes(table)[name]
    own_folder = path_starts(folder, key_below("nodes", name))
    told = node_options(
        # A container is what the engine's own builder may become.
        CONTAINER_DRIVER if driver.rules.is_automatic else driver,
        with_absolute_paths(table.written(), folder),
        with_absolute_paths(node.written(), own_folder),
    )
    return Node(
        builder=builder,
        name=name,
        driver=driver,
        endpoint=node.endpoint,
        platforms=parse_platforms(node.platforms),
        tls=_tls(node.tls, path_starts(own_folder, key_below("tls"))),
        slots=node.slots or table.slots or 0,
        required=node.required,
        insecure=node.insecure,
        options=told.options,
        flags=told.flags,
        config=told.config,
        config_names=told.config_names,
        config_file=told.config_file,
        boot_timeout=parse_duration(table.boot_timeout) if table.boot_timeout else BOOT_TIMEOUT,
        certificate_days=CERTIFICATE_DAYS if table.certificate_days is None else table.certificate_days,
    )


def _tls(written: TlsSpec, folder: Callable[[KeyPath], Path]) -> TlsFiles:
    files = {each: getattr(written, each) for each in _FILES}
    return TlsFiles(
        servername=written.servername, **{each: folder((each,)) / path for each, path in files.items() if path}
    )


def _builder_problems(name: str, table: BuilderSpec, driver: Driver, own: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a builder and its nodes, as far as its `own` table is to blame."""
    key: KeyPath = ("builders", name)
    if not NAME.fullmatch(name):
        yield name_problem(key, name)
    elif not name[0].isalpha():
        message, hint = "a builder's name begins with a letter", "buildx takes no other"
        yield Problem(code=Code.BAD_NAME, key=key, message=message, hint=hint, of_key=True)
    yield from option_problems(key, driver, {each: value for each, value in table.written().items() if each in own})
    for node_name, node in _nodes(table).items():
        yield from _node_problems((*key, "nodes", node_name), driver, node)
    if driver.rules.endpoint.schemes:
        yield from _shared_endpoints((*key, "nodes"), table.nodes)


def _node_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    """What the driver of a node makes impossible or necessary."""
    if not NAME.fullmatch(str(key[-1])):
        yield name_problem(key, str(key[-1]))
    yield from _endpoint_problems((*key, "endpoint"), driver, node.endpoint)
    if driver.rules.endpoint.is_required and not node.endpoint:
        message, hint = f"a {driver} node needs an endpoint", 'for example endpoint = "tcp://10.0.0.5:1234"'
        yield Problem(code=Code.NODE_WITHOUT_ENDPOINT, key=key, message=message, hint=hint)
    yield from option_problems(key, driver, node.written())
    yield from tls_problems(key, driver, node)


_POD_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
"""A DNS subdomain name, which Kubernetes wants as the name of a pod."""
_NAMES = {"docker-container": DOCKER_NAME, "kube-pod": _POD_NAME}
_CALLED = {"docker-container": "container", "kube-pod": "pod"}


def _endpoint_problems(key: KeyPath, driver: Driver, endpoint: str) -> Iterator[Problem]:
    """What is no address of a node of this driver. A name without `://` is a docker context's."""
    schemes = driver.rules.endpoint.schemes
    scheme, colon, rest = endpoint.partition("://")
    if not endpoint:
        return
    if not schemes:
        yield _bad_endpoint(key, f"a {driver} node has no endpoint", driver.rules.endpoint.misplaced_hint)
    elif not colon:
        if driver.rules.abilities.contexts is Ability.NO:
            hint = f"write {one_line(f'tcp://{endpoint}')}"
            yield _bad_endpoint(key, "is no URL", hint)
        elif not DOCKER_NAME.fullmatch(endpoint):
            yield _bad_endpoint(key, f'"{one_line(endpoint)}" is neither a URL nor the name of a docker context')
    elif scheme not in schemes:
        known = ", ".join(f"{each}://" for each in schemes)
        yield _bad_endpoint(key, f"a {driver} node is not reached by {one_line(scheme)}://", f"known: {known}")
    elif scheme == "unix" and not rest.startswith("/"):
        yield _bad_endpoint(key, "the path of a unix socket must be absolute", "unix:///run/buildkitd.sock")
    elif scheme in {"tcp", "ssh"} and not has_host(endpoint):
        yield _bad_endpoint(key, "has no valid host and port", f"for example {scheme}://10.0.0.5:1234")
    elif scheme in _NAMES and not _NAMES[scheme].fullmatch(rest.partition("?")[0]):
        what = _CALLED[scheme]
        yield _bad_endpoint(key, f"has no valid name of a {what}", f"for example {scheme}://my-buildkit")


def _bad_endpoint(key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(code=Code.BAD_ENDPOINT, key=key, message=message, hint=hint)


def _shared_names(builders: Iterable[Builder], declared: Container[str]) -> Iterator[Problem]:
    """Builders, and nodes of others, that would be the same to buildx; the later of two `declared` ones is to blame."""
    first: dict[str, Builder] = {}
    for builder in sorted(builders, key=lambda each: each.name in declared):
        other = first.setdefault(builder.name.lower(), builder)
        if other is not builder:
            yield _builder_twice(builder.name, other.name, other_declared=other.name in declared)
    yield from _shared_nodes(each for each in first.values() if not each.external)


def _builder_twice(name: str, other: str, *, other_declared: bool) -> Problem:
    """The problem of a builder whose entry in buildx's store, records and lock would be those of another one."""
    message = f'"{one_line(name)}" and "{one_line(other)}" are both {one_line(name.lower())} to buildx'
    of_default = f'"{other}" is the builder of targets that name none: write it so, or rename yours'
    hint = "rename one of them" if other_declared else of_default
    return Problem(code=Code.BUILDER_NAME_TWICE, key=("builders", name), message=message, hint=hint, of_key=True)


def _shared_nodes(builders: Iterable[Builder]) -> Iterator[Problem]:
    """Nodes whose buildx name, and so whose container, would be the same; the later one of them is to blame."""
    seen: dict[str, Node] = {}
    for node in (node for builder in builders for node in builder.nodes):
        other = seen.setdefault(node.buildx_name, node)
        if other is not node:
            key: KeyPath = ("builders", node.builder, "nodes", node.name)
            message = f"{node.id} and {other.id} are both {node.buildx_name} to buildx"
            yield Problem(code=Code.NODE_NAME_TWICE, key=key, message=message, hint="rename one of them")


def _shared_endpoints(key: KeyPath, nodes: Mapping[str, NodeSpec]) -> Iterator[Problem]:
    """Two nodes on one endpoint, which buildx refuses."""
    seen: dict[str, str] = {}
    for name, node in nodes.items():
        first = seen.setdefault(node.endpoint, name)
        if first != name:
            message = f'node "{one_line(name)}" has the same endpoint as "{one_line(first)}"'
            hint = "one endpoint serves one node of a builder"
            yield Problem(code=Code.ENDPOINT_TWICE, key=(*key, name), message=message, hint=hint)
