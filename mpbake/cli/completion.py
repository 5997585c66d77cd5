"""Shell completion of names in the plan; there are none if the plan cannot be read."""

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
    """Return names in the plan that the options on the command line select.

    Names that redaction would change are dropped: the changed name would mean nothing on a command line.
    """
    source = {name: value for name, value in values.items() if name in option_names(SourceOptions)}
    # Quiet, since a warning would appear in the middle of the typed line.
    _, plan = load_plan(make_options(SourceOptions, source), open_world(redactor), quiet=True)
    return [name for name in names_in(plan) if redactor.redact(name) == name]


NAMES: Mapping[str, Callable[[Mapping[str, Any], Redactor], list[str]]] = MappingProxyType(
    {"targets": partial(_complete, _target_names), "builders": partial(_complete, _builder_names)}
)
"""Functions that complete names, by the kind of the name. They take the options typed so far."""
