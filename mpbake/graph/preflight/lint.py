"""Warnings about parts of a valid plan that are probably mistakes. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import sorted_by_location
from mpbake.base.platforms import parse_platform, suggest_platform
from mpbake.base.text import count, one_line
from mpbake.resolve.names import parent_graph, strings_in, written_parents
from mpbake.resolve.template import Renderer
from mpbake.spec.problem import Problem
from mpbake.spec.tables.target_tables import ATTRIBUTES
from mpbake.spec.tables.value_types import BAKE_TEMPLATE, MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import Diagnostic, KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Plan
    from mpbake.spec.files.plan_files import PlanFiles


def lint_warnings(plan_files: PlanFiles, plan: Plan) -> tuple[Diagnostic, ...]:
    """Return the warnings of `lint_problems`, in order of location."""
    return sorted_by_location(plan_files.diagnose(problem) for problem in lint_problems(plan_files, plan))


def lint_problems(plan_files: PlanFiles, plan: Plan) -> Iterator[Problem]:
    """Yield warnings about a plan as written (`plan_files`) and as resolved."""
    data = plan_files.data
    yield from _unused_variables(data)
    yield from _unused_templates(data)
    yield from _unused_results(plan)
    yield from _unrendered_templates(data)
    yield from _doubtful_values(data)
    # Platforms of the command line are not a fault of the plan.
    if not any(".platforms" in setting for setting in plan_files.settings):
        yield from _unbuilt_platforms(data, plan)


def _unused_variables(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for each variable that no template uses, not even the default of another variable.

    A sensitive variable may hold the value of a build secret, declared only for redaction.
    """
    renderer = Renderer()
    used = {name for text in set(_templates(data)) for name in renderer.names(text)}
    for name, variable in data.get("variables", {}).items():
        sensitive = isinstance(variable, dict) and variable.get("sensitive")
        if name not in used and not sensitive:
            yield Problem(
                code=Code.UNUSED_VARIABLE,
                key=("variables", name),
                message="no template uses this variable",
                hint=f"use {{{{ {one_line(name)} }}}} in a value, or remove the variable",
                of_key=True,
            )


def _templates(value: Any) -> Iterator[str]:
    """Yield the strings in `value`, at any depth, that may be templates."""
    return (text for text in strings_in(value) if "{" in text)


