"""Preflight checks of the buildx version: attributes and options of a plan that the installed buildx lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.graph.links import linked_targets
from mpbake.model.bake_fields import deletes
from mpbake.model.plan import AUTOMATIC_DRIVER, Driver
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import version_text
from mpbake.spec.tables.builder_tables import SINCE
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Builder, Node, Target
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.attributes import Version


_OUTPUT_DELETE_SINCE: Version = (0, 35)
"""The first buildx that supports `mode=delete` of a local output."""


def check_buildx(plan_files: PlanFiles, targets: Iterable[Target], version: Version, default: Driver) -> None:
    """Raise PlanError with the problems that `buildx_problems` returns."""
    _raise_problems(plan_files, buildx_problems(plan_files, targets, version, default))


def check_builders(plan_files: PlanFiles, builders: Iterable[Builder], buildx: Callable[[], Version]) -> None:
    """Raise PlanError for options of declared `builders` that this buildx refuses.

    The function `buildx` returns the version of the installed buildx. The function is called only if an option depends
    on the version.
    """
    builders = tuple(builders)
    if any(_versioned_options(node, node.driver) for builder in builders for node in builder.nodes):
        version = buildx()
        _raise_problems(plan_files, (p for builder in builders for p in refused_options(plan_files, builder, version)))


def buildx_problems(
    plan_files: PlanFiles, targets: Iterable[Target], version: Version, default: Driver
) -> Iterator[Problem]:
    """Yield a problem for each feature of `targets`, linked targets and builders that buildx `version` lacks.

    `default` is the driver of the default builder in this run.
    """
    targets = tuple(targets)
    for built in dict.fromkeys((*targets, *linked_targets(*targets))):
        yield from _ignored_attributes(built, version)
    for target in targets:
        yield from _ignored_output_modes(target, version)
    for builder in dict.fromkeys(target.builder for target in targets):
        yield from refused_options(plan_files, builder, version, default)


def _raise_problems(plan_files: PlanFiles, problems: Iterable[Problem]) -> None:
    diagnostics = [plan_files.diagnose(problem) for problem in dict.fromkeys(problems)]
    if diagnostics:
        raise PlanError(diagnostics)


def _ignored_attributes(target: Target, version: Version) -> Iterator[Problem]:
    for name in target.attributes:
        since = ATTRIBUTES[name].since
        if since > version:
            needs = f"{target.name}: {name} needs buildx {version_text(since)} or newer"
            message = f"{needs}: buildx {version_text(version)} ignores it"
            yield _needs_newer_buildx(target.source_key((name,)), message, since, name)


def _ignored_output_modes(target: Target, version: Version) -> Iterator[Problem]:
    """Yield a problem if an older buildx would not empty the folder of an output with `mode=delete`."""
    since = _OUTPUT_DELETE_SINCE
    if version < since and any(map(deletes, target.outputs)):
        needs = f"{target.name}: an output with mode=delete needs buildx {version_text(since)} or newer"
        message = f"{needs}: buildx {version_text(version)} deletes nothing"
        yield _needs_newer_buildx(target.source_key(("output",)), message, since, "mode=delete")


def refused_options(
    plan_files: PlanFiles, builder: Builder, version: Version, default: Driver = AUTOMATIC_DRIVER
) -> Iterator[Problem]:
    """Yield a problem for each node of `builder` and each of its options that buildx `version` lacks."""
    for node in builder.nodes:
        driver = default if node.driver.rules.is_automatic else node.driver
        for name in _versioned_options(node, driver):
            since = SINCE[name].version
            if since > version:
                owner, key = _option_source(plan_files, node, name)
                needs = f"{owner}: {name} of the {driver} driver needs buildx {version_text(since)} or newer"
                message = f"{needs}: buildx {version_text(version)} refuses it"
                yield _needs_newer_buildx(key, message, since, name)


def _needs_newer_buildx(key: KeyPath, message: str, since: Version, name: str) -> Problem:
    hint = f"install buildx {version_text(since)} or newer, or remove {name}"
    return Problem(code=Code.NEEDS_BUILDX, key=key, message=message, hint=hint)


def _versioned_options(node: Node, driver: Driver) -> list[str]:
    """Return the options of `node` that not every buildx supports for `driver`, by their names in SINCE."""
    if driver.rules.is_engine:  # the options are for a container that may be created instead
        return []
    options = [f"{option}." for option, _ in node.options]
    versioned = [name for name, since in SINCE.items() if driver in (since.drivers or (driver,))]
    return [name for name in versioned if any(option.startswith(f"{name}.") for option in options)]


def _option_source(plan_files: PlanFiles, node: Node, option: str) -> tuple[str, KeyPath]:
    """Return the owner of an option of `node` and its key in the plan: the node, its builder, or every builder."""
    builder: KeyPath = ("builders", node.builder)
    owners = {(*builder, "nodes", node.name): node.id, builder: node.builder, ("defaults", "builder"): node.builder}
    key = option.split(".")
    table = next((table for table in owners if plan_files.states((*table, key[0]))), builder)
    return owners[table], (*table, *key)
