"""The command line: click commands for the table of commands. A command's module is imported when the command runs."""

from __future__ import annotations

import importlib
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import click

from mpbake import __version__
from mpbake.base.memory import freeze_objects, paused_collector
from mpbake.base.redaction import Redactor
from mpbake.base.streams import OutputFailed, silence
from mpbake.cli.click_options import CommandGroup, is_typed
from mpbake.cli.definitions.table import COMMANDS, GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.cli.click_options import Parameter
    from mpbake.cli.definitions.command import Command, GroupDefinition

_SIGNAL_BASE = 128
"""Exit codes above this number mean that a signal ended the command."""
_BROKEN_PIPE = 141


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First steps: mpbake init, mpbake plan, mpbake run. Help for a command: mpbake run --help.",
)
@click.version_option(__version__, "-V", "--version", prog_name="mpbake", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Build images for several platforms from one plan.

    The plan, build.toml, declares builders, nodes and targets. Each platform is built on a node that runs it natively,
    and a tag moves only when all platforms are there.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _add_command(group: click.Group, command: Command) -> None:
    """Add a command of the table to a group."""

    @click.pass_context
    def call(context: click.Context, /, **values: Any) -> None:
        chosen, chosen_values = command.choose(context, values) if command.choose else (command, values)
        _call(chosen, chosen_values)

    decorate = group.command(command.name, help=command.help, short_help=command.summary)
    decorate(_with_parameters(call, command.parameters))


def _with_parameters(function: Callable[..., None], parameters: tuple[Parameter, ...]) -> Callable[..., None]:
    for parameter in reversed(parameters):
        function = parameter(function)
    return function


def _add_group(parent: click.Group, group: GroupDefinition) -> None:
    """Add a command with subcommands. The command's options may come before or after the name of a subcommand."""

    @click.pass_context
    def call(context: click.Context, /, **values: Any) -> None:
        context.obj = values
        if context.invoked_subcommand is None:
            _call(group.command, {**values, "action": group.action})

    decorate = parent.group(
        group.command.name,
        help=group.command.help,
        short_help=group.command.summary,
        invoke_without_command=True,
        subcommand_metavar="[COMMAND] [ARGS]...",
    )
    added = decorate(_with_parameters(call, group.command.parameters))
    for command in group.commands:
        _add_group_command(added, command)


def _add_group_command(group: click.Group, command: Command) -> None:
    @click.pass_context
    def call(context: click.Context, /, **values: Any) -> None:
        # Options on the command line win over the environment, before and after the name of the subcommand.
        stated = {name: value for name, value in values.items() if is_typed(context, name) or name not in context.obj}
        _call(command, {**context.obj, **stated, "action": command.name})

    decorate = group.command(command.name, help=command.help, short_help=command.summary)
    decorate(_with_parameters(call, command.parameters))


for _command in COMMANDS:
    _add_command(cli, _command)
for _group in GROUPS:
    _add_group(cli, _group)


def _call(command: Command, values: Mapping[str, Any]) -> None:
    """Import the module of a command, call it, and exit with its code."""
    from mpbake.cli.options import make_options  # noqa: PLC0415 - not used by --help
    from mpbake.cli.world import open_world  # noqa: PLC0415

    with paused_collector():
        module = importlib.import_module(f"mpbake.cli.commands.{command.module}")
    freeze_objects()
    try:
        world = open_world(click.get_current_context().ensure_object(Redactor))
        code = module.main(make_options(command.options_class, values), world)
        # A signal may mean that the terminal was closed: exit with the signal's code even if the output is lost.
        with suppress(OutputFailed) if code > _SIGNAL_BASE else nullcontext():
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe: click would exit with 1, and Python would print an error at exit.
        silence(sys.stdout)
        code = _BROKEN_PIPE
    sys.exit(code)
