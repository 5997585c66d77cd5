"""Checks of the docker command, buildx, the engine in use, and its image store. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import one_line
from mpbake.graph.doctor.facts import Unanswered
from mpbake.graph.doctor.findings import missing, not_needed, ok, unknown, warning
from mpbake.graph.preflight.buildx_versions import buildx_problems, refused_options
from mpbake.spec.drivers import unsupported_requests
from mpbake.spec.tables.attributes import version_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.base.platforms import Platform
    from mpbake.graph.doctor.facts import Answer, Engine, Facts
    from mpbake.graph.doctor.findings import Finding
    from mpbake.model.plan import Target
    from mpbake.spec.problem import Problem
    from mpbake.spec.tables.attributes import Version

_STORE_REMEDY = "enable the containerd image store of the engine"


def without_docker(facts: Facts, question: str) -> Finding | None:
    """Return a finding if `question` has no answer because docker or buildx is missing."""
    for name, answer in (("docker", facts.client), ("buildx", facts.buildx)):
        if isinstance(answer, Unanswered):
            return unknown(f"{question}: not known without {name}")
    return None


def check_client(facts: Facts) -> Iterator[Finding]:
    """Check that the docker command is installed."""
    if isinstance(facts.client, Unanswered):
        yield missing(facts.client.reason, facts.client.remedy)
    else:
        yield ok(f"docker {one_line(facts.client)}")


def check_buildx(facts: Facts) -> Iterator[Finding]:
    """Check that buildx is installed, and supports all attributes and options of the plan."""
    if isinstance(facts.client, Unanswered):
        yield unknown("buildx: not known without docker")
    elif isinstance(facts.buildx, Unanswered):
        yield missing(facts.buildx.reason, facts.buildx.remedy)
    else:
        yield ok(f"buildx {version_text(facts.buildx)}")
        problems = dict.fromkeys(_version_problems(facts, facts.buildx))
        yield from (missing(problem.message, problem.hint) for problem in problems)


def _version_problems(facts: Facts, version: Version) -> Iterator[Problem]:
    subject = facts.subject
    if subject.plan_files is not None:
        yield from buildx_problems(subject.plan_files, subject.targets, version, facts.default)
        for builder in subject.builders:
            yield from refused_options(subject.plan_files, builder, version, facts.default)


def check_engine(facts: Facts) -> Iterator[Finding]:
    """Check that the engine in use answers, if the plan uses this engine."""
    if isinstance(facts.client, Unanswered):
        yield unknown("engine: not known without docker")
    elif not isinstance(facts.engine, Unanswered):
        engine = facts.engine
        address = one_line(engine.address)
        yield ok(f"engine {one_line(engine.version)}, {engine.facts.platform}, at {address}", subject=address)
    elif facts.uses_engine():
        yield missing(facts.engine.reason, facts.engine.remedy)
    else:
        yield not_needed("engine: the one in use does not answer, and no node uses it")


def check_store(facts: Facts) -> Iterator[Finding]:
    """Check that the image stores of engines support the requests of the plan."""
    if isinstance(facts.client, Unanswered):
        yield unknown("image store: not known without docker")
        return
    faults = list(dict.fromkeys([*_unsupported(facts), *_partly_loaded(facts)]))
    yield from faults
    if faults:
        return
    if not facts.uses_engine():
        yield not_needed("image store: no node uses the image store of the engine in use")
    elif isinstance(facts.engine, Unanswered):
        yield unknown("image store: the engine in use does not answer")
    else:
        yield ok(f"image store: {_store_text(facts, facts.engine)}")


def _store_text(facts: Facts, engine: Engine) -> str:
    if engine.facts.containerd_store:
        return "containerd"
    automatic = any(node.driver.rules.is_automatic for node in facts.subject.nodes)
    if automatic and not facts.default.rules.is_engine:
        return "classic; a run starts a BuildKit container for what this store does not support"
    return "classic" if facts.subject.plan_files is None else "classic, which does all that the plan asks for"


def _unsupported(facts: Facts) -> Iterator[Finding]:
    """Yield the requests of targets that the image store of an engine does not support."""
    for target in facts.subject.targets:
        for node in target.builder.nodes:
            driver = facts.driver(node)
            requests = list(unsupported_requests(target, _platforms(facts, target), driver, containerd_store=False))
            if not driver.rules.is_engine or not requests:
                continue
            engine: Answer[Engine] | None = facts.engines.get(node.id)
            if engine is None or isinstance(engine, Unanswered):
                yield unknown(f"image store: the engine of {node.id} does not answer", subject=node.id)
            elif not engine.facts.containerd_store:
                yield missing(f"{target.name}: {requests[0].message}", requests[0].hint, subject=node.id)


def _partly_loaded(facts: Facts) -> Iterator[Finding]:
    """Yield the targets with several platforms of which the engine in use loads only one."""
    if isinstance(facts.engine, Unanswered) or facts.engine.facts.containerd_store:
        return
    own = facts.engine.facts.platform
    for target in facts.subject.targets:
        if target.load and len(_platforms(facts, target)) > 1:
            message = f"{target.name}: the classic image store of the engine in use loads {own} only"
            yield warning(message, _STORE_REMEDY)


def _platforms(facts: Facts, target: Target) -> tuple[Platform, ...]:
    return tuple(facts.subject.only.get(target, ())) or target.platforms
