"""Finds missing emulators on the engines of nodes, installs the emulators, and checks that BuildKit uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.base.text import one_line, without_colour
from mpbake.buildkit.builders.workspace import idle_resource
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.buildkit.nodes.first_start import NodeStart
from mpbake.buildkit.nodes.services import errors_of, side_by_side, start_node
from mpbake.graph.emulators import missing_emulators
from mpbake.model.emulators import install_arguments, install_command
from mpbake.model.node_resources import docker_command, has_engine
from mpbake.model.node_state import Action, Change, ResourceKind
from mpbake.model.plan import ENGINE_DRIVER
from mpbake.run.state.locks import hold_engine_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.node_state import NodeState
    from mpbake.model.plan import Builder, Node

    Reported = Mapping[str, Sequence[Platform]]
    """The platforms that nodes report, by node ID."""

_NOT_ROOT = re.compile(r"permission denied|operation not permitted|read-only file system", re.IGNORECASE)
_NO_IMAGE = re.compile(
    r"pull access|manifest unknown|manifest for \S+ not found|name unknown|failed to (resolve|do request)|dial tcp"
    r"|no such host",
    re.IGNORECASE,
)
_OTHER_PROGRAM = re.compile(r"executable file not found|no command specified", re.IGNORECASE)
_ADVICE = "See 'docker "
"""The beginning of the last line of docker's error, which refers to docker's help."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Engine:
    """An engine that lacks emulators for `platforms`, and the nodes that need them. `address` is the engine's URL."""

    address: str
    nodes: tuple[Node, ...]
    platforms: tuple[Platform, ...]

    @property
    def name(self) -> str:
        """The engine's name in messages."""
        return _engine_text(self.nodes[0])


def _engine_text(node: Node) -> str:
    return one_line(node.engine) or node.driver.rules.endpoint.when_empty


# --- survey -----------------------------------------------------------------------------------------------------------


def emulator_changes(
    services: NodeServices, builder: Builder, states: Iterable[NodeState], platforms: Sequence[Platform]
) -> tuple[list[Change], list[str]]:
    """Return the emulators that `builder` lacks for `platforms`, and the engines whose emulators are unknown."""
    usable = [state for state in states if not state.trouble and has_engine(state.node)]
    if not builder.emulators or not platforms:
        return [], []
    answers = side_by_side(lambda state: _reported_by(services, state), usable)
    silent = [
        f"the emulators of {_engine_text(state.node)}"
        for state, answer in zip(usable, answers, strict=True)
        if isinstance(answer, MpbakeError)
    ]
    reported = _reports(usable, answers)
    return [_change(engine) for engine in _lacking_engines(services, builder, platforms, reported)], silent


def _reports(
    states: Iterable[NodeState], answers: Iterable[tuple[Platform, ...] | MpbakeError]
) -> dict[str, tuple[Platform, ...]]:
    pairs = zip(states, answers, strict=True)
    return {state.node.id: answer for state, answer in pairs if not isinstance(answer, MpbakeError)}


def _change(engine: _Engine) -> Change:
    names = ", ".join(map(str, engine.platforms))
    return Change(
        action=Action.INSTALL,
        kind=ResourceKind.EMULATORS,
        name=f"for {names} on {engine.name}",
        reason="the plan builds for it, and no node runs it natively",
        node=engine.nodes[0],
    )


def _reported_by(services: NodeServices, state: NodeState) -> tuple[Platform, ...]:
    """Return the platforms of a node or, if the node does not run, of the BuildKit of its engine.

    Raises MpbakeError.
    """
    node = state.node
    if node.driver.rules.resource and (state.made is None or state.made.status != "running"):
        return platforms_of_engine(services, node)
    return back_end_of(node).ask(services.instances, node).facts.platforms


def platforms_of_engine(services: NodeServices, node: Node) -> tuple[Platform, ...]:
    """Return the platforms that the BuildKit of the engine of `node` reports, the machine's own first.

    Raises Unreachable, and UsageError if the engine has no BuildKit.
    """
    own = replace(node, driver=ENGINE_DRIVER, endpoint=engine_of(node), platforms=(), deploy=None)
    return services.instances.ask_engine(own).facts.platforms


def _lacking_engines(
    services: NodeServices, builder: Builder, platforms: Sequence[Platform], reported: Reported
) -> list[_Engine]:
    """Return the engines that lack emulators, each once: a docker context and a URL may name the same engine."""
    missing = missing_emulators(builder, platforms, reported)
    nodes: dict[str, list[Node]] = {}
    for node in missing:
        nodes.setdefault(_address(services, node), []).append(node)
    return [
        _Engine(
            address=address,
            nodes=tuple(group),
            platforms=tuple(dict.fromkeys(platform for node in group for platform in missing[node])),
        )
        for address, group in nodes.items()
    ]


def _address(services: NodeServices, node: Node) -> str:
    address = services.instances.endpoints.address(engine_of(node))
    return address.url if address else engine_of(node)


# --- installation -----------------------------------------------------------------------------------------------------


