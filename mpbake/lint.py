"""What is probably not meant in a plan that is right. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.codes import Code
from mpbake.errors import in_order
from mpbake.spec import Problem
from mpbake.template import Renderer
from mpbake.text import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.document import Document
    from mpbake.errors import Diagnostic
    from mpbake.plan import Plan, Target


def warnings_of(document: Document, plan: Plan) -> tuple[Diagnostic, ...]:
    """What is to be said of a plan as written and as meant, in order of place; only warnings."""
    found = (*_unused_variables(document.data), *_unused_templates(document.data), *_going_nowhere(plan))
    return in_order(document.diagnose(each) for each in found)


def _unused_variables(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Variables that no template of the plan names, be it only the default of another variable.

    A sensitive one may be there to have its value hidden: it is that of a build secret.
    """
    renderer = Renderer()
    used = {name for text in set(_texts(data)) for name in renderer.names(text)}
    for name, variable in data.get("variables", {}).items():
        hides = isinstance(variable, dict) and variable.get("sensitive")
        if name not in used and not hides:
            yield Problem(
                code=Code.UNUSED_VARIABLE,
                key=("variables", name),
                message="no template uses this variable",
                hint=f"write {{{{ {one_line(name)} }}}} where it belongs, or take it away",
                of_key=True,
            )


def _texts(value: Any) -> Iterator[str]:
    """Every string in `value`, however deep, that may be a template."""
    match value:
        case str() if "{" in value:
            yield value
        case list():
            yield from (text for each in value for text in _texts(each))
        case dict():
            yield from (text for each in value.values() for text in _texts(each))


def _unused_templates(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Tables with a leading underscore from which nobody inherits: nothing else can be done with them."""
    tables = data.get("targets", {})
    inherited = {parent for table in tables.values() for parent in table.get("inherits", ())}
    for name in tables:
        if name.startswith("_") and name not in inherited:
            yield Problem(
                code=Code.UNUSED_TEMPLATE,
                key=("targets", name),
                message="no target inherits this template",
                hint=f'write inherits = ["{one_line(name)}"] where it belongs, or take it away',
                of_key=True,
            )


def _going_nowhere(plan: Plan) -> Iterator[Problem]:
    """Targets whose result nobody gets, one problem for each table."""
    wanted = {each for target in plan.targets.values() for each in (*target.needs, *target.every_link)}
    lost: dict[str, list[str]] = {}
    for name, target in plan.targets.items():
        if target not in wanted and not _has_use(target):
            lost.setdefault(target.table, []).append(name)
    for table, names in lost.items():
        rows = "" if names == [table] else f" ({count(len(names), 'row')} of its matrix)"
        yield Problem(
            code=Code.GOES_NOWHERE,
            key=("targets", table),
            message=f"what is built goes nowhere{rows}: no tags, no output, and nobody links to it or needs it",
            hint='give it tags or an output, or say that this is meant: output = ["type=cacheonly"]',
            of_key=True,
        )


def _has_use(target: Target) -> bool:
    """Whether a target is of use by itself. With tags `--push` and `--load` may do the rest."""
    caches = any(variant.attributes.get("cache-to") for variant, _ in target.sides(()))
    return bool(target.tags or target.load or target.outputs or target.checks or caches)
