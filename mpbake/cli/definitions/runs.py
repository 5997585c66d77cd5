"""The commands `run` and `plan`. `run --dry-run` runs `plan`."""

from __future__ import annotations

import importlib
import shlex
from typing import TYPE_CHECKING

import click

from mpbake.base.errors import UsageError
from mpbake.cli.click_options import complete_names, complete_paths, is_typed, option
from mpbake.cli.definitions.command import Command
from mpbake.cli.shared_options import NO_COLOR, PLAN_FORMAT, READ_PLAN, SELECTION, SOURCE_OPTIONS

if TYPE_CHECKING:
    from mpbake.cli.definitions.command import Values


def _choose_run(context: click.Context, values: Values) -> tuple[Command, Values]:
    """Return the command `run`, or with `--dry-run` the command `plan`."""
    if not values["dry_run"] and is_typed(context, "format"):
        raise click.UsageError("--format requires --dry-run", context)
    if values["dry_run"] and is_typed(context, "plan_id"):
        raise click.UsageError("--plan-id cannot be combined with --dry-run", context)
    if values["dry_run"] and any(name.endswith(".json") for name in values["names"]):
        hint = "compare the saved plan with the plan as it is now: mpbake diff FILE.json"
        raise UsageError("a saved plan cannot be combined with --dry-run", hint=hint)
    command = PLAN if values["dry_run"] else RUN
    options = importlib.import_module("mpbake.cli.options")
    names, values = options.option_names(command.options_class), {**values, **_verbosity(context, values)}
    return command, {name: value for name, value in values.items() if name in names}


def _verbosity(context: click.Context, values: Values) -> dict[str, bool]:
    """Return `quiet` and `verbose`. If both are set, a typed option wins over an environment variable."""
    verbosity = {name: values[name] for name in ("quiet", "verbose")}
    if not all(verbosity.values()):
        return verbosity
    typed = {name: is_typed(context, name) for name in verbosity}
    if len(set(typed.values())) == 1:
        raise click.UsageError("-q and -v cannot be combined", context)
    return typed


def _choose_plan(context: click.Context, values: Values) -> tuple[Command, Values]:
    explained = values["explain"]
    if explained and values["names"]:
        hint = f"give --explain the target, group or pattern: {shlex.join(['--explain', explained])}"
        raise UsageError("--explain cannot be combined with other names", hint=hint)
    if explained and values["output"]:
        raise UsageError("--explain cannot be combined with -o", hint="remove --explain or -o")
    if explained and values["format"] != "text" and is_typed(context, "format"):
        output = values["format"]
        raise UsageError("--explain prints text only", hint=f"remove --format {output} or --explain")
    return PLAN, values


RUN = Command(
    name="run",
    module="run",
    options="RunOptions",
    help='Build, publish and verify targets; without a name, the group "default".',
    summary="Build, publish and verify targets.",
    parameters=(
        *SELECTION,
        *SOURCE_OPTIONS,
        NO_COLOR,
        option("-q", "--quiet", is_flag=True, help="Print only errors."),
        option("-v", "--verbose", is_flag=True, help="Print the builds' own output."),
        option(
            "--metadata-file",
            default="",
            metavar="FILE",
            help="Write the results of all targets to FILE, as JSON.",
            shell_complete=complete_paths("file"),
        ),
        option("--plan-id", default="", metavar="ID", help="Run only if the plan still has this id."),
        option("--dry-run", is_flag=True, help="Print the plan and stop, like mpbake plan."),
        PLAN_FORMAT,
    ),
    choose=_choose_run,
)
PLAN = Command(
    name="plan",
    module="plan",
    options="PlanOptions",
    help="Print what a run would do, for review; changes nothing.",
    parameters=(
        *SELECTION,
        *READ_PLAN,
        PLAN_FORMAT,
        option(
            "--explain",
            default="",
            metavar="TARGET",
            help="Print where each platform of a target is built, and why.",
            shell_complete=complete_names("targets"),
        ),
        option(
            "-o",
            "--output",
            default="",
            metavar="FILE",
            help="Save the plan as FILE, such as plan.json; `mpbake run plan.json` does exactly this. - prints it.",
            shell_complete=complete_paths("file"),
        ),
        option(
            "--probe",
            is_flag=True,
            help="Query the state of nodes and the tags in registries; starts and changes nothing.",
        ),
    ),
    choose=_choose_plan,
)