def install_emulators(
    workspace: BuilderWorkspace, builder: Builder, nodes: Sequence[Node], platforms: Sequence[Platform]
) -> list[MpbakeError]:
    """Install the missing emulators on the engines of running `nodes`, and return errors."""
    own = [node for node in nodes if has_engine(node)]
    if not builder.emulators or not platforms or not own:
        return []
    answers = side_by_side(lambda node: _ask(workspace.services, node), own)
    reported = {node.id: answer for node, answer in zip(own, answers, strict=True) if isinstance(answer, tuple)}
    engines = _lacking_engines(workspace.services, builder, platforms, reported)
    results = side_by_side(lambda engine: _install(workspace, builder, engine, reported), engines)
    return errors_of([*answers, *results])


def _ask(services: NodeServices, node: Node) -> tuple[Platform, ...]:
    return back_end_of(node).ask(services.instances, node).facts.platforms


def _install(workspace: BuilderWorkspace, builder: Builder, engine: _Engine, reported: Reported) -> None:
    """Install the emulators that an engine still lacks, since another mpbake may have installed emulators meanwhile.

    Raises Unreachable, and LockHeld if a node must be restarted and is building.
    """
    services, docker = workspace.services, workspace.services.docker
    with hold_engine_lock(services.environment, engine.address, cancelled=lambda: docker.cancelled):
        lacking = _still_lacking(services, builder, engine, reported)
        if not lacking:
            return
        names = ", ".join(map(str, engine.platforms))
        workspace.say(f"{builder.name}: installing emulators for {names} on {engine.name}")
        output = _run_installer(services, builder, engine)
        for node in _still_lacking(services, builder, engine, reported):
            _restart(workspace, node)
        remaining = _still_lacking(services, builder, engine, reported)
        if remaining:
            raise _useless(builder, engine, remaining, output)
        workspace.say(f"{builder.name}: emulators for {names} work on {engine.name}")


def _still_lacking(
    services: NodeServices, builder: Builder, engine: _Engine, reported: Reported
) -> dict[Node, tuple[Platform, ...]]:
    """Query the nodes of an engine again, and return the nodes that still lack an emulator."""
    now = {node.id: _ask(services, node) for node in engine.nodes}
    missing = missing_emulators(builder, engine.platforms, {**reported, **now})
    return {node: platforms for node, platforms in missing.items() if node in engine.nodes}


def _run_installer(services: NodeServices, builder: Builder, engine: _Engine) -> str:
    """Run the image that installs emulators. Return its output. Raises Unreachable."""
    node = engine.nodes[0]
    arguments = install_arguments(builder.emulators, engine.platforms)
    completed = services.docker.run(arguments, endpoint=engine_of(node), timeout=node.boot_timeout)
    output = without_colour(f"{completed.stdout}\n{completed.stderr}")
    if completed.returncode or completed.timed_out:
        error = "no answer in time" if completed.timed_out else _error_line(output)
        message = f"{builder.name}: emulators cannot be installed on {engine.name}: {error}"
        raise Unreachable(message, hint=_hint(builder, engine, output))
    return output


def _error_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(_ADVICE)]
    return one_line(lines[-1].removeprefix("docker: ")) if lines else "it says nothing"


def _hint(builder: Builder, engine: _Engine, output: str) -> str:
    if _NOT_ROOT.search(output):
        return "install them as root on the machine of the engine: an engine without root cannot"
    if _NO_IMAGE.search(output):
        return "set emulators-image to an image that the engine can pull"
    if _OTHER_PROGRAM.search(output):
        return "set emulators-image to an image with the options of tonistiigi/binfmt"
    command = install_command(docker_command(engine.nodes[0]), builder.emulators, engine.platforms)
    return f"see what it says: {command}"


def _useless(
    builder: Builder, engine: _Engine, remaining: Mapping[Node, Sequence[Platform]], output: str
) -> Unreachable:
    """Return the error of emulators that were installed without an effect on the nodes of an engine."""
    node, platforms = next(iter(remaining.items()))
    names = ", ".join(map(str, platforms))
    message = f"{node.id} does not report {names} after {builder.emulators} has run on {engine.name}"
    hint = _hint(builder, engine, output)
    if not node.driver.rules.resource and not _NOT_ROOT.search(output):
        hint = "restart the engine: its BuildKit may look for emulators only when it starts"
    return Unreachable(message, hint=hint)


def _restart(workspace: BuilderWorkspace, node: Node) -> None:
    """Restart the container of `node`, whose BuildKit looked for emulators when it started. Raises LockHeld."""
    manager = workspace.services.manager(node)
    if manager is None or not manager.can_stop:
        return
    with workspace.node_locked(node):
        made = idle_resource(node, manager)
        if made is not None:
            manager.stop(node, made)
        start = NodeStart.of(node, lambda activity: workspace.progress(node.id, activity))
        instances = workspace.services.instances
        start_node(instances, manager, instances.write(node), start)
    workspace.say(f"{node.id}: restarted, so that it finds the emulators")
