"""The review of a plan: the plan document of a selection, which `plan`, `diff` and `run --plan-id` share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.file_tree import FILE_SYSTEM
from mpbake.cli.review.granting import plan_grants
from mpbake.cli.selection import make_graph, place_targets, preflight_input
from mpbake.graph.preflight.checks import Stage, preflight_warnings
from mpbake.review.document.plan_document import plan_document
from mpbake.review.plan_review import PlanReview

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.base.file_tree import FileTree
    from mpbake.cli.world import World
    from mpbake.graph.dag import Selection
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.spec.files.plan_files import PlanFiles


def review_selection(
    plan_files: PlanFiles, selection: Selection, facts: Mapping[str, NodeFacts], world: World
) -> PlanReview:
    """Return the review of the selected targets, placed by the known `facts` of nodes. Raises PlanError.

    The plan must be resolved with relative paths.
    """
    placements = place_targets(selection, facts)
    warnings = preflight_warnings(preflight_input(plan_files, selection, placements.values(), world), Stage.PLAN)
    graph = make_graph(selection, placements)
    every_warning = tuple(dict.fromkeys((*selection.warnings, *warnings)))
    grants = plan_grants(plan_files, graph.targets)
    digest = file_digests(plan_files.root, plan_files.access.tree)
    document = plan_document(graph, grants, every_warning, digest, world.redactor.redact, facts)
    return PlanReview(graph=graph, document=document)


def file_digests(root: Path, tree: FileTree = FILE_SYSTEM) -> Callable[[str], str]:
    """Return a function that maps the path of a Dockerfile or of another file in `tree` to its SHA-256.

    The digest has hexadecimal digits. Relative paths start at `root`, the folder of the plan. The digest is empty for a
    file outside of this folder and for a file that cannot be read.
    """
    folder = tree.real_path(root)

    @cache
    def digest(path: str) -> str:
        real = Path(tree.real_path(root / path))
        if not real.is_relative_to(folder):
            return ""
        try:
            return tree.sha256(real)
        except OSError:
            return ""

    return digest
