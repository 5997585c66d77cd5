"""Shell completion of the names in a plan. If the plan cannot be read, completion returns no names."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.cli.loading import load_plan
from mpbake.cli.options import SourceOptions, make_options, option_names
from mpbake.cli.world import open_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mpbake.base.redaction import Redactor
    from mpbake.model.plan import Plan


def _target_names(plan: Plan) -> Iterable[str]:
    return dict.fromkeys([*plan.groups, *plan.targets])


def _builder_names(plan: Plan) -> Iterable[str]:
    return (builder.name for builder in plan.builders.values() if not builder.driver.rules.is_automatic)


def _complete(names_in: Callable[[Plan], Iterable[str]], values: Mapping[str, Any], redactor: Redactor) -> list[str]:
    """Return names in the plan that the typed options select.

    A name that redaction would change is omitted: a command does not accept the changed name.
    """
    source = {name: value for name, value in values.items() if name in option_names(SourceOptions)}
    # `quiet`, since a warning would appear in the middle of the typed line.
    _, plan = load_plan(make_options(SourceOptions, source), open_world(redactor), quiet=True)
    return [name for name in names_in(plan) if redactor.redact(name) == name]


NAMES: Mapping[str, Callable[[Mapping[str, Any], Redactor], list[str]]] = MappingProxyType(
    {"targets": partial(_complete, _target_names), "builders": partial(_complete, _builder_names)}
)
"""Functions that complete names, by the kind of name. Each function takes the options typed so far."""
