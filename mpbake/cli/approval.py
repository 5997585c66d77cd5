"""The check that a run would do what was approved. Nothing has been created, started or built before this check."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import NotApproved, UsageError
from mpbake.base.text import abbreviated
from mpbake.cli.probing import probe_selection
from mpbake.cli.reviewing import dockerfile_digests, review_selection
from mpbake.cli.selection import select_for
from mpbake.review.document.plan_document import dockerfile_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import RunOptions
    from mpbake.cli.world import World
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.review.plan_review import PlanReview
    from mpbake.run.executor import StopRequest

_PLAN_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """An approved plan: its document, and the facts of nodes by which its platforms are placed."""

    root: Path
    document: Mapping[str, Any]
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)

    def check_dockerfiles(self) -> None:
        """Read all Dockerfiles again. Raises NotApproved if one of them is no longer the approved one."""
        digest = dockerfile_digests(self.root)
        dockerfiles = dockerfile_documents(self.document)
        changed = sorted(
            {file["path"] for file in dockerfiles if file["path"] and digest(file["path"]) != file["sha256"]}
        )
        if changed:
            raise NotApproved(
                f"{abbreviated(changed)} changed while the run was starting",
                hint="review the plan again, and approve its new id",
            )


def check_plan_id(plan_id: str) -> None:
    """Raise UsageError if a text is no plan id."""
    if not _PLAN_ID.fullmatch(plan_id):
        hint = "copy the whole id from `mpbake plan`: 64 characters of 0-9 and a-f"
        raise UsageError("--plan-id: not a plan id", hint=hint)


def approve_id(read: ReadPlan, options: RunOptions, world: World, stop: StopRequest) -> Approval:
    """Return the plan whose id is `--plan-id`. Raises NotApproved if the run would do something else.

    The id is that of the plan without facts of nodes, or that of the plan with `--probe`. mpbake queries the nodes only
    if the first does not match.
    """
    plan_files, plan = read.plan(relative=True)
    selection = select_for(plan, options.names, options.overrides)

    def review(facts: Mapping[str, NodeFacts]) -> PlanReview:
        return review_selection(plan_files, selection, facts, world)

    planned = review({})
    if planned.plan_id == options.plan_id:
        return Approval(root=plan_files.root, document=planned.document)
    probed, facts = _probed(read, options, world, stop, review)
    if probed.plan_id == options.plan_id:
        return Approval(root=plan_files.root, document=probed.document, facts=facts)
    raise _not_approved(options, planned.plan_id, probed.plan_id)


def _probed(
    read: ReadPlan,
    options: RunOptions,
    world: World,
    stop: StopRequest,
    review: Callable[[Mapping[str, NodeFacts]], PlanReview],
) -> tuple[PlanReview, Mapping[str, NodeFacts]]:
    """Return the review of the plan with the facts that the nodes report, and these facts."""
    _, plan = read.plan()
    facts = probe_selection(plan, select_for(plan, options.names, options.overrides), world, stop).facts
    return review(facts), facts


def _not_approved(options: RunOptions, planned: str, probed: str) -> NotApproved:
    names = shlex.join(options.names)
    lines = [
        "the run would do something else than the approved plan",
        f"  approved      {options.plan_id}",
        f"  now           {planned}",
    ]
    if probed != planned:
        lines.append(f"  with --probe  {probed}")
    review = f"mpbake plan {names}".rstrip()
    hint = f"see what changed: `mpbake diff REV`, with the approved revision; or review `{review}`, and approve its id"
    return NotApproved("\n".join(lines), hint=hint)
