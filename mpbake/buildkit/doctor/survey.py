"""Finds all facts for `mpbake doctor` in parallel. Creates, starts and changes nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.base.references import parse_reference
from mpbake.buildkit.builders.emulation import platforms_of_engine
from mpbake.buildkit.builders.inventory import node_rows
from mpbake.buildkit.builders.probing import with_settled_driver
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.doctor.disks import places, space_of
from mpbake.buildkit.doctor.engines import engine_at
from mpbake.buildkit.doctor.questions import Deadline, Questions
from mpbake.buildkit.doctor.registries import push_access, registry_clock
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.buildkit.nodes.engines.engine import Engines
from mpbake.buildkit.registry.registries import Registries
from mpbake.buildkit.runner import buildx_version
from mpbake.graph.delivery import repositories
from mpbake.graph.doctor.facts import Facts, NodeReport, Unanswered
from mpbake.model.node_resources import has_engine
from mpbake.model.plan import AUTOMATIC_DRIVER, ENGINE_DRIVER, Node
from mpbake.resolve import DEFAULT_BUILDER, DEFAULT_NODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.doctor.questions import Question
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.buildkit.process.docker import Docker
    from mpbake.graph.doctor.facts import Answer, Clock, Engine, PushAccess, Subject
    from mpbake.model.plan import Builder, Driver

    Reports = Mapping[str, NodeReport]

_VERSION_TIMEOUT = 30.0
_VERSION = re.compile(r"version (\d[^\s,]*)")
"""The version in the output of `docker --version`, such as `Docker version 28.3.0, build abc`."""
_ENGINE_NODE = Node(builder=DEFAULT_BUILDER, name=DEFAULT_NODE, driver=ENGINE_DRIVER)
"""The BuildKit of the engine in use."""


def find_facts(services: NodeServices, subject: Subject) -> Facts:
    """Return the facts about everything that `subject` needs. Raises Cancelled."""
    docker = services.docker
    questions = Questions(Deadline(cancelled=lambda: docker.cancelled))
    registries = Registries(docker, services.environment, docker.redact)
    try:
        return _answered(services, subject, registries, questions)
    finally:
        if questions.has_open:
            docker.cancel()  # no code waits for the answer any more
        registries.close()


def _answered(services: NodeServices, subject: Subject, registries: Registries, questions: Questions) -> Facts:
    """Ask all questions, then wait for the answers."""
    docker, ask = services.docker, questions.ask
    client, buildx = ask(partial(_client_version, docker)), ask(partial(buildx_version, docker))
    engine = ask(partial(engine_at, services, ""))
    engine_platforms = ask(partial(_platforms_without_plan, services, subject))
    default = ask(partial(_default_driver, services, subject))
    reports = {builder.name: ask(partial(_reports, services, subject, builder)) for builder in subject.builders}
    engines = {name: ask(partial(engine_at, services, name)) for name in _engine_names(subject.nodes)}
    pushes, clocks = _ask_registries(registries, subject, services, questions)
    own_engine = engine.answer()
    other_engines = {name: question.answer() for name, question in engines.items()}
    root = subject.plan_files.root if subject.plan_files else None
    folders = places(services.environment, root, [own_engine, *other_engines.values()])
    spaces = {place: ask(partial(space_of, place)) for place in folders}
    default_driver = default.answer()
    return Facts(
        subject=subject,
        now=services.now(),
        client=client.answer(),
        buildx=buildx.answer(),
        engine=own_engine,
        engine_platforms=engine_platforms.answer(),
        default=AUTOMATIC_DRIVER if isinstance(default_driver, Unanswered) else default_driver,
        nodes=_by_node(subject, reports),
        engines=_engines_by_node(subject.nodes, own_engine, other_engines),
        pushes={name: question.answer() for name, question in pushes.items()},
        registry_clocks={name: question.answer() for name, question in clocks.items()},
        spaces={place: question.answer() for place, question in spaces.items()},
    )


def _ask_registries(
    registries: Registries, subject: Subject, services: NodeServices, questions: Questions
) -> tuple[dict[str, Question[PushAccess]], dict[str, Question[Clock]]]:
    """Ask for the right to push to each repository, and for the time of each registry."""
    builders = _pushing_builders(subject)
    by_registry = {parse_reference(repository).registry: builder for repository, builder in builders.items()}
    pushes = {
        repository: questions.ask(partial(push_access, registries, builder, repository))
        for repository, builder in builders.items()
    }
    clocks = {
        registry: questions.ask(partial(registry_clock, registries, builder, registry, services.now))
        for registry, builder in by_registry.items()
    }
    return pushes, clocks


def _client_version(docker: Docker) -> str:
    """Return the version of the docker command, which docker reports even if no engine answers. Raises Unreachable.

    If the docker context of the engine does not exist, docker reports its version only with `--version`.
    """
    completed = docker.run(["version", "--format", "{{.Client.Version}}"], timeout=_VERSION_TIMEOUT)
    if version := completed.stdout.strip().partition("\n")[0]:
        return version
    completed = docker.run(["--version"], timeout=_VERSION_TIMEOUT)
    if match := _VERSION.search(completed.stdout):
        return match[1]
    raise Unreachable("the docker command does not report its version", hint="try: docker --version")


def _platforms_without_plan(services: NodeServices, subject: Subject) -> tuple[Platform, ...]:
    """Return the platforms of the engine in use; empty with a plan, whose nodes report more.

    Raises Unreachable, UsageError.
    """
    return platforms_of_engine(services, _ENGINE_NODE) if subject.plan_files is None else ()


def _default_driver(services: NodeServices, subject: Subject) -> Driver:
    """Return the driver of the default builder in a run. Raises Unreachable."""
    targets = [target for target in subject.targets if target.builder.driver.rules.is_automatic]
    return services.instances.default_driver(targets, Engines(services.docker).facts()) if targets else AUTOMATIC_DRIVER


# --- nodes ------------------------------------------------------------------------------------------------------------


def _reports(services: NodeServices, subject: Subject, builder: Builder) -> Reports:
    """Return the reports of the nodes of a builder by ID. Raises an error if no node could be queried."""
    settled = with_settled_driver(services, builder, subject.targets)
    state = survey_builder(services, settled, subject.plan)
    reports = {}
    for row in node_rows(services, state):
        own = tuple(text for text in state.warnings if text.startswith(f"{row.node.id}: "))
        report = NodeReport(row=row, warnings=own)
        if not row.reported and not row.trouble:
            report = replace(report, expected=_expected_platforms(services, row.node))
        reports[row.node.id] = report
    return reports


def _expected_platforms(services: NodeServices, node: Node) -> tuple[Platform, ...]:
    """Return the platforms of a stopped or missing node, from the BuildKit of its engine; empty without an engine."""
    if not has_engine(node) or node.external:
        return ()
    try:
        return platforms_of_engine(services, node)
    except MpbakeError:
        return ()


def _by_node(subject: Subject, reports: Mapping[str, Question[Reports]]) -> dict[str, Answer[NodeReport]]:
    """Return the report of each node. If a builder has no reports, all its nodes get the same reason."""
    nodes: dict[str, Answer[NodeReport]] = {}
    for builder in subject.builders:
        answer = reports[builder.name].answer()
        for node in builder.nodes:
            nodes[node.id] = answer if isinstance(answer, Unanswered) else answer[node.id]
    return nodes


# --- engines and registries -------------------------------------------------------------------------------------------


def _engine_names(nodes: Iterable[Node]) -> list[str]:
    """Return the docker contexts and URLs of the engines of `nodes`, each once, except for the engine in use."""
    names = (engine_of(node) for node in nodes if has_engine(node))
    return [name for name in dict.fromkeys(names) if name]


def _engines_by_node(
    nodes: Iterable[Node], own: Answer[Engine], engines: Mapping[str, Answer[Engine]]
) -> dict[str, Answer[Engine]]:
    return {node.id: engines.get(engine_of(node), own) for node in nodes if has_engine(node)}


def _pushing_builders(subject: Subject) -> dict[str, Builder]:
    """Return the repositories to which targets are pushed, each with the builder of the first such target."""
    builders: dict[str, Builder] = {}
    for target in subject.targets:
        for repository in repositories(target) if target.push else ():
            builders.setdefault(repository, target.builder)
    return builders
