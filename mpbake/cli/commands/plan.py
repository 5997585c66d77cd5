"""The command `mpbake plan`: print the steps of a run, for review.

Without `--probe`, the command contacts neither Docker nor the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpbake.base.memory import paused_collector
from mpbake.cli.loading import read_source
from mpbake.cli.review.probing import probe_selection, probe_tags
from mpbake.cli.review.selection_review import review_selection
from mpbake.cli.selection import select_for
from mpbake.graph.estimates import Estimates
from mpbake.graph.explain import explain_placement
from mpbake.report.formats import PLAN_FORMATS
from mpbake.resolve import select_targets
from mpbake.review.expected import expected_document
from mpbake.review.probe import probe_document
from mpbake.run.signals import stoppable
from mpbake.run.state.directory import recorded_durations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import PlanOptions
    from mpbake.cli.review.saving import PlanSaver
    from mpbake.cli.world import World
    from mpbake.graph.dag import BuildGraph, Selection
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Target
    from mpbake.run.executor import StopRequest

    Facts = dict[str, NodeFacts]
    """The facts that nodes reported, by node ID."""


def main(options: PlanOptions, world: World) -> int:
    """Print the plan of the named targets; with `--explain`, print the reasons for the placement of one target."""
    return stoppable(lambda stop: _print(options, world, stop))


def _print(options: PlanOptions, world: World, stop: StopRequest) -> int:
    read = read_source(options.source, world, options.overrides, quiet=options.quiet)
    plan_files, plan = read.plan(relative=True)
    names = (options.explain,) if options.explain else options.names
    selection = select_for(plan, names, options.overrides)
    saver = _saver(read, options, world) if options.output else None
    probe = _Probe(read, names, options, world, stop) if options.probe else None
    facts = probe.nodes.facts if probe else {}
    if options.explain:
        world.stdout.write(_explanations(select_targets(plan, names), selection, facts))
        world.stderr.writelines(f"warning: {warning}\n" for warning in (probe.nodes.notes if probe else ()))
        return 0
    with paused_collector():  # nearly all objects stay alive
        review = replace(review_selection(plan_files, selection, facts, world), title=" ".join(names))
        if probe:
            review = review.with_fields({"probe": probe.document()}, world.redactor.redact)
        if expected := _expected(review.graph, plan_files.root):
            review = review.with_fields({"expected": expected}, world.redactor.redact)
    if saver:
        saved = replace(review, document=saver.with_saved_fields(review.document))
        text = PLAN_FORMATS["json"].load()(saved)
        if not saver.path:
            world.stdout.write(text)
            return 0
        saver.write(text)
    with paused_collector():
        text = PLAN_FORMATS[options.format].load()(review)
    world.stdout.write(text)
    return 0


def _saver(read: ReadPlan, options: PlanOptions, world: World) -> PlanSaver:
    """Return the writer of the saved plan. Raises UsageError for a file that must not be written."""
    from mpbake.cli.review.saving import open_saver  # noqa: PLC0415 - slow to import, and used by -o only

    return open_saver(read, options, world)


def _explanations(targets: Sequence[Target], selection: Selection, facts: Facts) -> str:
    """Return the node of each platform of `targets`, with the reason for the choice."""
    return "\n".join(explain_placement(target, facts, selection.only.get(target, ())) for target in targets)


def _expected(graph: BuildGraph, root: Path) -> dict[str, Any]:
    """Return the field `expected` of the plan document, from the records of earlier runs on this machine."""
    recorded = recorded_durations(root)
    if not recorded:
        return {}
    from mpbake.run.schedule.simulation import simulated_seconds  # noqa: PLC0415 - only with records

    return expected_document(graph, recorded, lambda: simulated_seconds(graph, Estimates(recorded=recorded)))


class _Probe:
    """The reports of nodes and registries about the named targets. The paths of certificates are absolute here."""

    def __init__(
        self, read: ReadPlan, names: Sequence[str], options: PlanOptions, world: World, stop: StopRequest
    ) -> None:
        _, plan = read.plan()
        self._selection, self._world, self._stop = select_for(plan, names, options.overrides), world, stop
        self.nodes = probe_selection(plan, self._selection, world, stop)

    def document(self) -> dict[str, Any]:
        """Ask the registries as well, and return the field `probe` of the plan document."""
        return probe_document(self.nodes, probe_tags(self._selection, self._world, self._stop))
