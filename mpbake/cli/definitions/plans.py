"""The commands that read a plan, or write a first one, and change nothing else."""

from __future__ import annotations

import click

from mpbake.cli.click_options import complete_paths, option
from mpbake.cli.definitions.command import Command, other_format
from mpbake.cli.shared_options import DIRECTORY, NAMES, NO_COLOR, OVERRIDES, READ_PLAN, SELECTION, SOURCE_OPTIONS
from mpbake.report.formats import DIAGNOSTICS_FORMATS, DIFF_FORMATS, DOCTOR_FORMATS, EXPORT_FORMATS, SCHEMA_FORMATS

DIFF = Command(
    name="diff",
    module="diff",
    options="DiffOptions",
    help="""Compare the plan of the working tree with that of a git revision or a saved plan.

    REV is a revision, by default HEAD; a name that ends in .json is a saved plan. Files of a revision are read from
    git's objects. Both plans get the same values and options. Contacts neither Docker nor the network.
    """,
    summary="Compare the plan with that of a git revision.",
    parameters=(
        click.argument(
            "against",
            required=False,
            default="HEAD",
            metavar="[REV|FILE]",
            shell_complete=complete_paths("file"),
        ),
        *SELECTION,
        *READ_PLAN,
        option("--detailed-exitcode", is_flag=True, help="Exit with 2 when the plans differ."),
        other_format(DIFF_FORMATS, "text"),
    ),
)
CHECK = Command(
    name="check",
    module="check",
    options="CheckOptions",
    help="Print all errors of a plan, and warnings about probable mistakes. Contacts no node and no registry.",
    summary="Print all errors and warnings of a plan.",
    parameters=(
        *READ_PLAN,
        option("--strict", is_flag=True, help="Treat warnings as errors."),
        option(
            "--without-secrets",
            is_flag=True,
            help="Accept missing files of tls, deploy, secret and ssh, which a fresh checkout lacks.",
        ),
        other_format(DIAGNOSTICS_FORMATS, "text"),
    ),
)
DOCTOR = Command(
    name="doctor",
    module="doctor",
    options="DoctorOptions",
    help="""Check what a run of the targets needs, and print what is missing, with its remedy.

    Checks docker, buildx, engines, nodes, emulators, certificates, registries, clocks and disks. Changes nothing.
    Without a name: all targets and builders. Without a plan: docker and this machine.
    """,
    summary="Check what a run needs, and print what is missing.",
    parameters=(NAMES, *OVERRIDES, *SOURCE_OPTIONS, NO_COLOR, other_format(DOCTOR_FORMATS, "text")),
)
VERIFY = Command(
    name="verify",
    module="verify",
    options="VerifyOptions",
    help="""Compare registries with the last published run, or with the plan if nothing was published.

    Without a name: the group "default", or if the plan has no such group, all published targets. Prints a table of
    differences.
    """,
    summary="Compare what registries serve with what was published.",
    parameters=(NAMES, *READ_PLAN),
)
LIST = Command(
    name="list",
    module="list",
    options="ListOptions",
    help="Print groups, targets and variables with their descriptions.",
    parameters=READ_PLAN,
)
INIT = Command(
    name="init",
    module="init",
    options="InitOptions",
    help="""Write a first build.toml for the Dockerfiles that it finds.

    It searches this folder and six levels below, asks nothing, and overwrites nothing. Beside the plan it writes
    the plan's schema, build.schema.json, for editors.
    """,
    parameters=(DIRECTORY, option("--dry-run", is_flag=True, help="Print the plan instead of writing it.")),
)
SHOW = Command(
    name="show",
    module="show",
    options="ShowOptions",
    help="""Print resolved targets, in the form of a plan.

    Paths are relative to the folder of the plan. Absolute paths of the plan stay absolute.
    """,
    summary="Print resolved targets, in the form of a plan.",
    parameters=(
        NAMES,
        *OVERRIDES,
        *READ_PLAN,
        option("--origin", is_flag=True, help="Print where each value was written."),
    ),
)
EXPORT = Command(
    name="export",
    module="export",
    options="ExportOptions",
    help="""Print resolved targets for another tool; without a name, all of them.

    Run bake in the folder of the plan, since relative paths are resolved there: mpbake export | docker buildx bake
    -f -
    """,
    summary="Print resolved targets for another tool.",
    parameters=(NAMES, *OVERRIDES, *READ_PLAN, other_format(EXPORT_FORMATS, "bake")),
)
SCHEMA = Command(
    name="schema",
    module="schema",
    options="SchemaOptions",
    help="Print the JSON Schema of build.toml, for editors and validators.",
    parameters=(other_format(SCHEMA_FORMATS, "json"),),
)