def _unused_templates(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for each template table (with a leading underscore) that no target inherits."""
    tables = data.get("targets", {})
    inherited = {parent for table in tables.values() for parent in written_parents(table.get("inherits", ()))}
    beginnings = tuple({MARKER.split(parent)[0] for parent in inherited if MARKER.search(parent)})
    for name in tables:
        if name.startswith("_") and name not in inherited and not name.startswith(beginnings):
            yield Problem(
                code=Code.UNUSED_TEMPLATE,
                key=("targets", name),
                message="no target inherits this template",
                hint=f'add inherits = ["{one_line(name)}"] to a target, or remove the template',
                of_key=True,
            )


def _unused_results(plan: Plan) -> Iterator[Problem]:
    """Yield a warning for each table whose targets have no tags and no output, and are not used by other targets."""
    used = {other for target in plan.targets.values() for other in (*target.needs, *target.every_link)}
    unused: dict[str, list[str]] = {}
    for name, target in plan.targets.items():
        # A target with tags may be pushed or loaded with `--push` and `--load`.
        if target not in used and not (target.tags or target.load or target.has_other_results):
            unused.setdefault(target.table, []).append(name)
    for table, names in unused.items():
        rows = "" if names == [table] else f" ({count(len(names), 'row')} of its matrix)"
        yield Problem(
            code=Code.GOES_NOWHERE,
            key=("targets", table),
            message=f"the result goes nowhere{rows}: no tags, no output, and no target links to it or needs it",
            hint='add tags or an output, or set output = ["type=cacheonly"] if only the cache matters',
            of_key=True,
        )


# --- templates that are not rendered ----------------------------------------------------------------------------------

_WITH_TEMPLATES = tuple(name for name, attribute in ATTRIBUTES.items() if attribute.bake_variables)


def _unrendered_templates(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for each text that looks like a template but is not rendered: bake's syntax, or a key."""
    variables = {name.lower(): name for name in data.get("variables", {})}
    for key, table in _tables(data):
        for name in _WITH_TEMPLATES:
            value = table.get(name)
            yield from _bake_variables((*key, name), value, variables)
            yield from _templates_in_keys((*key, name), value if isinstance(value, dict) else {})


def _tables(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield every table with attributes of targets, and its key."""
    defaults = data.get("defaults", {}).get("target", {})
    targets = [(("targets", name), table) for name, table in data.get("targets", {}).items()]
    for key, table in ((("defaults", "target"), defaults), *targets):
        yield key, table
        for platform, platform_table in table.get("platform", {}).items():
            yield (*key, "platform", platform), platform_table


def _bake_variables(key: KeyPath, value: Any, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a warning for each variable in bake's syntax in `value`. `variables` maps lower-case names to names."""
    match value:
        case str():
            for match in BAKE_TEMPLATE.finditer(value) if "${" in value else ():
                if match[1].lower() in variables:
                    name = variables[match[1].lower()]
                    message, hint = f"{match[0]} is taken literally", f"write {{{{ {name} }}}} for the variable"
                    yield Problem(code=Code.BAKE_TEMPLATE, key=key, message=message, hint=hint, culprit=match[0])
        case list():
            for index, item in enumerate(value):
                yield from _bake_variables((*key, index), item, variables)
        case dict():
            for name, item in value.items():
                yield from _bake_variables((*key, name), item, variables)


def _templates_in_keys(key: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    for name in table:
        if MARKER.search(name):
            message, hint = "a template in a key is taken literally", "use templates in values only"
            yield Problem(code=Code.TEMPLATE_IN_KEY, key=(*key, name), message=message, hint=hint, of_key=True)


# --- unknown values ---------------------------------------------------------------------------------------------------


def _doubtful_values(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for each value that mpbake does not know.

    A later buildx, or another frontend, may know the value.
    """
    for key, table in _tables(data):
        yield from _doubtful_values_in(key, table)
        checks = table.get("checks", ())
        for index, check in enumerate(checks if isinstance(checks, list) else ()):
            yield from _doubtful_values_in((*key, "checks", index), check)


_STRICT_CHECKS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {name: attribute.strict for name, attribute in ATTRIBUTES.items() if attribute.strict}
)


def _doubtful_values_in(key: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    for name, check in _STRICT_CHECKS.items():
        written = table.get(name, "")
        entries = enumerate(written) if isinstance(written, list) else [(None, written)]
        for index, text in entries:
            try:
                if text and not MARKER.search(str(text)):
                    check(str(text))
            except ValueError as error:
                message, _, hint = str(error).partition("\n")
                place = (*key, name) if index is None else (*key, name, index)
                yield Problem(code=Code.DOUBTFUL_VALUE, key=place, message=message, hint=hint)


# --- platforms --------------------------------------------------------------------------------------------------------


def _unbuilt_platforms(data: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    """Yield a warning for each platform table that no target uses, whatever the values of variables are."""
    tables = {("targets", name): table for name, table in data.get("targets", {}).items()}
    tables[("defaults", "target")] = data.get("defaults", {}).get("target", {})
    platform_tables = [(key, table["platform"]) for key, table in tables.items() if "platform" in table]
    # With other variables, a target may have other platforms, or be enabled.
    if not platform_tables or plan.disabled or any(map(MARKER.search, _platforms_written(tables.values()))):
        return
    built: dict[str, set[Platform]] = {}
    for target in plan.targets.values():
        built.setdefault(target.table, set()).update(target.platforms)
    written = {name: written_parents(table.get("inherits", ())) for name, table in data.get("targets", {}).items()}
    parents = parent_graph(written, plan.targets)
    for key, platforms in platform_tables:
        heirs = built if key[0] == "defaults" else _heirs(key[1], parents)
        known = {platform for name in heirs for platform in built.get(name, ())}
        yield from (_not_built((*key, "platform", name), name, known) for name in _unknown_platforms(platforms, known))


def _platforms_written(tables: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for table in tables:
        yield from _templates(table.get("platforms", ()))


def _heirs(name: str, parents: Mapping[str, set[str]]) -> set[str]:
    """Return the table `name` and all tables that may inherit it, directly or not."""
    heirs = {name}
    while True:
        more = {heir for heir, names in parents.items() if not heirs.isdisjoint(names)} - heirs
        if not more:
            return heirs
        heirs |= more


def _unknown_platforms(platforms: Iterable[str], known: set[Platform]) -> list[str]:
    """Return the `platforms`, as written, that are not `known`; nothing if `known` is empty."""
    return [platform for platform in platforms if known and parse_platform(platform) not in known]


def _not_built(key: KeyPath, name: str, known: Iterable[Platform]) -> Problem:
    hint = suggest_platform(parse_platform(name), known)
    message = f"no target with this table is built for {one_line(name)}"
    return Problem(code=Code.PLATFORM_NOT_BUILT, key=key, message=message, hint=hint, of_key=True)
