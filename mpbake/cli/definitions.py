"""The table of commands: their help texts, their options, and the modules that do the work.

A new command is one module in `cli/commands`, one class in `cli/options`, and one entry here.
"""

from __future__ import annotations

import importlib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click

from mpbake.base.errors import UsageError
from mpbake.cli.click_options import complete_buildx_builders, complete_names, complete_paths, is_typed, option
from mpbake.cli.shared_options import (
    DIRECTORY,
    NAMES,
    NO_COLOR,
    OVERRIDES,
    PLAN_FORMAT,
    READ_PLAN,
    SELECTION,
    SOURCE_OPTIONS,
)
from mpbake.report.formats import (
    CERTIFICATE_FORMATS,
    DIAGNOSTICS_FORMATS,
    DIFF_FORMATS,
    DOCTOR_FORMATS,
    EXPORT_FORMATS,
    IMPORT_FORMATS,
    SCHEMA_FORMATS,
    format_help,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.cli.click_options import Parameter

    Values = Mapping[str, Any]
    """The values of a command line, by option name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A CLI command.

    `module` is the module in `cli/commands` whose `main` runs the command; `options` is the class in `cli/options` that
    `main` receives. The description in the list of commands is `summary`, or else the first line of `help`. `choose`
    may reject values, or return another command to run instead.
    """

    name: str
    module: str
    options: str
    help: str
    summary: str | None = None
    parameters: tuple[Parameter, ...] = ()
    choose: Callable[[click.Context, Values], tuple[Command, Values]] | None = None

    @property
    def options_class(self) -> type[Any]:
        """The class of the options. The class is imported only when the command runs, since `--help` must be fast."""
        return cast("type[Any]", getattr(importlib.import_module("mpbake.cli.options"), self.options))


AUTHORITY_DAYS = 3650
"""How many days a new certificate authority is valid by default."""
ISSUED_DAYS = 365
"""How many days a new certificate is valid by default."""
LONGEST_VALIDITY = 36_500
"""The maximum number of days that a certificate is valid."""


def _other_format(table: Mapping[str, Any], default: str) -> Parameter:
    """Return a `--format` option that ignores MPBAKE_FORMAT, since this variable sets the format of plans."""
    return click.option("--format", type=click.Choice(list(table)), default=default, help=format_help(table))


# --- commands ---------------------------------------------------------------------------------------------------------


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


def _choose_import(context: click.Context, values: Values) -> tuple[Command, Values]:
    """Return the import of bake files, or with `--builder` the import of builders."""
    if not values["builders"]:
        return IMPORT, {name: value for name, value in values.items() if name != "builders"}
    if values["paths"] or values["files"]:
        raise click.UsageError("--builder cannot be combined with bake files", context)
    if is_typed(context, "format"):
        raise click.UsageError("--builder cannot be combined with --format", context)
    names = importlib.import_module("mpbake.cli.options").option_names(IMPORT_BUILDERS.options_class)
    return IMPORT_BUILDERS, {name: value for name, value in values.items() if name in names}


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
        option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
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
            help="Ask nodes and registries what they are and serve; starts and changes nothing.",
        ),
    ),
    choose=_choose_plan,
)
IMPORT = Command(
    name="import",
    module="import_files",
    options="ImportOptions",
    help="""Write a plan that builds the same as bake files, and prove it.

    Run it in the folder in which you run bake, with the same files. Without FILE it reads the files that bake would
    read: docker-bake.hcl, docker-bake.json, their overrides and compose.yaml. Several files are merged as by bake.

    Then buildx prints the bake files and the plan (bake --print), also with each variable changed, and mpbake
    compares them. Builds nothing. Exits with 0 if all targets are equal, and with 1 if one differs.
    """,
    summary="Write a plan that builds the same as bake files.",
    parameters=(
        click.argument("paths", nargs=-1, metavar="[FILE]...", shell_complete=complete_paths("file")),
        click.option(
            "-f",
            "--file",
            "files",
            multiple=True,
            metavar="FILE",
            help="Read this bake file; the same as FILE.",
            shell_complete=complete_paths("file"),
        ),
        DIRECTORY,
        click.option(
            "-o",
            "--output",
            default="",
            metavar="FILE",
            help="Write FILE, in the folder where you run bake; - prints it. Default: build.toml; with --builder, -.",
            shell_complete=complete_paths("file"),
        ),
        click.option("--force", is_flag=True, help="Overwrite FILE if it exists."),
        option("--dry-run", is_flag=True, help="Print the plan instead of writing it."),
        _other_format(IMPORT_FORMATS, "text"),
        click.option(
            "--builder",
            "builders",
            multiple=True,
            metavar="NAME",
            help="Write the tables of a builder that `docker buildx ls` lists, instead of bake files; may be repeated.",
            shell_complete=complete_buildx_builders,
        ),
    ),
    choose=_choose_import,
)
IMPORT_BUILDERS = Command(
    name="import",
    module="import_builders",
    options="ImportBuildersOptions",
    help="Write the tables of builders that were made with docker buildx create: `mpbake import --builder NAME`.",
)
"""What `mpbake import --builder` runs."""
COMMANDS = (
    RUN,
    PLAN,
    Command(
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
            _other_format(DIFF_FORMATS, "text"),
        ),
    ),
    Command(
        name="check",
        module="check",
        options="CheckOptions",
        help="Print all errors of a plan, and warnings about probable mistakes. Asks no node and no registry.",
        summary="Print all errors and warnings of a plan.",
        parameters=(
            *READ_PLAN,
            option("--strict", is_flag=True, help="Treat warnings as errors."),
            option(
                "--without-secrets",
                is_flag=True,
                help="Accept missing files of tls, deploy, secret and ssh, which a fresh checkout lacks.",
            ),
            _other_format(DIAGNOSTICS_FORMATS, "text"),
        ),
    ),
    Command(
        name="doctor",
        module="doctor",
        options="DoctorOptions",
        help="""Print what a run of the targets needs, and what of it is missing, with its remedy.

        Checks docker, buildx, engines, nodes, emulators, certificates, registries, clocks and disks. Changes nothing.
        Without a name: all targets and builders. Without a plan: docker and this machine.
        """,
        summary="Print what a run needs, and what of it is missing.",
        parameters=(NAMES, *OVERRIDES, *SOURCE_OPTIONS, NO_COLOR, _other_format(DOCTOR_FORMATS, "text")),
    ),
    Command(
        name="verify",
        module="verify",
        options="VerifyOptions",
        help="""Compare registries with the last published run, or with the plan if nothing was published.

        Without a name: the group "default", or if the plan has no such group, all published targets. Prints a table of
        differences.
        """,
        summary="Compare what registries serve with what was published.",
        parameters=(NAMES, *READ_PLAN),
    ),
    Command(
        name="list",
        module="list",
        options="ListOptions",
        help="Print groups, targets and variables with their descriptions.",
        parameters=READ_PLAN,
    ),
    Command(
        name="init",
        module="init",
        options="InitOptions",
        help="""Write a first build.toml for the Dockerfiles that it finds.

        It searches this folder and six levels below, asks nothing, and overwrites nothing. Beside the plan it writes
        the plan's schema, build.schema.json, for editors.
        """,
        parameters=(DIRECTORY, option("--dry-run", is_flag=True, help="Print the plan instead of writing it.")),
    ),
    IMPORT,
    Command(
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
    ),
    Command(
        name="export",
        module="export",
        options="ExportOptions",
        help="""Print resolved targets for another tool; without a name, all of them.

        Run bake in the folder of the plan, since relative paths are resolved there: mpbake export | docker buildx bake
        -f -
        """,
        summary="Print resolved targets for another tool.",
        parameters=(NAMES, *OVERRIDES, *READ_PLAN, _other_format(EXPORT_FORMATS, "bake")),
    ),
    Command(
        name="schema",
        module="schema",
        options="SchemaOptions",
        help="Print the JSON Schema of build.toml, for editors and validators.",
        parameters=(_other_format(SCHEMA_FORMATS, "json"),),
    ),
)

