"""What a plan asks of buildx, held against what the one that was found can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.graph.links import linked_targets
from mpbake.model.bake_fields import deletes
from mpbake.model.plan import AUTOMATIC_DRIVER
from mpbake.spec.spec import ATTRIBUTES, SINCE, Problem, version_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Builder, Driver, Node, Target
    from mpbake.spec.plan_files import PlanFiles
    from mpbake.spec.spec import Version


_DELETING: Version = (0, 35)
"""The first buildx that knows `mode=delete` of a local output."""


def check_buildx(document: PlanFiles, targets: Iterable[Target], version: Version, default: Driver) -> None:
    """Raise PlanError for what this buildx does not know of `targets`, of what they link to, and of their builders.

    `default` is the driver that the default builder has in this run.
    """
    targets = tuple(targets)
    everything = dict.fromkeys(each for target in targets for each in (target, *linked_targets(target)))
    problems = [problem for target in everything for problem in _too_new(target, version)]
    problems += [problem for target in targets for problem in _too_new_outputs(target, version)]
    for builder in dict.fromkeys(target.builder for target in targets):
        problems += _refused(document, builder, version, default)
    _raise(document, problems)


def check_builders(document: PlanFiles, builders: Iterable[Builder], buildx: Callable[[], Version]) -> None:
    """Raise PlanError for options of declared `builders` that this buildx would refuse; most plans need not ask it."""
    builders = tuple(builders)
    if any(_asked(node, node.driver) for builder in builders for node in builder.nodes):
        version = buildx()
        _raise(document, (each for builder in builders for each in _refused(document, builder, version)))


def _raise(document: PlanFiles, problems: Iterable[Problem]) -> None:
    found = [document.diagnose(each) for each in dict.fromkeys(problems)]
    if found:
        raise PlanError(found)


def _too_new(target: Target, version: Version) -> Iterator[Problem]:
    for name in target.attributes:
        since = ATTRIBUTES[name].since
        if since > version:
            works = f"{target.name}: {name} works since buildx {version_text(since)}"
            message = f"{works}; the one found is {version_text(version)}, and would ignore it"
            yield _problem(target.where((name,)), message, since, name)


def _too_new_outputs(target: Target, version: Version) -> Iterator[Problem]:
    """A folder of an output that an older buildx would not empty."""
    if version < _DELETING and any(map(deletes, target.outputs)):
        works = f"{target.name}: an output with mode=delete works since buildx {version_text(_DELETING)}"
        message = f"{works}; the one found is {version_text(version)}, and would delete nothing"
        yield _problem(target.where(("output",)), message, _DELETING, "mode=delete")


def _refused(
    document: PlanFiles, builder: Builder, version: Version, default: Driver = AUTOMATIC_DRIVER
) -> Iterator[Problem]:
    """The options of a builder's nodes that are too new. One that holds for several nodes is told once."""
    for node in builder.nodes:
        driver = default if node.driver.rules.is_automatic else node.driver
        for name in _asked(node, driver):
            since = SINCE[name].version
            if since > version:
                who, key = _written(document, node, name)
                has = f"{who}: the {driver} driver has {name} since buildx {version_text(since)}"
                message = f"{has}; the one found is {version_text(version)}, and would refuse it"
                yield _problem(key, message, since, name)


def _problem(key: KeyPath, message: str, since: Version, name: str) -> Problem:
    hint = f"install buildx {version_text(since)} or newer, or take {name} away"
    return Problem(code=Code.NEEDS_BUILDX, key=key, message=message, hint=hint)


def _asked(node: Node, driver: Driver) -> list[str]:
    """The options that buildx is told of `node` and that not every buildx has for `driver`, by their names in SINCE."""
    if driver.rules.is_engine:  # the node has what a container would be made with
        return []
    told = [f"{option}." for option, _ in node.options]
    held = [name for name, since in SINCE.items() if driver in (since.drivers or (driver,))]
    return [name for name in held if any(each.startswith(f"{name}.") for each in told)]


def _written(document: PlanFiles, node: Node, option: str) -> tuple[str, KeyPath]:
    """Whose an option of `node` is, and where it is written: by itself, by its builder, or for every builder."""
    builder: KeyPath = ("builders", node.builder)
    tables = {(*builder, "nodes", node.name): node.id, builder: node.builder, ("defaults", "builder"): node.builder}
    key = option.split(".")
    table = next((each for each in tables if document.states((*each, key[0]))), builder)
    return tables[table], (*table, *key)
