"""From the plan as written to the plan as meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.errors import PlanError
from mpbake.plan import Plan
from mpbake.resolve.builders import DEFAULT_BUILDER, resolve_builders
from mpbake.resolve.drafts import draft_targets
from mpbake.resolve.groups import check_names, resolve_groups, select
from mpbake.resolve.inputs import Inputs, Overrides
from mpbake.resolve.linking import Linker, check_tags
from mpbake.resolve.rendering import Rendering
from mpbake.resolve.variables import resolve_variables
from mpbake.template import Renderer

if TYPE_CHECKING:
    from mpbake.loader import Document
    from mpbake.spec import PlanSpec, Problem

__all__ = ["DEFAULT_BUILDER", "Inputs", "Overrides", "resolve", "select"]


def resolve(document: Document, spec: PlanSpec, inputs: Inputs) -> Plan:
    """Resolve a plan. Pure; raises PlanError with every problem found."""
    problems: list[Problem] = []
    rendering = Rendering(renderer=Renderer(), problems=problems)
    scope = resolve_variables(spec, inputs, rendering)
    root = document.path.parent
    builders = resolve_builders(spec, scope, rendering, root)
    drafts = draft_targets(spec, scope, rendering, inputs.overrides)
    targets = Linker(builders=builders, drafts=drafts, spec=spec, root=root, problems=problems).targets()
    groups = resolve_groups(spec, targets, drafts, rendering, scope)
    check_names(spec, targets, problems)
    check_tags(targets, drafts, problems)
    if problems:
        raise PlanError(document.diagnose(each) for each in problems)
    disabled = tuple(name for name in drafts if name not in targets)
    return Plan(file=document.path, root=root, builders=builders, groups=groups, targets=targets, disabled=disabled)
