"""The command `mpbake diff`: compare the plan of the working tree with that of a git revision or a saved plan.

The command contacts neither Docker nor the network, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.memory import paused_collector
from mpbake.cli.options import SAVED_SUFFIX
from mpbake.cli.review.comparing import (
    names_on_each_side,
    plan_of_revision,
    plan_of_working_tree,
    request_of,
    saved_document,
    with_request,
)
from mpbake.report.formats import DIFF_FORMATS
from mpbake.review.diff.plan_diff import diff_documents

if TYPE_CHECKING:
    from mpbake.cli.options import DiffOptions
    from mpbake.cli.review.comparing import ComparedPlan
    from mpbake.cli.world import World
    from mpbake.review.diff.plan_diff import PlanDiff

_CHANGED = 2
"""The exit code with `--detailed-exitcode` if the plans differ."""


@paused_collector()
def main(options: DiffOptions, world: World) -> int:
    """Print the diff from the plan of a revision or a saved plan to the plan of the working tree."""
    # The rule looks at the name only, so that the meaning of a command does not depend on the files of a checkout.
    compare = _diff_with_saved if options.against.endswith(SAVED_SUFFIX) else _diff_with_revision
    diff = compare(options, world)
    world.stdout.write(DIFF_FORMATS[options.format].load()(diff))
    return _CHANGED if diff and options.detailed_exitcode else 0


def _diff_with_saved(options: DiffOptions, world: World) -> PlanDiff:
    before = saved_document(options, world)
    request = request_of(before, options)
    options = with_request(options, request, world)
    current = plan_of_working_tree(options, world, request)
    names, _ = names_on_each_side(options.names, current, None)
    return diff_documents(before, current.document(names, options, world))


def _diff_with_revision(options: DiffOptions, world: World) -> PlanDiff:
    current = plan_of_working_tree(options, world)
    try:
        before = plan_of_revision(options.against, current, options, world)
    except UsageError as error:
        raise _hint_at_target(error, current, options.against) from None
    names, old_names = names_on_each_side(options.names, current, before)
    after = current.document(names, options, world)
    return diff_documents(before.document(old_names, options, world) if before else None, after)


def _hint_at_target(error: UsageError, current: ComparedPlan, against: str) -> UsageError:
    """Return the error about an unknown revision; if it is the name of a target, the hint says where to write it."""
    if against in current.plan.targets or against in current.plan.groups:
        return UsageError(error.message, hint=f"write the revision before the target: mpbake diff HEAD {against}")
    return error
