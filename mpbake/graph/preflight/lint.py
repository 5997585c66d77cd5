"""What is probably not meant in a plan that is right. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import sorted_by_location
from mpbake.base.platforms import parse_platform, suggest_platform
from mpbake.base.text import count, one_line
from mpbake.resolve.names import strings_in
from mpbake.resolve.template import Renderer
from mpbake.spec.problem import Problem
from mpbake.spec.target_tables import ATTRIBUTES
from mpbake.spec.value_types import BAKE_TEMPLATE, MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import Diagnostic, KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Plan
    from mpbake.spec.plan_files import PlanFiles


def lint_warnings(document: PlanFiles, plan: Plan) -> tuple[Diagnostic, ...]:
    """What is to be said of a plan as written and as meant, in order of place; only warnings."""
    data = document.data
    found = [*_unused_variables(data), *_unused_templates(data), *_going_nowhere(plan)]
    found += [*_not_filled_in(data), *_doubtful(data)]
    # What the command line builds for is no fault of the plan.
    if not any(".platforms" in setting for setting in document.settings):
        found += _of_no_platform(data, plan)
    return sorted_by_location(document.diagnose(each) for each in found)


def _unused_variables(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Variables that no template of the plan names, be it only the default of another variable.

    A sensitive one may be there to have its value hidden: it is that of a build secret.
    """
    renderer = Renderer()
    used = {name for text in set(_templates(data)) for name in renderer.names(text)}
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


def _templates(value: Any) -> Iterator[str]:
    """Every string in `value`, however deep, that may be a template."""
    return (text for text in strings_in(value) if "{" in text)


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
        # With tags `--push` and `--load` may do the rest.
        if target not in wanted and not (target.tags or target.load or target.has_other_results):
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


# --- templates that are none ------------------------------------------------------------------------------------------

_WITH_TEMPLATES = tuple(name for name, attribute in ATTRIBUTES.items() if attribute.bake_variables)


def _not_filled_in(data: Mapping[str, Any]) -> Iterator[Problem]:
    """What looks like a template where mpbake fills in none: as bake writes it, or in a key."""
    variables = {name.lower(): name for name in data.get("variables", {})}
    for key, table in _tables(data):
        for name in _WITH_TEMPLATES:
            value = table.get(name)
            yield from _ways_of_bake((*key, name), value, variables)
            yield from _templates_in_keys((*key, name), value if isinstance(value, dict) else {})


def _tables(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Every table that states attributes of targets, and its key."""
    defaults = data.get("defaults", {}).get("target", {})
    targets = [(("targets", name), table) for name, table in data.get("targets", {}).items()]
    for key, table in ((("defaults", "target"), defaults), *targets):
        yield key, table
        for platform, special in table.get("platform", {}).items():
            yield (*key, "platform", platform), special


def _ways_of_bake(key: KeyPath, value: Any, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Variables of the plan as bake writes them, in any text of `value`; `variables` has their names in lower case."""
    match value:
        case str():
            for found in BAKE_TEMPLATE.finditer(value) if "${" in value else ():
                if found[1].lower() in variables:
                    name = variables[found[1].lower()]
                    message, hint = f"{found[0]} is taken as it is", f"templates are written {{{{ {name} }}}}"
                    yield Problem(code=Code.BAKE_TEMPLATE, key=key, message=message, hint=hint, culprit=found[0])
        case list():
            for at, each in enumerate(value):
                yield from _ways_of_bake((*key, at), each, variables)
        case dict():
            for name, each in value.items():
                yield from _ways_of_bake((*key, name), each, variables)


def _templates_in_keys(key: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    for name in table:
        if MARKER.search(name):
            message, hint = "a key is taken as it is, templates and all", "templates stand in values only"
            yield Problem(code=Code.TEMPLATE_IN_KEY, key=(*key, name), message=message, hint=hint, of_key=True)


# --- values that nobody knows -----------------------------------------------------------------------------------------


def _doubtful(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Values as written that are none, as far as is known: a later buildx, or the frontend of others, may know more."""
    for key, table in _tables(data):
        checks = table.get("checks", ())
        tables = [(key, table)]
        tables += [((*key, "checks", at), each) for at, each in enumerate(checks if isinstance(checks, list) else ())]
        yield from (problem for path, each in tables for problem in _doubtful_in(path, each))


_KNOWN: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {name: attribute.strict for name, attribute in ATTRIBUTES.items() if attribute.strict}
)


def _doubtful_in(key: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    for name, check in _KNOWN.items():
        written = table.get(name, "")
        entries = enumerate(written) if isinstance(written, list) else [(None, written)]
        for at, text in entries:
            try:
                if text and not MARKER.search(str(text)):
                    check(str(text))
            except ValueError as error:
                message, _, hint = str(error).partition("\n")
                place = (*key, name) if at is None else (*key, name, at)
                yield Problem(code=Code.DOUBTFUL_VALUE, key=place, message=message, hint=hint)


# --- platforms --------------------------------------------------------------------------------------------------------


def _of_no_platform(data: Mapping[str, Any], plan: Plan) -> Iterator[Problem]:
    """Tables for a platform for which no target is built that has them, as far as that is so with any variables."""
    tables = {("targets", name): table for name, table in data.get("targets", {}).items()}
    tables[("defaults", "target")] = data.get("defaults", {}).get("target", {})
    special = [(key, table["platform"]) for key, table in tables.items() if "platform" in table]
    # Which platforms a target has, and whether it is there, may be another matter with other variables.
    if not special or plan.disabled or any(map(MARKER.search, _platforms_written(tables.values()))):
        return
    built: dict[str, set[Platform]] = {}
    for target in plan.targets.values():
        built.setdefault(target.table, set()).update(target.platforms)
    for key, platforms in special:
        heirs = built if key[0] == "defaults" else _heirs(key[1], data["targets"])
        known = {platform for name in heirs for platform in built.get(name, ())}
        yield from (_not_built((*key, "platform", name), name, known) for name in _others(platforms, known))


def _platforms_written(tables: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for table in tables:
        yield from _templates(table.get("platforms", ()))


def _heirs(name: str, tables: Mapping[str, Any]) -> set[str]:
    """The table `name`, and all that inherit it, however far."""
    found = {name}
    while True:
        more = {each for each, table in tables.items() if found & {*table.get("inherits", ())}} - found
        if not more:
            return found
        found |= more


def _others(platforms: Iterable[str], known: set[Platform]) -> list[str]:
    """Those of `platforms`, as written, that are not `known`; none where nothing is."""
    return [each for each in platforms if known and parse_platform(each) not in known]


def _not_built(key: KeyPath, name: str, known: Iterable[Platform]) -> Problem:
    hint = suggest_platform(parse_platform(name), known)
    message = f"no target with this table is built for {one_line(name)}"
    return Problem(code=Code.PLATFORM_NOT_BUILT, key=key, message=message, hint=hint, of_key=True)