# --- commands of `mpbake builders` ------------------------------------------------------------------------------------

_BUILDER_NAMES = click.argument("names", nargs=-1, metavar="[BUILDER]...", shell_complete=complete_names("builders"))
_FORGET = option("--forget", is_flag=True, help="Forget unreachable nodes, and print what may be left on them.")


def _builders_command(name: str, help_text: str, *parameters: Parameter) -> Command:
    return Command(name=name, module="builders", options="BuildersOptions", help=help_text, parameters=parameters)


BUILDERS = _builders_command("builders", "Compare declared and real builders, or make them match.", *READ_PLAN)
BUILDERS_COMMANDS = (
    _builders_command(
        "up",
        """Make all nodes match the plan, and check that they answer.

        Creates, starts or replaces containers and Deployments; deploys the BuildKit of `remote` nodes with `deploy`;
        and installs the emulators of builders with `emulators = "install"`. A replaced container keeps its cache.
        """,
        *(_BUILDER_NAMES, *READ_PLAN),
        click.option("--adopt", is_flag=True, help="Take over builders that were made by hand, with their caches."),
    ),
    _builders_command(
        "plan",
        "Print the changes that `up` would make; changes nothing.",
        *(_BUILDER_NAMES, *READ_PLAN),
        option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes to make."),
    ),
    _builders_command(
        "stop",
        "Stop idle containers; a run starts them again.",
        *(_BUILDER_NAMES, *READ_PLAN),
    ),
    _builders_command(
        "rm",
        "Remove what mpbake created for the named builders, or for all.",
        *(_BUILDER_NAMES, *READ_PLAN),
        option("--keep-state", is_flag=True, help="Keep the caches."),
        _FORGET,
    ),
    _builders_command(
        "prune",
        "Remove what mpbake created here and the plan no longer declares.",
        *READ_PLAN,
        _FORGET,
    ),
)

