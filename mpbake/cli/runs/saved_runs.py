"""Runs of saved plans: `mpbake run plan.json`.

A saved plan alone decides nothing. The plan files are read and resolved again, with the values of the request,
and the run is refused unless the result is the saved plan.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import NotApproved, UsageError
from mpbake.base.text import one_line
from mpbake.cli.loading import read_source
from mpbake.cli.options import SAVED_SUFFIX, OverrideOptions
from mpbake.cli.review.input_states import input_states
from mpbake.cli.review.saved_requests import (
    overrides_of,
    plan_files_of,
    read_saved_plan,
    saved_plan_path,
    variables_of,
    with_recorded_environment,
)
from mpbake.cli.runs.approval import Approval, PlanReviewer, check_plan_id
from mpbake.report.diff.diff_text import diff_text
from mpbake.resolve import sensitive_variables
from mpbake.review.changed_inputs import changed_inputs
from mpbake.review.diff.plan_diff import diff_documents
from mpbake.review.saved_plan import SavedPlan, parse_saved_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import RunOptions
    from mpbake.cli.world import World
    from mpbake.review.saved_plan import InputStates
    from mpbake.run.executor import StopRequest

_OVERRIDES = {
    "push": "--push or --no-push",
    "load": "--load",
    "no_cache": "--no-cache",
    "pull": "--pull",
    "platforms": "--platform",
    "builder": "--builder",
    "publish": "--publish",
}
"""The options that change every target, by their fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedRun:
    """A saved plan, its file, and the options of the run that it asks for."""

    path: Path
    saved: SavedPlan
    given: RunOptions
    options: RunOptions

    def read(self, world: World) -> ReadPlan:
        """Read the plan files of the saved plan, with the recorded values of variables.

        Only sensitive variables take their values from the command line and the environment. Raises UsageError,
        PlanError, NotApproved.
        """
        read = read_source(self.options.source, world, self.options.overrides, quiet=self.options.quiet)
        sensitive = sensitive_variables(read.spec)
        request = self.saved.request
        given = dict.fromkeys(text.partition("=")[0] for text in self.given.source.variables)
        for variable in (name for name in given if name not in sensitive):
            hint = f"save the plan again with this value: {self._again(f'--var {shlex.quote(variable)}=…')}"
            raise UsageError(f"--var {one_line(variable)} cannot be combined with a saved plan", hint=hint)
        if unknown := request.variables.keys() - read.spec.variables.keys():
            raise self._refused(f"the plan no longer declares the variable {one_line(min(unknown))}")
        return with_recorded_environment(read, request)

    def approve(self, read: ReadPlan, world: World, stop: StopRequest) -> Approval:
        """Return the plan of this run. Raises NotApproved with the differences if it is not the saved plan."""
        reviewer = PlanReviewer(read=read, options=self.options, world=world, stop=stop)
        plan = reviewer.probed() if self.saved.request.probe else reviewer.planned()
        inputs = input_states(read.files, dict(plan.document), world.environment, self.path)
        if plan.document["id"] != self.saved.document["id"] or inputs.contexts != self.saved.inputs.contexts:
            raise self._changed(plan, inputs)
        return replace(plan, check_contexts=partial(self._check_contexts, plan, read, world))

    def _check_contexts(self, plan: Approval, read: ReadPlan, world: World) -> None:
        inputs = input_states(read.files, dict(plan.document), world.environment, self.path)
        if inputs.contexts != self.saved.inputs.contexts:
            raise self._changed(plan, inputs)

    def _changed(self, plan: Approval, inputs: InputStates) -> NotApproved:
        before, after = self.saved.document, dict(plan.document)
        changed = changed_inputs(self.saved.inputs, inputs, before, after)
        lines = [f"changed: {', '.join(changed)}"] if changed else []
        if before["id"] != after["id"]:
            lines.append(diff_text(diff_documents(before, after)).rstrip("\n"))
        return self._refused("the run would do something other than the saved plan", *lines)

    def _refused(self, *lines: str) -> NotApproved:
        hint = f"review the plan as it is now, and save it again: {self._again()}"
        return NotApproved("\n".join([f"{one_line(str(self.given.names[0]))}: {lines[0]}", *lines[1:]]), hint=hint)

    def _again(self, *words: str) -> str:
        names = shlex.join(self.saved.request.names)
        return " ".join(filter(None, ["mpbake plan", names, *words, "-o", shlex.quote(self.given.names[0])]))


def open_saved_run(options: RunOptions, world: World) -> SavedRun:
    """Return the run of the saved plan that the command line names; one of its names ends like a saved plan.

    Raises UsageError for a file that is not a saved plan, and for options that conflict with a saved plan. Raises
    NotApproved if the saved plan does not have the id of `--plan-id`.
    """
    names = [name for name in options.names if name.endswith(SAVED_SUFFIX)]
    path = saved_plan_path(names[0], options.source, world)
    content = read_saved_plan(names[0], options.source, world)
    if len(options.names) > 1:
        hint = f"name nothing but the saved plan: mpbake run {shlex.quote(names[0])}"
        raise UsageError("a saved plan cannot be combined with other names", hint=hint)
    for option in _conflicts(options):
        hint = "save the plan again with this option, or remove the option and its environment variable"
        raise UsageError(f"{option} cannot be combined with a saved plan", hint=hint)
    try:
        saved = parse_saved_plan(content)
    except ValueError as error:
        message = f"{one_line(names[0])} {error}"
        raise UsageError(message, hint="save the plan again: mpbake plan -o plan.json") from None
    if options.plan_id:
        _check_id(options.plan_id, names[0], str(saved.document["id"]))
    return SavedRun(path=path, saved=saved, given=options, options=_options(options, path, saved))


def _check_id(approved: str, name: str, saved: str) -> None:
    """Raise NotApproved if a saved plan does not have the id of `--plan-id`."""
    check_plan_id(approved)
    if approved != saved:
        message = f"{one_line(name)} is not the approved plan\n  approved  {approved}\n  saved     {saved}"
        raise NotApproved(message, hint="get the saved plan again, or review it and approve its id")


def _conflicts(options: RunOptions) -> Iterator[str]:
    """Yield the options on the command line that would change what a saved plan says."""
    nothing = OverrideOptions()
    for option in fields(OverrideOptions):
        if getattr(options.overrides, option.name) != getattr(nothing, option.name):
            yield _OVERRIDES[option.name]
    if options.source.settings:
        yield "--set"
    if options.source.var_files:
        yield "--var-file"


def _options(options: RunOptions, path: Path, saved: SavedPlan) -> RunOptions:
    """Return the options of a run that makes the saved plan: from the command line only what cannot change it."""
    request = saved.request
    source = replace(
        options.source,
        files=options.source.files or plan_files_of(request, path),
        variables=(*options.source.variables, *variables_of(request)),
        settings=request.settings,
    )
    return replace(options, names=request.names, source=source, overrides=overrides_of(request))
