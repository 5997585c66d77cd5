"""Shell completion of the names in a plan. If the plan cannot be read, completion returns no names.

A shell asks for names as soon as somebody presses TAB, perhaps in a checkout that nobody has looked at. So completion
evaluates only what the names depend on, within small limits, and runs not even git.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.cli.loading import read_source
from mpbake.cli.options import SourceOptions, make_options, option_names
from mpbake.cli.world import open_world
from mpbake.resolve import resolve_partially
from mpbake.resolve.template import PlanLimits
from mpbake.resolve.template.filters import no_git
from mpbake.spec.tables.plan_tables import names_only
from mpbake.spec.tables.value_types import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mpbake.base.redaction import Redactor
    from mpbake.resolve import Inputs
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec

    FindNames = Callable[[PlanFiles, PlanSpec, Inputs], Iterable[str]]
    """Returns names in a plan."""

_LIMITS = PlanLimits(work=5_000_000, kept=5_000_000)


def _target_names(plan_files: PlanFiles, spec: PlanSpec, inputs: Inputs) -> Iterable[str]:
    plan = resolve_partially(plan_files, names_only(spec), inputs).plan
    return dict.fromkeys([*plan.groups, *plan.targets])


def _builder_names(_: PlanFiles, spec: PlanSpec, __: Inputs) -> Iterable[str]:
    return spec.builders


def _complete(find: FindNames, values: Mapping[str, Any], redactor: Redactor) -> list[str]:
    """Return names in the plan that the typed options select.

    A name that redaction would change is omitted: a command does not accept the changed name. So is an invalid name,
    which could be an option, or control the terminal.
    """
    typed = {name: value for name, value in values.items() if name in option_names(SourceOptions)}
    source = replace(make_options(SourceOptions, typed), settings=())
    world = open_world(redactor)
    # `quiet`, since a warning would appear in the middle of the typed line.
    read = read_source(source, world, quiet=True)
    names = find(read.files, read.spec, replace(read.inputs, limits=_LIMITS, git=no_git, stored=lambda _: None))
    return [name for name in names if NAME.fullmatch(name) and redactor.redact(name) == name]


NAMES: Mapping[str, Callable[[Mapping[str, Any], Redactor], list[str]]] = MappingProxyType(
    {"targets": partial(_complete, _target_names), "builders": partial(_complete, _builder_names)}
)
"""Functions that complete names, by the kind of name. Each function takes the options typed so far."""