# --- commands of `mpbake certs` ---------------------------------------------------------------------------------------

_CA_KEY = option(
    "--ca-key",
    default="",
    metavar="PATH",
    help="Key of the authority; default: NAME-key.pem beside its certificate NAME.pem.",
    shell_complete=complete_paths("file"),
)


def _days(default: int) -> Parameter:
    return click.option(
        "--days",
        type=click.IntRange(1, LONGEST_VALIDITY),
        default=None,
        metavar="N",
        help=f"Make certificates that are valid for N days; default: {default}.",
    )


def _certs_command(name: str, help_text: str, *parameters: Parameter, summary: str | None = None) -> Command:
    return Command(
        name=name, module="certs", options="CertsOptions", help=help_text, summary=summary, parameters=parameters
    )


CERTS = _certs_command(
    "certs",
    """Make the certificates of a plan's nodes and clients, and show until when they are valid.

    Without a command: show. Touches neither Docker nor the network.
    """,
    *READ_PLAN,
    summary="Make and show the certificates of nodes and clients.",
)
CERTS_COMMANDS = (
    _certs_command(
        "init",
        """Make the certificate authority that the plan names in `tls.ca`, and its key.

        Overwrites nothing. Git ignores the key if its folder belongs to the plan or to a repository.
        """,
        *(_BUILDER_NAMES, *READ_PLAN, _CA_KEY, _days(AUTHORITY_DAYS)),
        summary="Make the certificate authority that the plan names.",
    ),
    _certs_command(
        "issue",
        """Issue the certificates of clients and of nodes with `deploy` that are missing or soon end.

        Keeps keys and all other certificates. With --rekey it replaces all certificates, and their keys too.
        """,
        *(_BUILDER_NAMES, *READ_PLAN, _CA_KEY, _days(ISSUED_DAYS)),
        click.option("--rekey", is_flag=True, help="Replace all certificates and their keys."),
        summary="Issue the certificates that are missing or soon end.",
    ),
    _certs_command(
        "show",
        "Print whose certificates the plan names, what they are for, and until when.",
        *(_BUILDER_NAMES, *READ_PLAN, _other_format(CERTIFICATE_FORMATS, "text")),
        summary="Print the certificates, and until when they are valid.",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDefinition:
    """A command with subcommands. `action` is the action if the command line names no subcommand."""

    command: Command
    action: str
    commands: tuple[Command, ...]


GROUPS = (
    GroupDefinition(command=BUILDERS, action="list", commands=BUILDERS_COMMANDS),
    GroupDefinition(command=CERTS, action="show", commands=CERTS_COMMANDS),
)
