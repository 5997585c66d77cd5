"""The definition of a command: its help text, its options, and the module that does the work."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click

from mpbake.report.formats import format_help

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


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDefinition:
    """A command with subcommands. `action` is the action if the command line names no subcommand."""

    command: Command
    action: str
    commands: tuple[Command, ...]


def other_format(table: Mapping[str, Any], default: str) -> Parameter:
    """Return a `--format` option that ignores MPBAKE_FORMAT, since this variable sets the format of plans."""
    return click.option("--format", type=click.Choice(list(table)), default=default, help=format_help(table))
