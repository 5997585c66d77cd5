"""Plan resolution: from the plan as written (`PlanSpec`) to the resolved plan (`Plan`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError
from mpbake.base.redaction import Redactor
from mpbake.base.text import did_you_mean, one_line
from mpbake.model.plan import Plan, PublishMode
from mpbake.resolve.builders.declared import DEFAULT_BUILDER, DEFAULT_NODE, resolve_builders
from mpbake.resolve.functions import define_functions
from mpbake.resolve.groups import check_names, excluded_targets, has_default_group, resolve_groups, select_targets
from mpbake.resolve.inputs import Inputs, Overrides
from mpbake.resolve.sensitive import SensitiveGuard, redacted_problem, without_follow_ups
from mpbake.resolve.targets.drafts import draft_targets
from mpbake.resolve.targets.linking import Linker, tags_pushed_twice
from mpbake.resolve.targets.overrides import parse_overrides
from mpbake.resolve.template import PLAN_TOO_LARGE_HINT, PlanTooLargeError, Renderer
from mpbake.resolve.valid_targets import valid_targets
from mpbake.resolve.values import ValueRenderer
from mpbake.resolve.variables import declared_variables, given_secrets, resolve_variables, sensitive_variables
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.errors import Diagnostic
    from mpbake.model.plan import Target
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec

__all__ = [
    "DEFAULT_BUILDER",
    "DEFAULT_NODE",
    "Inputs",
    "Overrides",
    "PartialPlan",
    "excluded_targets",
    "given_secrets",
    "has_default_group",
    "parse_overrides",
    "resolve",
    "resolve_partially",
    "select_targets",
    "sensitive_variables",
    "tags_pushed_twice",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialPlan:
    """A plan, resolved as far as possible, and its problems. mpbake does not run a plan with problems.

    `clashes` are tags that two targets push: an error only in a run that builds both targets. `valid_targets` are the
    targets that no problem concerns.
    """

    plan: Plan
    problems: tuple[Diagnostic, ...]
    clashes: tuple[Diagnostic, ...]
    valid_targets: tuple[Target, ...]

    def plan_or_raise(self) -> Plan:
        """Return the plan. If the plan has problems, raise PlanError with all of them."""
        if self.problems:
            raise PlanError(self.problems, sensitive=self.plan.sensitive)
        return self.plan


def resolve(plan_files: PlanFiles, spec: PlanSpec, inputs: Inputs) -> Plan:
    """Resolve a plan. Pure; raises PlanError with all problems, or UsageError for invalid `inputs`."""
    return resolve_partially(plan_files, spec, inputs).plan_or_raise()


def resolve_partially(plan_files: PlanFiles, spec: PlanSpec, inputs: Inputs) -> PartialPlan:
    """Resolve a plan as far as possible. Pure.

    Raises UsageError for invalid `inputs`, and PlanError for a plan that is too large.
    """
    try:
        return _resolve_partially(plan_files, spec, inputs)
    except PlanTooLargeError as error:
        problem = Problem(code=Code.PLAN_TOO_LARGE, key=error.key, message=error.text, hint=PLAN_TOO_LARGE_HINT)
        raise PlanError([plan_files.diagnose(problem)]) from None


def _resolve_partially(plan_files: PlanFiles, spec: PlanSpec, inputs: Inputs) -> PartialPlan:
    problems: list[Problem] = []
    epoch = inputs.environment.get("SOURCE_DATE_EPOCH", "")
    templates = Renderer(git=inputs.git, epoch=epoch, machine=inputs.machine, limits=inputs.limits)
    define_functions(spec, templates, problems)
    renderer = ValueRenderer(templates=templates, problems=problems)
    variables = resolve_variables(spec, inputs, renderer)
    scope, secrets = variables.scope, set(variables.secrets)
    words = templates.words_for(variables.sensitive)
    guard = SensitiveGuard(variables=variables.sensitive, secrets=secrets, places=set(variables.places), words=words)
    renderer = replace(renderer, guard=guard, unknown=variables.unknown)
    builders = resolve_builders(spec, scope, renderer, plan_files.folder, inputs.stored)
    _check_builder(inputs.overrides.builder, builders)
    drafts = draft_targets(spec, scope, renderer, inputs, plan_files.folder)
    linker = Linker(builders=builders, drafts=drafts, spec=spec, plan_files=plan_files, problems=problems)
    targets = linker.targets()
    groups = resolve_groups(spec, targets, drafts, renderer, scope)
    check_names(spec, problems)
    plan = Plan(
        file=plan_files.path,
        root=plan_files.root,
        builders=builders,
        groups=groups,
        targets=targets,
        variables=declared_variables(spec, variables.sensitive),
        publish=PublishMode(inputs.overrides.publish or spec.publish or PublishMode.EACH),
        disabled=tuple(name for name in drafts if name not in targets),
        sensitive=frozenset(secrets),
    )
    redactor = Redactor(secrets)

    def diagnostics(problems: Iterable[Problem]) -> tuple[Diagnostic, ...]:
        return tuple(plan_files.diagnose(redacted_problem(problem, redactor, guard.places)) for problem in problems)

    return PartialPlan(
        plan=plan,
        problems=diagnostics(without_follow_ups(problems)),
        clashes=diagnostics(tags_pushed_twice(targets.values())),
        valid_targets=valid_targets(spec, targets, problems),
    )


def _check_builder(name: str, builders: Iterable[str]) -> None:
    """Raise UsageError if the command line names an unknown builder."""
    if name and name not in builders:
        hint = did_you_mean(name, builders, kind="builders")
        raise UsageError(f'--builder {one_line(name)}: unknown builder "{one_line(name)}"', hint=hint)
