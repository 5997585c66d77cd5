"""The check that a run would do what was approved. Nothing has been created, started or built before this check."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import NotApproved, UsageError
from mpbake.base.text import abbreviated
from mpbake.cli.review.probing import probe_selection
from mpbake.cli.review.selection_review import file_digests, review_selection
from mpbake.cli.selection import select_for
from mpbake.review.document.plan_document import digested_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import RunOptions
    from mpbake.cli.world import World
    from mpbake.graph.dag import Selection
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Plan
    from mpbake.run.executor import StopRequest

_PLAN_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """An approved plan: its document, and the facts of nodes by which its platforms are placed.

    `check_contexts` compares the contexts with a saved plan.
    """

    root: Path
    document: Mapping[str, Any]
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    check_contexts: Callable[[], None] = lambda: None

    def check_again(self) -> None:
        """Compare files and contexts again, directly before the builds. Raises NotApproved if they have changed."""
        self.check_contexts()
        digest = file_digests(self.root)
        changed = sorted({path for path, approved in digested_files(self.document) if digest(path) != approved})
        if changed:
            raise NotApproved(
                f"{abbreviated(changed)} changed while the run was starting",
                hint="review the plan again, and approve its new id",
            )


def check_plan_id(plan_id: str) -> None:
    """Raise UsageError if the value of `--plan-id` is no plan id."""
    if not _PLAN_ID.fullmatch(plan_id):
        hint = "copy the whole id from `mpbake plan`: 64 characters of 0-9 and a-f"
        raise UsageError("--plan-id: not a plan id", hint=hint)


def approve_id(read: ReadPlan, options: RunOptions, world: World, stop: StopRequest) -> Approval:
    """Return the plan whose id is `--plan-id`. Raises NotApproved if the run would do something else.

    The id is that of the plan without facts of nodes, or that of the plan with `--probe`. mpbake queries the nodes only
    if the first does not match.
    """
    check_plan_id(options.plan_id)
    reviewer = PlanReviewer(read=read, options=options, world=world, stop=stop)
    planned = reviewer.planned()
    if planned.document["id"] == options.plan_id:
        return planned
    probed = reviewer.probed()
    if probed.document["id"] == options.plan_id:
        return probed
    raise _not_approved(options, planned.document["id"], probed.document["id"])


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanReviewer:
    """Makes the plan documents of a run, all from the same reading of the plan."""

    read: ReadPlan
    options: RunOptions
    world: World
    stop: StopRequest

    def planned(self, facts: Mapping[str, NodeFacts] = MappingProxyType({})) -> Approval:
        """Return the plan, placed by the known facts of nodes."""
        plan_files, plan = self.read.plan(relative=True)
        review = review_selection(plan_files, self._selection(plan), facts, self.world)
        return Approval(root=plan_files.root, document=review.document, facts=facts)

    def probed(self) -> Approval:
        """Query the nodes, start none, and return the plan, placed by what the nodes report."""
        _, plan = self.read.plan()  # with absolute paths of certificates
        probe = probe_selection(plan, self._selection(plan), self.world, self.stop)
        return self.planned(probe.facts)

    def _selection(self, plan: Plan) -> Selection:
        return select_for(plan, self.options.names, self.options.overrides)


def _not_approved(options: RunOptions, planned: str, probed: str) -> NotApproved:
    names = shlex.join(options.names)
    lines = [
        "the run would do something other than the approved plan",
        f"  approved      {options.plan_id}",
        f"  now           {planned}",
    ]
    if probed != planned:
        lines.append(f"  with --probe  {probed}")
    review = f"mpbake plan {names}".rstrip()
    hint = f"see what changed since a revision: mpbake diff REV; then review `{review}`, and approve its id"
    return NotApproved("\n".join(lines), hint=hint)
