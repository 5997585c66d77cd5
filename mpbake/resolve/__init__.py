"""From the plan as written to the plan as meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import PlanError, UsageError
from mpbake.base.redaction import Redactor
from mpbake.base.text import did_you_mean, one_line
from mpbake.model.plan import Plan, PublishMode
from mpbake.resolve.builders.declared import DEFAULT_BUILDER, DEFAULT_NODE, resolve_builders
from mpbake.resolve.groups import check_names, excluded_targets, has_default_group, resolve_groups, select_targets
from mpbake.resolve.inputs import Inputs, Overrides
from mpbake.resolve.sensitive import SensitiveGuard, redacted_problem, without_follow_ups
from mpbake.resolve.targets.drafts import draft_targets
from mpbake.resolve.targets.linking import Linker, tags_pushed_twice
from mpbake.resolve.targets.overrides import parse_overrides
from mpbake.resolve.template import Renderer
from mpbake.resolve.valid_targets import sound_targets
from mpbake.resolve.values import ValueRenderer
from mpbake.resolve.variables import declared_variables, given_secrets, resolve_variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.errors import Diagnostic
    from mpbake.model.plan import Target
    from mpbake.spec.plan_files import PlanFiles
    from mpbake.spec.plan_tables import PlanSpec
    from mpbake.spec.problem import Problem

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
    "tags_pushed_twice",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialPlan:
    """A plan as far as it could be resolved, and what is wrong with it. With problems it is not fit for a run.

    `clashes` are the tags that two targets push, which is wrong only in a run of both. `sound` are the targets that are
    as they are meant whatever is wrong elsewhere.
    """

    plan: Plan
    problems: tuple[Diagnostic, ...]
    clashes: tuple[Diagnostic, ...]
    sound: tuple[Target, ...]

    def settled(self) -> Plan:
        """The plan. Raises PlanError with every problem found."""
        if self.problems:
            raise PlanError(self.problems, sensitive=self.plan.sensitive)
        return self.plan


def resolve(document: PlanFiles, spec: PlanSpec, inputs: Inputs) -> Plan:
    """Resolve a plan. Pure; raises PlanError with every problem found, or UsageError for what `inputs` cannot mean."""
    return resolve_partially(document, spec, inputs).settled()


def resolve_partially(document: PlanFiles, spec: PlanSpec, inputs: Inputs) -> PartialPlan:
    """Resolve a plan as far as it goes. Pure; raises UsageError for what `inputs` cannot mean."""
    problems: list[Problem] = []
    renderer = Renderer(git=inputs.git, epoch=inputs.environment.get("SOURCE_DATE_EPOCH", ""))
    rendering = ValueRenderer(renderer=renderer, problems=problems)
    variables = resolve_variables(spec, inputs, rendering)
    scope, secrets = variables.scope, set(variables.secrets)
    guard = SensitiveGuard(variables=variables.sensitive, secrets=secrets, places=set(variables.places))
    rendering = replace(rendering, guard=guard)
    root = document.root
    builders = resolve_builders(spec, scope, rendering, document.folder, inputs.stored)
    _check_builder(inputs.overrides.builder, builders)
    drafts = draft_targets(spec, scope, rendering, inputs, document.folder)
    targets = Linker(builders=builders, drafts=drafts, spec=spec, document=document, problems=problems).targets()
    groups = resolve_groups(spec, targets, drafts, rendering, scope)
    check_names(spec, targets, problems)
    redactor = Redactor(secrets)
    plan = Plan(
        file=document.path,
        root=root,
        builders=builders,
        groups=groups,
        targets=targets,
        variables=declared_variables(spec, variables.sensitive),
        publish=PublishMode(inputs.overrides.publish or spec.publish or PublishMode.EACH),
        disabled=tuple(name for name in drafts if name not in targets),
        sensitive=frozenset(secrets),
    )
    told, clashes = (
        tuple(document.diagnose(redacted_problem(each, redactor, guard.places)) for each in found)
        for found in (without_follow_ups(problems), tags_pushed_twice(targets.values()))
    )
    return PartialPlan(plan=plan, problems=told, clashes=clashes, sound=sound_targets(spec, targets, problems))


def _check_builder(name: str, builders: Iterable[str]) -> None:
    """That the command line names a builder which there is, if it names one."""
    if name and name not in builders:
        hint = did_you_mean(name, builders, kind="builders")
        raise UsageError(f'--builder {one_line(name)}: unknown builder "{one_line(name)}"', hint=hint)
